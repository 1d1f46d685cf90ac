"""
The tables of what was refused, what the ladder did, and of what stands apart from plain calls.
"""

from collections.abc import Iterator

from solvent._amounts import show_seconds
from solvent.report._happened import ESTIMATED, TURNED_AWAY, UNSENT
from solvent.report._records import Refused, Report, Rung
from solvent.report.html._markup import NOTHING, Html, column_of_money, element, join, money, name
from solvent.report.html._table import NONE, Column, count, table

_RUNGS = {
    "prefix": "bound lowered by what was billed before",
    "tokenizer": "bound lowered by a tokenizer",
    "count": "bound lowered by the provider's count",
    "wait": "waited for room",
    "degrade": "made with another model",
    "shrink": "given an output cap to fit",
    "store_down": "made while the ledger was away",
    "refuse": "refused",
}
_Apart = tuple[str, int, int | None, str]  # What, how often, its amount, and what that is to the sums.


def refusals(report: Report) -> Html:
    if not report.refused:
        return NOTHING
    columns = [Column("cause", "name"), Column("times", "n"), Column("the last one said", "say"), Column("limit", "n")]
    rows = [
        [_cause(refused), count(refused.count), _paragraphs(refused.reason or NONE), _limit(refused)]
        for refused in report.refused
    ]
    return table("Refused calls, by what was in the way", columns, rows)


def _cause(refused: Refused) -> Html:
    account, code = refused.account, refused.code.replace("_", " ")
    if account is not None:
        return join(f"{code}: {account.meter.replace('_', ' ')} of ", name(account.scope))
    return join(f"{code}: ", name(refused.model)) if refused.model else join(code)


def _limit(refused: Refused) -> str:
    if refused.account is None or refused.limit is None:
        return NONE
    return money(refused.limit) if refused.account.meter == "usd" else f"{refused.limit:,}"


def _paragraphs(text: str) -> Html:
    first, *more = [line for line in text.split("\n") if line.strip()] or [NONE]
    return join(first, *(part for line in more for part in (element("br"), line)))


def ladder(report: Report) -> Html:
    if not report.ladder:
        return NOTHING
    columns = [Column("rung", "name"), Column("calls", "n"), Column("their cost", "n"), Column("what it did", "say")]
    costs = column_of_money([None if rung.name == "refuse" else rung.cost_nanodollars for rung in report.ladder])
    rows = [
        [_RUNGS.get(rung.name, rung.name), count(rung.calls), NONE if rung.name == "refuse" else cost, _did(rung)]
        for rung, cost in zip(report.ladder, costs, strict=True)
    ]
    return table("The ladder: what was done so that calls fitted", columns, rows)


def _did(rung: Rung) -> Html:
    saved = rung.saved_nanodollars
    if rung.name == "wait":
        return join(f"{show_seconds(rung.waited_milliseconds / 1_000)} in all")
    if rung.name == "refuse":
        return join("not spent: up to ", money(saved), ", by their bounds") if saved else join("not spent")
    if rung.name == "degrade" and saved is not None:
        return join("saved about " if saved >= 0 else "cost about ", money(abs(saved)), "" if saved >= 0 else " more")
    if rung.name == "degrade":
        return join("what it saved is not known, for the model that was asked for has no price")
    return join("found room; saved nothing by itself")


def apart(report: Report) -> Html:
    """
    What was not simply asked, answered and counted by a provider.
    """
    told = [row for rows in (_unsure(report), _others(report), _passed(report)) for row in rows if row[1]]
    if not told:
        return NOTHING
    columns = [Column("what", "name"), Column("times", "n"), Column("amount", "n"), Column("in the sums", "say")]
    amounts = column_of_money([amount for _, _, amount, _ in told], unknown=NONE)
    rows = [[what, count(times), amount, said] for (what, times, _, said), amount in zip(told, amounts, strict=True)]
    return table("What stands apart", columns, rows)


def _unsure(report: Report) -> Iterator[_Apart]:
    """
    What was booked otherwise than a provider counted it after room had been set aside.
    """
    for reason, share in report.estimated.items():
        if reason != "expired":
            what = f"booked at the most it could cost: {ESTIMATED.get(reason, reason)}"
            yield what, share.count, share.nanodollars, "estimated; in the total"
    expired, overruns = report.expired, report.overruns
    yield "expired: nobody saw its end", expired.count, expired.nanodollars, "charged in full; in the total"
    yield "corrected after expiring", report.corrected, None, "its true cost came late, and is in the total"
    yield "above what was reserved", overruns.count, overruns.nanodollars, "the excess alone; it is in the total"
    yield "of unknown cost", report.total.unpriced, None, "adds nothing to the total"
    yield "still open", report.open.count, report.open.nanodollars, "reserved; not in the total"


def _others(report: Report) -> Iterator[_Apart]:
    for status, times in report.failed.items():
        yield f"failed at the provider: HTTP {status}", times, None, "a call like any other"
    yield "retries", report.retries, None, "each is a call of its own"
    for why, times in report.unsent.items():
        yield f"never sent: {UNSENT.get(why, why.replace('_', ' '))}", times, None, "no call"
    for why, times in report.turned_away.items():
        yield f"turned away: {TURNED_AWAY.get(why, why.replace('_', ' '))}", times, None, "no call"


def _passed(report: Report) -> Iterator[_Apart]:
    for rung, times in report.rungs.items():
        on_exceed, _, meter = rung.partition(" ")
        if on_exceed in ("warn", "log"):
            what = "loops" if meter == "same_call" else f"passed the limit of {meter.replace('_', ' ')}"
            yield f"{what} ({on_exceed})", times, None, "this limit only tells"
