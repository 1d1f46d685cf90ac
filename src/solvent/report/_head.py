"""
What a report begins and ends with: of what it is, how that ended, and how to see it again.
"""

import shlex
import signal
from datetime import UTC, datetime
from textwrap import wrap

from solvent._amounts import show_seconds
from solvent._limits import Scope
from solvent.report._pen import Pen
from solvent.report._records import Report

_ENDED = {
    "budget": "stopped by the budget",
    "deadline": "stopped at its deadline",
    "not_executable": "the command cannot be executed",
    "not_found": "the command was not found",
    "refusals": "20 refusals in a row",
}


def header(report: Report, pen: Pen, width: int, place: str | None = None) -> list[str]:
    """
    One line where it fits, else the run's name on lines of its own.

    Args:
        place: Where the ledger is, to say what all of it is.
    """
    again = f"opened {report.openings} times" if report.openings > 1 else ""
    time = show_seconds(report.elapsed_seconds) + (" in all" if again else "") if report.openings else ""
    runs = "" if report.openings or not report.runs else f"{report.runs:,} {'run' if report.runs == 1 else 'runs'}"
    since = f"since {_shown_since(report)} UTC" if report.hours else ""
    rest = [pen.plain(text) for text in (how_it_ended(report), again, time, runs, since) if text]
    whole = f"all of {place}" if report.scope is None and place else shown_name(report.scope)
    title, name = f"Solvent{pen.dot}", pen.plain(whole)
    if len(pen.dot.join([title + name, *rest])) <= width:
        return [pen.dot.join([pen.paint("bold", title + name), *rest])]
    return [pen.paint("bold", line) for line in wrap(title + name, width - 2, break_on_hyphens=False)] + pen.joined(
        rest, width - 2
    )


def how_it_ended(report: Report) -> str:
    """
    ``exited with 0``, ``stopped by the budget``, ``running``; of a block ``ended`` or ``ended by ValueError``; of what
    was never opened nothing.
    """
    if not report.openings and report.ended is None:
        return ""
    if report.ended is None:
        return report.state or "running, or killed"
    if not report.is_command:
        return "ended" if report.exit_reason in (None, "exited") else f"ended by {report.exit_reason}"
    if report.exit_reason == "signal" and report.exit_code is not None:
        return f"ended by {_signal(report.exit_code - 128)}"
    code = f" with {report.exit_code}" if report.exit_code is not None else ""
    return _ENDED.get(report.exit_reason or "", f"{report.exit_reason or 'ended'}{code}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def again(report: Report, pen: Pen, ledger: str | None, options: str = "") -> str:
    """
    The command that shows it again; of a ledger that ends with its process nothing.

    Args:
        options: Those of the view.
    """
    if ledger is not None and ledger.startswith("memory:"):
        return ""
    since = f" --since {_shown_since(report).replace(' ', 'T')}" if report.hours else ""
    place = f" --ledger {shlex.quote(ledger)}" if ledger else ""
    return f"see it again: solvent report{_selection(report.scope, pen)}{since}{options}{place}"


def _selection(scope: str | None, pen: Pen) -> str:
    if scope is None:
        return " --all"
    option = "--run" if scope.rpartition("/")[2].startswith("run:") else "--scope"
    return f" {option} {shlex.quote(pen.plain(shown_name(scope, bare=True)))}"


def _shown_since(report: Report) -> str:
    assert report.hours is not None
    return f"{datetime.fromtimestamp(report.hours[0] * 3_600, UTC):%Y-%m-%d %H:%M}"


def shown_name(scope: str | None, *, bare: bool = False) -> str:
    """
    ``run triage`` for ``run:triage``, bare ``triage``; the scope itself where the name alone would not be clear.
    """
    if scope is None:
        return "the whole ledger"
    (kind, name), *below = Scope.parse(scope).parts
    if below or kind != "run" or ":" in name or not name.isprintable():
        return scope
    return name if bare else f"run {name}"
