"""
The tables of what was spent by scope, model and day, and of the limits.
"""

from collections.abc import Iterator, Sequence

from solvent._amounts import show_seconds
from solvent._ladder import CALL
from solvent._limits import GAUGES, show_amount
from solvent._openings import OtherLimit
from solvent._records import Balance
from solvent.report._records import Node, Report, Use
from solvent.report.html._icicle import name_of
from solvent.report.html._markup import NOTHING, Html, column_of_money, element, join, money, name
from solvent.report.html._table import NONE, Column, bar, count, table

LIMITS_MAX = 40
SCOPES_MAX = 300
DAYS_MAX = 62
_NUMBERS = (Column("calls", "n"), Column("input", "n"), Column("cached", "n"), Column("output", "n"))


def limits(report: Report) -> Html:
    """
    What every account holds of its limit, the fullest first where there are too many to show.
    """
    held = [one for one in report.limits if one.limit is not None and one.account.meter not in GAUGES]
    shown = sorted(held, key=_fullness, reverse=True)[:LIMITS_MAX] if len(held) > LIMITS_MAX else held
    parts = []
    if shown:
        columns = [Column("meter", "t"), Column("of", "name"), Column("used", "bar"), Column("spent", "n")]
        columns += [Column("reserved", "n"), Column("limit", "n"), Column("left", "n")]
        parts.append(table("Limits, and what their accounts hold now", columns, [_limit(one) for one in shown]))
    if len(held) > len(shown):
        parts.append(element("p", f"{len(held) - len(shown):,} more, none fuller.", class_="quiet"))
    if also := [*_gauges(report.limits), *map(_other, report.others)]:
        parts.append(element("p", f"Also in force: {'; '.join(dict.fromkeys(also))}.", class_="quiet"))
    return join(*parts)


def _fullness(balance: Balance) -> tuple[int, int]:
    used, limit = balance.spent + balance.reserved, balance.limit or 0
    return (used * 1_000_000 // limit, used) if limit else (1_000_000, used)


def _limit(balance: Balance) -> list[str]:
    account, limit = balance.account, balance.limit
    assert limit is not None
    window = f" per {account.window.partition('@')[0]}" if account.window else ""
    left = balance.remaining or 0
    amounts = (balance.spent, balance.reserved, limit, left)
    cells: list[str] = [money(each) if account.meter == "usd" else f"{each:,}" for each in amounts]
    if left <= 0:
        cells[-1] = element("span", cells[-1], class_="over")
    used = bar(balance.spent, limit, held=balance.reserved, is_limit=True)
    return [f"{account.meter.replace('_', ' ')}{window}", name(account.scope), used, *cells]


def _gauges(balances: Sequence[Balance]) -> Iterator[str]:
    for balance in balances:
        if balance.limit is not None and balance.account.meter in GAUGES:
            yield f"{balance.limit:,} calls at a time for {balance.account.scope}"


def _other(other: OtherLimit) -> str:
    mark = "" if other.on_exceed == "block" else f" ({other.on_exceed})"
    where = "a call" if other.scope == CALL else f"for {other.scope}"
    if other.meter == "seconds":
        return f"time {show_seconds(float(other.limit))} {where}{mark}"
    return f"{show_amount(other.meter, int(other.limit))} {where}{mark}"


def scopes(tree: Node) -> Html:
    """
    The icicle as a table: every scope in its place, of very many the dearest.
    """
    every = list(_below(tree, 0))
    dearest = sorted(range(len(every)), key=lambda place: _rank(every[place]), reverse=True)[:SCOPES_MAX]
    shown = [every[place] for place in sorted(dearest)]
    columns = [Column("scope", "name"), Column("in all", "n"), Column("share", "n"), Column("its own", "n")]
    columns += [Column("reserved", "n"), Column("calls", "n"), Column("refused", "n")]
    whole = tree.total.cost_nanodollars
    in_all = column_of_money([known_cost(node.total) for node, _ in shown])
    own = column_of_money([known_cost(node.own) for node, _ in shown])
    rows = [
        [
            name(name_of(node, depth), style=f"padding-left:{depth * 14}px" if depth else None, title=node.scope),
            total if node.total.calls else NONE,
            share(node.total.cost_nanodollars, whole),
            its_own if node.own.calls else NONE,
            money(node.reserved_nanodollars) if node.reserved_nanodollars else NONE,
            count(node.total.calls),
            count(node.refused),
        ]
        for (node, depth), total, its_own in zip(shown, in_all, own, strict=True)
    ]
    left_out = len(every) - len(rows)
    note = [element("p", f"{left_out:,} cheaper scopes are left out.", class_="quiet")] if left_out else []
    return join(table("Scopes, each with what is below it", columns, rows, is_titled=True), *note)


def _rank(one: tuple[Node, int]) -> tuple[int, int, int]:
    """
    No scope is ranked above the one that it is below.
    """
    node, depth = one
    return node.total.cost_nanodollars + node.reserved_nanodollars, node.total.calls + node.refused, -depth


def _below(node: Node, depth: int) -> Iterator[tuple[Node, int]]:
    yield node, depth
    for child in node.children:
        yield from _below(child, depth + 1)


def known_cost(use: Use) -> int | None:
    return None if use.unpriced and use.unpriced == use.calls else use.cost_nanodollars


def share(part: int, whole: int) -> str:
    if not part or not whole:
        return NONE
    thousandths = (part * 2_000 // whole + 1) // 2
    return f"{thousandths // 10}.{thousandths % 10} %" if thousandths else "<0.1 %"


def tokens_of(use: Use) -> list[str]:
    return [count(use.tokens.get(f"{kind}_tokens", 0)) for kind in ("input", "cache_read", "output")]


def models(report: Report) -> Html:
    if not report.models:
        return NOTHING
    total, whole = report.total, report.total.cost_nanodollars
    costs = column_of_money([known_cost(use) for use in (*(one.use for one in report.models), total)])
    columns = [Column("model", "name"), Column("cost", "n"), Column("share", "bar", is_lesser=True), Column("", "n")]
    columns += [*_NUMBERS, Column("provider")]
    rows = [
        [
            name(one.model or "unknown"),
            cost,
            bar(one.use.cost_nanodollars, whole),
            share(one.use.cost_nanodollars, whole),
            count(one.use.calls),
            *tokens_of(one.use),
            one.provider or NONE,
        ]
        for one, cost in zip(report.models, costs[:-1], strict=True)
    ]
    foot = ["total", costs[-1], "", "", count(total.calls), *tokens_of(total), ""]
    return table("Models, the dearest first", columns, rows, foot=foot if len(rows) > 1 else (), is_titled=True)


def days(report: Report) -> Html:
    """
    What each day did cost, where there were several.
    """
    rows = [row for row in report.by("day") if row.use.calls or row.refused]
    if len(rows) < 2:
        return NOTHING
    shown = rows[-DAYS_MAX:]
    most = max(row.use.cost_nanodollars for row in shown)
    costs = column_of_money([known_cost(row.use) for row in shown])
    columns = [Column("day (UTC)", "t"), Column("cost", "n"), Column("", "bar"), *_NUMBERS, Column("refused", "n")]
    cells = [
        [
            row.key[0] or "",
            cost,
            bar(row.use.cost_nanodollars, most),
            count(row.use.calls),
            *tokens_of(row.use),
            count(row.refused),
        ]
        for row, cost in zip(shown, costs, strict=True)
    ]
    left_out = f", the last {len(shown)} of {len(rows):,}" if len(rows) > len(shown) else ""
    return table(f"Days with calls{left_out}", columns, cells)
