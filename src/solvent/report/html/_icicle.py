"""
The icicle: every scope as wide as its share of the money, those below it under it.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from solvent._amounts import exact_dollars, show_dollars
from solvent.report._happened import counted
from solvent.report._records import Node
from solvent.report.html._fit import at_each_size, cut, percent, text_width
from solvent.report.html._markup import NOTHING, Html, element, join, lines
from solvent.report.html._style import KINDS

HEIGHT = 40  # Pixels of a row.
LEAST = 400  # A scope of less than one part in so many is drawn together with others like it.
_THIN = 100  # So narrow that its edges would hide it: less than one part in so many.
_PAD = 6
_WORDS = {"org": "organization", "rest": "several scopes"}


class Cell(Struct, frozen=True, kw_only=True):
    """
    A scope in its place, in units of the whole.

    Attributes:
        own: Of its width, what its own calls cost; ``held`` what they have set aside.
    """

    node: Node
    left: int
    width: int
    own: int
    held: int
    depth: int
    children: tuple["Cell", ...] = ()


def icicle(tree: Node) -> Html:
    """
    The drawing with its legend; where no money was spent, it is by calls.
    """
    by_calls = not (tree.total.cost_nanodollars or tree.reserved_nanodollars)
    whole = _weight(tree, by_calls)
    if not whole:
        return NOTHING
    top = _cell(tree, 0, 0, whole, by_calls)
    rows = 1 + max(cell.depth for cell in _all(top))
    hatch = element(
        "pattern",
        element("path", d="M0 8L8 0M-2 2L2-2M6 10L10 6"),
        id="hatch",
        width=8,
        height=8,
        patternUnits="userSpaceOnUse",
    )
    drawing = element(
        "svg",
        element("defs", hatch),
        _drawn(top, whole, by_calls),
        width="100%",
        height=rows * HEIGHT,
        role="img",
        aria_label="Scopes by what they cost; the table below says the same",
    )
    share = "calls" if by_calls else "cost"
    told = f"As wide as its share of the {share}, and above what is below it. Point at a scope for its sums."
    kinds = [_kind(cell.node) for cell in _all(top) if cell.node.scope is not None or cell is not top]
    return element("figure", drawing, _legend(kinds, any(cell.held for cell in _all(top))), element("figcaption", told))


def _weight(node: Node, by_calls: bool) -> int:
    return node.total.calls if by_calls else max(node.total.cost_nanodollars, 0) + node.reserved_nanodollars


def _cell(node: Node, left: int, depth: int, whole: int, by_calls: bool) -> Cell:
    at, children = left, []
    for child in _shown(node.children, whole, by_calls):
        children.append(_cell(child, at, depth + 1, whole, by_calls))
        at += children[-1].width
    own = node.own.calls if by_calls else max(node.own.cost_nanodollars, 0)
    width = _weight(node, by_calls)
    return Cell(
        node=node,
        left=left,
        width=width,
        own=own,
        held=max(left + width - at - own, 0),
        depth=depth,
        children=tuple(children),
    )


def _shown(children: Sequence[Node], whole: int, by_calls: bool) -> list[Node]:
    """
    Those that are wide enough to be seen, and the others as one.
    """
    seen = [child for child in children if _weight(child, by_calls)]
    wide = [child for child in seen if child.scope is not None and _weight(child, by_calls) * LEAST >= whole]
    rest = [child for child in seen if not any(child is one for one in wide)]
    return wide + ([_together(rest)] if len(rest) > 1 else rest)


def _together(nodes: Sequence[Node]) -> Node:
    use = type(nodes[0].total)(
        calls=sum(node.total.calls for node in nodes),
        cost_nanodollars=sum(node.total.cost_nanodollars for node in nodes),
        unpriced=sum(node.total.unpriced for node in nodes),
    )
    return Node(
        scope=None,
        count=sum(node.count for node in nodes),
        own=use,
        total=use,
        refused=sum(node.refused for node in nodes),
        reserved_nanodollars=sum(node.reserved_nanodollars for node in nodes),
    )


def _all(cell: Cell) -> Iterator[Cell]:
    yield cell
    for child in cell.children:
        yield from _all(child)


def _kind(node: Node) -> str:
    kind = (node.scope or "").rpartition("/")[2].partition(":")[0]
    return kind if kind in KINDS else "rest"


def name_of(node: Node, depth: int) -> str:
    """
    The last part of its path; of one that stands for several how many they are.
    """
    if node.scope is not None:
        return node.scope if depth == 0 else node.scope.rpartition("/")[2]
    return "whole ledger" if depth == 0 else f"{node.count:,} cheaper {'one' if node.count == 1 else 'ones'}"


def _drawn(cell: Cell, whole: int, by_calls: bool) -> Html:
    node = cell.node
    parts = [element("title", _told(cell)), element("rect", width="100%", height=HEIGHT)]
    # From the right: what is held, and before that the scope's own calls.
    free = cell.width - cell.own - cell.held
    for name, begin, width in (("own", free, cell.own), ("held", free + cell.own, cell.held)):
        if width:
            place = {"x": percent(begin, cell.width), "width": percent(width, cell.width)}
            parts += [element("rect", class_="own", height=HEIGHT, **place)] if name == "held" else []
            parts.append(element("rect", class_=name, height=HEIGHT, **place))
    parts.append(_label(cell, whole, by_calls))
    box = element(
        "svg",
        *parts,
        class_=f"cell {_kind(node)}{'' if cell.width * _THIN > whole else ' thin'}",
        x=percent(cell.left, whole),
        y=cell.depth * HEIGHT,
        width=percent(cell.width, whole),
        height=HEIGHT,
    )
    return element(
        "g",
        box,
        *(_drawn(child, whole, by_calls) for child in cell.children),
        data_scope=node.scope,
        data_nanodollars=node.total.cost_nanodollars,
        data_own_nanodollars=node.own.cost_nanodollars,
        data_calls=node.total.calls,
    )


def _label(cell: Cell, whole: int, by_calls: bool) -> Html:
    node = cell.node
    amount = counted(node.total.calls, "call", "calls") if by_calls else show_dollars(node.total.cost_nanodollars)
    if not by_calls and not node.total.cost_nanodollars and node.reserved_nanodollars:
        amount = f"{show_dollars(node.reserved_nanodollars)} held"

    def drawn(width: int) -> str:
        room = cell.width * width // whole - 2 * _PAD
        # The color tells the kind, too, so that goes first where there is too little room.
        whole_name = name_of(node, cell.depth)
        bare = whole_name.rpartition("/")[2].partition(":")[2] or whole_name
        name = cut(bare if text_width(whole_name) > room else whole_name, room)
        shown = cut(amount, room, least=len(amount))
        if not name:
            return ""
        title = element("text", name, x=_PAD, y=17 if shown else 24, class_="strong")
        return join(title, element("text", shown, x=_PAD, y=32) if shown else NOTHING)

    return at_each_size(drawn)


def _told(cell: Cell) -> Html:
    node, own = cell.node, cell.node.own
    told = [
        node.scope or name_of(node, cell.depth),
        f"${exact_dollars(node.total.cost_nanodollars)}, {counted(node.total.calls, 'call', 'calls')}",
    ]
    if cell.children and own.calls:
        told.append(f"of its own: ${exact_dollars(own.cost_nanodollars)}, {counted(own.calls, 'call', 'calls')}")
    if node.reserved_nanodollars:
        told.append(f"reserved: ${exact_dollars(node.reserved_nanodollars)}")
    if node.total.unpriced:
        told.append(f"of unknown cost: {counted(node.total.unpriced, 'call', 'calls')}")
    if node.refused:
        told.append(f"refused: {node.refused:,}")
    return lines(told)


def _legend(kinds: Sequence[str], is_held: bool) -> Html:
    entries = [(f"cell {kind}", "", _WORDS.get(kind, kind)) for kind in KINDS if kind in kinds]
    if entries:
        entries.append((entries[-1][0], "own", "lighter: its own calls"))
    if is_held and entries:
        entries.append((entries[-2][0], "held", "hatched: reserved, not spent"))
    items = []
    for classes, part, word in entries:
        over = [element("rect", class_=part, width=16, height=12)] if part else []
        swatch = element("svg", element("rect", width=16, height=12), *over, class_=classes, width=16, height=12)
        items.append(element("li", swatch, word))
    return element("ul", *items, class_="legend", aria_hidden="true")
