"""
A report as a picture for a terminal: what was spent of what limit, on which model, and what else happened.

Drawn by hand: rich alone would take 70 ms to import, and this stands at the end of every ``solvent run``.
"""

import os
from collections.abc import Callable, Mapping
from textwrap import wrap
from typing import TextIO

from solvent._amounts import show_dollars
from solvent.report import _happened as happened
from solvent.report._columns import Column, table
from solvent.report._head import again, header
from solvent.report._limits import draw_limits
from solvent.report._pen import Pen, has_colors
from solvent.report._records import Report, Use

WIDTH_PIPED = 80
WIDTH_MIN, WIDTH_MAX = 60, 120
_HINT = "where it went: --tree, --by model,agent; call by call: --trace"

Blocks = list[list[str]]
Picture = Callable[[Report, Pen, int], Blocks]


def write(
    report: Report,
    stream: TextIO,
    *,
    environment: Mapping[str, str],
    ledger: str | None = None,
    picture: Picture | None = None,
    place: str | None = None,
    options: str = "",
) -> None:
    """
    Draw a report on a stream: as wide as its terminal, in color only there, in the marks that its encoding knows.

    Args:
        environment: ``NO_COLOR``, ``TERM=dumb`` and ``COLUMNS`` are looked up here.
        ledger: The ledger's URL, if it must be named to see the report again.
        picture: What is drawn between the first line and the last; without it, all that a run is asked for.
        place: Where the ledger is, for a report that was asked for: it then says what else can be asked.
        options: Those of the picture.
    """
    pen, width = pen_of(stream, environment)
    stream.write(
        render(
            report,
            width=width,
            color=pen.color,
            ascii=pen.ascii,
            ledger=ledger,
            picture=picture,
            place=place,
            options=options,
        )
    )
    stream.flush()


def pen_of(stream: TextIO, environment: Mapping[str, str]) -> tuple[Pen, int]:
    """
    How to draw on a stream, and in how many columns.
    """
    columns = environment.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        width = int(columns)
    else:
        width = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else WIDTH_PIPED
    return Pen(color=has_colors(stream, environment), ascii=not _knows_marks(stream)), width


def _knows_marks(stream: TextIO) -> bool:
    # Not only the marks: names from outside may hold any character, and an encoding that knows all of them is a UTF.
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def within(width: int) -> int:
    return max(WIDTH_MIN, min(width, WIDTH_MAX))


def render(
    report: Report,
    *,
    width: int,
    color: bool,
    ascii: bool = False,
    ledger: str | None = None,
    is_hooked: bool = True,
    picture: Picture | None = None,
    place: str | None = None,
    options: str = "",
) -> str:
    """
    The picture as text that ends with a newline.

    Args:
        width: Columns to stay within; taken as at least 60 and at most 120.
        ascii: Draw with ASCII alone.
        ledger, picture, place, options: As in ``write``.
        is_hooked: Calls of the program whose report it is are led to its budgets, as far as anyone knows.
    """
    pen, width = Pen(color=color, ascii=ascii), within(width)
    between = picture(report, pen, width - 2) if picture else _overview(report, pen, width - 2, is_hooked)
    see = again(report, pen, ledger, options)
    hint = _HINT if see and place and picture is None and report.total.calls else ""
    last = [*([see] if see else ()), *wrap(hint, width - 2)]  # What is pasted stands on one line.
    blocks = [
        header(report, pen, width, place),
        *between,
        [pen.paint("dim", line) for line in last],
    ]
    lines = "\n\n".join("\n".join(f"  {line}" for line in block) for block in blocks if block)
    return f"\n{lines.removeprefix('  ')}\n"


def _overview(report: Report, pen: Pen, width: int, is_hooked: bool) -> Blocks:
    return [
        draw_limits(report, pen, width),
        _models(report, pen, width) or _no_call(report, width, is_hooked),
        happened.refusals(report, pen, width),
        happened.ladder(report, pen, width),
        happened.doubts(report, pen, width),
        happened.events(report, pen, width),
    ]


def _models(report: Report, pen: Pen, width: int) -> list[str]:
    if not report.models:
        return []
    uses = [(pen.plain(model.model or "unknown"), model.use) for model in report.models]
    if len(uses) > 1:
        uses.append(("total", report.total))
    names = Column(title="model", cells=[name for name, _ in uses], is_name=True)
    lines = table([names, *use_columns([use for _, use in uses])], pen, width)
    if len(uses) > 1:
        lines[-1] = pen.paint("bold", lines[-1])
    return lines


def use_columns(uses: list[Use]) -> list[Column]:
    """
    Calls, tokens and cost; on a narrow terminal those of tokens are done without, cached ones first.
    """
    counts = (("calls", 0), ("input", 3), ("cached", 4), ("output", 2))
    tokens = {"input": "input_tokens", "cached": "cache_read_tokens", "output": "output_tokens"}
    columns = [
        Column(
            title=title,
            cells=[f"{use.tokens.get(tokens[title], 0) if title in tokens else use.calls:,}" for use in uses],
            least=least,
        )
        for title, least in counts
    ]
    return [*columns, Column(title="cost", cells=[shown_cost(use) for use in uses])]


def shown_cost(use: Use) -> str:
    return "unpriced" if use.calls and use.unpriced == use.calls else show_dollars(use.cost_nanodollars)


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
