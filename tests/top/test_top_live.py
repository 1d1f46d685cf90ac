"""
``solvent top`` as people start it: on a terminal while others write, in a pipe, on ledgers that come and go.
"""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from machine import SOLVENT, Machine
from run_journal import CENT, RunJournal
from servers import PATIENCE_SECONDS

from solvent._clock import SystemClock
from solvent.stores._owner import this_process
from solvent.stores.sqlite import SQLiteStore

pytestmark = pytest.mark.slow
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9])")


class Terminal:
    """
    A terminal with a command on it.

    Attributes:
        said: All that was written to it, escape sequences included.
    """

    def __init__(self, machine: Machine, *words: str, columns: int = 100, **env: str) -> None:
        self.leader, self.follower = pty.openpty()
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.before = termios.tcgetattr(self.follower)
        self.said = ""
        self.process = subprocess.Popen(
            [*SOLVENT, "top", *words],
            env={**machine.env, "TERM": "xterm-256color", **env},
            cwd=machine.folder,
            stdin=self.follower,
            stdout=self.follower,
            stderr=self.follower,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # So that its keys reach the command.
        )

    def until(self, seen: str) -> str:
        """
        Read on until it says that; what it said since, without escape sequences.
        """
        return self._until(lambda said: seen in said, seen)

    def _until(self, is_enough: Callable[[str], bool], wanted: str) -> str:
        said, ends = "", time.monotonic() + PATIENCE_SECONDS
        while not is_enough(_ESCAPES.sub("", said)):
            assert time.monotonic() < ends, f"not seen: {wanted}\n{_ESCAPES.sub('', self.said)[-3_000:]}"
            is_over = self.process.poll() is not None
            if select.select([self.leader], [], [], 0 if is_over else 0.5)[0]:
                said += (more := os.read(self.leader, 65_536).decode(errors="replace"))
                self.said += more
            else:
                assert not is_over, f"it ended before: {wanted}\n{_ESCAPES.sub('', self.said)[-3_000:]}"
        return _ESCAPES.sub("", said)

    def type(self, keys: str) -> int:
        """
        Type keys, and wait for the command's end.
        """
        os.write(self.leader, keys.encode())
        return self.ended()

    def ended(self) -> int:
        code = self.process.wait(PATIENCE_SECONDS)
        while select.select([self.leader], [], [], 0)[0]:
            self.said += os.read(self.leader, 65_536).decode(errors="replace")
        return code

    def assert_restored(self) -> None:
        assert "Traceback" not in self.said
        assert termios.tcgetattr(self.follower) == self.before
        assert self.said.rindex("\x1b[?1049l") > self.said.rindex("\x1b[?1049h")  # The screen of before.
        assert self.said.rindex("\x1b[?25h") > self.said.rindex("\x1b[?25l")  # The cursor.

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.leader)
        os.close(self.follower)


@pytest.fixture
def terminal(machine: Machine) -> Iterator[Callable[..., Terminal]]:
    with contextlib.ExitStack() as stack:

        def start(*words: str, **env: Any) -> Terminal:
            made = Terminal(machine, *words, **env)
            stack.callback(made.close)
            return made

        yield start


@pytest.fixture
def run(machine: Machine) -> Iterator[RunJournal]:
    """
    An open run of this process, limited to a dollar, that spent two cents.
    """
    store = SQLiteStore(machine.path, synchronous="OFF")
    run = RunJournal(store, limits={"usd": 100 * CENT})
    clock = SystemClock()
    run.open(started=clock.now_ns(), status=this_process(clock))
    run.call(2 * CENT)
    yield run
    store.close()


def test_it_follows_what_another_process_writes(terminal: Callable[..., Terminal], run: RunJournal) -> None:
    top = terminal("--every", "0.1")
    first = top.until("q quits")
    assert re.search(r"^run:triage · running \d+ s · 1 call +\r$", first, flags=re.M)
    assert "$0.02" in first
    assert "last refusals" not in first
    run.call(5 * CENT)
    assert "2 calls" in top.until("$0.07")
    run.refuse("budget_exceeded", "run:triage has $0.93 left of $1.00; this call needs up to $1.20.", meter="usd")
    assert "last refusals" in top.until("has $0.93 left of $1.00; this call needs up to $1.20.")
    run.close()
    top.until("no budget is open")
    assert top.type("q") == 0
    top.assert_restored()


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("keys", ["\x03", "xyq"])
def test_ctrl_c_and_q_end_it_and_leave_a_clean_terminal(terminal: Callable[..., Terminal], keys: str) -> None:
    top = terminal()
    top.until("q quits")
    assert top.type(keys) == 0
    top.assert_restored()


@pytest.mark.usefixtures("run")
def test_keys_that_are_held_make_it_look_no_more_often(terminal: Callable[..., Terminal]) -> None:
    top = terminal("--every", "3600")
    top.until("q quits")
    drawn = top.said.count("q quits")
    assert top.type("\x1b[B" * 50 + "q") == 0
    assert top.said.count("q quits") == drawn
    top.assert_restored()


