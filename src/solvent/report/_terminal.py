"""
A report as a picture for a terminal: what was spent of what limit, on which model, and what else happened.

Drawn by hand: rich alone would take 70 ms to import, and this stands at the end of every ``solvent run``.
"""

import os
import shlex
import signal
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import TextIO

from solvent._amounts import at_the_point, show_dollars, show_seconds
from solvent._limits import Scope
from solvent.report._limits import NAME_MIN, draw_limits
from solvent.report._pen import Pen, has_colors
from solvent.report._records import Report, Share, Use

WIDTH_PIPED = 80
WIDTH_MIN, WIDTH_MAX = 60, 120

_ENDED = {
    "budget": "stopped by the budget",
    "deadline": "stopped at its deadline",
    "not_executable": "the command cannot be executed",
    "not_found": "the command was not found",
    "refusals": "20 refusals in a row",
}
# Why a cost is a bound rather than a count, in words.
_ESTIMATED = {
    "choices": "of several choices",
    "client_gone": "left by the program",
    "cut": "cut off",
    "expired": "expired",
    "failed": "ended in an error",
    "price_unknown": "at an unknown price",
    "provider_error": "failed at the provider",
    "stopped": "ended at a deadline or with the run",
    "usage_absurd": "told an impossible usage",
    "usage_missing": "told no usage",
}
_COLUMNS = ("calls", "input", "cached", "output", "cost")
_LESS = ("cached", "input", "output")  # Columns to do without, the first one first.
# Why a request was turned away before it was a call, in words; other codes say it themselves.
_TURNED_AWAY = {
    "denied": "path not known",
    "invalid_json": "no JSON that can be read",
    "too_large": "too large",
}
_UNSENT = {
    "client_gone": "left by the program",
    "not_sent": "the provider was not reached",
}


def write(report: Report, stream: TextIO, *, environment: Mapping[str, str], ledger: str | None = None) -> None:
    """
    Draw a report on a stream: as wide as its terminal, in color only there, in the marks that its encoding knows.

    Args:
        environment: ``NO_COLOR``, ``TERM=dumb`` and ``COLUMNS`` are looked up here.
        ledger: The ledger's URL, if it must be named to see the report again.
    """
    columns = environment.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        width = int(columns)
    else:
        width = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else WIDTH_PIPED
    color = has_colors(stream, environment)
    stream.write(render(report, width=width, color=color, ascii=not _knows_marks(stream), ledger=ledger))
    stream.flush()


def _knows_marks(stream: TextIO) -> bool:
    # Not only the marks: names from outside may hold any character, and an encoding that knows all of them is a UTF.
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def render(
    report: Report,
    *,
    width: int,
    color: bool,
    ascii: bool = False,
    ledger: str | None = None,
    is_hooked: bool = True,
) -> str:
    """
    The picture as text that ends with a newline.

    Args:
        width: Columns to stay within; taken as at least 60 and at most 120.
        ascii: Draw with ASCII alone.
        ledger: The ledger's URL, if it must be named to see the report again.
        is_hooked: Calls of the program whose report it is are led to its budgets, as far as anyone knows.
    """
    pen = Pen(color=color, ascii=ascii)
    width = max(WIDTH_MIN, min(width, WIDTH_MAX))
    blocks = [
        _header(report, pen, width),
        draw_limits(report, pen, width - 2),
        _models(report, pen, width - 2) or _no_call(report, width - 2, is_hooked),
        _refused(report, pen, width - 2),
        _events(report, pen, width - 2),
        [pen.paint("dim", again)] if (again := _again(report, pen, ledger)) else [],
    ]
    lines = "\n\n".join("\n".join(f"  {line}" for line in block) for block in blocks if block)
    return f"\n{lines.removeprefix('  ')}\n"


def _header(report: Report, pen: Pen, width: int) -> list[str]:
    """
    One line where it fits, else the run's name on lines of its own.
    """
    again = f"opened {report.openings} times" if report.openings > 1 else ""
    time = show_seconds(report.elapsed_seconds) + (" in all" if again else "") if report.openings else ""
    rest = [pen.plain(text) for text in (how_it_ended(report), again, time) if text]
    title, name = f"Solvent{pen.dot}", pen.plain(shown_name(report.scope))
    if len(pen.dot.join([title + name, *rest])) <= width:
        return [pen.dot.join([pen.paint("bold", title + name), *rest])]
    return [pen.paint("bold", line) for line in wrap(title + name, width - 2)] + pen.joined(rest, width - 2)


def how_it_ended(report: Report) -> str:
    """
    ``exited with 0``, ``stopped by the budget``, ``running``; of a block ``ended`` or ``ended by ValueError``; of a run
    that was never opened nothing.
    """
    if report.ended is None:
        return (report.state or "running, or killed") if report.openings else ""
    if not report.is_command:
        return "ended" if report.exit_reason in (None, "exited") else f"ended by {report.exit_reason}"
    if report.exit_reason == "signal" and report.exit_code is not None:
        return f"ended by {_signal(report.exit_code - 128)}"
    code = f" with {report.exit_code}" if report.exit_code is not None else ""
    return _ENDED.get(report.exit_reason or "", f"{report.exit_reason or 'ended'}{code}")


