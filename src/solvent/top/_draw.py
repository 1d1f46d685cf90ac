"""
A picture of the open budgets for a terminal.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.text import Text

from solvent._amounts import show_seconds
from solvent._clock import utc
from solvent._limits import SECOND_NS
from solvent.top._cells import (
    HEADS,
    MARKS,
    Marks,
    bar_of,
    burn_dollars,
    cells_of,
    folded,
    row_name,
    short_time,
    style_of,
)
from solvent.top._records import OpenBudget, Picture, Refusal, Row
from solvent.top._rows import rank
from solvent.top._scopes import run_of

WIDTH_MIN, WIDTH_MAX = 60, 160
BAR_MIN, BAR_MAX = 8, 40
REFUSALS_MAX = 5
SCOPE_MIN = 24  # Columns in which a scope is still told from others.
# The gap between columns, and those to do without, the narrower the terminal is.
_NARROWER: tuple[tuple[int, tuple[str, ...]], ...] = (
    *((2, ()), (2, ("used",)), (1, ("used",))),
    *((1, ("used", "limit")), (1, ("used", "limit", "per min")), (1, ("used", "limit", "per min", "reserved"))),
)
_DAY_NS = 86_400 * SECOND_NS


def draw(
    picture: Picture,
    *,
    width: int,
    height: int | None = None,
    marks: Marks = MARKS,
    ledger: str = "",
    trouble: str = "",
    hint: str = "",
) -> Group:
    """
    Args:
        width: Columns to stay within; taken as at least 60 and at most 160.
        height: Lines to stay within, if not all is to be drawn.
        ledger: What it is called.
        trouble: Why the picture may be old.
        hint: What the last line says.
    """
    width = max(WIDTH_MIN, min(width, WIDTH_MAX))
    head = [*_header(picture, marks, width, ledger), *_trouble(trouble, marks, width)]
    below = _refusals(picture, marks, width, None if height is None else height // 3)
    below += [Text(hint, "dim")] if hint else []
    room = None if height is None else height - len(head) - len(below)
    lines = _budgets(picture, marks, width, room) if picture.budgets else _nothing(picture, marks, width)
    lines += [Text()] * ((room or 0) - len(lines))
    drawn = [*head, *lines, *below]
    for line in drawn:
        line.truncate(width)  # Amounts that no terminal was made for.
    return Group(*drawn)


def _header(picture: Picture, marks: Marks, width: int, ledger: str) -> list[Text]:
    killed = [f"{picture.killed_count:,} killed"] if picture.killed_count else []
    parts = [f"{picture.open_count:,} open", *killed, f"{burn_dollars(picture.burn)} a minute"]
    time = f"{utc(picture.at):%H:%M:%S} UTC"
    rest = marks.dot.join(["", *parts])
    room = width - cell_len(f"Solvent{marks.dot}{rest}  {time}")
    name = marks.cut(marks.plain(ledger), max(room, 8))
    left = Text.assemble((f"Solvent{marks.dot}{name}", "bold"), rest)
    gap = width - left.cell_len - len(time)
    return [left + Text(" " * gap) + Text(time, "dim") if gap > 1 else left]


def _trouble(trouble: str, marks: Marks, width: int) -> list[Text]:
    return [Text(marks.cut_end(marks.plain(trouble), width), "bold red")] if trouble else []


def _nothing(picture: Picture, marks: Marks, width: int) -> list[Text]:
    if picture.unknown is None:
        return [Text("no budget is open", "dim")]
    said = f"the ledger knows no scope {marks.plain(picture.unknown)}, and nothing below it"
    return [Text(line, "yellow") for line in folded(said, width)]


class _Block(Struct, frozen=True, kw_only=True):
    """
    A budget with the limits of what is below it, the name of each of them beside it.
    """

    budget: OpenBudget
    rows: tuple[tuple[str, Row], ...]

    def nearest(self, count: int) -> list[tuple[str, Row]]:
        """
        Those that are nearest to their limits, in their places.
        """
        kept = sorted(self.rows, key=lambda named: -named[1].used)[:count]
        return [named for named in self.rows if named in kept]


class _Columns(Struct, frozen=True, kw_only=True):
    name: int
    bar: int
    gap: int
    widths: dict[str, int]


def _budgets(picture: Picture, marks: Marks, width: int, room: int | None) -> list[Text]:
    """
    As many budgets as there is room for: with all their limits, else with those nearest to their limits.
    """
    blocks = _blocks(picture, marks)
    shown, rows = blocks, max((len(block.rows) for block in blocks), default=0)
    if room is not None:
        while rows > 1 and _height(shown, rows) > room:
            rows -= 1
        while shown and _height(shown, rows) + (len(shown) < len(blocks)) > room:
            shown = shown[:-1]
    more = [Text(f"and {len(blocks) - len(shown):,} more: --once shows all", "dim")] if len(shown) < len(blocks) else []
    if not shown:
        return more
    is_wide = room is None or (shown == blocks and _height(shown, rows) + len(shown) <= room)
    columns = _fitted([named for block in shown for named in block.nearest(rows)], width)
    gap = " " * columns.gap
    heads = "".join(f"{gap}{head:>{columns.widths[head]}}" for head in columns.widths)
    lines = [Text(f"{'':{columns.name + columns.bar + 4}}{heads}", "dim")]
    for block in shown:
        is_over = block.budget.state == "killed"
        lines += [Text()] if is_wide else []
        lines.append(_title(block.budget, picture, marks, width))
        lines += [_line(name, row, columns, marks, is_over=is_over) for name, row in block.nearest(rows)]
    return lines + more


def _blocks(picture: Picture, marks: Marks) -> list[_Block]:
    """
    The budgets, the one nearest to a limit first; what is below a run stands in its block.
    """
    shown = {budget.scope: budget for budget in picture.budgets}
    members: dict[str, list[OpenBudget]] = {}
    for budget in picture.budgets:
        run = run_of(budget.scope)
        members.setdefault(run if run in shown else budget.scope, []).append(budget)
    return [
        _Block(
            budget=shown[scope],
            rows=tuple(
                (f"{marks.plain(one.scope[len(scope) + 1 :])} {row_name(row)}".lstrip(), row)
                for one in sorted(below, key=lambda one: one.scope)
                for row in sorted(one.rows, key=lambda row: rank(row.account))
            ),
        )
        for scope, below in members.items()
    ]


def _height(blocks: Sequence[_Block], rows: int) -> int:
    return 1 + sum(1 + min(len(block.rows), rows) for block in blocks)


def _fitted(shown: Sequence[tuple[str, Row]], width: int) -> _Columns:
    cells = [cells_of(row) for _, row in shown]
    widths = {head: max(len(head), *(len(cell[head]) for cell in cells)) for head in HEADS}
    name = min(max(cell_len(name) for name, _ in shown), width // 5)
    for gap, left_out in _NARROWER:
        kept = {head: columns for head, columns in widths.items() if head not in left_out}
        bar = width - (2 + name + 2) - sum(kept.values()) - gap * len(kept)
        if bar >= BAR_MIN:
            break
    return _Columns(name=name, bar=max(BAR_MIN, min(bar, BAR_MAX)), gap=gap, widths=kept)


def _title(budget: OpenBudget, picture: Picture, marks: Marks, width: int) -> Text:
    """
    ``run:triage · running 4 min · 42 calls, 2 open``.
    """
    parts: list[Text] = []
    if budget.opened_ns is not None:
        seconds = max(picture.at - budget.opened_ns, 0) // SECOND_NS
        age = f" {short_time(seconds) if seconds < 60 else show_seconds(seconds)}"
        parts.append(
            Text("killed", "bold red")
            if budget.state == "killed"
            else Text(f"{budget.state or 'open'}{age}", "green" if budget.state else "")
        )
    calls = f"{budget.calls:,} {'call' if budget.calls == 1 else 'calls'}"
    of = f" of {budget.open_most:,}" if budget.open_most is not None else ""
    parts.append(Text(f"{calls}, {budget.open_calls:,}{of} open" if budget.open_calls or of else calls))
    room = width - sum(len(marks.dot) + part.cell_len for part in parts)
    name = marks.cut(marks.plain(budget.scope), max(room, 8))
    return Text(marks.dot).join([Text(name, "bold"), *parts])


def _line(name: str, row: Row, columns: _Columns, marks: Marks, *, is_over: bool) -> Text:
    cells, style = cells_of(row), "dim" if is_over else style_of(row)
    line = Text(f"  {set_cell_size(marks.cut(name, columns.name), columns.name)}  ")
    line.append_text(bar_of(row, columns.bar, marks, style or "green"))
    for head, width in columns.widths.items():
        is_told = head in ("used", "left", "lasts")
        line.append(f"{'':{columns.gap}}{cells[head]:>{width}}", style if is_told else "")
    line.rstrip()
    return line


def _refusals(picture: Picture, marks: Marks, width: int, room: int | None) -> list[Text]:
    lines = [Text(), Text("last refusals", "red")]
    for refusal in picture.refusals[:REFUSALS_MAX]:
        more = [*_refusal(refusal, picture, marks, width, is_whole=room is None)]
        if room is not None and len(lines) + len(more) > room:
            break
        lines += more
    return lines if len(lines) > 2 else []


def _refusal(refusal: Refusal, picture: Picture, marks: Marks, width: int, *, is_whole: bool) -> Iterator[Text]:
    """
    In one line where it fits, else with what was said on the next one, or on as many as that takes.
    """
    at = utc(refusal.at)
    time = f"{at:%H:%M:%S}" if picture.at - refusal.at < _DAY_NS else f"{at:%Y-%m-%d}"
    count = f"{refusal.count:,} {marks.times} " if refusal.count > 1 else ""
    scope, said = marks.plain(refusal.scope), marks.plain(refusal.said)
    said = count + said.removeprefix(f"{scope} ")
    start = f"  {time}  "
    room = width - len(start) - cell_len(said) - 2
    if room >= min(SCOPE_MIN, cell_len(scope)):
        yield Text.assemble((start, "dim"), (marks.cut(scope, room), "bold"), f"  {said}")
    else:
        yield Text.assemble((start, "dim"), (marks.cut(scope, width - len(start)), "bold"))
        room = width - len(start)
        for line in folded(said, room) if is_whole else [marks.cut_end(said, room)]:
            yield Text(" " * len(start) + line)
