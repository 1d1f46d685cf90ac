"""
How far the reading of a long journal is, for whoever waits for it at a terminal.
"""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_QUIET_SECONDS = 1.0  # Who waits no longer needs no bar.


class Reading:
    """
    A bar on standard error, where that is a terminal, once it took a second. It is told how many entries were read,
    and of how many, as stores tell it.
    """

    def __init__(self) -> None:
        self._shown_from = time.monotonic() + _QUIET_SECONDS
        self._bar: Bar | None = None

    def __call__(self, read: int, of: int) -> None:
        if self._bar is None:
            if time.monotonic() < self._shown_from or not sys.stderr.isatty():
                return
            self._bar = _bar()
            self._bar.add_task("reading the journal", total=of)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=read, total=of)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar() -> "Bar":
    from rich.console import Console  # 70 ms that only a long journal spends.
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Bar(*columns, console=Console(stderr=True), transient=True)
