"""
Which limits contain which failures, on the page: what one run may spend at worst.
"""

from solvent.forecast.coverage import Coverage, Row
from solvent.forecast.report._marked import estimate
from solvent.forecast.report._words import listed
from solvent.report.html._markup import Html, element, join
from solvent.report.html._table import Column, mark, table


def coverage(found: Coverage) -> Html:
    """
    A row for each failure, a column for each kind of limit; those that nothing contains are named first.
    """
    columns = [
        Column("failure", "say"),
        *(Column(f"{one} limit" if one == "cost" else one, "n") for one in found.columns),
    ]
    rows = [[_failure(row), *_cells(found, row)] for row in found.rows]
    return join(
        element("p", _said(found)),
        table("The most that one run may spend under each kind of limit", columns, rows, is_titled=True),
    )


def _cells(found: Coverage, row: Row) -> list[Html]:
    cells = []
    for column, worst in zip(found.columns, row.worst, strict=True):
        is_contained = column in row.contained_by
        cells.append(element("span", "✓ ", estimate(worst), class_="good strong") if is_contained else estimate(worst))
    return cells


def _failure(row: Row) -> Html:
    what = element("span", row.what, class_="quiet under")
    if row.contained_by:
        return join(row.pattern, what)
    return join(row.pattern, " ", mark("not contained", "bad"), what)


def _said(found: Coverage) -> str:
    told = "What one run may spend at worst when something goes wrong, under each kind of limit alone, and under all."
    unbounded = [row.pattern for row in found.rows if not row.contained_by]
    if unbounded:
        return f"{told} {_CONTAINED} Not contained: {listed(unbounded, most=len(unbounded))}."
    return f"{told} {_CONTAINED} Each failure is contained by some limit."


_CONTAINED = "A check mark stands where a limit keeps it to what the workflow may cost as it is declared."
