"""
Calls that the bill has on another day than the journal: those that ended close to midnight.
"""

from collections.abc import Mapping, Sequence

from solvent.reconcile._gaps import Gap, Terms, share_vector, vector
from solvent.reconcile._records import Key

_DAYS_MAX = 31  # How far a chain of days is followed.


def moved(gaps: Mapping[Key, Gap], terms: Terms) -> frozenset[Key]:
    """
    The rows whose whole difference in calls is found again on the days beside them, with the opposite sign, where the
    journal has as much in the hours around the midnights between.
    """
    found: set[Key] = set()
    for model in {model for _, model in gaps}:
        days = sorted(day for day, name in gaps if name == model)
        place = 0
        while place < len(days):
            length = _chain(gaps, terms, model, days[place:])
            found.update((day, model) for day in days[place : place + length])
            place += length or 1
    return frozenset(found)


def _chain(gaps: Mapping[Key, Gap], terms: Terms, model: str, days: Sequence[int]) -> int:
    """
    Of how many days, from the first one on, the differences cancel out; 0 when they do not.
    """
    first = gaps[days[0], model]
    total, slack = vector(first, terms), _slack(first)
    if _is_nothing(total, slack):
        return 0
    for length, day in enumerate(days[1:_DAYS_MAX], start=2):
        before = gaps.get((day - 1, model))
        if before is None or (before.tokens is None) != (gaps[day, model].tokens is None):
            return 0
        if not _fits(total, before, gaps[day, model], terms, slack):
            return 0
        own = vector(gaps[day, model], terms)
        total = tuple(map(sum, zip(total, own, strict=True)))
        slack += _slack(gaps[day, model])
        if _is_nothing(total, slack) and not _is_nothing(own, _slack(gaps[day, model])):
            return length
    return 0


def _fits(moving: Sequence[int], before: Gap, after: Gap, terms: Terms, slack: int) -> bool:
    """
    Whether so much can have been moved over a midnight: to the day before (positive) or to the day after.
    """
    if all(amount >= 0 for amount in moving):
        there = share_vector(after, after.booked.early, terms)
    elif all(amount <= 0 for amount in moving):
        there = share_vector(before, before.booked.late, terms)
    else:
        return False
    return all(abs(amount) <= most + slack for amount, most in zip(moving, there, strict=True))


def _slack(found: Gap) -> int:
    """
    What may be left of amounts by rounding; tokens are counted, and nothing is.
    """
    return found.rounding if found.tokens is None else 0


def _is_nothing(total: Sequence[int], slack: int) -> bool:
    return all(abs(amount) <= slack for amount in total)
