"""
One pass over a run's journal, adding up its report.

Memory grows with models, kinds of refusals and open or expired reservations, not with calls.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from msgspec.structs import replace

from solvent._ledger import carries_run_total, limit_in_force
from solvent._limits import METERS
from solvent._records import Account, Balance, Entry, Posting
from solvent.report._records import ModelUse, Refused, Report, Share, Use
from solvent.stores._protocol import Store, under

_Named = tuple[str | None, str | None, str | None]  # Provider, model asked for, model that answered.
_Cause = tuple[str, Account | None, int | None, str | None]  # Code, account, limit, model.


def summarize(store: Store, scope: str) -> Report:
    """
    The report of one run and of everything below its scope.

    Args:
        store: Where its journal is.
        scope: The run's scope as the journal spells it: ``run:triage``.

    Raises:
        StoreUnavailable: The store did not answer.
        LedgerCorrupt: It is damaged.
    """
    tally = _Tally(scope)
    for entry in store.entries(scope=scope):
        tally.add(entry)
    return tally.report(store)


class _Sum:
    """
    A ``Use`` under way. Calls can be taken out again, for a correction replaces what an expiry booked.
    """

    def __init__(self) -> None:
        self.calls = self.cost = self.unpriced = 0
        self.tokens: Counter[str] = Counter()

    def add(self, entry: Entry, sign: int) -> None:
        cost = _cost(entry)
        self.calls += sign
        self.cost += sign * (cost or 0)
        self.unpriced += sign * (cost is None)
        for name, count in (entry.call.usage or {}).items():
            self.tokens[name] += sign * count

    def join(self, other: "_Sum") -> None:
        self.calls += other.calls
        self.cost += other.cost
        self.unpriced += other.unpriced
        self.tokens.update(other.tokens)

    def use(self) -> Use:
        tokens = {name: count for name, count in sorted(self.tokens.items()) if count}
        return Use(calls=self.calls, cost_nanodollars=self.cost, unpriced=self.unpriced, tokens=tokens)


class _Shares:
    """
    A ``Share`` under way.
    """

    def __init__(self) -> None:
        self.count = self.nanodollars = 0

    def add(self, sign: int, nanodollars: int) -> None:
        self.count += sign
        self.nanodollars += sign * nanodollars

    def share(self) -> Share:
        return Share(count=self.count, nanodollars=self.nanodollars)


class _Tally:
    """
    Everything that the report sums up, entry by entry.
    """

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._head = Report(scope=scope)
        self._limits: dict[str, dict[Account, int | None]] = {}  # Of the last opening of each scope.
        self._balances: defaultdict[Account, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._sums: defaultdict[_Named, _Sum] = defaultdict(_Sum)
        self._refused: dict[_Cause, tuple[int, str | None]] = {}
        self._rungs: Counter[str] = Counter()
        self._estimated: defaultdict[str, _Shares] = defaultdict(_Shares)
        self._open: dict[str, Entry] = {}
        self._expired: dict[str, Entry] = {}
        self._overruns, self._bounds = _Shares(), _Shares()
        self._released = self._corrected = self._last_seen = 0

    def add(self, entry: Entry) -> None:
        for posting in entry.postings:
            if not posting.account.window and under(posting.account.scope, self._scope):
                sums = self._balances[posting.account]
                sums[0] += posting.reserved
                sums[1] += posting.spent
                sums[2] += posting.overrun
        if entry.kind != "expire":  # Written by whoever looks next, which is no sign of life.
            self._last_seen = entry.at
        match entry.kind:
            case "open":
                self._limits[entry.scope] = {posting.account: posting.limit for posting in entry.postings}
                self._opened(entry)
            case "close":
                self._closed(entry)
            case "refuse":
                self._refuse(entry)
            case "reserve":
                self._open[entry.id] = entry
            case "settle" | "expire" | "release" | "correct":
                self._close_call(entry)

    def _opened(self, entry: Entry) -> None:
        if entry.scope == self._scope:
            head, began = self._head, entry.call.started or entry.at
            started = began if head.started is None else head.started
            self._head = replace(
                head,
                openings=head.openings + 1,
                before=self._total().use(),
                started=started,
                ended=None,
                exit_reason=None,
                exit_code=None,
            )

    def _closed(self, entry: Entry) -> None:
        if entry.scope == self._scope:
            status = entry.call.status or ""
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
            return
        if entry.kind == "expire":
            self._expired[entry.id] = entry
        self._count(entry, 1)

    def _count(self, entry: Entry, sign: int) -> None:
        call, cost = entry.call, _cost(entry)
        self._sums[call.provider, call.model_asked, call.model_used].add(entry, sign)
        for rung in call.rungs or ():
            self._rungs[rung.partition(" ")[0]] += sign
        if call.estimated is not None:
            self._estimated[call.estimated].add(sign, cost or 0)
        if _excess(entry) > 0:
            self._overruns.add(sign, _excess(entry))
        if cost is not None and call.bound_nanodollars is not None:
            self._bounds.add(sign, call.bound_nanodollars)

    def report(self, store: Store) -> Report:
        models = _by_model(self._sums)
        refused = sorted(self._refused.items(), key=lambda item: (-item[1][0], item[0][0]))
        open_shares, expired = _Shares(), _Shares()
        for entry in self._open.values():
            open_shares.add(1, _held(entry))
        for entry in self._expired.values():
            expired.add(1, _cost(entry) or 0)
        return replace(
            self._head,
            last_seen=self._last_seen or None,
            limits=self._limit_balances(store),
            total=self._total().use(),
            models=tuple(
                ModelUse(provider=provider, model=model, use=part.use())
                for (provider, model), part in sorted(models.items(), key=lambda item: (-item[1].cost, -item[1].calls))
            ),
            refused=tuple(
                Refused(code=code, account=account, limit=limit, model=model, count=count, reason=reason)
                for (code, account, limit, model), (count, reason) in refused
            ),
            released=self._released,
            rungs={name: count for name, count in sorted(self._rungs.items()) if count},
            estimated={reason: part.share() for reason, part in sorted(self._estimated.items()) if part.count},
            expired=expired.share(),
            corrected=self._corrected,
            open=open_shares.share(),
            overruns=self._overruns.share(),
            bounds=self._bounds.share(),
        )

    def _total(self) -> _Sum:
        total = _Sum()
        for part in self._sums.values():
            total.join(part)
        return total

    def _limit_balances(self, store: Store) -> tuple[Balance, ...]:
        limits: dict[Account, int | None] = {}
        for scope in sorted(self._limits, reverse=True):  # The run's own opening is the shortest, so it wins.
            limits.update(self._limits[scope])
        own = {balance.account: balance for scope in {a.scope for a in limits} for balance in store.balances(scope)}
        for account, balance in own.items():  # The ledger may limit what the run itself does not.
            if balance.limit is not None and account.scope == self._scope:
                limits.setdefault(account, None)
        return tuple(
            replace(self._balance(account, store), limit=_in_force(limits[account], own.get(account)))
            for account in sorted(limits, key=lambda account: _rank(account, self._scope))
        )

    def _balance(self, account: Account, store: Store) -> Balance:
        # A window's present bucket, and what other runs spent of a wider scope's account, are the store's to tell.
        if account.window or not under(account.scope, self._scope):
            found = (balance for balance in store.balances(account.scope) if balance.account == account)
            return next(found, Balance(account=account))
        reserved, spent, overrun = self._balances.get(account, (0, 0, 0))
        return Balance(account=account, reserved=reserved, spent=spent, overrun=overrun)


def _cost(entry: Entry) -> int | None:
    """
    What a closing booked: by the run's own account where it has one, so that the report and the balance cannot differ.
    """
    booked = next((posting.spent for posting in entry.postings if carries_run_total(posting.account)), None)
    unpriced = entry.call.cost_nanodollars is None and not booked
    return None if unpriced else entry.call.cost_nanodollars if booked is None else booked


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


def _by_model(sums: Mapping[_Named, _Sum]) -> dict[tuple[str | None, str | None], _Sum]:
    """
    Sums by the model that answered. Calls that nobody answered go to the one that mostly answers for the asked name.
    """
    answering: dict[tuple[str | None, str | None], str | None] = {}
    for (provider, asked, used), part in sorted(sums.items(), key=lambda item: item[1].calls):
        if used is not None and part.calls:
            answering[provider, asked] = used
    models: defaultdict[tuple[str | None, str | None], _Sum] = defaultdict(_Sum)
    for (provider, asked, used), part in sums.items():
        if part.calls:
            models[provider, used or answering.get((provider, asked), asked)].join(part)
    return dict(models)


def _rank(account: Account, scope: str) -> tuple[bool, str, int, str]:
    return account.scope != scope, account.scope, [*METERS, account.meter].index(account.meter), account.window
