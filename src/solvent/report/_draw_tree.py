"""
The tree of a report, drawn: each scope with a bar of what it spent and holds, and what that is of its limit.
"""

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count

from msgspec import Struct

from solvent._amounts import show_dollars
from solvent._records import Balance
from solvent.report._columns import Column, table
from solvent.report._happened import counted
from solvent.report._limits import bar_of, cells_of, percent_of
from solvent.report._pen import Pen
from solvent.report._records import Node, Report, Use
from solvent.report._terminal import Blocks, shown_cost

SCOPES_MAX = 60  # Of a tree with more, the dearest are drawn, and the others of each scope as one.
BAR_AT_80, BAR_MAX = 6, 24
WIDE = 100  # Columns, from which on a level takes three of them instead of two.


class Line(Struct, frozen=True, kw_only=True):
    """
    One scope to draw, or several as one.

    Attributes:
        marks: What leads to it from its parent.
        parent: What the scope above spent; ``None`` at the top.
    """

    marks: str
    name: str
    node: Node
    parent: int | None = None


def draw_tree(report: Report, pen: Pen, width: int) -> Blocks:
    """
    The tree, and what its marks mean.
    """
    assert report.tree is not None
    depth = (width - 52) // _columns_of_a_level(width)
    chosen = _dearest(report.tree, depth)
    top = "all" if report.scope is None else pen.plain(report.scope)
    below = _below(report.tree, chosen, pen, _columns_of_a_level(width), "")
    lines = [Line(marks="", name=top, node=report.tree), *below]
    return [_table(lines, pen, width), _cut(report.tree, len(chosen), depth) + _legend(lines, pen, width)]


def _columns_of_a_level(width: int) -> int:
    return 3 if width >= WIDE else 2


def _dearest(top: Node, depth: int) -> set[int]:
    """
    The nodes to draw by their identity: those that a walk meets first that always goes on with the dearest.
    """
    order = count()  # What costs the same is met in the order of the tree.
    ahead = [(0, next(order), 0, top)]
    chosen: set[int] = set()
    while ahead and len(chosen) < SCOPES_MAX:
        *_, level, node = heapq.heappop(ahead)
        chosen.add(id(node))
        if level < depth:
            for child in node.children:
                heapq.heappush(ahead, (-child.total.cost_nanodollars, next(order), level + 1, child))
    return chosen


def _below(node: Node, chosen: set[int], pen: Pen, columns: int, begin: str) -> Iterator[Line]:
    """
    A line for each scope below, for what the scope itself used, and for all that are not drawn.
    """
    lines = [(_name(child, pen), child) for child in node.children if _is_drawn(child, chosen)]
    if not lines:
        return  # They would only say again what this one says.
    rest = [child for child in node.children if not _is_drawn(child, chosen)]
    itself = _itself(node)
    if itself.total.calls or itself.refused or itself.reserved_nanodollars:
        lines.append(("itself", itself))
    if rest:
        lines.append((counted(sum(child.count for child in rest), "other", "others"), _together(rest)))
    for place, (name, child) in enumerate(lines, 1):
        fork, pass_by = pen.branch(is_last=place == len(lines), columns=columns)
        yield Line(marks=begin + fork, name=name, node=child, parent=node.total.cost_nanodollars)
        yield from _below(child, chosen, pen, columns, begin + pass_by)


def _is_drawn(node: Node, chosen: set[int]) -> bool:
    return id(node) in chosen and node.scope is not None


def _name(node: Node, pen: Pen) -> str:
    return pen.plain((node.scope or "").rpartition("/")[2])


def _itself(node: Node) -> Node:
    below = _together(node.children)
    return Node(
        scope=None,
        total=node.own,
        refused=node.refused - below.refused,
        reserved_nanodollars=node.reserved_nanodollars - below.reserved_nanodollars,
    )