def _models(report: Report, pen: Pen, width: int) -> list[str]:
    if not report.models:
        return []
    rows = [(pen.plain(model.model or "unknown"), _cells_of(model.use)) for model in report.models]
    if len(rows) > 1:
        rows.append(("total", _cells_of(report.total)))
    cells = {title: [title, *(row[title] for _, row in rows)] for title in _COLUMNS}
    cells["cost"][1:] = at_the_point(cells["cost"][1:])
    widths = {title: max(map(len, column)) for title, column in cells.items()}
    for title in _LESS:  # What a narrow terminal has no room for.
        if width - sum(widths.values()) - 2 * len(widths) < NAME_MIN:
            del widths[title]
    room = width - sum(widths.values()) - 2 * len(widths)
    names = ["model", *(name for name, _ in rows)]
    name_width = max(min(max(map(len, names)), room), NAME_MIN)
    numbers = ["".join(f"  {cells[title][i]:>{widths[title]}}" for title in widths) for i in range(len(names))]
    lines = [
        f"{pen.cut(name, name_width):<{name_width}}{row}".rstrip() for name, row in zip(names, numbers, strict=True)
    ]
    if len(rows) > 1:
        lines[-1] = pen.paint("bold", lines[-1])
    return [pen.paint("dim", lines[0]), *lines[1:]]


def _no_call(report: Report, width: int, is_hooked: bool) -> list[str]:
    """
    That nothing was asked for here, which a program whose calls were refused did; and what may have gone past.
    """
    if report.refused or report.released or report.open.count or report.turned_away:
        return []
    past = "" if is_hooked else "without solvent.install() calls go past it"
    if report.is_command:
        started = report.exit_reason not in ("not_executable", "not_found")
        past = "calls to an address in its own code go past" if started else ""
    return wrap(f"no model call was seen{f' ({past})' if past else ''}", width)


def _cells_of(use: Use) -> dict[str, str]:
    counts = [use.calls, *(use.tokens.get(f"{name}_tokens", 0) for name in ("input", "cache_read", "output"))]
    cost = "unpriced" if use.unpriced == use.calls else show_dollars(use.cost_nanodollars)
    return dict(zip(_COLUMNS, (*(f"{count:,}" for count in counts), cost), strict=True))


def _refused(report: Report, pen: Pen, width: int) -> list[str]:
    if not report.refused:
        return []
    lines = [pen.paint("red", _counted(report.refusals, "call refused", "calls refused"))]
    digits = max(len(f"{refused.count:,}") for refused in report.refused)
    for refused in report.refused:
        headline = (refused.reason or "").partition("\n")[0] or refused.model or ""
        text = pen.plain(f"{refused.code.replace('_', ' ')}: {headline}")
        first = f"  {refused.count:>{digits},} {pen.times} "
        lines += wrap(text, width, initial_indent=first, subsequent_indent=" " * len(first))
    return lines


def _events(report: Report, pen: Pen, width: int) -> list[str]:
    seen = (
        (report.before.calls, f"made before this opening: {show_dollars(report.before.cost_nanodollars)}"),
        (report.rungs.get("degrade", 0), "made with another model"),
        (report.rungs.get("shrink", 0), "given an output cap to fit"),
        (report.rungs.get("wait", 0), "waited for room"),
        *_passed(report),
        (report.rungs.get("store_down", 0), "made while the ledger was away"),
        (report.total.unpriced, "of unknown cost"),
        (sum(report.failed.values()), f"failed at the provider ({_by_count(report.failed, {}, pen)})"),
        *(
            (share.count, _with(f"booked at the most it could cost ({_ESTIMATED.get(reason, reason)})", share))
            for reason, share in _estimated(report)
        ),
        (report.expired.count, _with("expired, charged in full", report.expired)),
        (report.corrected, "corrected after expiring"),
        (report.overruns.count, _with("above what was reserved, by", report.overruns, joint=" ")),
        (report.open.count, _with("still open, reserved", report.open, joint=" ")),
        (report.released, f"never sent ({_by_count(report.unsent, _UNSENT, pen)})".replace(" ()", "")),
    )
    told = [pen.plain(f"{count:,} {text}") for count, text in seen if count]
    if report.turned_away:
        count = _counted(sum(report.turned_away.values()), "request", "requests")
        told.append(pen.plain(f"{count} turned away ({_by_count(report.turned_away, _TURNED_AWAY, pen)})"))
    return [line for part in pen.joined(told, width) for line in wrap(part, width)]


def _passed(report: Report) -> Iterator[tuple[int, str]]:
    """
    How often which limit was passed that does not block.
    """
    for rung, count in report.rungs.items():
        on_exceed, _, meter = rung.partition(" ")
        if on_exceed in ("warn", "log"):
            what = "were loops" if meter == "same_call" else f"passed the limit of {meter.replace('_', ' ')}"
            yield count, f"{what} ({on_exceed})"


def _by_count(counts: Mapping[str, int], words: Mapping[str, str], pen: Pen) -> str:
    """
    ``path not known``, or ``2 × path not known, 1 × no JSON``.
    """
    named = {words.get(name, name.replace("_", " ")): count for name, count in counts.items()}
    if len(named) < 2:
        return "".join(named)
    return ", ".join(f"{count:,} {pen.times} {name}" for name, count in named.items())


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _estimated(report: Report) -> list[tuple[str, Share]]:
    return [(reason, share) for reason, share in report.estimated.items() if reason != "expired"]


def _with(text: str, share: Share, *, joint: str = ": ") -> str:
    return f"{text}{joint}{show_dollars(share.nanodollars)}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _again(report: Report, pen: Pen, ledger: str | None) -> str:
    if ledger is not None and ledger.startswith("memory:"):
        return ""
    place = f" --ledger {shlex.quote(ledger)}" if ledger else ""
    return f"see it again: solvent report --run {shlex.quote(pen.plain(shown_name(report.scope, bare=True)))}{place}"


def shown_name(scope: str | None, *, bare: bool = False) -> str:
    """
    ``run triage`` for ``run:triage``, bare ``triage``; the scope itself where the name alone would not be clear.
    """
    if scope is None:
        return "all runs"
    (kind, name), *below = Scope.parse(scope).parts
    if below or kind != "run" or ":" in name or not name.isprintable():
        return scope
    return name if bare else f"run {name}"
