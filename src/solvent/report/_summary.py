"""
A report, from what a ledger keeps: the digest of its journal, its balances, the openings of runs, and what is held.

Memory and time grow with the groups of the digest and with runs, not with calls.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from msgspec.structs import replace

from solvent._clock import Clock, SystemClock
from solvent._digest import Groups, Hours, Sums
from solvent._ladder import CALL
from solvent._ledger import limit_in_force
from solvent._limits import METERS
from solvent._openings import COMMAND, TOP_UP, OtherLimit, others_of
from solvent._records import BRANCHES, Account, Balance, Entry, Kind
from solvent.report._records import ModelUse, Refused, Report, Share
from solvent.report._rungs import PriceOf, rungs
from solvent.report._sums import OpenTime, Shares, Total, answered
from solvent.report._tree import held_usd, tree
from solvent.stores._protocol import Store, Told, under

_NOTES: tuple[Kind, ...] = ("close", "open", "top_up")
_Cause = tuple[str, Account | None, int | None, str | None]  # Code, account, limit, model.


def summarize(
    store: Store,
    scope: str | None,
    *,
    hours: Hours | None = None,
    clock: Clock | None = None,
    price_of: PriceOf | None = None,
    told: Told | None = None,
) -> Report:
    """
    The report of one run, of any scope with everything below it, or of a whole ledger.

    Args:
        store: Where its journal is.
        scope: The scope as the journal spells it: ``run:triage``; ``None`` for all.
        hours: Only calls that ended in these hours since 1970, the second one not included. Limits, and what is held,
            are those of now.
        clock: Tells how long a run that is open has been so.
        price_of: The price of a provider's model, to tell what a cheaper one saved; without it, the rate card's.
        told: Is handed how many entries were read, and of how many, where many have to be.

    Raises:
        StoreUnavailable: The store did not answer.
        LedgerCorrupt: It is damaged.
    """
    openings = _Openings(store, scope, hours, clock or SystemClock())
    for entry in store.entries(scope=scope, kinds=_NOTES):
        openings.add(entry)
    held = store.held(scope)
    limits = openings.limits()
    groups = answered(store.groups(scope=scope, hours=hours, told=told))
    return replace(
        _sums(openings.head(groups, held), groups),
        scope=scope,
        hours=hours,
        limits=tuple(balance for balance in limits if openings.is_told(balance.account.scope)),
        others=openings.others_in_force(),
        open=_share(held),
        ladder=rungs(groups, price_of),
        tree=tree(scope, groups, held=held, limits=limits),
        groups=groups,
    )


def _sums(report: Report, groups: Groups) -> Report:
    total, by_model, by_rung = Total(), defaultdict[tuple[str | None, str | None], Total](Total), Counter[str]()
    failed, unsent, refused = Counter[str](), Counter[str](), dict[_Cause, Sums]()
    estimated, expired, bounds = defaultdict[str, Shares](Shares), Shares(), Shares()
    corrected = retries = 0
    for facts, sums in groups.items():
        total.add(facts, sums)
        corrected += sums.corrected
        if facts.kind == "release":
            unsent[facts.reason or "not_sent"] += sums.count
        elif facts.kind == "refuse":
            cause = facts.status or "refused", facts.account, facts.limit, None if facts.account else facts.model_asked
            refused.setdefault(cause, Sums(tokens={})).join(sums)
        else:
            by_model[facts.provider, facts.model_used].add(facts, sums)
            by_rung.update(dict.fromkeys(facts.rungs, sums.count))
            retries += sums.retries
            bounds.add(sums.bounded, sums.bound)
            if facts.status is not None and facts.status.isdecimal():
                failed[facts.status] += sums.count
            if facts.estimated is not None:
                estimated[facts.estimated].add(sums.count, sums.cost)
            if facts.kind == "expire":
                expired.add(sums.count, sums.cost)
    models = sorted(by_model.items(), key=lambda item: (-item[1].cost, -item[1].calls))
    return replace(
        report,
        total=total.use(),
        models=tuple(
            ModelUse(provider=provider, model=model, use=part.use())
            for (provider, model), part in models
            if not part.is_nothing
        ),
        refused=_by_cause(refused),
        failed=_counted(failed),
        released=total.released,
        unsent=_counted(unsent),
        rungs=_counted(by_rung),
        estimated={reason: part.share() for reason, part in sorted(estimated.items()) if part.count},
        expired=expired.share(),
        corrected=corrected,
        overruns=total.overruns.share(),
        bounds=bounds.share(),
        retries=retries,
    )


def _by_cause(refused: Mapping[_Cause, Sums]) -> tuple[Refused, ...]:
    return tuple(
        Refused(code=code, account=account, limit=limit, model=model, count=sums.count, reason=sums.said)
        for (code, account, limit, model), sums in sorted(refused.items(), key=lambda one: (-one[1].count, one[0][0]))
    )


class _Openings:
    """
    The openings of a scope and of those below it: how long it was open, and which limits are in force.
    """

    def __init__(self, store: Store, scope: str | None, hours: Hours | None, clock: Clock) -> None:
        self._store, self._scope, self._hours = store, scope, hours
        self._time = OpenTime(clock)
        self._head = Report(scope=scope)
        self._limits: dict[str, dict[Account, int | None]] = {}  # Of the last opening of each scope.
        self._others: dict[str, tuple[OtherLimit, ...]] = {}
        self._kept: dict[Account, Balance] | None = None
        self._runs: set[str] = set()
        self._turned_away: Counter[str] = Counter()
        self._last = 0
        self._opened_after = 0  # The entry before the last opening, where there were several.

    def add(self, entry: Entry) -> None:
        if entry.kind == "open":
            self._limits[entry.scope] = {posting.account: posting.limit for posting in entry.postings}
            self._others[entry.scope] = others_of(entry.call)
            if entry.scope.rpartition("/")[2].startswith("run:"):
                self._runs.add(entry.scope)
            if entry.scope == self._scope and not (entry.call.reason or "").startswith(TOP_UP):
                self._open(entry)
        elif entry.kind == "close" and entry.scope == self._scope:
            self._close(entry)
        self._last = entry.at

    def _open(self, entry: Entry) -> None:
        head, began = self._head, entry.call.started or entry.at
        started = began if head.started is None else head.started
        seen = began if head.openings == 0 or head.ended else self._seen(before=entry.seq)
        self._time.open(began, owner=entry.call.status, seen=seen)
        self._opened_after = entry.seq if head.openings else 0
        self._head = replace(
            head,
            openings=head.openings + 1,
            started=started,
            is_command=entry.call.format == COMMAND,
            ended=None,
            exit_reason=None,
            exit_code=None,
        )

    def _close(self, entry: Entry) -> None:
        status = entry.call.status or ""
        ended = entry.call.ended or entry.at
        self._time.close(ended)
        self._turned_away.update(entry.call.usage or {})
        code = int(status) if status.isdecimal() else None
        self._head = replace(self._head, ended=ended, exit_reason=entry.call.reason, exit_code=code)

    def _seen(self, *, before: int | None = None) -> int:
        return (self._store.last_seen(self._scope, before=before) if self._scope is not None else None) or 0

    def head(self, groups: Groups, held: list[Entry]) -> Report:
        if self._head.openings and self._head.ended is None:
            last = self._seen()
        else:
            signs = [sums.last for facts, sums in groups.items() if facts.kind != "expire"]
            last = max([*signs, *(entry.at for entry in held), self._last])
        return replace(
            self._head,
            runs=len(self._runs),
            before=self._before(groups).use(),
            last_seen=last or None,
            state=self._time.state,
            open_nanoseconds=self._time.until(last),
            turned_away=_counted(self._turned_away),
        )

    def _before(self, groups: Groups) -> Total:
        """
        What was used before the last opening: all but what came after it.
        """
        before = Total()
        if self._opened_after:
            for facts, sums in groups.items():
                before.add(facts, sums)
            since = self._store.groups(scope=self._scope, hours=self._hours, after=self._opened_after)
            for facts, sums in since.items():
                before.add(facts, _taken_back(sums))
        return before

    @property
    def kept(self) -> Mapping[Account, Balance]:
        """
        What the store has of the scope's accounts, of those below it, and of wider ones that it is held to.
        """
        if self._kept is None:
            kept = self._store.balances(self._scope)
            for scope in self._wider():
                kept += self._store.balances(scope, below=False)  # Of all else that is below it, none counts here.
            self._kept = {balance.account: balance for balance in kept}
        return self._kept

    def _wider(self) -> list[str]:
        scopes = {account.scope for limits in self._limits.values() for account in limits}
        scopes.update(other.scope for others in self._others.values() for other in others if _has_account(other))
        return sorted(scope for scope in scopes if not under(scope, self._scope))

    def limits(self) -> list[Balance]:
        # What nobody opened is limited by what comes with its calls, such as a policy's limit of an agent.
        carried = self._store.limits(self._scope)
        limits: dict[Account, int | None] = {
            account: limit for account, limit in carried.items() if account.scope not in self._limits
        }
        for scope in sorted(self._limits, reverse=True):  # The scope's own opening is the shortest, so it wins.
            limits.update(self._limits[scope])
        for account, balance in self.kept.items():  # The ledger may limit what the run itself does not.
            if balance.limit is not None and under(account.scope, self._scope):
                limits.setdefault(account, None)
        return [
            replace(self._balance(account), limit=_in_force(limits[account], self.kept.get(account)))
            for account in sorted(limits, key=lambda account: _rank(account, self._scope))
        ]

    def is_told(self, scope: str) -> bool:
        """
        Whether a limit of this scope is told beside the tree: of runs, a wider scope's report tells in its tree alone,
        for there may be a hundred thousand.
        """
        return _is_of_a_run(self._scope or "") or not _is_of_a_run(scope)

    def others_in_force(self) -> tuple[OtherLimit, ...]:
        return tuple(
            replace(other, spent=self._balance(Account(other.scope, other.meter, other.window)).spent)
            if _has_account(other)
            else other
            for scope in sorted(self._others)
            for other in self._others[scope]
            if self.is_told(other.scope)
        )

    def _balance(self, account: Account) -> Balance:
        return self.kept.get(account, Balance(account=account))


def _is_of_a_run(scope: str) -> bool:
    return f"/{scope}".find("/run:") >= 0


def _taken_back(sums: Sums) -> Sums:
    tokens = {name: -count for name, count in sums.tokens.items()}
    return Sums(count=-sums.count, cost=-sums.cost, unpriced=-sums.unpriced, tokens=tokens)


def _has_account(other: OtherLimit) -> bool:
    return other.meter in METERS and other.scope != CALL


def _in_force(limit: int | None, own: Balance | None) -> int | None:
    """
    A limit of the run as the ledger holds it: with what was set there in its place, or topped up.
    """
    if own is None or own.limit is not None:
        return limit if own is None else own.limit
    return limit_in_force(limit, override=None, topped_up=own.topped_up)


def _share(held: list[Entry]) -> Share:
    calls = [entry for entry in held if entry.call.format != BRANCHES]
    return Share(count=len(calls), nanodollars=sum(map(held_usd, calls)))


def _counted(counter: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counter.items()) if count}


def _rank(account: Account, scope: str | None) -> tuple[bool, str, int, str]:
    return account.scope != scope, account.scope, [*METERS, account.meter].index(account.meter), account.window
