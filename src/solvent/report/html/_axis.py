"""
The marks of an axis: round moments from seconds to years, in UTC, and round amounts of money.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import Struct

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SECOND = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STEPS = (  # Of seconds.
    *(1, 2, 5, 10, 15, 30),
    *(count * _MINUTE for count in (1, 2, 5, 10, 15, 30)),
    *(count * _HOUR for count in (1, 2, 3, 6, 12)),
    *(count * _DAY for count in (1, 2, 3, 4, 7, 14)),
)
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)
_MONDAY = 4 * _DAY  # 1970 began on a Thursday.


class Tick(Struct, frozen=True):
    """
    A moment, what is written at it, and the date below that where another one begins.
    """

    at: int
    label: str
    date: str = ""


def ticks(begin: int, end: int, most: int) -> list[Tick]:
    """
    Round moments between two; nanoseconds since 1970.

    Args:
        most: How many may be returned.
    """
    for step in _STEPS:
        if (end - begin) // (step * _SECOND) < most:
            return _of_seconds(begin, end, step)
    for step in _MONTH_STEPS:
        found = list(_of_months(begin, end, step))
        if len(found) <= most:
            break
    return found[:most]


def _of_seconds(begin: int, end: int, step: int) -> list[Tick]:
    offset = _MONDAY * _SECOND if step % (7 * _DAY) == 0 else 0
    size, found, last = step * _SECOND, [], ""
    for at in range(begin - (begin - offset) % -size, end + 1, size):
        when = utc(at)
        date = f"{MONTHS[when.month - 1]} {when.day}"
        if step >= _DAY:
            found.append(Tick(at, date, str(when.year) if str(when.year) != last else ""))
            last = str(when.year)
        else:
            found.append(
                Tick(at, f"{when:%H:%M:%S}" if step < _MINUTE else f"{when:%H:%M}", date if date != last else "")
            )
            last = date
    return found


def _of_months(begin: int, end: int, step: int) -> Iterator[Tick]:
    first = utc(begin)
    last, month = "", -(-(first.year * 12 + first.month - 1) // step) * step
    while (at := _month(month)) <= end:
        if at >= begin:
            year = str(month // 12)
            yield Tick(at, MONTHS[month % 12], year if year != last else "")
            last = year
        month += step


def _month(number: int) -> int:
    return int(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()) * _SECOND


def money_step(top: int, most: int) -> int:
    """
    A round amount of which at most ``most`` reach the top: 1, 2 or 5 and zeros.
    """
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if top <= step * most:
                return step
        size *= 10


def utc(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // _SECOND, UTC)


def moment(at_ns: int, *, date: bool = True) -> str:
    return f"{utc(at_ns):%Y-%m-%d %H:%M:%S}" if date else f"{utc(at_ns):%H:%M:%S}"


def period(begin: int, end: int) -> str:
    """
    ``2026-03-01 09:00:00 to 09:10:50 UTC``; of what took no second, that moment.
    """
    if begin // _SECOND == end // _SECOND:
        return f"{moment(begin)} UTC"
    is_one_day = utc(begin).date() == utc(end).date()
    return f"{moment(begin)} to {moment(end, date=not is_one_day)} UTC"
