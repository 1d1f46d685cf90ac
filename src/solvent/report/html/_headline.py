"""
What a page begins with: the run in one sentence, and the few figures that matter.
"""

import re

from solvent._amounts import exact_dollars, show_dollars, show_seconds
from solvent._records import Account, Balance
from solvent.report._happened import counted
from solvent.report._head import how_it_ended, shown_name
from solvent.report._json import HOURS_END
from solvent.report._records import Report
from solvent.report.html._axis import moment, period
from solvent.report.html._markup import Html, element, join, money
from solvent.report.html._span import Span
from solvent.report.html._table import bar

_HOUR = 3_600
_SECOND = 1_000_000_000


def headline(report: Report) -> str:
    """
    ``run triage was stopped by the budget after 10 min 50 s: $0.0550 of $1.50, 12 calls, 3 refused``.
    """
    what = f"{short_name(report)}{_ended(report)}"
    refused = f", {report.refusals:,} refused" if report.refusals else ""
    return f"{what}: {_spent(report)}, {counted(report.total.calls, 'call', 'calls')}{refused}"


def short_name(report: Report) -> str:
    """
    ``run triage``, also where its path is longer; that stands below.
    """
    if report.scope is None:
        return f"the whole ledger ({counted(report.runs, 'run', 'runs')})" if report.runs else shown_name(None)
    return shown_name(report.scope.rpartition("/")[2]).replace(":", " ", 1)


def _ended(report: Report) -> str:
    how = how_it_ended(report)
    if not how:
        return ""
    if how.startswith(("ended by", "killed", "stopped")):
        how = f"was {how}"
    elif how == "running":
        how = "has been running"
    elif how.startswith("running"):
        how = "is running, or was killed,"
    elif how.startswith(("the command", "20")):
        how = f"ended ({how})"
    times = f" in all, opened {report.openings} times" if report.openings > 1 else ""
    after = "for" if how == "has been running" else "after"
    return f" {how} {after} {show_seconds(report.elapsed_seconds)}{times}"


def _spent(report: Report) -> str:
    spent, balance = report.total.cost_nanodollars, own_limit(report)
    if report.total.calls and report.total.unpriced == report.total.calls:
        return "cost unknown"
    limit = f" of {show_dollars(balance.limit)}" if balance is not None and balance.limit is not None else ""
    return f"{show_dollars(spent)}{limit}"


def own_limit(report: Report) -> Balance | None:
    """
    The limit on all that the scope may ever spend; ``None`` where there is none, or only some hours are told.
    """
    if report.scope is None or report.hours is not None:
        return None
    account = Account(report.scope, "usd")
    return next((one for one in report.limits if one.account == account and one.limit is not None), None)


def below_headline(report: Report, during: Span | None) -> Html:
    """
    The whole path, and the time that the page is about.
    """
    parts = []
    if report.scope is not None and "/" in report.scope:
        parts.append(element("bdi", report.scope))
    if time := _time(report, during):
        parts.append(join(time))
    if report.before.calls:
        before = report.before
        opened = f"before the last opening: {counted(before.calls, 'call', 'calls')}, "
        parts.append(join(opened, money(before.cost_nanodollars)))
    told = [join(" · ", part) if place else part for place, part in enumerate(parts)]
    return element("p", *told, class_="quiet") if told else join()


def _time(report: Report, during: Span | None) -> str:
    if report.hours is not None:
        begin, end = report.hours
        until = f" until {moment(end * _HOUR * _SECOND)}" if end < HOURS_END else ""
        return f"calls that ended since {moment(begin * _HOUR * _SECOND)}{until} UTC"
    return period(*during) if during is not None else ""


