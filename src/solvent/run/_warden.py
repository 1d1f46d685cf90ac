"""
Runs the command of ``solvent run`` so that it behaves as without us, and so that nothing of it is ever left running.

    solvent ── guardian ── command ── whatever the command starts

Who dies, and who ends the rest:

    the command                 the guardian: TERM, then KILL after a grace
    solvent                     the guardian, at once, by the end of file on its socket
    the guardian                the kernel ends the command (parent-death signal), solvent ends the rest
    solvent and the command     the guardian
    solvent's process group     the guardian, which is in a group of its own for this reason

Only the death of solvent and guardian in the same instant can leave grandchildren; the command itself dies even then.
On systems without subreapers (macOS) descendants are met by looking every quarter of a second; one that detaches in
less than that can escape.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from solvent.run._guardian import (
    FORWARDED,
    KILL_SECONDS,
    Guardian,
    become_subreaper,
    close_all_but,
    foreground_group,
    signal_each,
)

if TYPE_CHECKING:
    import psutil


class Exited(Struct, frozen=True, kw_only=True):
    """
    The command ran and ended; ``code`` is 128 + n when signal n ended it.

    Attributes:
        survivors: Processes that could not be ended, such as those of another user; otherwise 0.
    """

    code: int
    survivors: int = 0


class NotFound(Struct, frozen=True, kw_only=True):
    """
    There is no such command.
    """

    code: int = 127


class NotExecutable(Struct, frozen=True, kw_only=True):
    """
    The command is there but cannot be run; ``reason`` is the system's.
    """

    reason: str
    code: int = 126


class Lost(Struct, frozen=True, kw_only=True):
    """
    The guardian died; the command and all that came from it were killed.
    """

    code: int = 128 + signal.SIGKILL


Result = Exited | NotFound | NotExecutable | Lost


class Warden:
    """
    Solvent's side of one running command. Make it with ``start``, and always await ``wait`` or ``end``.
    """

    def __init__(
        self, *, link: socket.socket, guardian_pid: int, bystanders: frozenset["psutil.Process"], is_subreaper: bool
    ) -> None:
        self._link = link
        self._is_subreaper = is_subreaper
        self._guardian_pid = guardian_pid
        self._bystanders = bystanders
        self._unread = b""
        self._result: Result | None = None
        self._reading = asyncio.Lock()
        self.command_pid: int | None = None  # Known once ``wait`` has begun.

    @classmethod
    def start(cls, command: Sequence[str], *, env: Mapping[str, str], linger_seconds: float = 2.0) -> Self:
        """
        Start the command by a guardian that is forked from this process.

        Call it before the process has threads, and with every descriptor that the command may need already open:
        the fork copies only the calling thread.

        Args:
            command: The command and its arguments, found on the ``PATH`` of ``env``.
            env: The command's whole environment.
            linger_seconds: How long what the command leaves running has between TERM and KILL.
        """
        if not command:
            raise ValueError("command: expected at least one word, got none")
        bystanders = _children_before()
        is_subreaper = become_subreaper()  # Inherits the command's tree should the guardian be killed.
        ours, theirs = socket.socketpair()
        group, solvent_pid = os.getpgrp(), os.getpid()
        # Blocked until the guardian has its handlers, or a Ctrl-C in between would end it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        pid = os.fork()
        if pid == 0:
            try:
                os.setpgid(0, 0)
                close_all_but(theirs.fileno())
                ours.detach()
                guardian = Guardian(
                    link=theirs, solvent_pid=solvent_pid, group=group, mask=set(mask), linger_seconds=linger_seconds
                )
                guardian.run(command, env)
            finally:
                os._exit(0)  # Never back into the caller's code; solvent judges by what was said on the socket.
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        ours.setblocking(False)
        return cls(link=ours, guardian_pid=pid, bystanders=bystanders, is_subreaper=is_subreaper)

    async def wait(self) -> Result:
        """
        Wait until the command has ended and nothing of it is left, and return how it ended. May be called again.
        """
        async with self._reading:
            while self._result is None:
                await self._read()
        return self._result

    def signal(self, number: int) -> None:
        """
        Pass on a signal that solvent received.

        An interrupt or quit that was typed at the terminal has reached the command already, by the kernel, and must
        not come twice (many programs give up at the second). Whether it was typed cannot be seen, so it is taken as
        typed where our process group is the terminal's foreground: there, ``kill -INT`` must name the command.
        """
        if number in (signal.SIGINT, signal.SIGQUIT) and foreground_group() == os.getpgrp():
            return
        self._tell(f"signal {number}")

    async def end(self, grace_seconds: float = 5) -> Result:
        """
        End the command and all that came from it: TERM, and KILL for whatever is left after the grace.
        """
        self._tell(f"end {grace_seconds}")
        return await self.wait()

    async def _read(self) -> None:
        try:
            received = await asyncio.get_running_loop().sock_recv(self._link, 4096)
        except ConnectionError:
            received = b""
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            self._learn(line.decode(errors="replace"))
        if not received:
            self._result = Lost()
            await asyncio.to_thread(self._sweep)
        if self._result is not None:
            self._link.close()
            if received:
                _collect(self._guardian_pid)

    def _learn(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "started":
            self.command_pid = int(rest)
        elif word == "exited":
            code, survivors = map(int, rest.split())
            self._result = Exited(code=code, survivors=survivors)
        elif word == "not-found":
            self._result = NotFound()
        elif word == "not-executable":
            self._result = NotExecutable(reason=rest)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):  # Ended already; `wait` says how.
            self._link.send(line.encode() + b"\n")

    def _sweep(self) -> None:
        """
        End what a dead guardian leaves behind.
        """
        import psutil

        # Its descendants become ours when it is collected, and not before: the socket ends a moment earlier.
        _collect(self._guardian_pid)
        deadline = time.monotonic() + KILL_SECONDS
        while time.monotonic() < deadline:
            ours = set(psutil.Process().children()) - self._bystanders
            with contextlib.suppress(psutil.Error):
                if not self._is_subreaper and self.command_pid is not None:
                    ours.add(psutil.Process(self.command_pid))
            if not ours:
                return
            signal_each({below for child in ours for below in _with_descendants(child)}, signal.SIGKILL)
            psutil.wait_procs(ours, timeout=0.1)


def _with_descendants(process: "psutil.Process") -> list["psutil.Process"]:
    import psutil

    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


def _children_before() -> frozenset["psutil.Process"]:
    """
    Children that this process has from before (a shell that became solvent by ``exec`` may leave some).
    """
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return frozenset()  # The usual case, found out without loading psutil.
    import psutil

    return frozenset(psutil.Process().children())


def _collect(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
