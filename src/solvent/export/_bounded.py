"""
Labels of metrics, which must be few: each of their values is a series of its own, for as long as somebody keeps it.
"""

import functools
from typing import Generic, TypeVar

from solvent._records import Account

VALUES_MAX = 100
CHARACTERS_MAX = 256
SCOPES_MAX = 1_000
_ABOVE_RUNS = ("org", "team", "user")

T = TypeVar("T", bound="str | tuple[str, ...]")


class Bounded(Generic[T]):
    """
    The first so many values that come, and none that is very long; all others are ``other``.
    """

    def __init__(self, other: T) -> None:
        self._other = other
        self._known: set[T] = set()

    def of(self, value: T) -> T:
        if value not in self._known:
            if len(self._known) >= VALUES_MAX or _characters(value) > CHARACTERS_MAX:
                return self._other
            self._known.add(value)
        return value

    def has(self, value: T) -> bool:
        return value in self._known


def _characters(value: str | tuple[str, ...]) -> int:
    return len(value) if isinstance(value, str) else max(map(len, value))


def is_above_runs(scope: str) -> bool:
    """
    Whether it is an organization's, a team's or a user's own: of those there are not more every day, as of runs.
    """
    return scope.rpartition("/")[2].partition(":")[0] in _ABOVE_RUNS


@functools.lru_cache(4_096)
def above_runs(path: str) -> tuple[str, ...]:
    """
    Of a path and the scopes above it, those of organizations, teams and users.
    """
    segments = path.split("/")
    scopes = ("/".join(segments[:length]) for length in range(1, len(segments) + 1))
    return tuple(scope for scope in scopes if is_above_runs(scope))


def window_label(account: Account) -> str:
    return account.window or "life"
