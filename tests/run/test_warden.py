import contextlib
import fcntl
import json
import os
import pty
import shlex
import signal
import socket
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from machine import has_exited

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="waits by pidfds and looks into /proc")

DRIVER = Path(__file__).with_name("warden_driver.py")
PATIENCE_SECONDS = 20

# Prints its pid and then waits for ever; TERM is ignored by the stubborn one.
IDLE = "import os, signal; os.write(1, b'%d\\n' % os.getpid()); signal.pause()"  # One write, so that lines stay whole.
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + IDLE
# Prints "ready", then each signal by its number, until USR2.
TELLS = """
import signal
numbers = (1, 2, 3, 10, 12, 15)
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # One that comes before the next wait is kept for it.
print("ready", flush=True)
while True:
    number = signal.sigwait(numbers)
    print(int(number), flush=True)
    if number == signal.SIGUSR2:
        raise SystemExit(7)
"""
# Waits to be told, for it stops the driver too, which must have said by then that it is there.
STOPS_ITSELF = ["sh", "-c", "read go; kill -STOP $$; exit 9"]
# A shell with job control. While it lives, the kernel wakes nobody whom it stopped: the group has a parent outside.
SHELL = ["sh", "-mc", '"$@"; echo back; read end', "sh"]
# A daemon as it should be: two forks and a session of its own; prints the daemon's pid.
DAEMON = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if "stubborn" in sys.argv:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(1, b"%d\\n" % os.getpid())
        signal.pause()
    os._exit(0)
os.wait()
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, *arguments]