def _together(nodes: Sequence[Node]) -> Node:
    use = Use(
        calls=sum(node.total.calls for node in nodes),
        cost_nanodollars=sum(node.total.cost_nanodollars for node in nodes),
        unpriced=sum(node.total.unpriced for node in nodes),
    )
    reserved = sum(node.reserved_nanodollars for node in nodes)
    refused = sum(node.refused for node in nodes)
    return Node(scope=None, total=use, refused=refused, reserved_nanodollars=reserved)


def limit_of(node: Node) -> Balance | None:
    """
    Of the limits of a scope in dollars the one that is nearest to be reached.
    """
    found = [one for one in node.limits if one.account.meter == "usd" and one.limit is not None]
    return max(found, key=lambda one: Fraction(one.spent + one.reserved, max(one.limit or 0, 1)), default=None)


def _table(lines: Sequence[Line], pen: Pen, width: int) -> list[str]:
    limits = [limit_of(line.node) for line in lines]
    nodes = [line.node for line in lines]
    bar = max(BAR_AT_80, min((width - 66) // 2, BAR_MAX))
    names = Column(
        title="scope",
        cells=[line.marks + line.name for line in lines],
        is_name=True,
        begins=[len(line.marks) for line in lines],
        room=20,
    )
    bars = Column(
        title="",
        cells=[" " * bar for _ in lines],
        paint=lambda row, cell: _bar(lines[row], limits[row], len(cell), pen),
    )
    columns = [names, bars, *_limit_columns(limits), *_amount_columns(nodes)]
    return table(columns, pen, width)


def _limit_columns(limits: Sequence[Balance | None]) -> list[Column]:
    if not any(limits):
        return []
    return [
        Column(title="", cells=["" if limit is None else percent_of(limit) for limit in limits], least=3),
        Column(title="of limit", cells=["" if limit is None else _shown_limit(limit) for limit in limits]),
    ]


def _amount_columns(nodes: Sequence[Node]) -> list[Column]:
    reserved = [show_dollars(node.reserved_nanodollars) if node.reserved_nanodollars else "" for node in nodes]
    refused = [f"{node.refused:,}" if node.refused else "" for node in nodes]
    columns = [
        Column(title="spent", cells=[shown_cost(node.total) for node in nodes]),
        Column(title="reserved", cells=reserved, least=1),
        Column(title="calls", cells=[f"{node.total.calls:,}" for node in nodes]),
        Column(title="refused", cells=refused, least=2),
    ]
    return [column for column in columns if any(column.cells)]


def _bar(line: Line, limit: Balance | None, width: int, pen: Pen) -> str:
    if limit is not None:
        return bar_of(limit, width, pen)
    if not line.parent:
        return " " * width
    share = cells_of(line.node.total.cost_nanodollars, line.parent, width)
    return pen.paint("dim", pen.thin * share + " " * (width - share))


def _shown_limit(balance: Balance) -> str:
    assert balance.limit is not None
    window = balance.account.window.partition("@")[0]
    return show_dollars(balance.limit).removesuffix(".00") + (f"/{window}" if window else "")


def _legend(lines: Sequence[Line], pen: Pen, width: int) -> list[str]:
    full, held, _ = pen.bar
    has_limits = any(limit_of(line.node) is not None for line in lines)
    limits = [f"{full} spent, {held} reserved of the scope's limit"] if has_limits else []
    shares = [f"{pen.thin} share of the scope above"] if any(line.parent for line in lines) else []
    return [pen.paint("dim", text) for text in pen.joined(limits + shares, width)]


def _cut(tree: Node, drawn: int, depth: int) -> list[str]:
    scopes, deepest = _size(tree)
    if deepest > depth:
        return [f"drawn to {depth} levels of {deepest} (--json has all)"]
    if drawn < scopes:
        return [f"the {drawn:,} dearest of {scopes:,} scopes (--json has more)"]
    return []


def _size(node: Node) -> tuple[int, int]:
    """
    How many scopes a tree has, and how many levels below its top.
    """
    below = [_size(child) for child in node.children]
    return node.count + sum(scopes for scopes, _ in below), max((1 + levels for _, levels in below), default=0)
