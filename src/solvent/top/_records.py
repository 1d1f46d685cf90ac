"""
What a picture of the open budgets says. Amounts are integers: nanodollars for money, counts for the rest.
"""

from collections.abc import Iterator
from fractions import Fraction

from msgspec import Struct

from solvent._records import Account, Balance
from solvent.top._scopes import State, run_of


class Row(Struct, frozen=True, kw_only=True):
    """
    One limit of a budget, or what it spent where there is none.

    Attributes:
        balance: With the limit in force. Of a time it counts whole seconds.
        on_exceed: ``warn`` and ``log`` only tell.
        burn: Spent per minute, over the last minutes; ``None`` of a time, and of what was killed.
        seconds_left: Until nothing is left at this burn; ``None`` where it is not burning, or nothing limits it.
        resets_seconds: Until the window begins anew.
    """

    balance: Balance
    on_exceed: str = "block"
    burn: Fraction | None = None
    seconds_left: int | None = None
    resets_seconds: int | None = None

    @property
    def account(self) -> Account:
        return self.balance.account

    @property
    def used(self) -> Fraction:
        """
        The share of its limit that is spent or reserved; 0 where there is none.
        """
        balance = self.balance
        if balance.limit is None:
            return Fraction(0)
        amount = balance.spent + balance.reserved
        return Fraction(amount, balance.limit) if balance.limit else Fraction(1)


class OpenBudget(Struct, frozen=True, kw_only=True):
    """
    A scope that is open, or above or below one that is.

    Attributes:
        opened_ns: Since when it is open; ``None`` of a scope that nobody opened by itself, or whose openings ended.
        calls: Made, over the life of the scope, else in its widest window.
        open_calls, open_most: Under way, and the most that may be so at a time.
        rows: The one nearest to its limit first.
    """

    scope: str
    state: State | None = None
    opened_ns: int | None = None
    calls: int = 0
    open_calls: int = 0
    open_most: int | None = None
    rows: tuple[Row, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.opened_ns is not None and self.state != "killed"

    @property
    def used(self) -> Fraction:
        return max((row.used for row in self.rows), default=Fraction(0))


class Refusal(Struct, frozen=True, kw_only=True):
    """
    A call that was refused, the last one of ``count`` alike.
    """

    at: int
    scope: str
    code: str
    said: str
    count: int = 1


class Picture(Struct, frozen=True, kw_only=True):
    """
    Attributes:
        at: When it was taken; nanoseconds since 1970, UTC, as all times here.
        budgets: The one nearest to a limit first, and killed ones last.
        burn: Nanodollars per minute, of all open budgets together.
        refusals: The last ones, the newest first.
        unknown: The scope that was asked for, where the ledger does not know it.
    """

    at: int
    budgets: tuple[OpenBudget, ...] = ()
    burn: Fraction = Fraction(0)
    refusals: tuple[Refusal, ...] = ()
    unknown: str | None = None

    @property
    def open_count(self) -> int:
        return sum(budget.is_open for budget in self._outer())

    @property
    def killed_count(self) -> int:
        return sum(budget.state == "killed" for budget in self._outer())

    def _outer(self) -> Iterator[OpenBudget]:
        """
        Those that do not stand in the block of the run they are in.
        """
        scopes = {budget.scope for budget in self.budgets}
        return (one for one in self.budgets if one.scope == run_of(one.scope) or run_of(one.scope) not in scopes)
