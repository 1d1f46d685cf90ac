"""
The limits of a run, drawn: a bar for each that an account is held to, and a line of the others.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from solvent._amounts import show_dollars, show_seconds
from solvent._ladder import CALL
from solvent._limits import GAUGES, show_amount
from solvent._openings import OtherLimit
from solvent._records import Account, Balance
from solvent.report._pen import Pen
from solvent.report._records import Report
from solvent.report._trace import run_above
from solvent.stores._protocol import under

BAR_MIN, BAR_MAX = 8, 40
NAME_MIN = 6
SCOPES_BELOW_MAX = 5
PERCENT_MAX = 999


def draw_limits(report: Report, pen: Pen, width: int) -> list[str]:
    """
    A row for each limit of an account, those of other scopes than the run's own under that scope's name.

    Of the scopes below the run, such as the budgets of a server's requests, the fullest are drawn.
    """
    rows, others = _rows(report), list(_others(report))
    left_out = _left_out(report, rows, [scope for scope, _ in others])
    shown = [row for row in rows if row[1].account.scope not in left_out]
    lines = _table(shown, report, pen, width) if shown else []
    also = [pen.plain(text) for scope, text in others if scope not in left_out]
    if also:
        first, *more = pen.joined([f"also in force: {also[0]}", *also[1:]], width - 2)
        lines += [first, *(f"  {line}" for line in more)]
    if left_out:
        scopes = f"{len(left_out):,} more {'scope' if len(left_out) == 1 else 'scopes'}"
        lines.append(pen.cut(f"{scopes} below, none fuller (--json has all)", width))
    return lines


def _left_out(report: Report, rows: list[tuple[str, Balance]], others: list[str]) -> set[str]:
    """
    The scopes below the run's own that are not drawn, for others are as full or fuller.
    """
    fullest = dict.fromkeys((scope for scope in others if _is_below(scope, report)), Fraction(0))
    for _, balance in rows:
        scope, limit = balance.account.scope, balance.limit or 0
        if _is_below(scope, report):
            used = Fraction(balance.spent + balance.reserved, limit) if limit else Fraction(1)
            fullest[scope] = max(used, fullest.get(scope, used))
    return set(sorted(fullest, key=lambda scope: fullest[scope], reverse=True)[SCOPES_BELOW_MAX:])


def _is_below(scope: str, report: Report) -> bool:
    return scope not in (report.scope, CALL) and under(scope, report.scope)


def _table(shown: list[tuple[str, Balance]], report: Report, pen: Pen, width: int) -> list[str]:
    names = [f"{'' if balance.account.scope == report.scope else '  '}{name}" for name, balance in shown]
    percents = [f"{percent_of(balance):>5}" for _, balance in shown]
    percent_width = max(map(len, percents))
    margins = len("      ") + percent_width
    texts = [pen.cut(_amounts(balance), width - margins - BAR_MIN - NAME_MIN) for _, balance in shown]
    room = width - margins - max(map(len, texts))
    name_width = min(max(map(len, names)), max(room - BAR_MIN, NAME_MIN))
    bar_width = max(BAR_MIN, min(room - name_width, BAR_MAX))
    lines, above = [], report.scope
    for name, percent, text, (_, balance) in zip(names, percents, texts, shown, strict=True):
        if balance.account.scope != above:
            above = balance.account.scope
            lines.append(pen.cut(pen.plain(above.removeprefix(f"{report.scope}/")), width))
        bar = bar_of(balance, bar_width, pen)
        lines.append(f"{pen.cut(name, name_width):<{name_width}}  {bar}  {percent:>{percent_width}}  {text}")
    return lines


def _rows(report: Report) -> list[tuple[str, Balance]]:
    """
    What accounts are held to, or only told of; the run's own first.
    """
    rows = [(_name(balance.account), balance) for balance in report.limits if balance.limit is not None]
    # A gauge says something only while a call is open.
    rows = [(name, balance) for name, balance in rows if balance.account.meter not in GAUGES or balance.reserved]
    for other in _told_apart(report):
        if other.spent is not None and other.meter not in GAUGES:
            account = Account(other.scope, other.meter, other.window)
            balance = Balance(account=account, limit=int(other.limit), spent=other.spent)
            rows.append((f"{_name(account)} ({other.on_exceed})", balance))
    by_scope: dict[str, list[tuple[str, Balance]]] = {report.scope or "": []}
    for row in rows:
        by_scope.setdefault(row[1].account.scope, []).append(row)
    return [row for rows in by_scope.values() for row in rows]


def _told_apart(report: Report) -> Sequence[OtherLimit]:
    """
    Limits without an account are told of a run: of more than one, nobody could tell whose they are.
    """
    return report.others if run_above(report.scope or "") else ()


def _others(report: Report) -> Iterator[tuple[str, str]]:
    """
    The scope, and ``time 10 min``, ``8 calls at a time``, ``$0.25 a call``.
    """
    for balance in report.limits:
        if balance.account.meter in GAUGES and balance.limit is not None and not balance.reserved:
            yield balance.account.scope, _whose(balance.account.scope, report) + _at_a_time(balance.limit)
    for other in _told_apart(report):
        mark = "" if other.on_exceed == "block" else f" ({other.on_exceed})"
        if other.meter in GAUGES:
            yield other.scope, f"{_whose(other.scope, report)}{_at_a_time(int(other.limit))}{mark}"
        elif other.spent is None:
            yield other.scope, f"{_whose(other.scope, report)}{_in_words(other)}{mark}"


def _in_words(other: OtherLimit) -> str:
    if other.meter == "seconds":
        return f"time {show_seconds(float(other.limit))}"
    if other.scope == CALL:
        return f"{show_amount(other.meter, int(other.limit))} a call"
    return f"{other.meter} {other.limit}"


def _at_a_time(limit: int) -> str:
    return f"{limit:,} {'call' if limit == 1 else 'calls'} at a time"


def _whose(scope: str, report: Report) -> str:
    return "" if scope in (report.scope, CALL) else f"{scope.removeprefix(f'{report.scope}/')} "


def bar_of(balance: Balance, width: int, pen: Pen) -> str:
    """
    What is spent and what is reserved of a limit.
    """
    assert balance.limit is not None
    used = cells_of(balance.spent + balance.reserved, balance.limit, width)
    spent = min(cells_of(balance.spent, balance.limit, width), used)
    spent -= bool(balance.reserved and spent == used and used > 1)  # A cell at least for what is reserved.
    full, held, free = pen.bar
    near = balance.spent * 10 >= balance.limit * 8
    over = balance.spent >= balance.limit
    color = "red" if over else "yellow" if near else "green"
    return (
        pen.paint(color, full * spent)
        + pen.paint("yellow", held * (used - spent))
        + pen.paint("dim", free * (width - used))
    )


def cells_of(amount: int, limit: int, width: int) -> int:
    """
    Something is never drawn as nothing, nor nearly all as all.
    """
    if amount >= limit:
        return width if amount else 0
    return max(1, amount * width // limit) if amount else 0


def percent_of(balance: Balance) -> str:
    """
    What is spent of a limit.
    """
    assert balance.limit is not None
    if not balance.limit:
        return "over" if balance.spent else ""
    percent = balance.spent * 100 // balance.limit
    if percent > PERCENT_MAX:
        return f">{PERCENT_MAX} %"
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


def _name(account: Account) -> str:
    per = f" per {account.window.partition('@')[0]}" if account.window else ""
    return f"{account.meter.replace('_', ' ')}{per}"
