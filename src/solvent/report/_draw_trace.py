"""
A trace, drawn line by line: what each call used and cost, what its run had spent by then, and what was special of it.

A thousand steps at a time are lined up, so that a trace of any length takes the memory of a short one.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from textwrap import wrap

from solvent._amounts import show_dollars
from solvent._limits import show_amount
from solvent._records import Account
from solvent.report._columns import Column, table
from solvent.report._happened import ESTIMATED, UNSENT
from solvent.report._head import shown_name
from solvent.report._pen import Pen
from solvent.report._trace import Step

_AT_ONCE = 1_000
_INDENT = " " * 10  # Below the time.


def draw_trace(steps: Iterable[Step], scope: str | None, pen: Pen, width: int) -> Iterator[str]:
    """
    The lines of a trace.

    Args:
        scope: Whose it is; names below are told from there.
    """
    ahead = iter(steps)
    widths: tuple[int, ...] = ()
    day, is_first = "", True
    while block := [*islice(ahead, _AT_ONCE)]:
        columns = _columns(block, scope, pen)
        widths = tuple(
            max([old, len(column.title), *map(len, column.cells)])
            for old, column in zip(widths or (0,) * len(columns), columns, strict=True)
        )
        head, *lines = table(columns, pen, width, least_widths=widths)
        if is_first:
            yield head
            is_first = False
        for step, line in zip(block, lines, strict=True):
            if (now := f"{_time(step):%Y-%m-%d}") != day:
                day = now
                yield pen.paint("bold", day)
            yield from _drawn(step, line, pen, width)


def _drawn(step: Step, line: str, pen: Pen, width: int) -> Iterator[str]:
    if not step.is_call and step.kind != "reserve":
        begin = f"{_time(step):%H:%M:%S}  "
        first, *more = wrap(pen.plain(_said(step)), width - len(_INDENT)) or [""]
        color = "red" if step.kind == "refuse" else "dim"
        yield begin + pen.paint(color, first)
        yield from (_INDENT + pen.paint(color, each) for each in more)
        return
    yield line
    marks = [pen.plain(mark) for mark in _marks(step)]
    color = "yellow" if step.overrun_nanodollars or step.call.estimated else "dim"
    yield from (_INDENT + pen.paint(color, each) for each in pen.joined(marks, width - len(_INDENT)))


def _columns(block: Sequence[Step], scope: str | None, pen: Pen) -> list[Column]:
    drawn = [step if step.is_call or step.kind == "reserve" else None for step in block]
    names = [pen.plain(_below(step.scope, scope)) if step else "" for step in drawn]
    models = [pen.plain(step.model or "unknown") if step else "" for step in drawn]
    return [
        Column(title="UTC", cells=[f"{_time(step):%H:%M:%S}" for step in block], is_right=False),
        Column(title="below" if scope else "scope", cells=names, is_name=True, room=14),
        Column(title="model", cells=models, is_name=True, room=14),
        Column(title="in", cells=[_tokens(step, "input_tokens") for step in drawn], least=1),
        Column(title="out", cells=[_tokens(step, "output_tokens") for step in drawn], least=2),
        Column(title="cost", cells=[_cost(step) for step in drawn]),
        Column(title="run so far", cells=[_total(step) for step in drawn]),
    ]


def _time(step: Step) -> datetime:
    return datetime.fromtimestamp(step.at // 10**9, UTC)


def _below(scope: str, top: str | None) -> str:
    return "" if scope == top else scope.removeprefix(f"{top}/") if top else scope


def _tokens(step: Step | None, name: str) -> str:
    return f"{step.usage.get(name, 0):,}" if step and step.is_call else ""


def _cost(step: Step | None) -> str:
    if step is None or step.kind == "reserve":
        return "open" if step else ""
    return "unpriced" if step.cost_nanodollars is None else show_dollars(step.cost_nanodollars)


def _total(step: Step | None) -> str:
    return "" if step is None or step.run_total_nanodollars is None else show_dollars(step.run_total_nanodollars)


def _marks(step: Step) -> Iterator[str]:
    call = step.call
    if step.kind == "reserve":
        yield f"still open, reserved {show_dollars(step.reserved_nanodollars)}"
    if call.attempt:
        yield f"retry {call.attempt}"
    if call.status is not None and call.status.isdecimal() and int(call.status) >= 400:
        yield f"failed at the provider ({call.status})"
    if step.kind == "expire":
        yield "expired, charged in full"
    elif step.kind == "correct":
        yield "corrects what it was charged when it expired"
    elif call.estimated:
        yield f"booked at the most it could cost ({ESTIMATED.get(call.estimated, call.estimated)})"
    if step.overrun_nanodollars:
        above = "above" if step.overrun_nanodollars > 0 else "less above"
        yield f"{show_dollars(abs(step.overrun_nanodollars))} {above} what was reserved"
    if call.model_asked and call.model_used and any(rung.startswith("degrade") for rung in call.rungs or ()):
        yield f"asked for {call.model_asked}"
    yield from call.rungs or ()
    if call.parent_id:
        yield f"of {call.parent_id}"


def _said(step: Step) -> str:
    """
    What stands in place of a call's columns.
    """
    call, name = step.call, shown_name(step.scope)
    about = ", ".join(text for text in (step.scope.rpartition("/")[2], step.model) if text)
    if step.kind == "refuse":
        headline = (call.reason or "").partition("\n")[0]
        return f"refused: {about}, {(call.status or 'refused').replace('_', ' ')}: {headline}"
    if step.kind == "release":
        return f"never sent: {about} ({UNSENT.get(call.reason or '', (call.reason or 'not sent').replace('_', ' '))})"
    if step.kind == "open":
        limits = ", ".join(_limit(account, amount) for account, amount in step.limits if amount is not None)
        return f"{name} was opened" + (f" with {limits}" if limits else "")
    if step.kind == "close":
        return f"{name} was closed" + (f": {call.reason}" if call.reason else "")
    changes = "; ".join(_change(step, account, amount) for account, amount in step.limits)
    return changes + (f" ({call.reason})" if call.reason else "")


def _change(step: Step, account: Account, amount: int | None) -> str:
    if amount is None:
        return f"{_account(account)}: the callers' limits count again"
    done = "topped up by" if step.kind == "top_up" else "limit"
    return f"{_account(account)}: {done} {show_amount(account.meter, amount)}"


def _limit(account: Account, amount: int) -> str:
    return f"{show_amount(account.meter, amount)} {_per(account)}of {account.scope.rpartition('/')[2]}"


def _account(account: Account) -> str:
    return f"{account.scope.rpartition('/')[2]} {account.meter.replace('_', ' ')} {_per(account)}".rstrip()


def _per(account: Account) -> str:
    window = account.window.partition("@")[0]
    return f"per {window} " if window else ""
