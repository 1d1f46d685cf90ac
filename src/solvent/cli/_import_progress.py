"""
How far an import is, for whoever waits for it at a terminal.
"""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_QUIET_SECONDS = 1.0  # Who waits no longer needs no bar.


class Progress:
    """
    A bar on standard error, where that is a terminal, once it took a second.

    Args:
        size: Bytes in all.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._done = 0
        self._shown_from = time.monotonic() + _QUIET_SECONDS
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def advance(self, size: int) -> None:
        self._done += size
        if self._bar is None and time.monotonic() > self._shown_from and sys.stderr.isatty():
            self._bar = _bar()
            self._bar.add_task("reading", total=self._size)
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar() -> "Bar":
    from rich.console import Console  # 70 ms that only a long import spends.
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Bar(*columns, console=Console(stderr=True), transient=True)
