"""
Limits that never decide: wherever they hold, a smaller one holds as well. What cannot be proven from the policy alone
is not said.
"""

from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import unquote

from solvent._limits import Limit, Meter
from solvent.policy import Policy

Placed: TypeAlias = tuple[str, Limit]  # A limit and the pattern of its scopes; ``CALL`` for a single call.

CALL = "call"
PLATFORM = ("org", "team", "user")  # Whom a run may belong to, widest first.

# What is counted in a meter is counted in these, too: a retry is a call, and who reads tokens uses tokens.
_WIDER: dict[Meter, tuple[Meter, ...]] = {
    "input_tokens": ("tokens",),
    "output_tokens": ("tokens",),
    "parallel": ("calls",),
    "retries": ("calls",),
}
# How many windows of one kind another one touches at most. Weeks and months do not nest, and a minute rolls.
_TOUCHED = {
    ("minute", "hour"): 2,
    ("minute", "day"): 2,
    ("minute", "week"): 2,
    ("minute", "month"): 2,
    ("hour", "minute"): 60,
    ("hour", "day"): 1,
    ("hour", "week"): 1,
    ("hour", "month"): 1,
    ("day", "minute"): 1_560,  # Of 26 hours, where clocks change.
    ("day", "hour"): 26,
    ("day", "week"): 1,
    ("day", "month"): 1,
    ("week", "day"): 7,
    ("week", "month"): 2,
    ("month", "day"): 31,
    ("month", "week"): 6,
}


def limits_of(policy: Policy) -> tuple[Placed, ...]:
    """
    Every limit of a policy, those of a single call last.
    """
    return (*policy.budgets, *((CALL, limit) for limit in policy.call))


def kind_of(pattern: str) -> str:
    """
    The kind of the scopes that a pattern names: ``team`` for ``org:acme/team:*``.
    """
    return pattern.rpartition("/")[2].partition(":")[0]


def names_all(pattern: str) -> bool:
    """
    Whether it names every scope of its kind.
    """
    return pattern == CALL or (pattern.endswith(":*") and "/" not in pattern)


def outranking(placed: Placed, all_limits: Sequence[Placed]) -> Placed | None:
    """
    The smallest limit because of which this one never decides; ``None`` where there is none for certain.

    Args:
        all_limits: Of the whole policy, those of a single call under ``CALL``.
    """
    pattern, _ = placed
    smaller = [
        other for other in all_limits if is_smaller(other, placed, same_scope=is_of_same_scopes(other[0], pattern))
    ]
    sure = [other for other in smaller if _is_around(other[0], pattern)]
    first = pattern.partition("/")[0].partition(":")[0]
    for kind in PLATFORM[: PLATFORM.index(first)] if first in PLATFORM else ():
        # A team stands in one of the organizations that the policy names; where each of them has less, so has its own.
        named = {part for each, _ in all_limits for part in each.split("/") if part.startswith(f"{kind}:")}
        found = {name: [other for other in smaller if other[0] == name] for name in named}
        sure += [other for name in named if all(found.values()) or name == f"{kind}:*" for other in found[name]]
    return min(sure, key=lambda other: other[1].amount, default=None)


def is_smaller(one: Placed, placed: Placed, *, same_scope: bool) -> bool:
    """
    Whether a limit that is around another one refuses before that one says anything.

    Args:
        same_scope: They are of the same scopes.
    """
    other, limit = one[1], placed[1]
    if other.on_exceed != "block":  # Of those that only tell, an account has one: the smallest.
        same = same_scope and (other.meter, other.window_key) == (limit.meter, limit.window_key)
        return same and limit.on_exceed != "block" and other.amount < limit.amount
    if other.meter != limit.meter and other.meter not in _WIDER.get(limit.meter, ()):
        return False
    if other.meter == "seconds" and kind_of(one[0]) in PLATFORM:  # It counts from a call, maybe of long after.
        return False
    touched = 1 if placed[0] == CALL else _windows_touched(limit, other)
    return touched is not None and other.amount * touched < limit.amount


def _windows_touched(limit: Limit, other: Limit) -> int | None:
    """
    How many windows of the other one lie at most in one window of a limit; ``None`` where nobody can say.
    """
    if other.window_key == limit.window_key or not other.window:
        return 1
    if limit.meter == "parallel":  # What is open now may have been counted in a window before.
        return None
    if {"", "minute"}.isdisjoint((limit.window, other.window)) and limit.time_zone != other.time_zone:
        return None
    return _TOUCHED.get((limit.window, other.window))


def _is_around(other: str, pattern: str) -> bool:
    """
    Whether every scope of a pattern is one of the other pattern, or surely stands within one.
    """
    if CALL in (other, pattern):
        return pattern == CALL and (other == CALL or _covers(other, ["run:*"]))
    segments = pattern.split("/")
    if segments[0].partition(":")[0] in ("agent", "step") and _covers(other, ["run:*"]):
        return True  # Agents and steps are those of a run.
    return any(_covers(other, segments[:length]) for length in range(1, len(segments) + 1))


def is_of_same_scopes(other: str, pattern: str) -> bool:
    """
    Whether every scope of a pattern is one of the other pattern.
    """
    return other == pattern or _covers(other, pattern.split("/"))


def _covers(other: str, segments: Sequence[str]) -> bool:
    wanted = other.split("/")
    last = segments[-len(wanted) :]
    return len(last) == len(wanted) and all(_names(*pair) for pair in zip(wanted, last, strict=True))


def _names(wanted: str, segment: str) -> bool:
    """
    Whether all that one segment of a pattern names, another one names as well.
    """
    kind, _, name = wanted.partition(":")
    other_kind, _, other_name = segment.partition(":")
    if name.endswith("*"):
        return kind == other_kind and unquote(other_name).startswith(unquote(name[:-1]))
    return kind == other_kind and unquote(name) == unquote(other_name)
