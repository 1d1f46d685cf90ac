"""
What was begun comes to its end, also when the task that awaits it is cancelled.
"""

import asyncio

import pytest

from solvent.gateway._finish import Finished

spawn = asyncio.create_task


def test_what_does_not_wait_needs_no_task_and_no_turn_of_the_loop():
    async def work():
        return 7

    async def scene():
        finished = Finished(work(), spawn)
        with pytest.raises(StopIteration) as stopped:
            finished.__await__().send(None)
        assert stopped.value.value == 7

    asyncio.run(scene())


def test_errors_come_to_the_one_who_awaits():
    async def work():
        await asyncio.sleep(0)
        raise ValueError("own")

    async def scene():
        with pytest.raises(ValueError, match="own"):
            await Finished(work(), spawn)

    asyncio.run(scene())


@pytest.mark.parametrize("cancellations", [1, 2, 3])
def test_cancelling_the_awaiting_task_cancels_neither_the_work_nor_what_it_waits_for(cancellations):
    async def scene():
        waits = [asyncio.get_running_loop().create_future() for _ in range(2)]
        seen = []

        async def work():
            seen.append(await waits[0])
            await asyncio.sleep(0)
            seen.append(await waits[1])
            return seen

        tasks = []

        def keep(coroutine):
            tasks.append(asyncio.create_task(coroutine))
            return tasks[-1]

        finished = Finished(work(), keep)

        async def wait():
            return await finished

        for _ in range(cancellations):
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        last = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waits[0].set_result("first")
        for _ in range(5):
            await asyncio.sleep(0)
        waits[1].set_result("second")
        assert await last == ["first", "second"]
        assert len(tasks) == 1

    asyncio.run(scene())


def test_begun_work_goes_on_by_itself_and_can_be_awaited():
    async def scene():
        async def work():
            await asyncio.sleep(0)
            return 7

        finished = Finished(work(), spawn)
        finished.begin()
        assert await finished == 7

    asyncio.run(scene())
