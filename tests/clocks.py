"""
A clock that tests move.
"""

from datetime import UTC, datetime


class ManualClock:
    """
    Stands still until ``advance``; a step of the wall alone is ``step``.
    """

    def __init__(self, start: str = "2026-03-01T12:00:00") -> None:
        self._now = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
        self._uptime = 1_000_000 * 1_000_000_000
        self._boot = "boot-1"

    def now_ns(self) -> int:
        return self._now

    def uptime_ns(self) -> int:
        return self._uptime

    def boot_id(self) -> str:
        return self._boot

    def advance(self, *, seconds: float) -> None:
        self._now += int(seconds * 1e9)
        self._uptime += int(seconds * 1e9)

    def step(self, *, seconds: float) -> None:
        self._now += int(seconds * 1e9)

    def reboot(self) -> None:
        self._boot, self._uptime = self._boot + "'", 10_000_000_000
