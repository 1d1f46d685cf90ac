"""
Sums of calls by what they have in common: the model, the agent, the day.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from solvent._digest import Facts, Sums
from solvent._limits import Scope
from solvent.report._records import Row
from solvent.report._sums import Total


def _named(kind: str) -> Callable[[Facts], str | None]:
    """
    The name of the innermost segment of this kind on a call's path.
    """

    return lambda facts: _names(facts.scope).get(kind)


@lru_cache(maxsize=4_096)
def _names(scope: str) -> Mapping[str, str]:
    return dict(Scope.parse(scope).parts)  # Of several of a kind the innermost one.


def _time(pattern: str) -> Callable[[Facts], str | None]:
    shown = lru_cache(maxsize=4_096)(lambda hour: datetime.fromtimestamp(hour * 3_600, UTC).strftime(pattern))
    return lambda facts: shown(facts.hour)


BY: Mapping[str, Callable[[Facts], str | None]] = {
    "agent": _named("agent"),
    "day": _time("%Y-%m-%d"),
    "estimated": lambda facts: facts.estimated,
    "hour": _time("%Y-%m-%dT%H:00Z"),
    "model": lambda facts: facts.model_used or facts.model_asked,
    "org": _named("org"),
    "price": lambda facts: facts.price_source,
    "provider": lambda facts: facts.provider,
    "run": _named("run"),
    "scope": lambda facts: facts.scope,
    "status": lambda facts: facts.status,
    "step": _named("step"),
    "team": _named("team"),
    "tier": lambda facts: facts.tier,
    "user": _named("user"),
}


def rows_by(groups: Mapping[Facts, Sums], names: Sequence[str]) -> tuple[Row, ...]:
    """
    A row for each combination of these, the dearest first; rows of days and hours in their order.

    Raises:
        ValueError: A name is none of ``BY``.
    """
    unknown = [name for name in names if name not in BY]
    if unknown or not names:
        raise ValueError(f"expected one of {', '.join(BY)}, got {unknown[0] if unknown else 'nothing'!r}")
    totals: dict[tuple[str | None, ...], Total] = {}
    for facts, sums in groups.items():
        key = tuple(BY[name](facts) for name in names)
        totals.setdefault(key, Total()).add(facts, sums)
    rows = [total.row(key) for key, total in totals.items() if not total.is_nothing]
    if names[0] in ("day", "hour"):
        return tuple(sorted(rows, key=lambda row: (row.key[0] or "", -row.use.cost_nanodollars)))
    return tuple(sorted(rows, key=lambda row: (-row.use.cost_nanodollars, -row.use.calls, str(row.key))))
