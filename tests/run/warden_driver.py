"""
What ``solvent run`` does with a warden, and nothing else; test_warden.py runs, steers and kills it.

    python warden_driver.py CONTROL_FD [--no-subreaper] -- COMMAND...

It says what happens on the control socket, a line each, and takes ``end SECONDS`` and ``signal NUMBER`` from it.
"""

import asyncio
import json
import os
import signal
import socket
import sys

import psutil

from solvent.run import _guardian, _warden


async def main(control: socket.socket, warden: _warden.Warden) -> None:
    loop = asyncio.get_running_loop()
    control.setblocking(False)

    def say(**event: object) -> None:
        control.sendall(json.dumps(event).encode() + b"\n")

    def receive(number: int) -> None:
        warden.signal(number)
        say(received=number)

    def obey() -> None:
        received = control.recv(100).decode()
        if not received:
            os._exit(1)  # The test is gone.
        word, value = received.split()
        if word == "signal":
            warden.signal(int(value))
        else:
            tasks.append(asyncio.ensure_future(warden.end(float(value))))

    tasks: list[asyncio.Future[_warden.Result]] = []
    for number in _guardian.FORWARDED:
        if signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, receive, number)
    loop.add_reader(control, obey)
    say(guardian=warden._guardian_pid)
    result = await warden.wait()
    assert await warden.wait() == result, "a second wait has the same answer"
    say(result=type(result).__name__, **{name: getattr(result, name) for name in result.__slots__})
    say(left=[child.pid for child in psutil.Process().children(recursive=True) if child.pid not in before])


if __name__ == "__main__":
    control = socket.socket(fileno=int(sys.argv[1]))
    if sys.argv[2] == "--no-subreaper":
        _guardian.become_subreaper = _warden.become_subreaper = lambda: False
    before = {child.pid for child in psutil.Process().children()}
    os.open("/etc/hostname", os.O_RDONLY)  # A descriptor that must not reach the guardian or the command.
    command = sys.argv[sys.argv.index("--") + 1 :]
    asyncio.run(main(control, _warden.Warden.start(command, env=os.environ, linger_seconds=0.2)))
