"""
A report as a picture for a terminal: what was spent of what limit, on which model, and what else happened.

Drawn by hand: rich alone would take 70 ms to import, and this stands at the end of every ``solvent run``.
"""

import os
import shlex
import signal
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import TextIO

from msgspec import Struct

from solvent._amounts import show_dollars, show_seconds
from solvent._limits import GAUGES, Scope
from solvent._printable import printable
from solvent._records import Balance
from solvent.report._records import Report, Share, Use

# A program that has its provider's address written into it goes past the gateway, and is not seen.
_NO_CALL = "no model call came by (a program finds Solvent by OPENAI_BASE_URL and its kin)"
WIDTH_PIPED = 80
WIDTH_MIN, WIDTH_MAX = 60, 120
BAR_MIN, BAR_MAX = 8, 40
NAME_MIN = 6

_ENDED = {
    "budget": "stopped by the budget",
    "deadline": "stopped at its deadline",
    "not_executable": "the command cannot be executed",
    "not_found": "the command was not found",
    "refusals": "ended after 20 refusals in a row",
}
# Why a cost is a bound rather than a count, in words.
_ESTIMATED = {
    "choices": "of several choices",
    "client_gone": "left by the program",
    "cut": "cut off",
    "expired": "expired",
    "price_unknown": "at an unknown price",
    "provider_error": "failed at the provider",
    "stopped": "ended with the run",
    "usage_absurd": "told an impossible usage",
    "usage_missing": "told no usage",
}
_COLORS = {"bold": "1", "dim": "2", "green": "32", "red": "31", "yellow": "33"}
_COLUMNS = ("calls", "input", "cached", "output", "cost")


class _Pen(Struct, frozen=True, kw_only=True):
    """
    The marks and colors to draw with.
    """

    color: bool
    ascii: bool

    def paint(self, color: str, text: str) -> str:
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self.color and text else text

    def plain(self, text: str) -> str:
        """
        Text from outside, such as a model's name, that can neither steer the terminal nor fail to be written.
        """
        clean = printable(text)
        return clean.encode("ascii", "replace").decode() if self.ascii else clean

    @property
    def dot(self) -> str:
        return " - " if self.ascii else " · "

    @property
    def times(self) -> str:
        return "x" if self.ascii else "×"

    def cut(self, text: str, width: int) -> str:
        ellipsis = "..." if self.ascii else "…"
        return text if len(text) <= width else text[: width - len(ellipsis)] + ellipsis


def write(report: Report, stream: TextIO, *, environment: Mapping[str, str], ledger: str | None = None) -> None:
    """
    Draw a report on a stream: as wide as its terminal, in color only there, in the marks that its encoding knows.

    Args:
        environment: ``NO_COLOR``, ``TERM=dumb`` and ``COLUMNS`` are looked up here.
        ledger: The ledger's URL, if it must be named to see the report again.
    """
    is_terminal = stream.isatty()
    color = is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    columns = environment.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        width = int(columns)
    else:
        width = os.get_terminal_size(stream.fileno()).columns if is_terminal else WIDTH_PIPED
    stream.write(render(report, width=width, color=color, ascii=not _knows_marks(stream), ledger=ledger))
    stream.flush()


def _knows_marks(stream: TextIO) -> bool:
    # Not only the marks: names from outside may hold any character, and an encoding that knows all of them is a UTF.
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def render(report: Report, *, width: int, color: bool, ascii: bool = False, ledger: str | None = None) -> str:
    """
    The picture as text that ends with a newline.

    Args:
        width: Columns to stay within; taken as at least 60 and at most 120.
        ascii: Draw with ASCII alone.
        ledger: The ledger's URL, if it must be named to see the report again.
    """
    pen = _Pen(color=color, ascii=ascii)
    width = max(WIDTH_MIN, min(width, WIDTH_MAX))
    blocks = [
        [_header(report, pen, width)],
        _limits(report, pen, width - 2),
        _models(report, pen, width - 2) or _no_call(report),
        _refused(report, pen, width - 2),
        _events(report, pen, width - 2),
        [pen.paint("dim", again)] if (again := _again(report, pen, ledger)) else [],
    ]
    lines = "\n\n".join("\n".join(f"  {line}" for line in block) for block in blocks if block)
    return f"\n{lines.removeprefix('  ')}\n"


