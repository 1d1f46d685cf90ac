"""
A clock that tests move.
"""

from datetime import UTC, datetime

_SECOND_NS = 1_000_000_000


class ManualClock:
    """
    Stands still until ``advance``; a step of the wall alone is ``step``.

    Args:
        start: What the wall shows at first, UTC.
    """

    def __init__(self, start: str = "2026-03-01T12:00:00") -> None:
        self._now = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()) * _SECOND_NS
        self._uptime = 1_000_000 * _SECOND_NS
        self._boot = "boot-1"

    def now_ns(self) -> int:
        return self._now

    def uptime_ns(self) -> int:
        return self._uptime

    def boot_id(self) -> str:
        return self._boot

    def advance(self, *, seconds: float) -> None:
        """
        Let time pass, for the wall and the machine alike.
        """
        self._now += int(seconds * _SECOND_NS)
        self._uptime += int(seconds * _SECOND_NS)

    def step(self, *, seconds: float) -> None:
        """
        Set the wall alone, as people and time servers do.
        """
        self._now += int(seconds * _SECOND_NS)

    def reboot(self) -> None:
        """
        Start the machine anew: the uptime begins again.
        """
        self._boot, self._uptime = self._boot + "'", 10 * _SECOND_NS
