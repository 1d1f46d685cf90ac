"""
What each rung of the ladder did for the calls that it was taken for, and what it saved.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from solvent._amounts import Usage
from solvent._digest import Facts, Sums
from solvent.errors import PriceUnknown, SettingsError
from solvent.prices import Price, Prices
from solvent.report._records import Rung

PriceOf = Callable[[str, str], Price | None]

ORDER = ("prefix", "tokenizer", "count", "wait", "degrade", "shrink", "store_down")  # As a call takes them.


def rungs(groups: Mapping[Facts, Sums], price_of: PriceOf | None = None) -> tuple[Rung, ...]:
    """
    Args:
        price_of: The price of a provider's model; without it, that of the rate card.
    """
    find = price_of or Prices.load().find
    found = [rung for name in ORDER if (rung := _rung(name, groups, find)) is not None]
    refused = [sums for facts, sums in groups.items() if facts.kind == "refuse"]
    if refused:
        kept = sum(sums.bound for sums in refused)
        found.append(Rung(name="refuse", calls=sum(sums.count for sums in refused), saved_nanodollars=kept))
    return tuple(found)


def _rung(name: str, groups: Mapping[Facts, Sums], find: PriceOf) -> Rung | None:
    taken = [(facts, sums) for facts, sums in groups.items() if facts.is_call and name in facts.rungs]
    calls = sum(sums.count for _, sums in taken)
    if not calls:
        return None
    return Rung(
        name=name,
        calls=calls,
        cost_nanodollars=sum(sums.cost for _, sums in taken),
        saved_nanodollars=_saved(taken, find) if name == "degrade" else None,
        waited_milliseconds=sum(sums.waited_milliseconds for _, sums in taken) if name == "wait" else 0,
    )


def _saved(taken: list[tuple[Facts, Sums]], find: PriceOf) -> int | None:
    """
    What the models that were asked for would have cost more, for what the others used; ``None`` where a price is not
    known. Prices that depend on the size of a call are asked for the mean one.
    """
    saved = 0
    for facts, sums in taken:
        if not sums.count:
            continue
        try:
            price = find(facts.provider or "", facts.model_asked or "")
            if price is None:
                return None
            at = datetime.fromtimestamp(facts.hour * 3_600, UTC)
            mean = Usage(**{name: max(count, 0) // sums.count for name, count in sums.tokens.items()})
            saved += price.cost(mean, tier=None, region=None, at=at) * sums.count - sums.cost
        except (PriceUnknown, SettingsError):
            return None
    return saved
