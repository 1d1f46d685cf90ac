"""
A histogram in characters: how many runs cost how much, on a logarithmic axis.
"""

from collections.abc import Sequence

from solvent.forecast._chances import Floats
from solvent.forecast._forecast import Forecast
from solvent.forecast.report._figures import share, usd
from solvent.forecast.report._range import Reach, for_nothing, reach, round_amounts, round_usd, shares
from solvent.report._pen import Pen

HEIGHT = 5
WIDTH_MAX = 96
_TICK_ROOM = 12  # Columns that a round amount takes, with some between it and the next one.
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_HALVES = " .:"


def histogram(forecast: Forecast, pen: Pen, width: int) -> list[str]:
    """
    Its lines, nothing where no run costs anything.
    """
    cost = forecast.cost_usd
    axis = reach(forecast)
    if axis is None:
        return []
    columns = min(width, WIDTH_MAX)
    title = "runs by cost, on a logarithmic axis"
    if none := for_nothing(forecast):
        title = f"{title}; {share(none)} cost nothing"
    marks = {"p50": cost.p50, "p95": cost.p95, "p99": cost.p99, "p99.9": cost.p999, "p90": cost.p90}
    return [
        pen.paint("dim", title),
        *_columns(shares(forecast, axis.edges(columns)), pen),
        _ground(axis, columns, pen),
        pen.paint("dim", _labels([(round_usd(one), one) for one in _ticks(axis, columns)], axis, columns)[0]),
        *_marked([(f"{name} {usd(amount)}", amount) for name, amount in marks.items() if amount], axis, columns, pen),
    ]


def _columns(parts: Floats, pen: Pen) -> list[str]:
    """
    Columns of so many lines; what is there at all is seen.
    """
    marks = _HALVES if pen.ascii else _EIGHTHS
    steps = len(marks) - 1
    top = float(parts.max())
    heights = [max(round(float(part) / top * HEIGHT * steps), 1 if part > 1e-6 else 0) for part in parts]
    lines = []
    for line in reversed(range(HEIGHT)):
        lines.append("".join(marks[min(max(height - line * steps, 0), steps)] for height in heights).rstrip())
    return [line for line in lines if line]


def _ticks(axis: Reach, columns: int) -> list[float]:
    return round_amounts(axis, columns // _TICK_ROOM)


def _ground(axis: Reach, columns: int, pen: Pen) -> str:
    line, tick = ("-", "+") if pen.ascii else ("─", "┬")
    places = {_place(amount, axis, columns) for amount in _ticks(axis, columns)}
    return "".join(tick if place in places else line for place in range(columns))


def _place(amount: float, axis: Reach, columns: int) -> int:
    return min(int(axis.at(amount) * columns), columns - 1)


def _labels(texts: Sequence[tuple[str, float]], axis: Reach, columns: int) -> tuple[str, list[float]]:
    """
    Texts below their amounts, and the amounts of those for which there is room; the first ones come before others.
    """
    line, shown = " " * columns, []
    for text, amount in texts:
        begin = max(0, min(_place(amount, axis, columns) - len(text) // 2, columns - len(text)))
        if not line[max(begin - 2, 0) : begin + len(text) + 2].strip():
            line = line[:begin] + text + line[begin + len(text) :]
            shown.append(amount)
    return line.rstrip(), shown


def _marked(texts: Sequence[tuple[str, float]], axis: Reach, columns: int, pen: Pen) -> list[str]:
    """
    A line of signs that point at amounts, and their texts.
    """
    line, shown = _labels(texts, axis, columns)
    places = {_place(amount, axis, columns) for amount in shown}
    sign = "^" if pen.ascii else "▲"
    return ["".join(sign if place in places else " " for place in range(columns)).rstrip(), line]
