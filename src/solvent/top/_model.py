"""
What is open and how it stands, of notes, balances and refusals. It is told the time, and reads nothing itself.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from msgspec.structs import replace

from solvent._limits import METERS, SECOND_NS
from solvent._records import Account, Balance, Entry
from solvent.stores._protocol import under
from solvent.top._burn import Burn
from solvent.top._records import OpenBudget, Picture, Refusal, Row
from solvent.top._rows import Rows, has_account
from solvent.top._scopes import IsThere, Scopes, State, above, run_of

REFUSALS_KEPT = 50
KILLED_SHOWN_NS = 600 * SECOND_NS  # After its last sign of life.


class Model:
    """
    Args:
        is_there: Whether a process is still there, by its name in the journal.
        scope: Only this scope and all below it.
        burn: Knows what was spent before the first look.
    """

    def __init__(self, is_there: IsThere, *, scope: str | None = None, burn: Burn | None = None) -> None:
        self._scope = scope
        self._is_there = is_there
        self._scopes = Scopes(is_there)
        self._states: dict[str, State | None] = {}
        self._burn = burn or Burn()
        self._refusals: list[Refusal] = []
        self._seen_ns: dict[str, int] = {}  # By run: its last sign of life.
        self._limited: set[Account] = set()  # Of which the ledger holds a limit, or did.

    def add(self, entry: Entry) -> None:
        """
        An entry that is no call: an opening or its end, a change of a limit, a refusal.
        """
        match entry.kind:
            case "open" | "close":
                self._scopes.add(entry)
            case "set_limit" | "top_up":
                self._limited.update(posting.account for posting in entry.postings)
            case "refuse" if under(entry.scope, self._scope):
                self._refuse(entry)

    def seen(self, scope: str, at_ns: int) -> None:
        """
        A call in a scope ended then.
        """
        run = run_of(scope)
        self._seen_ns[run] = max(self._seen_ns.get(run, 0), at_ns)

    def open_scopes(self, now_ns: int) -> list[str]:
        """
        Those whose balances are to be known, and those of all below. Killed ones are forgotten some time after.
        """
        owners = {owner for one in self._scopes for owner in one.owners if owner is not None}
        there = {owner: self._is_there(owner) for owner in owners}
        self._states = {}
        for one in list(self._scopes):
            state = one.state(there.get)
            if one.owners and state != "killed":
                self.seen(one.scope, now_ns)
            elif self._seen_ns.get(run_of(one.scope), 0) < now_ns - KILLED_SHOWN_NS:
                self._scopes.forget(one.scope)
                continue
            self._states[one.scope] = state if one.owners else None
        runs = {run_of(scope) for scope in self._states}
        self._seen_ns = {run: at for run, at in self._seen_ns.items() if run in runs}
        return [scope for scope in self._states if under(scope, self._scope)]

    def wide_scopes(self) -> set[str]:
        """
        Scopes above open ones that have limits.
        """
        places = {place for one in self._scopes for place in above(run_of(one.scope))}
        limited = {account.scope for one in self._scopes for account in one.limits}
        limited |= {other.scope for one in self._scopes for other in one.others if has_account(other)}
        limited |= {account.scope for account in self._limited}
        return {scope for scope in places & limited if under(scope, self._scope)}

    def picture(self, balances: Mapping[Account, Balance], carried: Mapping[Account, int], *, now_ns: int) -> Picture:
        """
        Args:
            carried: The limits that came with calls to open scopes and to those below, of which an opening tells more.
        """
        runs = {run_of(scope) for scope in self._states}
        below = {
            account: limit
            for account, limit in carried.items()
            if account.scope not in self._states and run_of(account.scope) in runs
        }
        rows = Rows(self._scopes, below, self._limited, balances, now_ns=now_ns)
        shown = self._shown(account.scope for account in below)
        budgets = [rows.budget(scope, self._scopes.find(scope), self._states.get(scope)) for scope in shown]
        tracked = {row.account for budget in budgets for row in budget.rows if row.account.meter in METERS}
        tracked |= {Account(budget.scope, "usd") for budget in budgets}
        self._burn.look(tracked, balances, now_ns=now_ns)
        budgets = [
            replace(budget, rows=tuple(self._burning(row, budget, now_ns) for row in budget.rows)) for budget in budgets
        ]
        return Picture(
            at=now_ns,
            budgets=tuple(sorted(budgets, key=self._order)),
            burn=self._in_all(budgets, now_ns),
            refusals=tuple(reversed(self._refusals)),
        )

    def _shown(self, limited: Iterable[str]) -> list[str]:
        runs = {run_of(scope) for scope in self._states}
        below = set(limited)
        below |= {account.scope for account in self._limited if run_of(account.scope) in runs}
        return sorted(scope for scope in {*self._states, *self.wide_scopes(), *below} if under(scope, self._scope))

    def _refuse(self, entry: Entry) -> None:
        said = (entry.call.reason or "").partition("\n")[0] or entry.call.model_asked or ""
        new = Refusal(at=entry.at, scope=entry.scope, code=entry.call.status or "refused", said=said)
        last = self._refusals[-1] if self._refusals else None
        if last is not None and (last.scope, last.code, last.said) == (new.scope, new.code, new.said):
            self._refusals[-1] = replace(new, count=last.count + 1)
        else:
            self._refusals = [*self._refusals, new][-REFUSALS_KEPT:]

    def _burning(self, row: Row, budget: OpenBudget, now_ns: int) -> Row:
        if row.account.meter not in METERS or self._is_killed(budget.scope):
            return row
        burn = self._burn.per_minute(row.account, now_ns=now_ns, opened_ns=self._since(budget.scope))
        remaining = row.balance.remaining
        left = max(remaining, 0) * 60 // burn if remaining is not None and burn > 0 else None
        return replace(row, burn=burn, seconds_left=left)

    def _order(self, budget: OpenBudget) -> tuple[bool, int, str]:
        """
        The one nearest to a limit first, by whole percents, so that they do not jump about; what is over, last.
        """
        return self._is_killed(budget.scope), -int(budget.used * 100), budget.scope

    def _is_killed(self, scope: str) -> bool:
        return self._states.get(scope, self._states.get(run_of(scope))) == "killed"

    def _since(self, scope: str) -> int:
        """
        When that was opened which spends from a scope now: itself, the run it is in, or the first one below it.
        """
        found, run = self._scopes.find(scope), self._scopes.find(run_of(scope))
        if found is not None or run is not None:
            return max(found.first_ns if found else 0, run.since_ns if run else 0)
        return min((one.since_ns for one in self._scopes if under(one.scope, scope)), default=0)

    def _in_all(self, budgets: Iterable[OpenBudget], now_ns: int) -> Fraction:
        """
        What the open budgets that are in no other one spend in a minute.
        """
        opened = {budget.scope for budget in budgets if budget.is_open}
        outer = [scope for scope in opened if not any(place in opened for place in above(scope))]
        return sum(
            (
                self._burn.per_minute(Account(scope, "usd"), now_ns=now_ns, opened_ns=self._since(scope))
                for scope in outer
            ),
            Fraction(0),
        )