def _header(report: Report, pen: _Pen, width: int) -> str:
    if report.ended is None:
        end = "running, or killed" if report.openings else ""
    else:
        code = f" with {report.exit_code}" if report.exit_code is not None else ""
        end = _ENDED.get(report.exit_reason or "", f"{report.exit_reason or 'ended'}{code}")
        if report.exit_reason == "signal" and report.exit_code is not None:
            end = f"ended by {_signal(report.exit_code - 128)}"
    again = f"opened {report.openings} times" if report.openings > 1 else ""
    time = show_seconds(report.elapsed_seconds) if report.openings else ""
    rest = pen.dot.join(["", *filter(None, (pen.plain(end), again, time))])
    name = pen.cut(pen.plain(_shown_name(report.scope)), width - len(rest) - len("Solvent") - len(pen.dot))
    return pen.paint("bold", f"Solvent{pen.dot}{name}") + rest


def _limits(report: Report, pen: _Pen, width: int) -> list[str]:
    # A gauge says something only while a call is open.
    shown = [
        balance
        for balance in report.limits
        if balance.limit is not None and (balance.account.meter not in GAUGES or balance.reserved)
    ]
    if not shown:
        return []
    names = [pen.plain(_limit_name(balance, report.scope)) for balance in shown]
    margins = len("    100 %  ")
    texts = [pen.cut(_amounts(balance), width - margins - BAR_MIN - NAME_MIN) for balance in shown]
    room = width - margins - max(map(len, texts))
    name_width = min(max(map(len, names)), max(room - BAR_MIN, NAME_MIN))
    bar_width = max(BAR_MIN, min(room - name_width, BAR_MAX))
    return [
        f"{pen.cut(name, name_width):<{name_width}}  {_bar(balance, bar_width, pen)}  {_percent(balance):>5}  {text}"
        for name, text, balance in zip(names, texts, shown, strict=True)
    ]


def _bar(balance: Balance, width: int, pen: _Pen) -> str:
    assert balance.limit is not None
    used = _cells(balance.spent + balance.reserved, balance.limit, width)
    spent = min(_cells(balance.spent, balance.limit, width), used)
    spent -= bool(balance.reserved and spent == used and used > 1)  # A cell at least for what is reserved.
    full, held, free = "#+." if pen.ascii else "█▒░"
    near = balance.spent * 10 >= balance.limit * 8
    over = balance.spent >= balance.limit
    color = "red" if over else "yellow" if near else "green"
    return (
        pen.paint(color, full * spent)
        + pen.paint("yellow", held * (used - spent))
        + pen.paint("dim", free * (width - used))
    )


