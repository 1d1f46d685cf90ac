"""
The journal added up by day and model, as a bill does.
"""

from collections.abc import Callable, Collection, Mapping

from solvent._digest import Facts, Sums
from solvent.reconcile._cells import tier_name
from solvent.reconcile._records import Booked, Key, Share, Tokens

_HOURS = 24
_KINDS = {
    "cache_read": "cache_read_tokens",
    "cache_write_5m": "cache_write_5m_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "output": "output_tokens",
}
_SEARCHES = ("web_searches", "web_searches_preview")


def booked(
    groups: Mapping[Facts, Sums], *, is_billed: Callable[[str | None], bool], told: Collection[str]
) -> dict[Key, Booked]:
    """
    What calls add up to by the UTC day on which they ended and the model as the reply names it, else the request.

    Args:
        is_billed: Whether the calls of a provider are in the bill.
        told: The kinds that the bill tells apart; others are counted as the input that they are part of.
    """
    found: dict[Key, Booked] = {}
    for facts, sums in groups.items():
        if facts.is_call and is_billed(facts.provider):
            key = (facts.hour // _HOURS, facts.model_used or facts.model_asked or "")
            _add(found.setdefault(key, Booked()), facts, sums, kinds_of(sums.tokens, told))
    return {key: cell for key, cell in found.items() if cell.count}  # What an expiry booked and a correction took back.


def joined(journal: Mapping[Key, Booked], names: Mapping[str, str]) -> dict[Key, Booked]:
    """
    The same under other names of models; those that get one name are added up.
    """
    found: dict[Key, Booked] = {}
    for (day, model), cell in journal.items():
        into = found.setdefault((day, names.get(model, model)), Booked())
        into.count += cell.count
        into.cost += cell.cost
        _add_tokens(into.tokens, cell.tokens)
        for name in ("unpriced", "failed", "early", "late"):
            share = getattr(cell, name)
            _add_share(getattr(into, name), share.count, share.cost, share.tokens)
        for reason, share in cell.estimated.items():
            _add_share(into.estimated.setdefault(reason, Share()), share.count, share.cost, share.tokens)
        for tier, tokens in cell.tiers.items():
            _add_tokens(into.tiers.setdefault(tier, {}), tokens)
        into.sources |= cell.sources
        into.providers |= cell.providers
    return found


def kinds_of(usage: Mapping[str, int], told: Collection[str]) -> dict[str, int]:
    """
    A usage by kind, each token in one; what is told of no kind apart is input.
    """
    found = {kind: usage[name] for kind, name in _KINDS.items() if kind in told and usage.get(name)}
    cached = sum(count for kind, count in found.items() if kind != "output")
    found["input"] = usage.get("input_tokens", 0) - cached
    if "web_search" in told:
        found["web_search"] = sum(usage.get(name, 0) for name in _SEARCHES)
    return {kind: count for kind, count in found.items() if count}


def _add(cell: Booked, facts: Facts, sums: Sums, tokens: Tokens) -> None:
    cell.count += sums.count
    cell.cost += sums.cost
    _add_tokens(cell.tokens, tokens)
    _add_tokens(cell.tiers.setdefault(tier_name(facts.tier), {}), tokens)
    if facts.price_source:
        cell.sources.add(facts.price_source)
    if facts.provider:
        cell.providers.add(facts.provider)
    shares = []
    if sums.unpriced:
        shares.append(cell.unpriced)
    if facts.status is not None and facts.estimated is not None:
        shares.append(cell.failed)
    elif facts.estimated is not None:
        shares.append(cell.estimated.setdefault(facts.estimated, Share()))
    if facts.hour % _HOURS in (0, _HOURS - 1):
        shares.append(cell.early if facts.hour % _HOURS == 0 else cell.late)
    for share in shares:
        _add_share(share, sums.unpriced if share is cell.unpriced else sums.count, sums.cost, tokens)


def _add_share(share: Share, count: int, cost: int, tokens: Tokens) -> None:
    share.count += count
    share.cost += cost
    _add_tokens(share.tokens, tokens)


def _add_tokens(into: dict[str, int], tokens: Tokens) -> None:
    for kind, count in tokens.items():
        into[kind] = into.get(kind, 0) + count
