"""
The clocks that everything else is handed: the wall, which people may set, and the uptime, which no one can.
"""

import functools
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    def now_ns(self) -> int:
        """
        Nanoseconds since 1970, UTC.
        """

    def uptime_ns(self) -> int:
        """
        Nanoseconds since the machine was started, time asleep included; comparable within one ``boot_id``.
        """

    def boot_id(self) -> str:
        """
        Names this start of the machine: uptimes of two boots cannot be compared.
        """


class SystemClock:
    """
    The machine's own clocks.
    """

    def now_ns(self) -> int:
        return time.time_ns()

    def uptime_ns(self) -> int:
        # On macOS CLOCK_MONOTONIC goes on while the machine sleeps; on Linux only CLOCK_BOOTTIME does.
        return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def boot_id(self) -> str:
        return _boot_id()


@functools.cache
def _boot_id() -> str:
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def utc(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / 1e9, UTC)