def figures(report: Report) -> Html:
    total, balance = report.total, own_limit(report)
    made = [_spent_figure(report, balance)]
    if balance is not None and balance.limit is not None:
        left = balance.remaining or 0
        reserved = f"; {show_dollars(balance.reserved)} reserved" if balance.reserved else ""
        made.append(_figure("left", money(left), f"of {show_dollars(balance.limit)}{reserved}", is_bad=left <= 0))
    elif report.open.count:
        held = counted(report.open.count, "open call", "open calls")
        made.append(_figure("reserved", money(report.open.nanodollars), held))
    calls_of = next((one for one in report.limits if one.account == Account(report.scope or "", "calls")), None)
    most = f"of {calls_of.limit:,}" if calls_of is not None and calls_of.limit is not None and not report.hours else ""
    retries = f"{report.retries:,} of them {'a retry' if report.retries == 1 else 'retries'}" if report.retries else ""
    made.append(_figure("calls", _exact(total.calls), _joined(most, retries)))
    made.append(_tokens(report))
    kept = next((rung.saved_nanodollars for rung in report.ladder if rung.name == "refuse"), None)
    not_spent = f"up to {show_dollars(kept)} not spent" if kept else ""
    made.append(_figure("refused", _exact(report.refusals), not_spent, is_bad=report.refusals > 0))
    made.append(_estimated(report))
    over = f"{counted(report.overruns.count, 'call', 'calls')} above what was reserved" if report.overruns.count else ""
    made.append(_figure("overruns", money(report.overruns.nanodollars), over))
    return element("dl", *made, class_="figures")


def _spent_figure(report: Report, balance: Balance | None) -> Html:
    total = report.total
    is_unknown = total.calls > 0 and total.unpriced == total.calls
    spent = money(None if is_unknown else total.cost_nanodollars, unknown="unknown")
    unknown = (
        f"{counted(total.unpriced, 'call', 'calls')} of unknown cost not in it"
        if total.unpriced and not is_unknown
        else ""
    )
    if balance is None or balance.limit is None:
        runs = f"in {counted(report.runs, 'run', 'runs')}" if report.runs and not report.openings else ""
        return _figure("spent", spent, _joined(runs, unknown))
    of = bar(balance.spent, balance.limit, held=balance.reserved, is_limit=True)
    return _figure("spent", spent, _joined(_percent(balance.spent, balance.limit), unknown), of)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _percent(spent: int, limit: int) -> str:
    if not limit:
        return "of a limit of $0"
    percent = spent * 100 // limit
    return f"{'<1' if spent and not percent else f'{percent:,}'} % of the limit"


def _tokens(report: Report) -> Html:
    tokens = report.total.tokens
    read, written, cached = (tokens.get(f"{kind}_tokens", 0) for kind in ("input", "output", "cache_read"))
    more = f"{read:,} in{f' ({cached:,} cached)' if cached else ''}, {written:,} out"
    return _figure("tokens", _exact(read + written), more if read + written else "")


def _estimated(report: Report) -> Html:
    count = sum(share.count for share in report.estimated.values())
    amount = sum(share.nanodollars for share in report.estimated.values())
    expired = f", {report.expired.count:,} of them expired" if report.expired.count else ""
    told = f"{counted(count, 'call', 'calls')} at their bounds{expired}" if count else ""
    return _figure("estimated", money(amount), told)


def _exact(count: int) -> Html:
    """
    A count; of millions two digits after the point, the rest for whoever points at it.
    """
    shown = f"{count:,}" if count < 10_000_000 else f"{count // 1_000_000:,}.{count % 1_000_000 // 10_000:02d} M"
    return element("data", shown, value=count, title=f"{count:,}")


def _figure(what: str, value: Html, more: str = "", *parts: Html, is_bad: bool = False) -> Html:
    length = len(re.sub("<[^>]*>", "", value))
    size = "" if length <= 9 else " long" if length <= 12 else " longer"
    told = [element("dd", value, class_=f"value{size}{' over' if is_bad else ''}")]
    told += [element("dd", part) for part in parts]
    told += [element("dd", more, class_="more")] if more else []
    return element("div", element("dt", what), *told)


def summary(report: Report) -> str:
    """
    The description in the page's head: what a link to it may show.
    """
    return f"{headline(report)}. Spent ${exact_dollars(report.total.cost_nanodollars)}."