@pytest.mark.usefixtures("run")
def test_ctrl_z_does_not_leave_the_picture_on_the_screen(terminal: Callable[..., Terminal]) -> None:
    top = terminal()
    top.until("q quits")
    none = bytes([os.fpathconf(top.follower, "PC_VDISABLE")])
    assert termios.tcgetattr(top.follower)[6][termios.VSUSP] == none
    assert top.type("q") == 0
    top.assert_restored()


@pytest.mark.usefixtures("run")
def test_a_signal_ends_it_and_leaves_a_clean_terminal(terminal: Callable[..., Terminal]) -> None:
    top = terminal()
    top.until("q quits")
    top.process.send_signal(signal.SIGTERM)
    assert top.ended() == 128 + signal.SIGTERM
    top.assert_restored()


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(("env", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colors_are_for_terminals_that_want_them(
    terminal: Callable[..., Terminal], env: dict[str, str], colored: bool
) -> None:
    top = terminal(**env)
    top.until("q quits")
    assert ("\x1b[1m" in top.said) is colored
    assert bool(re.search("\x1b\\[[0-9;]*m", top.said.replace("\x1b[0m", ""))) is colored


@pytest.mark.usefixtures("run")
def test_a_terminal_that_cannot_be_drawn_over_gets_one_picture(terminal: Callable[..., Terminal]) -> None:
    top = terminal(TERM="dumb")
    assert top.ended() == 0
    assert "run:triage" in top.said
    assert "\x1b" not in top.said


def test_a_ledger_that_disappears_is_waited_for(
    terminal: Callable[..., Terminal], run: RunJournal, machine: Machine
) -> None:
    run.store.close()
    top = terminal("--every", "0.1")
    top.until("$0.02")
    moved = machine.folder / "moved"
    moved.mkdir()
    for file in machine.folder.glob("ledger.db*"):
        file.rename(moved / file.name)
    top.until("its file is gone; trying again")
    top.until("$0.02")  # What was seen last stays, in the same pictures.
    for file in moved.iterdir():
        file.rename(machine.folder / file.name)
    store = SQLiteStore(machine.path, synchronous="OFF")
    RunJournal(store).close()
    store.close()
    assert "trying again" not in top.until("no budget is open").rpartition("Solvent")[2]
    assert top.type("q") == 0
    top.assert_restored()


@pytest.mark.usefixtures("run")
def test_in_a_pipe_it_is_one_picture(machine: Machine) -> None:
    done = machine("top")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert re.fullmatch(r"Solvent · .*ledger\.db · 1 open · \$0\.\d+ a minute +\d\d:\d\d:\d\d UTC", lines[0])
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.out
    assert lines[4].startswith("  usd ")
    assert machine("top", "--once").out.splitlines()[4].startswith("  usd ")
    wide = machine("top", env={"COLUMNS": "120"}).out.splitlines()
    assert 80 < max(map(len, wide)) <= 120


@pytest.mark.usefixtures("run")
def test_a_stream_that_knows_no_marks_gets_ascii(machine: Machine) -> None:
    done = machine("top", env={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert done.out.isascii()
    assert "#" in done.out


def test_as_json_amounts_are_text(run: RunJournal, machine: Machine) -> None:
    run.reserve(3 * CENT)
    found = machine.json("top")
    assert (found["schema_version"], found["open"], len(found["budgets"])) == (1, 1, 1)
    (budget,) = found["budgets"]
    assert (budget["scope"], budget["state"], budget["calls"], budget["open_calls"]) == (
        "run:triage",
        "running",
        "1",
        "1",
    )
    (usd,) = budget["accounts"]
    amounts = {name: usd[name] for name in ("limit", "spent", "reserved", "remaining")}
    assert amounts == {"limit": "1000000000", "spent": "20000000", "reserved": "30000000", "remaining": "950000000"}


@pytest.mark.usefixtures("run")
def test_a_scope_that_the_ledger_does_not_know_is_told(machine: Machine) -> None:
    done = machine("top", "--once", "--scope", "run:other")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1] == "the ledger knows no scope run:other, and nothing below it"
    done = machine("top", "--json", "--scope", "run:other")
    assert (done.code, done.err) == (0, "the ledger knows no scope run:other\n")
    assert json.loads(done.out)["budgets"] == []


@pytest.mark.parametrize(
    ("ledger", "said"),
    [
        ("memory://", "memory:// is a ledger that ends with its process"),
        ("nowhere.db", "there is no ledger at"),
        ("file.db", "cannot be used as a ledger"),
    ],
)
def test_what_is_no_ledger_to_look_at_ends_it_with_code_4(machine: Machine, ledger: str, said: str) -> None:
    (machine.folder / "file.db").write_text("something else")
    done = machine("top", "--ledger", ledger)
    assert (done.code, done.out) == (4, "")
    assert said in done.err


@pytest.mark.parametrize("words", [("--every", "0"), ("--every", "nan"), ("--scope", "triage"), ("--every", "x")])
def test_what_it_does_not_understand_ends_it_with_code_2(machine: Machine, words: tuple[str, ...]) -> None:
    assert machine("top", *words).code == 2
