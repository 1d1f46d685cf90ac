"""
The guardian: a small process between ``solvent run`` and the command, so that whoever dies, nothing is left running.

It is forked from the solvent process (never executed anew, which would cost another interpreter's start), starts the
command as its own child, and collects every process that comes from it. Its one link to solvent is a socket whose end
of file means that solvent is gone. Messages are lines of text:

    to the guardian     signal NUMBER · end SECONDS
    from the guardian   started PID, then one of: exited CODE SURVIVORS · not-found · not-executable REASON
"""

import contextlib
import errno
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
KILL_SECONDS = 5.0  # A process that lives this long after KILL hangs in the kernel, or may not be signaled by us.

# Source: prctl(2), Linux man-pages 6.9, read 2026-11-21.
_SET_PARENT_DEATH_SIGNAL = 1
_SET_NAME = 15
_SET_CHILD_SUBREAPER = 36


def prctl(option: int, value: int | bytes) -> bool:
    """
    Set one attribute of this process; false where the system has no such attribute or forbids it.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    return ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0  # type: ignore[no-any-return]  # ctypes has no types.


def become_subreaper() -> bool:
    """
    Become the parent of every descendant whose own parent dies, also of those that called setsid.
    """
    return prctl(_SET_CHILD_SUBREAPER, 1)


def signal_each(processes: Iterable["psutil.Process"], *signals: int) -> None:
    """
    Send the signals to each process that still runs and may be signaled by us.
    """
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):
            for number in signals:
                process.send_signal(number)


class Guardian:
    """
    The guardian's state: the command, the processes that came from it, and when to become less polite.
    """

    def __init__(
        self, *, link: socket.socket, solvent_pid: int, group: int, mask: set[int], linger_seconds: float
    ) -> None:
        self._link = link
        self._solvent_pid = solvent_pid
        self._mask = mask  # The blocked signals that solvent was started with; the command inherits them.
        self._group = group  # Solvent's process group, which the command joins.
        self._linger_seconds = linger_seconds
        self._is_subreaper = False
        self._seen: set[psutil.Process] = set()  # Where there is no subreaper: descendants met so far.
        self._pid = 0
        self._status: int | None = None
        self._unread = b""
        self._deadline: float | None = None  # When TERM has had its time.
        self._kill_began: float | None = None

    def run(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._is_subreaper = become_subreaper()
        prctl(_SET_NAME, b"solvent-guard")
        wake = self._listen()
        try:
            if not command[0]:
                raise FileNotFoundError  # The search for "" on the path would find its first folder.
            self._pid = spawn(command, env, group=self._group)
        except (FileNotFoundError, NotADirectoryError):
            # A file that exists but is "not found" is a script whose interpreter is missing; shells answer 126 too.
            found = shutil.which(command[0], path=env.get("PATH", os.defpath))
            self._tell(f"not-executable its interpreter was not found: {found}" if found else "not-found")
            return
        except OSError as error:
            self._tell(f"not-executable {error.strerror}")
            return
        release_standard_streams()
        self._tell(f"started {self._pid}")
        survivors = self._watch(wake)
        self._tell(f"exited {128 + signal.SIGKILL if self._status is None else self._status} {survivors}")

    def _listen(self) -> socket.socket:
        reading, writing = socket.socketpair()
        for end in (reading, writing):
            end.setblocking(False)
        signal.set_wakeup_fd(writing.detach(), warn_on_full_buffer=False)
        for number in (*FORWARDED, signal.SIGCHLD):
            # What was ignored at the start (nohup) stays so; a handler, unlike "ignore", is reset in the command.
            if number == signal.SIGCHLD or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _do_nothing)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        return reading

    def _watch(self, wake: socket.socket) -> int:
        """
        Wait until the command and all that came from it are gone; return how many could not be ended.
        """
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        poll.register(self._link, select.POLLIN)
        while not self._is_empty():
            self._advance()
            if self._kill_began is not None and time.monotonic() - self._kill_began > KILL_SECONDS:
                return len(self._tree())
            for fd, _ in poll.poll(self._pause_milliseconds()):
                if fd == wake.fileno():
                    wake.recv(4096)
                elif not self._obey():
                    poll.unregister(self._link)
        return 0

    def _is_empty(self) -> bool:
        """
        Collect what has exited, and say whether nothing is left.
        """
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
                if pid == 0:
                    return False
                if pid == self._pid:
                    self._note(status)
        except ChildProcessError:
            # As a subreaper, to have no children is to have no descendants.
            return self._is_subreaper or not any(map(is_alive, self._seen))

    def _note(self, status: int) -> None:
        if os.WIFSTOPPED(status):
            self._stop_solvent_too()
            return
        # At its end too: of a command that is continued and ends before we look, or is killed while it is stopped, we
        # hear the end alone.
        self._signal_solvent(signal.SIGCONT)
        if not os.WIFCONTINUED(status):
            code = os.waitstatus_to_exitcode(status)
            self._status = code if code >= 0 else 128 - code

    def _stop_solvent_too(self) -> None:
        """
        Give the terminal back to the shell when the command stops itself, for the shell watches only solvent.
        """
        with contextlib.suppress(OSError):
            if os.getpgid(self._pid) == self._group and foreground_group() == self._group:
                self._signal_solvent(signal.SIGSTOP)

    def _signal_solvent(self, number: int) -> None:
        if os.getppid() == self._solvent_pid:
            with contextlib.suppress(ProcessLookupError):  # It may end at this moment; the end of file will say so.
                os.kill(self._solvent_pid, number)

    def _advance(self) -> None:
        """
        Take the next step towards an empty tree, if it is time for one.
        """
        now = time.monotonic()
        if self._status is not None and self._deadline is None:
            self._terminate(self._linger_seconds)
        if self._deadline is not None and now >= self._deadline:
            if self._kill_began is None:
                self._kill_began = now
            # Again and again until none is left, for a process may fork between the look and the kill.
            signal_each(self._tree(), signal.SIGKILL)

    def _terminate(self, grace_seconds: float) -> None:
        if grace_seconds > 0:
            # CONT, because a stopped process would sleep through its TERM.
            signal_each(self._tree(), signal.SIGTERM, signal.SIGCONT)
        self._deadline = time.monotonic() + grace_seconds  # From when they were told: the walk may take its time.

    def _pause_milliseconds(self) -> float | None:
        if self._kill_began is not None:
            return 20
        if self._deadline is not None:
            left = max(self._deadline - time.monotonic(), 0) * 1000 + 1
            return left if self._is_subreaper else min(left, 20)
        if self._is_subreaper:
            return None
        self._tree()  # What is not seen while its parent lives cannot be found later.
        return 250

    def _tree(self) -> set["psutil.Process"]:
        import psutil

        found = set(psutil.Process().children(recursive=True))
        if not self._is_subreaper:
            for process in [*self._seen]:
                with contextlib.suppress(psutil.Error):
                    found.update(process.children(recursive=True))
            self._seen = found = set(filter(is_alive, found | self._seen))
        return found

    def _obey(self) -> bool:
        """
        Do what solvent asks; false when solvent is gone.
        """
        try:
            received = self._link.recv(4096)
        except ConnectionError:
            received = b""
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            word, _, value = line.decode().partition(" ")
            if word == "signal" and self._status is None:
                os.kill(self._pid, int(value))
            elif word == "end" and self._kill_began is None:
                self._terminate(float(value))
        if not received:
            self._deadline = time.monotonic()
            if self._status is None:
                os.kill(self._pid, signal.SIGKILL)  # At once, before the walk over the rest.
        return bool(received)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):  # Solvent may be gone; then nobody needs to know.
            self._link.sendall(line.encode() + b"\n")


def is_alive(process: "psutil.Process") -> bool:
    """
    Whether it still runs; a dead one that its own parent has not collected yet does not.
    """
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def spawn(command: Sequence[str], env: Mapping[str, str], *, group: int) -> int:
    """
    Start the command in solvent's process group, so that the terminal treats it as if solvent were not there.
    """
    guardian_pid = os.getpid()

    def die_with_guardian() -> None:
        prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != guardian_pid:
            os._exit(1)

    def start(arguments: Sequence[str]) -> int:
        process = subprocess.Popen(
            arguments, env=dict(env), process_group=group, preexec_fn=die_with_guardian, close_fds=True
        )
        process.returncode = 0  # Collected by `waitpid` above, not by this object.
        return process.pid

    try:
        return start(command)
    except OSError as error:
        script = shutil.which(command[0], path=env.get("PATH", os.defpath))
        if error.errno != errno.ENOEXEC or script is None:
            raise
        # A script without a first line that names its interpreter is run by sh, as shells and execvp do.
        return start(["/bin/sh", script, *command[1:]])


def release_standard_streams() -> None:
    """
    Let go of streams that are the command's, so that a pipe ends when the command closes it.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.close(null)


def close_all_but(kept: int) -> None:
    """
    Close every descriptor above the standard streams, except one.
    """
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) != kept:
            with contextlib.suppress(OSError):  # The descriptor of the listing itself.
                os.close(int(name))


def foreground_group() -> int | None:
    """
    The process group that signals typed at our terminal go to; ``None`` without a terminal.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return None
    try:
        return os.tcgetpgrp(terminal)
    except OSError:
        return None
    finally:
        os.close(terminal)


def _do_nothing(number: int, frame: object) -> None:
    pass