def _cells(amount: int, limit: int, width: int) -> int:
    """
    Something is never drawn as nothing, nor nearly all as all.
    """
    if amount >= limit:
        return width if amount else 0
    return max(1, amount * width // limit) if amount else 0


def _percent(balance: Balance) -> str:
    assert balance.limit is not None
    if balance.spent >= balance.limit * 10:
        return "over" if balance.spent else ""
    percent = balance.spent * 100 // balance.limit
    return "<1 %" if balance.spent and not percent else f"{percent} %"


def _amounts(balance: Balance) -> str:
    meter = balance.account.meter
    assert balance.limit is not None
    text = f"{_amount(meter, balance.spent)} of {_amount(meter, balance.limit)}"
    if balance.reserved:
        text += f", {_amount(meter, balance.reserved)} reserved"
    return text


def _amount(meter: str, amount: int) -> str:
    return show_dollars(amount) if meter == "usd" else f"{amount:,}"


def _limit_name(balance: Balance, scope: str) -> str:
    account = balance.account
    per = f" per {account.window.partition('@')[0]}" if account.window else ""
    whose = "" if account.scope == scope else f"{account.scope.removeprefix(f'{scope}/')} "
    return f"{whose}{account.meter.replace('_', ' ')}{per}"


def _models(report: Report, pen: _Pen, width: int) -> list[str]:
    if not report.models:
        return []
    rows = [(pen.plain(model.model or "unknown"), _cells_of(model.use)) for model in report.models]
    if len(rows) > 1:
        rows.append(("total", _cells_of(report.total)))
    columns = [max(len(title), *(len(cells[i]) for _, cells in rows)) for i, title in enumerate(_COLUMNS)]
    room = width - sum(columns) - 2 * len(columns)
    name_width = max(min(max(len(name) for name, _ in rows), room), NAME_MIN)

    def line(name: str, cells: Sequence[str]) -> str:
        numbers = "".join(f"  {cell:>{columns[i]}}" for i, cell in enumerate(cells))
        return f"{pen.cut(name, name_width):<{name_width}}{numbers}"

    body = [line(name, cells) for name, cells in rows]
    if len(rows) > 1:
        body[-1] = pen.paint("bold", body[-1])
    return [pen.paint("dim", line("model", _COLUMNS)), *body]


def _no_call(report: Report) -> list[str]:
    """
    The warning that the program asked for nothing here, which a program whose calls were refused did.
    """
    return [] if report.refused or report.released or report.open.count else [_NO_CALL]


def _cells_of(use: Use) -> tuple[str, ...]:
    counts = [use.calls, *(use.tokens.get(f"{name}_tokens", 0) for name in ("input", "cache_read", "output"))]
    cost = "unpriced" if use.unpriced == use.calls else show_dollars(use.cost_nanodollars)
    return (*(f"{count:,}" for count in counts), cost)


def _refused(report: Report, pen: _Pen, width: int) -> list[str]:
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


def _events(report: Report, pen: _Pen, width: int) -> list[str]:
    seen = (
        (report.before.calls, f"made before this opening: {show_dollars(report.before.cost_nanodollars)}"),
        (report.rungs.get("degrade", 0), "made with another model"),
        (report.rungs.get("shrink", 0), "given an output cap to fit"),
        (report.rungs.get("wait", 0), "waited for room"),
        (report.rungs.get("warn", 0) + report.rungs.get("log", 0), "passed a limit that does not block"),
        (report.rungs.get("store_down", 0), "made while the ledger was away"),
        (report.total.unpriced, "of unknown cost"),
        *(
            (share.count, _with(f"booked at the most it could cost ({_ESTIMATED.get(reason, reason)})", share))
            for reason, share in _estimated(report)
        ),
        (report.expired.count, _with("expired, charged in full", report.expired)),
        (report.corrected, "corrected after expiring"),
        (report.overruns.count, _with("above what was reserved, by", report.overruns, joint=" ")),
        (report.open.count, _with("still open, reserved", report.open, joint=" ")),
        (report.released, "never sent"),
    )
    return _joined((pen.plain(f"{count:,} {text}") for count, text in seen if count), pen, width)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _estimated(report: Report) -> list[tuple[str, Share]]:
    return [(reason, share) for reason, share in report.estimated.items() if reason != "expired"]


def _with(text: str, share: Share, *, joint: str = ": ") -> str:
    return f"{text}{joint}{show_dollars(share.nanodollars)}"


def _joined(parts: Iterable[str], pen: _Pen, width: int) -> list[str]:
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(pen.dot) + len(part) <= width:
            lines[-1] += pen.dot + part
        else:
            lines.append(part)
    return lines


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _again(report: Report, pen: _Pen, ledger: str | None) -> str:
    if ledger is not None and ledger.startswith("memory:"):
        return ""
    place = f" --ledger {shlex.quote(ledger)}" if ledger else ""
    return f"see it again: solvent report --run {shlex.quote(pen.plain(_shown_name(report.scope, bare=True)))}{place}"


def _shown_name(scope: str, *, bare: bool = False) -> str:
    """
    ``run triage`` for ``run:triage``, bare ``triage``; the scope itself where the name alone would not be clear.
    """
    (kind, name), *below = Scope.parse(scope).parts
    if below or kind != "run" or ":" in name or not name.isprintable():
        return scope
    return name if bare else f"run {name}"
