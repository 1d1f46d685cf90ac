"""
Who owns a reservation: a process, told from every other one that ever had its number.
"""

import functools
import os
import sys
from pathlib import Path

from solvent._clock import Clock


def this_process(clock: Clock) -> str:
    """
    ``boot id/process id/start@namespace``, for the process that runs this.
    """
    return _owner(clock.boot_id(), os.getpid())


def is_alive(owner: str, *, clock: Clock) -> bool:
    """
    Whether the process that ``this_process`` named may still be there.

    One of another PID namespace (a container) cannot be seen from here: for it the deadline alone decides.
    """
    return is_there(owner, clock=clock) is not False


def is_there(owner: str, *, clock: Clock) -> bool | None:
    """
    Whether that process is still there; ``None`` where it cannot be seen from here.
    """
    boot, pid, start = owner.split("/")
    start, _, namespace = start.partition("@")
    if boot != clock.boot_id():
        return False
    return None if namespace and namespace != _namespace() else _start(int(pid)) == start


@functools.lru_cache(maxsize=8)
def _owner(boot: str, pid: int) -> str:
    namespace = _namespace()
    return f"{boot}/{pid}/{_start(pid)}{f'@{namespace}' if namespace else ''}"


def _namespace() -> str:
    """
    Names the PID namespace of this process; "" where there is none.
    """
    try:
        return os.readlink("/proc/self/ns/pid").removeprefix("pid:").strip("[]")
    except OSError:
        return ""


def _start(pid: int) -> str:
    if sys.platform == "linux":
        return _start_ticks(pid)
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return ""


def _start_ticks(pid: int) -> str:
    """
    When a process began, in ticks since the machine did: no clock that people set can change it.

    Source:
        proc_pid_stat(5), Linux man-pages 6.9, fields 3 and 22, read 2026-11-21.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state in "ZX" else fields[18]
