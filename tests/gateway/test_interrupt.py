"""
Work is ended for a reason, and a cancellation that means the task itself is never taken for one.
"""

import asyncio

import pytest

from solvent.gateway._interrupt import Ended, Interrupt


def test_block_ends_with_the_first_reason():
    async def scene():
        interrupt = Interrupt()
        asyncio.get_running_loop().call_soon(interrupt.trigger, "first")
        asyncio.get_running_loop().call_soon(interrupt.trigger, "second")
        with pytest.raises(Ended) as ended, interrupt:
            await asyncio.sleep(10)
        assert ended.value.reason == "first"
        await asyncio.sleep(0)  # The task goes on: no cancellation is left behind.
        with pytest.raises(Ended), interrupt:
            raise AssertionError("the next block does not begin")

    asyncio.run(scene())


def test_what_stands_between_blocks_is_not_cut():
    async def scene():
        interrupt = Interrupt()
        with interrupt:
            pass
        asyncio.get_running_loop().call_soon(interrupt.trigger, "later")
        await asyncio.sleep(0.001)
        assert interrupt.reason == "later"

    asyncio.run(scene())


def test_cancellation_of_the_task_goes_on():
    async def scene():
        interrupt = Interrupt()

        async def work():
            with interrupt:
                await asyncio.sleep(10)

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        interrupt.trigger("also")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


def test_errors_of_the_block_pass():
    async def scene():
        interrupt = Interrupt()
        with pytest.raises(ValueError, match="own"), interrupt:
            raise ValueError("own")

    asyncio.run(scene())
