"""
The limits that a scope is held to now, each with what its account holds.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec.structs import replace

from solvent._clock import utc
from solvent._ledger import limit_in_force
from solvent._limits import GAUGES, METERS, SECOND_NS, resets_at
from solvent._openings import OtherLimit
from solvent._records import Account, Balance
from solvent.top._records import OpenBudget, Row
from solvent.top._scopes import Opened, State


class Rows:
    """
    Args:
        opened: Openings of which the later ones win.
        carried: Limits that came with calls.
        limited: Accounts of which the ledger holds a limit, or did.
    """

    def __init__(
        self,
        opened: Iterable[Opened],
        carried: Mapping[Account, int],
        limited: Collection[Account],
        balances: Mapping[Account, Balance],
        *,
        now_ns: int,
    ) -> None:
        self._balances = balances
        self._now_ns = now_ns
        self._limits: defaultdict[str, dict[Account, int | None]] = defaultdict(dict)
        self._others: defaultdict[str, dict[Account, OtherLimit]] = defaultdict(dict)
        for account in limited:
            self._limits[account.scope][account] = None
        for account, limit in carried.items():
            self._limits[account.scope][account] = limit
        for one in sorted(opened, key=lambda one: one.seq):
            for account, limit in one.limits.items():
                self._limits[account.scope][account] = limit
            for other in one.others:
                self._others[other.scope][Account(other.scope, other.meter, other.window)] = other

    def budget(self, scope: str, one: Opened | None, state: State | None) -> OpenBudget:
        """
        Args:
            one: Its opening, if somebody opened it.
        """
        own = self._limits.get(scope, {})
        limits = {account: _in_force(limit, self._balances.get(account)) for account, limit in own.items()}
        rows = [self._row(account, limit) for account, limit in limits.items() if account.meter not in GAUGES]
        rows = [row for row in rows if row.balance.limit is not None]
        rows += self._also(scope, one, state)
        if not rows:
            rows = [self._row(Account(scope, "usd"), None)]
        calls = self._calls(scope, [row.account.window for row in rows])
        is_open = one is not None and bool(one.owners)
        return OpenBudget(
            scope=scope,
            state=state,
            opened_ns=one.since_ns if one is not None and is_open else None,
            calls=calls.spent,
            open_calls=calls.reserved,
            open_most=limits.get(Account(scope, "parallel")),
            rows=tuple(sorted(rows, key=lambda row: (-row.used, rank(row.account)))),
        )

    def _also(self, scope: str, one: Opened | None, state: State | None) -> Iterator[Row]:
        """
        The limits that no account refuses by: those that only tell, and the time of an open scope.
        """
        for account, other in self._others.get(scope, {}).items():
            if has_account(other) and account.meter not in GAUGES:
                limit = _in_force(int(other.limit), self._balances.get(account))
                yield self._row(account, limit, other.on_exceed)
            elif other.meter == "seconds" and one is not None and one.owners and state != "killed":
                limit, passed = int(float(other.limit)), max(self._now_ns - one.since_ns, 0) // SECOND_NS
                balance = Balance(account=account, limit=limit, spent=passed)
                yield Row(balance=balance, on_exceed=other.on_exceed, seconds_left=max(limit - passed, 0))

    def _row(self, account: Account, limit: int | None, on_exceed: str = "block") -> Row:
        balance, now = replace(self._balances.get(account, Balance(account=account)), limit=limit), utc(self._now_ns)
        reset = None if account.window == "minute" else resets_at(account.window, now=now)
        seconds = None if reset is None else round((reset - now).total_seconds())
        return Row(balance=balance, on_exceed=on_exceed, resets_seconds=seconds)

    def _calls(self, scope: str, windows: Iterable[str]) -> Balance:
        for window in ("", *windows):
            if (account := Account(scope, "calls", window)) in self._balances:
                return self._balances[account]
        return Balance(account=Account(scope, "calls"))


def has_account(other: OtherLimit) -> bool:
    return other.meter in METERS


def _in_force(limit: int | None, own: Balance | None) -> int | None:
    """
    A limit as the ledger holds it: with what was set there in its place, or topped up.
    """
    if own is None or own.limit is not None:
        return limit if own is None else own.limit
    return limit_in_force(limit, override=None, topped_up=own.topped_up)


def rank(account: Account) -> tuple[int, str]:
    return [*METERS, account.meter].index(account.meter), account.window
