"""
A forecast as a picture for a terminal.
"""

from collections.abc import Sequence
from textwrap import wrap

from solvent.forecast._forecast import Forecast, Spread
from solvent.forecast.report import _figures as figures
from solvent.forecast.report._terminal_histogram import histogram
from solvent.forecast.report._words import largest, month, month_doubt, sentence, sureness
from solvent.report._columns import Column, table
from solvent.report._pen import Pen

_MARGIN = 2
NODES_MAX = 24  # Of a workflow with more, those with the largest shares are drawn.
_BAR = 12
_LEAST_BAR = 6
_NARROW = 100


def draw_forecast(forecast: Forecast, pen: Pen, width: int) -> list[str]:
    """
    The lines of the picture, each within so many columns.
    """
    inner = width - _MARGIN
    head = f"Solvent{pen.dot}forecast of {pen.plain(forecast.workflow.name)}"
    return framed(
        [
            [pen.paint("bold", pen.cut(head, inner))],
            [pen.paint("bold", line) for line in wrapped(sentence(forecast), pen, inner)],
            _spreads(forecast, pen, inner),
            histogram(forecast, pen, inner),
            _nodes(forecast, pen, inner),
            _month(forecast, pen, inner),
            [line for said in sureness(forecast) for line in wrapped(said, pen, inner)],
        ]
    )


def framed(blocks: Sequence[Sequence[str]]) -> list[str]:
    """
    Blocks below one another, an empty line before each, and a margin to their left.
    """
    return [line for block in blocks if block for line in ("", *(f"{' ' * _MARGIN}{line}" for line in block))]


def wrapped(text: str, pen: Pen, width: int) -> list[str]:
    return wrap(pen.plain(text), width, break_on_hyphens=False)


def _spreads(forecast: Forecast, pen: Pen, width: int) -> list[str]:
    rows = [("cost", [figures.usd(one) for one in _all_of(forecast.cost_usd)])]
    rows += [
        (name, [figures.count(one) for one in _all_of(spread)])
        for name, spread in (("tokens", forecast.tokens), ("calls", forecast.calls))
    ]
    if forecast.seconds.p999:  # Else nobody said how long anything takes.
        rows.append(("time", [figures.seconds(one) if one is not None else "" for one in _all_of(forecast.seconds)]))
    titles = ("mean", "p50", "p90", "p95", "p99", "p99.9", "worst")
    columns = [Column(title="of one run", cells=[name for name, _ in rows], is_right=False)]
    columns += [
        Column(title=title, cells=[cells[place] for _, cells in rows], least=_LEAST.get(title, 0))
        for place, title in enumerate(titles)
    ]
    return table(columns, pen, width)


_LEAST = {"p90": 2, "p99.9": 1}  # Done without on a narrow terminal.


def _all_of(spread: Spread) -> tuple[float | None, ...]:
    return (spread.mean, spread.p50, spread.p90, spread.p95, spread.p99, spread.p999, spread.worst)


def _nodes(forecast: Forecast, pen: Pen, width: int) -> list[str]:
    nodes, left_out = largest(forecast.nodes, NODES_MAX)
    if not nodes:
        return []
    bar = _BAR if width >= _NARROW else _LEAST_BAR
    columns = [
        Column(title="where it goes", cells=[pen.plain(node.path) for node in nodes], is_name=True, room=24),
        Column(title="model", cells=[pen.plain(node.model or "") for node in nodes], is_name=True, room=8, least=3),
        Column(title="calls", cells=[figures.count(node.calls) if node.calls else "" for node in nodes], least=2),
        Column(title="mean", cells=[figures.usd(node.mean_usd) for node in nodes]),
        *_shares("of the mean", [node.share for node in nodes], bar, pen),
        *_shares("of dearest 1 %", [node.share_of_dearest for node in nodes], bar, pen),
        Column(title="worst", cells=[figures.usd(node.worst_usd) for node in nodes], least=1),
    ]
    lines = table(columns, pen, width)
    if left_out:
        rest = 1 - sum(node.share for node in nodes)
        lines.append(pen.paint("dim", f"{left_out} more, {figures.share(max(rest, 0.0))} of the mean (--json has all)"))
    return lines


def _shares(title: str, parts: Sequence[float], bar: int, pen: Pen) -> list[Column]:
    """
    A share and its bar, in one column.
    """
    cells = [f"{figures.share(part):>5} {_bar(part, bar, pen):<{bar}}" for part in parts]
    return [Column(title=title, cells=cells, is_right=False)]


def _bar(part: float, width: int, pen: Pen) -> str:
    """
    To an eighth of a character, where there are such marks.
    """
    if pen.ascii:
        return "#" * round(part * width)
    eighths = round(min(max(part, 0.0), 1.0) * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _month(forecast: Forecast, pen: Pen, width: int) -> list[str]:
    if forecast.month is None:
        return []
    return wrapped(f"{month(forecast.month)} {month_doubt(forecast.month)}", pen, width)
