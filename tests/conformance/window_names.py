"""
Windows by the names that people give them: two instants are in one window when its name is the same.
"""

import functools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


@functools.cache
def name_of(window, at):
    """
    The window that an instant is in, as people would name it.
    """
    kind, _, zone = window.partition("@")
    if not kind:
        return ""
    local = datetime.fromtimestamp(at // 10**9, UTC).astimezone(ZoneInfo(zone))
    return {
        "hour": (local.date(), local.hour, local.utcoffset()),
        "day": local.date(),
        "week": local.isocalendar()[:2],
        "month": (local.year, local.month),
    }[kind]
