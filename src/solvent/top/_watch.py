"""
Looks at a ledger again and again, and draws what it sees on a terminal.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from rich.console import Console
from rich.live import Live

from solvent._clock import Clock, SystemClock
from solvent.errors import SolventError, StoreUnavailable
from solvent.report._pen import has_colors
from solvent.stores._protocol import Store
from solvent.top._cells import ASCII, MARKS, Marks
from solvent.top._draw import draw
from solvent.top._reader import Reader
from solvent.top._records import Picture

WIDTH_PIPED = 80
SHARE = 20  # A look that took long is followed by so many times as long without one.

Identity = tuple[int, int] | None


class Watch:
    """
    One ledger, opened anew when its file was away or is another one.

    Attributes:
        trouble: Why the last look saw nothing new; empty when it did.

    Args:
        open: Opens it.
        path: Of its file.
    """

    def __init__(
        self, open: Callable[[], Store], path: Path, *, scope: str | None = None, clock: Clock | None = None
    ) -> None:
        self.trouble = ""
        self._open = open
        self._path = path
        self._scope = scope
        self._clock = clock or SystemClock()
        self._store: Store | None = None
        self._reader: Reader | None = None
        self._identity: Identity = None
        self._last = Picture(at=self._clock.now_ns())

    def look(self) -> Picture:
        """
        What is open now.

        Raises:
            StoreUnavailable: The ledger did not answer, or is not there any more.
            LedgerCorrupt: It is damaged.
        """
        identity = _identity(self._path)
        if identity is None or identity != self._identity:
            self.close()
        if identity is None:
            raise StoreUnavailable(ledger=str(self._path), reason="its file is gone")
        if self._reader is None:
            self._store = self._store or self._open()
            self._identity = _identity(self._path)
            self._reader = Reader(self._store, self._clock, scope=self._scope)
        self._last, self.trouble = self._reader.look(), ""
        return self._last

    def glance(self) -> Picture:
        """
        What is open now, or was when the ledger last answered; ``trouble`` says which.
        """
        try:
            return self.look()
        except SolventError as error:
            said = str(error).partition("\n")[0].rstrip(".")
            reason = f"the ledger does not answer: {error.reason}" if isinstance(error, StoreUnavailable) else said
            self.trouble = f"{reason}; trying again"
            return self._last

    def close(self) -> None:
        store, self._store, self._reader = self._store, None, None
        if store is not None:
            store.close()


def _identity(path: Path) -> Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_live(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """
    Whether a picture can be drawn over itself there.
    """
    return stream.isatty() and environment.get("TERM", "dumb") != "dumb"


def show(picture: Picture, stream: TextIO, *, environment: Mapping[str, str], ledger: str) -> None:
    """
    One picture, whole, and no more.
    """
    console = _console(stream, environment)
    console.print(draw(picture, width=console.width, marks=_marks(stream), ledger=ledger))


def watch(watched: Watch, stream: TextIO, *, environment: Mapping[str, str], ledger: str, every_seconds: float) -> None:
    """
    Draw one picture after the other over a whole terminal, until ``q`` or an interrupt ends it.
    """
    console, marks = _console(stream, environment), _marks(stream)
    with _ended_by_signals(), _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            began = time.process_time()
            picture = watched.glance()
            size = console.size
            live.update(
                draw(
                    picture,
                    width=size.width,
                    height=size.height,
                    marks=marks,
                    ledger=ledger,
                    trouble=watched.trouble,
                    hint="q quits",
                ),
                refresh=True,
            )
            took = time.process_time() - began
            if pressed(max(every_seconds, took * SHARE)) == "q":
                return


def _console(stream: TextIO, environment: Mapping[str, str]) -> Console:
    columns = environment.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) else None if stream.isatty() else WIDTH_PIPED
    return Console(
        file=stream,
        width=width,
        color_system="auto" if has_colors(stream, environment) else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _marks(stream: TextIO) -> Marks:
    # Names from outside may hold any character, and an encoding that knows all of them is a UTF.
    return MARKS if (stream.encoding or "").lower().replace("-", "").startswith("utf") else ASCII


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """
    An interrupt ends what is in it, and so do the signals of whoever closes the terminal; it is restored before.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(seconds: float) -> str:
    time.sleep(seconds)
    return ""


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """
    Waits so many seconds, or until the key that quits is pressed, which it tells.
    """
    if not sys.stdin.isatty():
        yield _wait
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed(seconds: float) -> str:
        until = time.monotonic() + seconds
        while select.select([descriptor], [], [], max(until - time.monotonic(), 0))[0]:
            if os.read(descriptor, 1) in (b"q", b""):
                return "q"  # A terminal that is gone answers with nothing, again and again.
        return ""  # Other keys do not make it look more often.

    tty.setcbreak(descriptor)
    mode = termios.tcgetattr(descriptor)
    mode[6][termios.VSUSP] = bytes([os.fpathconf(descriptor, "PC_VDISABLE")])  # Ctrl-Z would leave the picture there.
    termios.tcsetattr(descriptor, termios.TCSADRAIN, mode)
    try:
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
