"""
The server around the gateway: quiet, quick to start, and gone when it is stopped.
"""

import asyncio
import subprocess
import sys

import pytest
from worlds import world

from solvent.gateway._server import loop_factory


def test_gateway_is_imported_without_its_heavy_parts():
    code = (
        "import sys; from solvent.gateway import _server as g\n"
        "s = g.bind_loopback(); assert s.getsockname()[0] == '127.0.0.1'\n"
        "print([name for name in ('aiohttp', 'uvicorn', 'uvloop', 'urllib.request') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_answers_carry_no_banner(play):
    async def scene(here):
        got = await here.call()
        assert b"server" not in got.headers
        assert b"date" not in got.headers

    play(scene)


def test_pipelined_requests_are_answered_in_order(play):
    async def scene(here):
        client = await here.connect()
        client.send(here.request() + here.request())
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 200
        assert len(here.guard.outcomes) == 2

    play(scene)


def test_stopped_server_closes_every_connection_and_its_port():
    async def scene():
        async with world() as here:
            client = await here.connect()
            client.send(here.request())
            await client.answer()
            port = here.port
            await here.server.stop()
            assert await client.reader.read() == b""
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(scene())


def test_server_runs_on_the_standard_loop_too():
    async def scene():
        async with world() as here:
            assert (await here.call()).status == 200

    asyncio.run(scene())


@pytest.mark.slow
def test_what_the_first_call_needs_is_loaded_before_it_comes():
    code = (
        "import asyncio, sys, threading\n"
        "from solvent.gateway import _server\n"
        "from solvent.gateway._server import Server, bind_loopback\n"
        "seen, preload = threading.Event(), _server._preload\n"
        "_server._preload = lambda: (seen.wait(), preload())\n"
        "class NoGateway:\n"
        "    async def __call__(self, *_): ...\n"
        "    async def close(self, reason): ...\n"
        "async def main():\n"
        "    server = Server(NoGateway(), bind_loopback())\n"
        "    await server.start()\n"
        "    [loading] = [thread for thread in threading.enumerate() if thread.name == 'solvent-preload']\n"
        "    assert loading.daemon\n"
        "    assert 'aiohttp' not in sys.modules\n"
        "    seen.set()\n"
        "    await asyncio.to_thread(loading.join)\n"
        "    print('aiohttp' in sys.modules)\n"
        "    await server.stop()\n"
        "asyncio.run(main())\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True"
