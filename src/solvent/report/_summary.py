"""
One pass over a run's journal, adding up its report.

Memory grows with models, kinds of refusals and open or expired reservations, not with calls.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from msgspec.structs import replace

from solvent._clock import Clock, SystemClock
from solvent._ladder import CALL
from solvent._ledger import limit_in_force
from solvent._limits import METERS
from solvent._openings import COMMAND, TOP_UP, OtherLimit, others_of
from solvent._records import BRANCHES, Account, Balance, Entry, Posting
from solvent.report._records import ModelUse, Refused, Report
from solvent.report._sums import OpenTime, Shares, Sum, cost_of
from solvent.stores._protocol import Store, under

_Named = tuple[str | None, str | None, str | None]  # Provider, model asked for, model that answered.
_Cause = tuple[str, Account | None, int | None, str | None]  # Code, account, limit, model.


def summarize(store: Store, scope: str, *, clock: Clock | None = None) -> Report:
    """
    The report of one run and of everything below its scope.

    Args:
        store: Where its journal is.
        scope: The run's scope as the journal spells it: ``run:triage``.
        clock: Tells how long a run that is open has been so.

    Raises:
        StoreUnavailable: The store did not answer.
        LedgerCorrupt: It is damaged.
    """
    tally = _Tally(scope, clock or SystemClock())
    for entry in store.entries(scope=scope):
        tally.add(entry)
    return tally.report(store)


class _Tally:
    """
    Everything that the report sums up, entry by entry.
    """

    def __init__(self, scope: str, clock: Clock) -> None:
        self._scope = scope
        self._time = OpenTime(clock)
        self._head = Report(scope=scope)
        self._limits: dict[str, dict[Account, int | None]] = {}  # Of the last opening of each scope.
        self._others: dict[str, tuple[OtherLimit, ...]] = {}
        self._balances: defaultdict[Account, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._sums: defaultdict[_Named, Sum] = defaultdict(Sum)
        self._refused: dict[_Cause, tuple[int, str | None]] = {}
        self._rungs: Counter[str] = Counter()
        self._turned_away: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._unsent: Counter[str] = Counter()
        self._estimated: defaultdict[str, Shares] = defaultdict(Shares)
        self._open: dict[str, Entry] = {}
        self._expired: dict[str, Entry] = {}
        self._overruns, self._bounds = Shares(), Shares()
        self._released = self._corrected = self._last_seen = 0

    def add(self, entry: Entry) -> None:
        for posting in entry.postings:
            if not posting.account.window and under(posting.account.scope, self._scope):
                sums = self._balances[posting.account]
                sums[0] += posting.reserved
                sums[1] += posting.spent
                sums[2] += posting.overrun
        match entry.kind:
            case "open":
                self._limits[entry.scope] = {posting.account: posting.limit for posting in entry.postings}
                self._others[entry.scope] = others_of(entry.call)
                self._opened(entry)
            case "close":
                self._closed(entry)
            case "refuse":
                self._refuse(entry)
            case _ if entry.call.format == BRANCHES:
                pass
            case "reserve":
                self._open[entry.id] = entry
            case "settle" | "expire" | "release" | "correct":
                self._close_call(entry)
        if entry.kind != "expire":  # Written by whoever looks next, which is no sign of life.
            self._last_seen = entry.at

    def _opened(self, entry: Entry) -> None:
        is_top_up = (entry.call.reason or "").startswith(TOP_UP)
        if entry.scope == self._scope and not is_top_up:
            head, began = self._head, entry.call.started or entry.at
            started = began if head.started is None else head.started
            self._time.open(began, owner=entry.call.status, seen=self._last_seen)
            self._head = replace(
                head,
                openings=head.openings + 1,
                before=self._total().use(),
                started=started,
                is_command=entry.call.format == COMMAND,
                ended=None,
                exit_reason=None,
                exit_code=None,
            )

    def _closed(self, entry: Entry) -> None:
        if entry.scope == self._scope:
            status = entry.call.status or ""
            self._time.close(entry.call.ended or entry.at)
            self._turned_away.update(entry.call.usage or {})
            self._head = replace(
                self._head,
                ended=entry.call.ended or entry.at,
                exit_reason=entry.call.reason,
                exit_code=int(status) if status.isdecimal() else None,
            )

    def _refuse(self, entry: Entry) -> None:
        code = entry.call.status or "refused"
        cause: _Cause
        if entry.postings:
            cause = code, entry.postings[0].account, entry.postings[0].limit, None
        else:
            cause = code, None, None, entry.call.model_asked
        count, reason = self._refused.get(cause, (0, None))
        self._refused[cause] = count + 1, entry.call.reason or reason

    def _close_call(self, entry: Entry) -> None:
        self._open.pop(entry.id, None)
        if entry.kind == "correct":
            expired = self._expired.pop(entry.id)
            self._count(expired, -1)
            self._corrected += 1
            entry = _corrected(expired, entry)
        if entry.kind == "release":
            self._released += 1
            self._unsent[entry.call.reason or "not_sent"] += 1
            return
        if entry.kind == "expire":
            self._expired[entry.id] = entry
        self._count(entry, 1)

    def _count(self, entry: Entry, sign: int) -> None:
        call, cost = entry.call, cost_of(entry)
        self._sums[call.provider, call.model_asked, call.model_used].add(entry, sign)
        for rung in call.rungs or ():
            name = rung.partition(" ")[0]
            self._rungs[rung if name in ("warn", "log") else name] += sign
        if (call.status or "").isdecimal() and int(call.status or 0) >= 400:
            self._failed[call.status or ""] += sign
        if call.estimated is not None:
            self._estimated[call.estimated].add(sign, cost or 0)
        if _excess(entry) > 0:
            self._overruns.add(sign, _excess(entry))
        if cost is not None and call.bound_nanodollars is not None:
            self._bounds.add(sign, call.bound_nanodollars)

    def report(self, store: Store) -> Report:
        models, kept = _by_model(self._sums), self._kept(store)
        refused = sorted(self._refused.items(), key=lambda item: (-item[1][0], item[0][0]))
        open_shares, expired = Shares(), Shares()
        for entry in self._open.values():
            open_shares.add(1, _held(entry))
        for entry in self._expired.values():
            expired.add(1, cost_of(entry) or 0)
        return replace(
            self._head,
            last_seen=self._last_seen or None,
            state=self._time.state,
            open_nanoseconds=self._time.until(self._last_seen),
            limits=self._limit_balances(kept),
            others=self._others_in_force(kept),
            total=self._total().use(),
            models=tuple(
                ModelUse(provider=provider, model=model, use=part.use())
                for (provider, model), part in sorted(models.items(), key=lambda item: (-item[1].cost, -item[1].calls))
            ),
            refused=tuple(
                Refused(code=code, account=account, limit=limit, model=model, count=count, reason=reason)
                for (code, account, limit, model), (count, reason) in refused
            ),
            turned_away=_counted(self._turned_away),
            failed=_counted(self._failed),
            released=self._released,
            unsent=_counted(self._unsent),
            rungs=_counted(self._rungs),
            estimated={reason: part.share() for reason, part in sorted(self._estimated.items()) if part.count},
            expired=expired.share(),
            corrected=self._corrected,
            open=open_shares.share(),
            overruns=self._overruns.share(),
            bounds=self._bounds.share(),
        )

    def _total(self) -> Sum:
        total = Sum()
        for part in self._sums.values():
            total.join(part)
        return total

    def _kept(self, store: Store) -> dict[Account, Balance]:
        """
        What the store has of the run's accounts, of those below it, and of wider ones that it is held to.
        """
        scopes = {self._scope, *(account.scope for limits in self._limits.values() for account in limits)}
        scopes.update(other.scope for others in self._others.values() for other in others if _has_account(other))
        tops: list[str] = []
        for scope in sorted(scopes, key=lambda scope: f"{scope}/"):  # Each before what is below it.
            if not tops or not under(scope, tops[-1]):
                tops.append(scope)
        return {balance.account: balance for scope in tops for balance in store.balances(scope)}

    def _limit_balances(self, kept: Mapping[Account, Balance]) -> tuple[Balance, ...]:
        limits: dict[Account, int | None] = {}
        for scope in sorted(self._limits, reverse=True):  # The run's own opening is the shortest, so it wins.
            limits.update(self._limits[scope])
        for account, balance in kept.items():  # The ledger may limit what the run itself does not.
            if balance.limit is not None and account.scope == self._scope:
                limits.setdefault(account, None)
        return tuple(
            replace(self._balance(account, kept), limit=_in_force(limits[account], kept.get(account)))
            for account in sorted(limits, key=lambda account: _rank(account, self._scope))
        )

    def _others_in_force(self, kept: Mapping[Account, Balance]) -> tuple[OtherLimit, ...]:
        return tuple(
            replace(other, spent=self._balance(Account(other.scope, other.meter, other.window), kept).spent)
            if _has_account(other)
            else other
            for scope in sorted(self._others)
            for other in self._others[scope]
        )

    def _balance(self, account: Account, kept: Mapping[Account, Balance]) -> Balance:
        # A window's present bucket, and what other runs spent of a wider scope's account, are the store's to tell.
        if account.window or not under(account.scope, self._scope):
            return kept.get(account, Balance(account=account))
        reserved, spent, overrun = self._balances.get(account, (0, 0, 0))
        return Balance(account=account, reserved=reserved, spent=spent, overrun=overrun)


def _has_account(other: OtherLimit) -> bool:
    return other.meter in METERS and other.scope != CALL


def _in_force(limit: int | None, own: Balance | None) -> int | None:
    """
    A limit of the run as the ledger holds it: with what was set there in its place, or topped up.
    """
    if own is None or own.limit is not None:
        return limit if own is None else own.limit
    return limit_in_force(limit, override=None, topped_up=own.topped_up)


def _excess(entry: Entry) -> int:
    return next((posting.overrun for posting in entry.postings if posting.account.meter == "usd"), 0)


def _held(entry: Entry) -> int:
    held = next((posting.reserved for posting in entry.postings if posting.account.meter == "usd"), None)
    return entry.call.bound_nanodollars or 0 if held is None else held


def _corrected(expired: Entry, correct: Entry) -> Entry:
    """
    The settlement (or release) that an expiry and its correction add up to.
    """
    before = {(posting.account, posting.bucket): posting for posting in expired.postings}
    postings = []
    for change in correct.postings:
        first = before.get((change.account, change.bucket), Posting(change.account, change.bucket))
        spent, overrun = first.spent + change.spent, first.overrun + change.overrun
        postings.append(replace(change, spent=spent, overrun=overrun))
    # Nothing is left of it and no one answered: it turned out that the call was never made.
    unmade = not any(posting.spent for posting in postings) and correct.call.status in (None, "not_sent")
    return replace(correct, kind="release" if unmade else "settle", postings=tuple(postings))


def _by_model(sums: Mapping[_Named, Sum]) -> dict[tuple[str | None, str | None], Sum]:
    """
    Sums by the model that answered. Calls that nobody answered go to the one that mostly answers for the asked name.
    """
    answering: dict[tuple[str | None, str | None], str | None] = {}
    for (provider, asked, used), part in sorted(sums.items(), key=lambda item: item[1].calls):
        if used is not None and part.calls:
            answering[provider, asked] = used
    models: defaultdict[tuple[str | None, str | None], Sum] = defaultdict(Sum)
    for (provider, asked, used), part in sums.items():
        if part.calls:
            models[provider, used or answering.get((provider, asked), asked)].join(part)
    return dict(models)


def _counted(counter: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counter.items()) if count}


def _rank(account: Account, scope: str) -> tuple[bool, str, int, str]:
    return account.scope != scope, account.scope, [*METERS, account.meter].index(account.meter), account.window
