"""
Tables in so many columns of a terminal: amounts at their points, long names pinched, the least important left out.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from solvent._amounts import at_the_point
from solvent.report._pen import Pen

NAME_MIN = 6
GAP = 2


class Column(Struct, frozen=True, kw_only=True):
    """
    One column of a table.

    Attributes:
        is_name: A text, to the left, whose middle may be left out; else it is a number or a mark, and stands whole.
        begins: Of a name, how many characters at its beginning are always shown.
        room: Of a name, what it gets before another column is left out for it.
        least: Of those that may be left out the highest goes first; 0 stays.
        paint: Draws a cell that has its whole width already; is handed its row.
    """

    title: str
    cells: Sequence[str]
    is_name: bool = False
    is_right: bool = True
    begins: Sequence[int] = ()
    room: int = 16
    least: int = 0
    paint: Callable[[int, str], str] | None = None


def table(columns: Sequence[Column], pen: Pen, width: int, *, least_widths: Sequence[int] = ()) -> list[str]:
    """
    The lines of a table, the first one its dimmed head.

    Args:
        least_widths: What each column has at least, so that tables stand below one another in one form.
    """
    pointed = [column.cells if column.is_name else at_the_point(column.cells) for column in columns]
    least = least_widths or [NAME_MIN if column.is_name else 0 for column in columns]
    widths = [
        max([width, len(column.title), *map(len, cells)])
        for width, column, cells in zip(least, columns, pointed, strict=True)
    ]
    kept = _kept(columns, widths, width)
    names = [place for place in kept if columns[place].is_name]
    room = width - GAP * (len(kept) - 1) - sum(widths[place] for place in kept if place not in names)
    for place, name_width in zip(names, _shared([widths[place] for place in names], room), strict=True):
        widths[place] = name_width
    lines = [pen.paint("dim", _line([(columns[place], columns[place].title, widths[place]) for place in kept], pen))]
    for row in range(len(columns[0].cells)):
        cells = [(columns[place], pointed[place][row], widths[place]) for place in kept]
        lines.append(_line(cells, pen, row))
    return lines


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    kept = list(range(len(columns)))
    going = sorted((place for place in kept if columns[place].least), key=lambda place: -columns[place].least)
    while going:
        needed = [min(widths[each], columns[each].room) if columns[each].is_name else widths[each] for each in kept]
        if sum(needed) + GAP * (len(kept) - 1) <= width:
            break
        kept.remove(going.pop(0))
    return kept


def _shared(wanted: Sequence[int], room: int) -> list[int]:
    """
    The room of the names: what each wants where all have that, else the widest give first.
    """
    widths = [min(width, max(room, NAME_MIN)) for width in wanted]
    while sum(widths) > room and max(widths, default=0) > NAME_MIN:
        widths[widths.index(max(widths))] -= 1
    return widths


def _line(cells: Sequence[tuple[Column, str, int]], pen: Pen, row: int | None = None) -> str:
    parts = []
    for column, text, width in cells:
        begin = column.begins[row] if column.begins and row is not None else 0
        fitting = text[:begin] + pen.pinched(text[begin:], width - begin) if column.is_name else text
        padded = f"{fitting:>{width}}" if column.is_right and not column.is_name else f"{fitting:<{width}}"
        parts.append(column.paint(row, padded) if column.paint and row is not None else padded)
    return (" " * GAP).join(parts).rstrip()
