"""
The calls of a journal in order, one by one: enough of each to rebuild every amount of a report, and any overage.

Streamed: what is kept in memory grows with the runs that are read and with calls that expired, not with all calls.
"""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from solvent._digest import HOUR_NS, Hours
from solvent._ledger import booked
from solvent._records import BRANCHES, Account, CallRecord, Entry, Kind
from solvent.stores._protocol import Store

_KINDS: tuple[Kind, ...] = (
    "close",
    "correct",
    "expire",
    "open",
    "refuse",
    "release",
    "set_limit",
    "settle",
    "top_up",
)
_TOKENS = ("input_tokens", "output_tokens")


class Step(Struct, frozen=True, kw_only=True):
    """
    One line of a trace.

    Attributes:
        seq: Of its entry in the journal.
        kind: ``settle`` and ``expire`` are calls, ``correct`` the true cost of one that had expired, ``release`` one
            that was never sent, ``refuse`` one that was not admitted and ``reserve`` one that is open now; ``open`` and
            ``close`` are a run's, ``top_up`` and ``set_limit`` change a limit.
        at: When it ended, or what is nearest to that; nanoseconds since 1970, UTC.
        run: The scope of the run that it belongs to.
        usage: What it adds to what was used; of a correction the difference.
        cost_nanodollars: What it adds to what was spent; of a correction the difference, of an unknown cost ``None``.
        overrun_nanodollars: Of that, above what was reserved.
        reserved_nanodollars: What it holds, of a call that is open.
        run_total_nanodollars: What its run had spent by then, itself included.
        limits: Of a refusal the one in the way, of an opening all that it puts in force, of a change the account that
            it changes; each with its amount, which for a top-up is what is added.
        call: What the journal keeps of it.
    """

    seq: int
    kind: Kind
    id: str
    at: int
    scope: str
    run: str | None
    usage: Mapping[str, int]
    cost_nanodollars: int | None
    overrun_nanodollars: int
    reserved_nanodollars: int
    run_total_nanodollars: int | None
    limits: tuple[tuple[Account, int | None], ...]
    call: CallRecord

    @property
    def model(self) -> str | None:
        return self.call.model_used or self.call.model_asked

    @property
    def status(self) -> str | None:
        # Of an opening it is a process, which says nothing to who reads of money.
        return None if self.kind == "open" else self.call.status

    @property
    def is_call(self) -> bool:
        return self.kind in ("correct", "expire", "settle")


def trace(
    store: Store,
    scope: str | None,
    *,
    hours: Hours | None = None,
    watched: Callable[[Iterator[Entry]], Iterator[Entry]] = iter,
) -> Iterator[Step]:
    """
    The steps of a scope and of all below it, in the order of the journal; last the calls that are open now.

    Args:
        hours: Only what ended in these hours since 1970, the second one not included.
        watched: Is handed the entries on their way.
    """
    totals: dict[str | None, int | None] = {}
    expired: dict[str, Mapping[str, int]] = {}  # What those added that nobody has corrected yet.
    for entry in watched(store.entries(scope=scope, kinds=_KINDS)):
        run = run_above(entry.scope)
        if entry.run_total_nanodollars is not None:
            totals[run] = entry.run_total_nanodollars
        # The branches of a fan-out are no calls; the calls in them have entries of their own.
        if entry.call.format == BRANCHES and entry.kind != "refuse":
            continue
        usage = _used(entry, expired)
        if hours is None or hours[0] <= _ended(entry) // HOUR_NS < hours[1]:
            yield _step(entry, run, totals.get(run), usage)
    for entry in store.held(scope):
        if entry.call.format != BRANCHES:
            run = run_above(entry.scope)
            yield _step(entry, run, totals.get(run), {})


def run_above(scope: str) -> str | None:
    """
    The scope of the run on a path.
    """
    segments = scope.split("/")
    for place, segment in enumerate(segments, 1):
        if segment.startswith("run:"):
            return "/".join(segments[:place])
    return None


def _step(entry: Entry, run: str | None, total: int | None, usage: Mapping[str, int]) -> Step:
    usd = next((posting for posting in entry.postings if posting.account.meter == "usd"), None)
    is_held = entry.kind == "reserve"
    held = entry.call.bound_nanodollars or 0 if usd is None else usd.reserved
    return Step(
        seq=entry.seq,
        kind=entry.kind,
        id=entry.id,
        at=_ended(entry),
        scope=entry.scope,
        run=run,
        usage=usage,
        cost_nanodollars=booked(entry) if entry.kind in ("correct", "expire", "settle") else None,
        overrun_nanodollars=usd.overrun if usd is not None else 0,
        reserved_nanodollars=held if is_held else 0,
        run_total_nanodollars=total,
        limits=_limits(entry),
        call=entry.call,
    )


def _ended(entry: Entry) -> int:
    return entry.call.ended or entry.call.started or entry.at


def _used(entry: Entry, expired: dict[str, Mapping[str, int]]) -> Mapping[str, int]:
    """
    What an entry adds to what was used; of a correction the difference to what its expiry added.
    """
    usage = used(entry)
    if entry.kind == "expire":
        expired[entry.id] = usage
    if entry.kind == "correct" and entry.call.usage is not None:
        before = expired.pop(entry.id, {})
        return {name: usage.get(name, 0) - before.get(name, 0) for name in usage.keys() | before.keys()}
    return usage


def used(entry: Entry) -> Mapping[str, int]:
    """
    What the entry of a call tells that it used; where nobody told it, the tokens that the accounts were charged.
    """
    if entry.kind not in ("correct", "expire", "settle"):
        return {}
    if entry.call.usage is not None:
        return entry.call.usage
    charged = {posting.account.meter: posting.spent for posting in entry.postings}
    return {name: charged[name] for name in _TOKENS if charged.get(name)}


def _limits(entry: Entry) -> tuple[tuple[Account, int | None], ...]:
    if entry.kind == "top_up":
        return tuple((posting.account, posting.topped_up) for posting in entry.postings)
    if entry.kind == "refuse":
        return tuple((posting.account, posting.limit) for posting in entry.postings[:1])
    if entry.kind in ("open", "set_limit"):
        return tuple((posting.account, posting.limit) for posting in entry.postings)
    return ()
