"""
The calls of a report by what they have in common, as a table.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from solvent.report._columns import Column, table
from solvent.report._limits import cells_of
from solvent.report._pen import Pen
from solvent.report._records import Report, Row
from solvent.report._terminal import Blocks, Picture, use_columns

_BAR = 16


def draw_by(names: Sequence[str]) -> Picture:
    """
    Draws a row for each combination of these, and a last one that is the report's total.
    """

    def picture(report: Report, pen: Pen, width: int) -> Blocks:
        # What was never sent is in no column, so a row of that alone would be empty.
        rows = [row for row in report.by(*names) if row.use.calls or row.use.cost_nanodollars or row.refused]
        return [_table(names, rows, report, pen, width)] if rows else [["no call was seen"]]

    return picture


def _table(names: Sequence[str], rows: Sequence[Row], report: Report, pen: Pen, width: int) -> list[str]:
    keys = [
        Column(title=name, cells=[*(pen.plain(row.key[place] or "-") for row in rows), ""], is_name=True, room=20)
        for place, name in enumerate(names)
    ]
    keys[0] = replace(keys[0], cells=[*keys[0].cells[:-1], "total"])
    uses = use_columns([*(row.use for row in rows), report.total])
    refused = [*(row.refused for row in rows), report.refusals]
    if report.refusals:
        uses.insert(1, Column(title="refused", cells=[f"{each:,}" if each else "" for each in refused], least=1))
    costs = [row.use.cost_nanodollars for row in rows]
    lines = table([*keys, *uses, _share(costs, report.total.cost_nanodollars, pen)], pen, width)
    lines[-1] = pen.paint("bold", lines[-1])
    return lines


def _share(costs: Sequence[int], total: int, pen: Pen) -> Column:
    def bar(row: int, cell: str) -> str:
        cells = cells_of(costs[row], total, len(cell)) if row < len(costs) and total else 0
        return pen.paint("dim", pen.thin * cells)

    return Column(title="", cells=[" " * _BAR] * (len(costs) + 1), is_right=False, paint=bar, least=5)
