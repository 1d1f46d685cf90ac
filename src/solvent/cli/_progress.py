"""
How far a long command is, for whoever waits for it at a terminal.
"""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

READING = "reading the journal"
_QUIET_SECONDS = 1.0  # Who waits no longer needs no bar.


class Progress:
    """
    A bar on standard error, where that is a terminal, once it took a second.

    Args:
        what: What is under way.
        total: How much there is to do; may be told later.
        is_bytes: Whether that are bytes.
    """

    def __init__(self, what: str, total: int = 0, *, is_bytes: bool = False) -> None:
        self._what = what
        self._total = total
        self._is_bytes = is_bytes
        self._done = 0
        self._shown_from = time.monotonic() + _QUIET_SECONDS
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def advance(self, done: int) -> None:
        """
        So much more is done.
        """
        self.reach(self._done + done, self._total)

    def reach(self, done: int, of: int) -> None:
        """
        So much is done in all, and there is so much to do.
        """
        self._done, self._total = done, of
        if self._bar is None:
            if time.monotonic() < self._shown_from or not sys.stderr.isatty():
                return
            self._bar = _bar(self._is_bytes)
            self._bar.add_task(self._what, total=of)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=of)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar(is_bytes: bool) -> "Bar":
    from rich.console import Console  # 70 ms that only a long command spends.
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    count = DownloadColumn() if is_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    return Bar(*columns, console=Console(stderr=True), transient=True)
