"""
What a page reads of a journal beside the report's sums: single calls, and what happened when.

Of long journals it reads no more than their ends, so that a page of a million calls takes seconds and no memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, takewhile

from msgspec import Struct
from msgspec.structs import replace

from solvent._digest import HOUR_NS
from solvent._ledger import booked, limit_in_force
from solvent._records import BRANCHES, Account, Entry, Kind
from solvent.report._records import Report
from solvent.stores._protocol import Store, Told

READ_MAX = 20_000  # Calls and refusals of which each is read; of more, the sums by hour are told, and the last calls.
FIRST_READ_MAX = 1_024  # Entries that are looked through for the first call.
LAST_READ_MAX = 65_536  # Entries that are looked through for the last calls.
LAST = 200
TOLD_EVERY = 1_000

_CALLS: frozenset[Kind] = frozenset({"correct", "expire", "settle"})
_OPENINGS: frozenset[Kind] = frozenset({"open"})
_LIMITS: frozenset[Kind] = frozenset({"open", "set_limit", "top_up"})


class Call(Struct, frozen=True, gc=False, kw_only=True):
    """
    What one entry booked: a call that was settled or expired, or the correction of one.

    Attributes:
        at: When it ended; nanoseconds since 1970, UTC.
        usage: By name; where nobody told it, the tokens that accounts were charged. Of a correction the difference.
        booked: Nanodollars; of a correction the difference; ``None`` where no cost is known.
        overrun: Of it, above what was reserved.
    """

    at: int
    id: str
    kind: Kind
    scope: str
    model: str | None
    usage: Mapping[str, int]
    booked: int | None
    overrun: int
    status: str | None
    estimated: str | None
    attempt: int
    rungs: tuple[str, ...]


class Happened(Struct, frozen=True, gc=False, kw_only=True):
    """
    That ``count`` calls were refused, or what was booked, at a time or in the hour that begins then.
    """

    at: int
    count: int = 0
    nanodollars: int = 0
    kind: Kind = "settle"


class LimitFrom(Struct, frozen=True, gc=False):
    """
    A limit that was in force from a time on, in nanodollars, and why: ``open``, ``top_up`` or ``set_limit``.
    """

    at: int
    limit: int | None
    kind: Kind


class Journal(Struct, frozen=True, kw_only=True):
    """
    Attributes:
        calls: All of them by time, or the last ones.
        is_whole: They are all of them.
        bookings: What was booked, by time: call by call, or hour by hour.
        refusals: The same of refusals.
        limits: The limits on money over the scope's whole life.
    """

    calls: tuple[Call, ...] = ()
    is_whole: bool = True
    bookings: tuple[Happened, ...] = ()
    refusals: tuple[Happened, ...] = ()
    limits: tuple[LimitFrom, ...] = ()


def read(store: Store, report: Report, told: Told | None = None) -> Journal:
    """
    Args:
        told: Is handed how many entries were read, and of how many.
    """
    limits = tuple(_limits(store, report.scope)) if report.scope is not None else ()
    if report.total.calls + report.refusals > READ_MAX:
        calls = _last(store, report)
        hours = _by_hour(report, calls[-1].at if calls else 0, is_call=True)
        return Journal(
            calls=tuple(calls),
            is_whole=False,
            bookings=(*_first(store, report), *hours),
            refusals=_by_hour(report, 0, is_call=False),
            limits=limits,
        )
    calls, refusals = _whole(store, report, _begin(store, report), told)
    return Journal(
        calls=tuple(calls),
        bookings=tuple(Happened(at=call.at, nanodollars=call.booked or 0, kind=call.kind) for call in calls),
        refusals=tuple(refusals),
        limits=limits,
    )


def _whole(store: Store, report: Report, after: int, told: Told | None) -> tuple[list[Call], list[Happened]]:
    calls: list[Call] = []
    refusals: list[Happened] = []
    entries = store.entries(scope=report.scope, after=after, kinds={*_CALLS, "refuse"})
    for entry in _told(entries, report.total.calls + report.refusals, told):
        if entry.kind != "refuse":
            calls += [_call(entry)] if entry.call.format != BRANCHES else []
        elif _is_within(_time(entry), report):
            refusals.append(Happened(at=_time(entry), count=1, kind="refuse"))
    return _by_time(_within(calls, report)), sorted(refusals, key=lambda one: one.at)


def _within(calls: Iterable[Call], report: Report) -> Iterator[Call]:
    """
    The calls of the report's hours. Where an expiry and its correction are not both in them, sums have the one at
    nothing, and the other at all that the call did cost.
    """
    expired = {call.id: call for call in calls if call.kind == "expire"}
    corrected = {call.id: call for call in calls if call.kind == "correct"}
    for call in calls:
        if not _is_within(call.at, report):
            continue
        expiry, correction = expired.get(call.id), corrected.get(call.id)
        if expiry is None or correction is None or (_is_within(expiry.at, report) == _is_within(correction.at, report)):
            yield call if expiry is None or call is not correction else _after(expiry, call)
        elif call is expiry:
            yield replace(call, booked=0, usage={})
        else:
            yield replace(call, booked=(expiry.booked or 0) + (call.booked or 0))


def _after(expiry: Call, correction: Call) -> Call:
    before, told = expiry.usage, correction.usage
    usage = {name: told.get(name, 0) - before.get(name, 0) for name in {**told, **before}}
    return replace(correction, at=max(correction.at, expiry.at), usage=usage)


def _usage(entry: Entry) -> Mapping[str, int]:
    if entry.call.usage is not None:
        return entry.call.usage
    charged = {posting.account.meter: posting.spent for posting in entry.postings}
    return {name: charged[name] for name in ("input_tokens", "output_tokens") if charged.get(name)}


def _is_within(at: int, report: Report) -> bool:
    return report.hours is None or report.hours[0] <= at // HOUR_NS < report.hours[1]


def _by_time(calls: Iterable[Call]) -> list[Call]:
    return sorted(calls, key=lambda call: call.at)  # Those of one moment stay in the journal's order.


def _begin(store: Store, report: Report) -> int:
    """
    The entry before the run's first opening: none of its calls was written earlier, unless the opening names no process
    as those of imports do, which come after the calls.
    """
    if not report.openings:
        return 0
    openings = store.entries(scope=report.scope, kinds=_OPENINGS)
    return next((entry.seq - 1 if entry.call.status else 0 for entry in openings if entry.scope == report.scope), 0)


def _last(store: Store, report: Report) -> list[Call]:
    """
    The last calls, as far as they are found by looking through some of the journal.
    """
    until = max((sums.last for facts, sums in report.groups.items() if facts.is_call), default=0)
    end, size = _seek(store, lambda entry: entry.at > until), LAST_READ_MAX // 16
    while True:
        begin = max(end - size, 0)
        entries = takewhile(
            lambda entry: entry.seq <= end, store.entries(scope=report.scope, after=begin, kinds=_CALLS)
        )
        calls = [_call(entry) for entry in entries if entry.call.format != BRANCHES]
        found = _by_time(_within(calls, report))
        if len(found) >= LAST or begin == 0 or size >= LAST_READ_MAX:
            return found[-LAST:]
        size *= 4


def _seek(store: Store, is_late: Callable[[Entry], bool]) -> int:
    """
    The last entry that is not late, where all that follow a late one are; found by asking for few.
    """

    def is_over(after: int) -> bool:
        entry = next(store.entries(after=after), None)
        return entry is None or is_late(entry)

    low, high = 0, 1_024
    while not is_over(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_over(middle) else (middle, high)
    return high


def _first(store: Store, report: Report) -> Iterator[Happened]:
    """
    That nothing was spent yet when the first call ended; where that is not among the first entries, as after an
    import, when its hour began.
    """
    hour = min((facts.hour for facts in report.groups if facts.is_call), default=None)
    if hour is None:
        return
    entries = islice(store.entries(scope=report.scope, after=_begin(store, report), kinds=_CALLS), FIRST_READ_MAX)
    times = [at for at in map(_time, entries) if at // HOUR_NS == hour]
    yield Happened(at=min(times, default=hour * HOUR_NS))


def _by_hour(report: Report, last_call: int, *, is_call: bool) -> tuple[Happened, ...]:
    """
    At the end of each hour, what was booked in it, or how many calls were refused; earlier where the last of them was.
    """
    hours: dict[int, tuple[int, int, int]] = {}
    for facts, sums in report.groups.items():
        if facts.is_call if is_call else facts.kind == "refuse":
            count, cost, last = hours.get(facts.hour, (0, 0, 0))
            hours[facts.hour] = count + sums.count, cost + sums.cost, max(last, sums.last)
    made = []
    for hour, (count, cost, last) in sorted(hours.items()):
        end = min((hour + 1) * HOUR_NS, last_call if last_call // HOUR_NS == hour else last)
        at = max(end, hour * HOUR_NS)
        made.append(Happened(at=at, count=count, nanodollars=cost, kind="settle" if is_call else "refuse"))
    return tuple(made)


def _limits(store: Store, scope: str) -> Iterator[LimitFrom]:
    """
    How the limit on all that a scope may ever spend changed.
    """
    account, charge, override, topped_up = Account(scope, "usd"), None, None, 0
    last: int | None = None
    for entry in store.entries(scope=scope, kinds=_LIMITS):
        posting = next((each for each in entry.postings if each.account == account), None)
        if posting is None:
            continue
        if entry.kind == "open" and entry.scope == scope:
            charge = posting.limit
        elif entry.kind == "set_limit":
            override = posting.limit
        topped_up += posting.topped_up
        limit = limit_in_force(charge, override=override, topped_up=topped_up)
        if limit != last:
            last = limit
            yield LimitFrom(entry.at, limit, entry.kind)


def _told(entries: Iterator[Entry], of: int, told: Told | None) -> Iterator[Entry]:
    for count, entry in enumerate(entries, 1):
        yield entry
        if told is not None and not count % TOLD_EVERY:
            told(count, max(of, count))


def _time(entry: Entry) -> int:
    return entry.call.ended or entry.call.started or entry.at


def _call(entry: Entry) -> Call:
    call = entry.call
    return Call(
        at=_time(entry),
        id=entry.id,
        kind=entry.kind,
        scope=entry.scope,
        model=call.model_used or call.model_asked,
        usage=_usage(entry),
        booked=booked(entry),
        overrun=next((posting.overrun for posting in entry.postings if posting.account.meter == "usd"), 0),
        status=call.status,
        estimated=call.estimated,
        attempt=call.attempt or 0,
        rungs=tuple(call.rungs or ()),
    )
