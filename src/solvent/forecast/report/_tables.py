"""
The tables of the page: the figures of one run, the limits, and what contains which failure.
"""

from collections.abc import Callable
from typing import TypeAlias

from solvent.forecast._forecast import Forecast, Spread
from solvent.forecast.limits import Limits
from solvent.forecast.report import _limit_words as words
from solvent.forecast.report._marked import estimate, number, time
from solvent.report.html._markup import NOTHING, Html, element, join
from solvent.report.html._markup import name as named
from solvent.report.html._table import Column, table

Shown: TypeAlias = Callable[[float | None], Html]


def spreads(forecast: Forecast) -> Html:
    """
    Cost, tokens, calls and time of one run.
    """
    rows = [
        _spread("cost", forecast.cost_usd, estimate),
        _spread("tokens", forecast.tokens, number),
        _spread("calls", forecast.calls, number),
    ]
    if forecast.seconds.p999:
        rows.append(_spread("time", forecast.seconds, time))
    titles = ("mean", "sd", "p50", "p90", "p95", "p99", "p99.9", "worst")
    columns = [Column("of one run", "t"), *(Column(title, "n", is_lesser=title in ("sd", "p90")) for title in titles)]
    return table("What one run costs, uses and takes", columns, rows, is_titled=True)


def _spread(title: str, spread: Spread, shown: Shown) -> list[str]:
    found = (spread.mean, spread.sd, spread.p50, spread.p90, spread.p95, spread.p99, spread.p999, spread.worst)
    return [title, *(shown(one) for one in found)]


def limits(found: Limits) -> Html:
    """
    Each limit with what it blocks, and what all of them block together.
    """
    if not found.all:
        return join(element("p", "No limit can be derived."), _remarks(found))
    rows = [
        [named(one.pattern), one.layer, words.amount(one), words.blocks(one), one.derived_from] for one in found.all
    ]
    columns = [
        Column("scope", "name"),
        Column("layer", "t", is_lesser=True),
        Column("limit", "n"),
        Column("blocks", "n"),
        Column("derived from", "say"),
    ]
    told = element("p", words.together(found))
    return join(
        told,
        table("Limits and what each blocks by itself", columns, rows, is_titled=True),
        _remarks(found),
        _caps(found),
    )


def _remarks(found: Limits) -> Html:
    said = [*([found.too_few] if found.too_few else []), *found.remarks]
    return element("ul", *(element("li", one) for one in said), class_="remarks") if said else NOTHING


def _caps(found: Limits) -> Html:
    if not found.caps:
        return NOTHING
    rows = [
        [named(words.path(one)), words.kind(one), f"{one.enough:,}", words.declared(one), one.why] for one in found.caps
    ]
    columns = [
        Column("step", "name"),
        Column("cap of", "t"),
        Column("enough", "n"),
        Column("declared", "n"),
        Column("what that loses", "say"),
    ]
    heading = element("h3", "Caps in the program that could be lower, or are missing")
    return join(heading, table("Caps in the program", columns, rows, is_titled=True))