class Run:
    """
    One driver, with the standard output of its command and what it says itself.
    """

    def __init__(self, command: list[str], *options: str, under: Sequence[str] = (), **popen: Any) -> None:
        self.mark = f"warden-test-{uuid.uuid4().hex}"
        control, theirs = socket.socketpair()
        control.settimeout(PATIENCE_SECONDS)
        popen.setdefault("stdout", subprocess.PIPE)
        self.process = subprocess.Popen(
            [*under, sys.executable, str(DRIVER), str(theirs.fileno()), *options, "--", *command],
            pass_fds=(theirs.fileno(),),
            env={**os.environ, "WARDEN_TEST": self.mark},
            **popen,
        )
        theirs.close()
        self.control = control
        self.events = control.makefile()
        first = self.events.readline()
        self.guardian_pid = json.loads(first)["guardian"]

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def tell(self, line: str) -> None:
        self.control.sendall(line.encode())

    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.events.readline()))

    def result(self) -> dict[str, Any]:
        """
        How it ended; with the promise that no process and no zombie is left.
        """
        result = self.event()
        while "result" not in result:
            result = self.event()
        assert self.event() == {"left": []}
        assert self.process.wait(PATIENCE_SECONDS) == 0
        self.assert_nothing_runs()
        return result

    def members(self) -> tuple[int, int]:
        """
        The driver and its command.
        """
        guardian = psutil.Process(self.guardian_pid)
        (command,) = guardian.children()
        return guardian.ppid(), command.pid

    def marked(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("WARDEN_TEST") == self.mark:
                    found.append(process)
        return found

    def assert_nothing_runs(self) -> None:
        """
        Every process that carries our mark ends by itself, without being signaled by the test.
        """
        while alive := self.marked():
            assert has_exited(alive[0].pid), f"still running: {alive}"

    def close(self) -> None:
        for process in self.marked():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.wait(PATIENCE_SECONDS)
        if self.process.stdout:
            self.process.stdout.close()
        self.events.close()
        self.control.close()


Start = Callable[..., Run]


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def start(command: list[str], *options: str, **popen: Any) -> Run:
            run = Run(command, *options, **popen)
            stack.callback(run.close)
            return run

        yield start


def exited(code: int) -> dict[str, Any]:
    return {"result": "Exited", "code": code, "survivors": 0}


def test_the_commands_exit_code_and_output_are_its_own(start: Start) -> None:
    run = start(["sh", "-c", "echo out; cat; exit 42"], stdin=subprocess.PIPE)
    assert run.process.stdin is not None
    run.process.stdin.write(b"typed\n")
    run.process.stdin.close()
    assert [run.line(), run.line(), run.line()] == ["out", "typed", ""]
    assert run.result() == exited(42)


def test_a_command_ended_by_a_signal_exits_with_128_and_its_number(start: Start) -> None:
    assert start(["sh", "-c", "kill -9 $$"]).result() == exited(137)


@pytest.mark.parametrize("name", ["no-such-command-at-all", "./no/such/file", "/etc/hostname/file", ""])
def test_an_unknown_command_is_127(start: Start, name: str) -> None:
    assert start([name]).result() == {"result": "NotFound", "code": 127}


def test_a_file_that_cannot_be_executed_is_126_with_the_reason(start: Start, tmp_path: Path) -> None:
    plain, orphan = tmp_path / "plain", tmp_path / "orphan"
    plain.write_text("text")
    orphan.write_text("#!/no/such/interpreter\n")
    orphan.chmod(0o755)
    for path, reason in ((plain, "Permission denied"), (tmp_path, "Permission denied")):
        assert start([str(path)]).result() == {"result": "NotExecutable", "reason": reason, "code": 126}
    missing = f"its interpreter was not found: {orphan}"
    assert start([str(orphan)]).result() == {"result": "NotExecutable", "reason": missing, "code": 126}


def test_a_script_without_an_interpreter_line_is_run_by_sh_as_shells_do(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$1"\nexit 5\n')
    script.chmod(0o755)
    run = start([str(script), "one two"])
    assert run.line() == "one two"
    assert run.result() == exited(5)


def test_what_the_command_leaves_running_is_ended_also_daemons_that_ignore_term(start: Start) -> None:
    # The shell ends only when its input does: the daemon says its number in its own time.
    script = f"sleep 1000 & {shlex.join(python(DAEMON, 'stubborn'))}; read told; exit 3"
    run = start(["sh", "-c", script], stdin=subprocess.PIPE)
    assert psutil.pid_exists(int(run.line()))
    assert run.process.stdin is not None
    run.process.stdin.close()
    assert run.result() == exited(3)


def test_children_that_were_there_before_solvent_are_left_alone() -> None:
    # The shell starts one and then becomes the driver by exec; killing the guardian makes the driver sweep.
    driver = shlex.join([sys.executable, str(DRIVER)])
    control, theirs = socket.socketpair()
    control.settimeout(PATIENCE_SECONDS)
    run = subprocess.Popen(
        ["sh", "-c", f"sleep 1000 & echo $!; exec {driver} {theirs.fileno()} -- {shlex.join(python(IDLE))}"],
        pass_fds=(theirs.fileno(),),
        stdout=subprocess.PIPE,
    )
    theirs.close()
    assert run.stdout is not None
    bystander = psutil.Process(int(run.stdout.readline()))
    try:
        events = control.makefile()
        guardian_pid = json.loads(events.readline())["guardian"]
        command = psutil.Process(int(run.stdout.readline()))
        os.kill(guardian_pid, signal.SIGKILL)
        assert json.loads(events.readline()) == {"result": "Lost", "code": 137}
        assert not command.is_running()
        assert bystander.is_running()
        assert bystander.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED)
    finally:
        bystander.kill()
        run.wait(PATIENCE_SECONDS)


@pytest.fixture
def family(start: Start) -> Callable[..., tuple[Run, dict[str, int]]]:
    """
    A running command with a stubborn child and a stubborn daemon.
    """

    def family(**popen: Any) -> tuple[Run, dict[str, int]]:
        child, daemon = shlex.join(python(STUBBORN)), shlex.join(python(DAEMON, "stubborn"))
        run = start(["sh", "-c", f"echo $$; {child} & {daemon}; wait"], **popen)
        command, *others = (int(run.line()) for _ in range(3))
        # The two say their numbers in any order; only the child has the command as its parent.
        child, daemon = sorted(others, key=lambda pid: psutil.Process(pid).ppid() != command)
        pids = {"command": command, "child": child, "daemon": daemon}
        return run, {**pids, "solvent": run.process.pid, "guardian": run.guardian_pid}

    return family


@pytest.mark.parametrize(
    "killed",
    [["solvent"], ["solvent", "command"], ["command", "solvent"], ["solvent", "command", "child"]],
    ids="-".join,
)
def test_when_solvent_is_killed_nothing_is_left(family: Any, killed: list[str]) -> None:
    run, pids = family()
    for name in killed:
        with contextlib.suppress(ProcessLookupError):  # The guardian may have been faster than the test.
            os.kill(pids[name], signal.SIGKILL)
    assert run.process.wait(PATIENCE_SECONDS) == -9
    run.assert_nothing_runs()


def test_when_the_whole_process_group_is_killed_daemons_of_the_command_end_too(family: Any) -> None:
    run, pids = family(start_new_session=True)
    os.killpg(pids["solvent"], signal.SIGKILL)
    run.process.wait(PATIENCE_SECONDS)
    run.assert_nothing_runs()


def test_when_the_command_is_killed_the_rest_ends_and_the_code_is_137(family: Any) -> None:
    run, pids = family()
    os.kill(pids["command"], signal.SIGKILL)
    assert run.result() == exited(137)


@pytest.mark.parametrize("killed", [["guardian"], ["guardian", "command"]], ids="-".join)
def test_when_the_guardian_is_killed_solvent_ends_the_rest(family: Any, killed: list[str]) -> None:
    run, pids = family()
    for name in killed:
        os.kill(pids[name], signal.SIGKILL)
    assert run.result() == {"result": "Lost", "code": 137}


def ignore_hang_up() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_when_solvent_and_guardian_are_killed_the_command_ends_all_the_same(start: Start) -> None:
    # The kernel hangs up on a group that loses its last parent outside while a member is stopped. So it is a group of
    # their own and not that of the tests, and a hang-up is ignored, for it must not be what ends the command.
    run = start(python(STUBBORN), start_new_session=True, preexec_fn=ignore_hang_up)
    run.line()
    os.kill(run.process.pid, signal.SIGSTOP)  # So that it cannot see the guardian's end.
    os.kill(run.guardian_pid, signal.SIGKILL)
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait(PATIENCE_SECONDS)
    run.assert_nothing_runs()


def test_ending_gives_the_command_its_grace(start: Start) -> None:
    run = start(python(TELLS.replace("== signal.SIGUSR2", "== signal.SIGTERM")))
    assert run.line() == "ready"
    run.tell("end 100")
    assert run.line() == "15"
    assert run.result() == exited(7)


def test_ending_kills_what_ignores_term_after_the_grace(family: Any) -> None:
    run, pids = family()
    run.tell("end 100")
    assert has_exited(pids["command"])  # The shell obeyed; its child and its daemon did not.
    assert psutil.pid_exists(pids["child"])
    run.tell("end 0.1")
    assert run.result() == exited(143)


def test_ending_reaches_a_stopped_command(start: Start) -> None:
    run = start(python(TELLS.replace("== signal.SIGUSR2", "== signal.SIGTERM")))
    run.line()
    os.kill(psutil.Process(run.guardian_pid).children()[0].pid, signal.SIGSTOP)
    run.tell("end 100")
    assert run.result() == exited(7)


def test_signals_sent_to_solvent_reach_the_command_once(start: Start) -> None:
    run = start(python(TELLS))
    assert run.line() == "ready"
    for number in (1, 2, 3, 10, 15, 12):
        os.kill(run.process.pid, number)
        assert run.line() == str(number)
    assert run.line() == ""
    assert run.result() == exited(7)


def test_the_guardian_survives_signals_meant_for_solvent(start: Start) -> None:
    run = start(python(TELLS))
    run.line()
    for number in (1, 2, 3, 10, 12, 15):
        os.kill(run.guardian_pid, number)
    run.tell("signal 12")
    assert run.line() == "12"
    assert run.result() == exited(7)


def test_signals_ignored_at_the_start_stay_ignored_and_no_other(start: Start) -> None:
    code = "import signal; print([n for n in range(1, 32) if signal.getsignal(n) == signal.SIG_IGN])"
    ordinary = int(start(["sh", "-c", "grep SigIgn /proc/self/status"]).line().split()[1], 16)
    assert ordinary % 2**31 == 0  # Signals 1 to 31; those above are the C library's own.
    run = start(python(code), preexec_fn=ignore_hang_up)
    # Python itself ignores PIPE and XFSZ.
    assert run.line() == str([1, 13, 25])
    assert run.result() == exited(0)


def test_no_descriptor_of_solvent_reaches_the_command_or_the_guardian(start: Start) -> None:
    run = start(["sh", "-c", "echo $$; read line"], stdin=subprocess.PIPE)
    assert sorted(os.listdir(f"/proc/{run.line()}/fd")) == ["0", "1", "2"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    # It lets go of the command's streams, soon after the command has begun. The sockets are its link, and the pair that
    # signals wake it by.
    while (kinds := kinds_of_descriptors(run.guardian_pid)) != ["/dev/null"] * 3 + ["socket"] * 3:
        assert time.monotonic() < deadline, kinds


def kinds_of_descriptors(pid: int) -> list[str]:
    kinds = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # Closed since the folder was read.
            kinds.append(os.readlink(descriptor).partition(":")[0])
    return sorted(kinds)


def test_without_a_subreaper_descendants_are_remembered_and_ended(start: Start) -> None:
    # As on macOS. The grandchild is in a session of its own, ignores TERM and outlives its parents, who obey.
    run = start(["sh", "-c", f"setsid {shlex.join(python(STUBBORN))} & wait"], "--no-subreaper")
    grandchild = psutil.Process(int(run.line()))
    _, command = run.members()
    run.tell("end 100")
    assert has_exited(command)
    run.tell("end 0.1")
    assert run.result() == exited(143)
    assert has_exited(grandchild.pid)


class Terminal:
    """
    A driver in the foreground of a terminal of its own.
    """

    def __init__(self, start: Start, command: list[str], under: Sequence[str] = ()) -> None:
        self.master, slave = pty.openpty()
        self.run = start(
            command,
            under=under,
            stdin=slave,
            stdout=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.output = os.fdopen(os.dup(self.master), "rb", buffering=0)
        self.group = self.run.process.pid

    def type(self, key: bytes) -> None:
        os.write(self.master, key)

    def line(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            line += self.output.read(1)
        return line.decode().strip().removeprefix("^C").removeprefix("^\\").removeprefix("^Z")

    def wait_until_stopped(self) -> None:
        _, status = os.waitpid(self.group, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

    def wait_until_back(self) -> None:
        """
        Wait until the shell says that it has the terminal again.
        """
        while self.line() != "back":
            pass

    def close(self) -> None:
        self.output.close()
        os.close(self.master)


@pytest.fixture
def terminal(start: Start) -> Iterator[Callable[[list[str]], Terminal]]:
    with contextlib.ExitStack() as stack:

        def open_terminal(command: list[str], under: Sequence[str] = ()) -> Terminal:
            terminal = Terminal(start, command, under)
            stack.callback(terminal.close)
            return terminal

        yield open_terminal


@pytest.mark.parametrize(("key", "number"), [(b"\x03", 2), (b"\x1c", 3)])
def test_an_interrupt_typed_at_the_terminal_comes_once(terminal: Any, key: bytes, number: int) -> None:
    at = terminal(python(TELLS))
    assert at.line() == "ready"
    at.type(key)
    assert at.line() == str(number)
    assert at.run.event() == {"received": number}  # Solvent has seen it, and would have passed it on by now.
    at.run.tell("signal 12")
    assert at.line() == "12"
    assert at.run.result() == exited(7)


def test_ctrl_z_stops_both_and_the_shell_continues_both(terminal: Any) -> None:
    at = terminal(python(TELLS))
    at.line()
    at.type(b"\x1a")
    at.wait_until_stopped()
    os.killpg(at.group, signal.SIGCONT)
    at.run.tell("signal 12")
    assert at.line() == "12"
    assert at.run.result() == exited(7)


def test_a_command_that_stops_itself_gives_the_terminal_back(terminal: Any) -> None:
    at = terminal(STOPS_ITSELF)
    at.type(b"\n")
    at.wait_until_stopped()
    os.killpg(at.group, signal.SIGCONT)
    assert at.run.result() == exited(9)


def test_a_command_that_is_killed_while_it_is_stopped_ends_solvent_too(terminal: Any) -> None:
    at = terminal(STOPS_ITSELF, SHELL)
    at.type(b"\n")
    at.wait_until_back()
    solvent, command = at.run.members()
    os.kill(command, signal.SIGKILL)
    assert has_exited(solvent)
    at.type(b"\n")
    assert at.run.result() == exited(137)


def test_a_command_that_goes_on_and_ends_before_anybody_looks_leaves_nobody_stopped(terminal: Any) -> None:
    at = terminal(STOPS_ITSELF, SHELL)
    at.type(b"\n")
    at.wait_until_back()
    solvent, command = at.run.members()
    os.kill(at.run.guardian_pid, signal.SIGSTOP)
    os.kill(command, signal.SIGCONT)
    assert has_exited(command)
    os.kill(at.run.guardian_pid, signal.SIGCONT)
    assert has_exited(solvent)
    at.type(b"\n")
    assert at.run.result() == exited(9)


def test_a_command_that_ends_in_a_terminal_may_read_from_it(terminal: Any) -> None:
    at = terminal(["sh", "-c", "read line; echo got $line"])
    at.type(b"hello\n")
    assert at.line() == "hello"  # The terminal's echo.
    assert at.line() == "got hello"
    assert at.run.result() == exited(0)
