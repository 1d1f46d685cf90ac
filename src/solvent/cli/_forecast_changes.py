"""
Two forecasts side by side, drawn for people.
"""

from collections.abc import Callable, Mapping, Sequence

from solvent.cli._tables import fitted, wrapped
from solvent.forecast._diff import MONTH, Change, Condition
from solvent.forecast._forecast import Forecast
from solvent.forecast.report._figures import change, count, seconds, usd
from solvent.report._pen import Pen

_ROWS = {
    "cost of a run": "cost_usd",
    "tokens": "tokens",
    "calls": "calls",
    "seconds": "seconds",
}
_FIGURES = {"mean": "mean", "p50": "p50", "p95": "p95", "p99": "p99", "p99.9": "p999", "worst": "worst"}
_SHOWN: Mapping[str, Callable[[float], str]] = {
    "cost_usd": usd,
    "tokens": count,
    "calls": count,
    "seconds": seconds,
    MONTH: usd,
}


def draw_changes(
    found: Mapping[str, Change],
    met: Sequence[Condition],
    old: Forecast,
    new: Forecast,
    what: str,
    pen: Pen,
    width: int | None,
) -> list[str]:
    rows = [["", "figure", "old", "new", "change"]]
    for name, of in _ROWS.items():
        changes = {figure: found[f"{of}.{key}"] for figure, key in _FIGURES.items()}
        if all(not one.old and not one.new for one in changes.values()):
            continue
        if of == "seconds":
            del changes["worst"]  # Nobody knows one.
        for number, (figure, one) in enumerate(changes.items()):
            rows.append(["" if number else name, figure, *_cells(of, one)])
    month = found[MONTH]
    if month.old is not None or month.new is not None:
        rows.append(["month", "mean", *_cells("cost_usd", month)])
    lines = [*wrapped(pen.plain(f"{old.workflow.source} and {what}"), width), ""]
    lines += fitted(rows, right=(2, 3), width=width)
    engines = {old.engine, new.engine}
    if engines == {"exact"}:
        lines += ["", "cost, tokens and calls by the exact engine; seconds simulated"]
    else:
        lines += ["", f"{new.why}; the same draws for both"]
    for condition in met:
        one = found[condition.figure]
        old_cell, new_cell, _ = _cells(condition.figure.partition(".")[0], one)
        lines.append(pen.paint("red", f"failed: {condition.text} (it was {old_cell}, and is {new_cell})"))
    return lines


def _cells(of: str, one: Change) -> tuple[str, str, str]:
    none = "not said" if one.figure == MONTH else "no max"
    old, new = (none if value is None else _SHOWN[of](value) for value in (one.old, one.new))
    return old, new, "" if one.figure == MONTH and None in (one.old, one.new) else _told(one)


def _told(one: Change) -> str:
    if one.old is not None and one.new is None:
        return "lost its max"
    if one.old is None and one.new is not None:
        return "has one now"
    if one.relative is None:
        return "" if one.old is None else "new"
    return "" if one.relative == 0 else change(one.relative)
