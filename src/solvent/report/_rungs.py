"""
What each rung of the ladder did for the calls that it was taken for, and what it saved.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise

from solvent._amounts import Usage
from solvent._digest import Facts, Sums
from solvent.errors import PriceUnknown, SettingsError
from solvent.prices import Price, Prices
from solvent.report._records import Rung

PriceOf = Callable[[str, str], Price | None]

ORDER = ("prefix", "tokenizer", "count", "wait", "degrade", "shrink", "store_down")  # As a call takes them.
_CACHED = ("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")  # Parts of the input.


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
    known. It is exact but for the rounding of each call, less than a nanodollar, and but for prices that depend on the
    size of a call or on the hour: of the calls of a group only the sums are kept, and all are taken as of one size.
    """
    saved = 0
    for facts, sums in taken:
        if sums.count < 1:
            continue
        try:
            price = find(facts.provider or "", facts.model_asked or "")
            if price is None:
                return None
            at = datetime.fromtimestamp(facts.hour * 3_600, UTC)
            each = _evenly(sums.tokens, sums.count)
            saved += sum(price.cost(usage, tier=None, region=None, at=at) * calls for usage, calls in each) - sums.cost
        except (PriceUnknown, SettingsError):
            return None
    return saved


def _evenly(tokens: Mapping[str, int], count: int) -> Iterator[tuple[Usage, int]]:
    """
    What so many calls used in all, spread over them: usages that differ by a token of each kind at most, and how many
    calls have each. Counts under names that this version does not know have no price here.
    """
    kinds = {name: max(tokens[name], 0) for name in Usage.__struct_fields__ if name in tokens}
    kinds["input_tokens"] = max(kinds.get("input_tokens", 0) - sum(kinds.get(name, 0) for name in _CACHED), 0)
    shares = {name: divmod(total, count) for name, total in kinds.items()}
    steps = sorted({0, count, *(left for _, left in shares.values())})
    for first, last in pairwise(steps):
        usage = {name: whole + (first < left) for name, (whole, left) in shares.items()}
        usage["input_tokens"] += sum(usage.get(name, 0) for name in _CACHED)
        yield Usage(**usage), last - first
