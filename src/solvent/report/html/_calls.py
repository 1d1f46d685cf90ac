"""
The table of calls: what each did cost, and what is worth knowing of it.
"""

from collections.abc import Sequence

from solvent._amounts import show_dollars
from solvent.report._happened import ESTIMATED, counted
from solvent.report._records import Report
from solvent.report.html._axis import moment
from solvent.report.html._journal import LAST, Call, Journal
from solvent.report.html._markup import NOTHING, Html, column_of_money, element, join, name
from solvent.report.html._table import NONE, Column, count, mark, table

ALL_MAX = 500
DEAREST = 200
_COLUMNS = (
    Column("time (UTC)", "t"),
    Column("scope", "name"),
    Column("model", "model"),
    Column("cost", "n"),
    Column("total", "n"),
    Column("input", "n"),
    Column("cached", "n", is_lesser=True),
    Column("output", "n"),
    Column("marks", "say"),
)


def calls(report: Report, journal: Journal, again: str) -> Html:
    """
    All calls, or of many the dearest and the last.

    Args:
        again: The command that lists all of them, where there is one.
    """
    if not report.total.calls and not journal.calls:
        return NOTHING
    totals = _totals(report, journal)
    every = list(zip(journal.calls, totals, strict=True))
    if journal.is_whole and len(every) <= ALL_MAX:
        corrections = sum(call.kind == "correct" for call in journal.calls)
        and_these = f" and {counted(corrections, 'correction', 'corrections')}" if corrections else ""
        made = counted(len(every) - corrections, "call", "calls")
        return _table(f"{made}{and_these}, by when they ended", every, report)
    dearest = sorted(every, key=lambda one: -(one[0].booked or 0))[:DEAREST] if journal.is_whole else []
    last = every[-LAST:]
    listed = len({call.id for call, _ in (*dearest, *last)})
    text = f"Of {counted(report.total.calls, 'call', 'calls')} {report.total.calls - listed:,} are not listed here"
    line = element("p", text, *(["; all of them: ", element("code", again)] if again else []), ".")
    tables = ((f"The {len(dearest)} dearest calls", dearest), (f"The last {len(last)} calls", last))
    return join(line, *(_table(caption, some, report) for caption, some in tables if some))


def _totals(report: Report, journal: Journal) -> list[int]:
    """
    What was spent by the end of each call; counted back from the sum where only the last calls are known.
    """
    booked = [call.booked or 0 for call in journal.calls]
    total = 0 if journal.is_whole else report.total.cost_nanodollars - sum(booked)
    totals = []
    for amount in booked:
        total += amount
        totals.append(total)
    return totals


def _table(caption: str, shown: Sequence[tuple[Call, int]], report: Report) -> Html:
    """
    The day stands in the caption where it is one for all.
    """
    days = {moment(call.at)[:10] for call, _ in shown}
    on = f", on {min(days)}" if len(days) == 1 else ""
    return table(f"{caption}{on}", _COLUMNS, _rows(shown, report, is_dated=len(days) > 1))


def _rows(shown: Sequence[tuple[Call, int]], report: Report, *, is_dated: bool) -> list[list[str]]:
    rows = []
    costs = column_of_money([call.booked for call, _ in shown])
    totals = column_of_money([total for _, total in shown])
    for (call, _), cost, total in zip(shown, costs, totals, strict=True):
        usage = call.usage
        tokens = [count(usage.get(f"{kind}_tokens", 0)) for kind in ("input", "cache_read", "output")]
        rows.append(
            [
                element("time", moment(call.at, date=is_dated), datetime=f"{moment(call.at).replace(' ', 'T')}Z"),
                name(_below(call.scope, report.scope), title=call.scope),
                name(call.model or "unknown"),
                cost,
                total,
                *tokens,
                join(*_marks(call)),
            ]
        )
    return rows


def _below(scope: str, top: str | None) -> str:
    """
    The scope as it is told on a page of another one above it: that one's name is at the top of the page.
    """
    return scope if top is None else scope.removeprefix(top).removeprefix("/") or NONE


def _marks(call: Call) -> list[Html]:
    made = []
    status = call.status or ""
    if status.isdecimal() and int(status) >= 400:
        made.append(mark(f"failed: HTTP {status}", "bad"))
    if call.kind == "expire":
        made.append(mark("expired, charged in full", "warn"))
    elif call.kind == "correct":
        made.append(mark("corrects its expiry", "warn"))
    elif call.estimated:
        made.append(mark(f"estimated: {ESTIMATED.get(call.estimated, call.estimated)}", "warn"))
    elif status and not status.isdecimal() and status != "done":
        made.append(mark(status.replace("_", " "), "warn"))
    if call.overrun:
        above = "above" if call.overrun > 0 else "less above"
        made.append(mark(f"{show_dollars(abs(call.overrun))} {above} what was reserved", "warn"))
    if call.attempt:
        made.append(mark(f"retry {call.attempt}"))
    return made + [mark(rung) for rung in call.rungs]
