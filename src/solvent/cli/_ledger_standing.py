"""
How an account stands: what is in it, and the limits that are kept in the ledger rather than sent with calls.
"""

import difflib
from collections import deque

from msgspec import Struct
from msgspec.structs import replace

from solvent._amounts import AMOUNT_MAX
from solvent._limits import CHECKED_METERS, show_amount
from solvent._operations import SetLimit, TopUp
from solvent._printable import printable
from solvent._records import Account, Balance, Kind
from solvent.report._json import Json, balance_json
from solvent.stores._protocol import Store


class Standing(Struct, frozen=True, kw_only=True):
    """
    Attributes:
        balance: Its ``limit`` is the one that was set in the ledger, with all top-ups; ``None`` without a set one.
        limit_set: The limit that was set in the ledger in place of those that come with calls.
        topped_up: The top-ups of the present window.
        is_limited: Whether calls bring a limit of their own, by the last one that did or did not.
    """

    balance: Balance
    limit_set: int | None = None
    topped_up: int = 0
    is_limited: bool = True

    @property
    def account(self) -> Account:
        return self.balance.account

    @property
    def is_full(self) -> bool:
        """
        Whether nothing more is admitted, as far as the limits in the ledger go.
        """
        return self._fills(self.balance.spent + self.balance.reserved)

    @property
    def is_spent(self) -> bool:
        """
        Whether that is so without open calls too.
        """
        return self._fills(self.balance.spent)

    def _fills(self, amount: int) -> bool:
        # A checked meter asks with 0, so it is full only when more than its limit was booked.
        limit = self.balance.limit
        return limit is not None and amount >= limit + (self.account.meter in CHECKED_METERS)

    def in_words(self) -> str:
        """
        ``spent $2.00, reserved $0.00; limit in force: the caller's + $1.50 top-up``.
        """
        spent, reserved = (
            show_amount(self.account.meter, part) for part in (self.balance.spent, self.balance.reserved)
        )
        return f"spent {spent}, reserved {reserved}; limit in force: {self._limit_in_words()}"

    def _limit_in_words(self) -> str:
        meter, balance = self.account.meter, self.balance
        if self.limit_set is None and not self.is_limited:
            adds = f"; the {show_amount(meter, self.topped_up)} top-up adds to one that comes" if self.topped_up else ""
            return f"none, for the last call came without one{adds}"
        own = "the caller's" if self.limit_set is None else f"{show_amount(meter, self.limit_set)} set here"
        more = f" + {show_amount(meter, self.topped_up)} top-up" if self.topped_up else ""
        total = f" = {show_amount(meter, balance.limit)}" if more and balance.limit is not None else ""
        if self.limit_set == 0 and more:
            more, total = " (top-ups do not count on it)", ""
        elif self.limit_set is not None and balance.limit != self.limit_set + self.topped_up:
            total += ", capped"
        return f"{own}{more}{total}"

    def to_json(self) -> Json:
        return {
            **balance_json(self.balance),
            "limit_set": None if self.limit_set is None else str(self.limit_set),
            "topped_up": str(self.topped_up),
        }


def standings(store: Store, scope: str | None) -> list[Standing]:
    """
    The accounts of a scope and of all below it, in their present windows.
    """
    return [
        Standing(
            balance=balance,
            limit_set=_limit_set(store, balance),
            topped_up=balance.topped_up,
        )
        for balance in store.balances(scope)
    ]


def _limit_set(store: Store, balance: Balance) -> int | None:
    """
    What was set, out of the limit in force; where that has no room for all top-ups, out of the journal.
    """
    if balance.limit is None or balance.limit == 0:
        return balance.limit
    if balance.limit < AMOUNT_MAX:
        return balance.limit - balance.topped_up
    changes = store.entries(scope=balance.account.scope, kinds=["set_limit"])
    limits = [posting.limit for entry in changes for posting in entry.postings if posting.account == balance.account]
    return limits[-1] if limits else None


def standing(store: Store, account: Account) -> Standing:
    """
    One account; nothing is in it when the ledger does not know it.
    """
    found = (one for one in standings(store, account.scope) if one.account == account)
    return replace(next(found, Standing(balance=Balance(account=account))), is_limited=_is_limited(store, account))


def _is_limited(store: Store, account: Account) -> bool:
    """
    Whether the last call in an account brought a limit; what the first one will bring is not known.
    """
    entries = store.entries(scope=account.scope, kinds=["open", "refuse", "reserve"])
    limits = (posting.limit for entry in entries for posting in entry.postings if posting.account == account)
    last = deque(limits, maxlen=1)
    return not last or last[0] is not None


def last_seq(store: Store) -> int:
    """
    The number of the last entry, found without reading the journal.
    """
    low, step = 0, 1
    while next(store.entries(after=low + step - 1), None) is not None:
        low, step = low + step, step * 2
    while step > 1:
        step //= 2
        if next(store.entries(after=low + step - 1), None) is not None:
            low += step
    return low


def was_counted(store: Store, change: TopUp | SetLimit) -> bool:
    """
    Whether a change of this id is in the journal.
    """
    kind: Kind = "top_up" if isinstance(change, TopUp) else "set_limit"
    entries = store.entries(scope=change.account.scope, kinds=[kind])
    return any(entry.id == change.id for entry in entries)


def is_known(store: Store, account: Account) -> bool:
    """
    Whether anything was ever counted in an account or limited there.
    """
    if any(balance.account == account for balance in store.balances(account.scope)):
        return True
    return any(posting.account == account for entry in store.entries(scope=account.scope) for posting in entry.postings)


def close_to(store: Store, account: Account) -> list[Account]:
    """
    Accounts that may have been meant: the same one in another window, or of a scope that is spelled alike.
    """
    accounts = [balance.account for balance in store.balances()]
    same = [one for one in accounts if (one.scope, one.meter) == (account.scope, account.meter)]
    of_meter = {one.scope: one for one in accounts if one.meter == account.meter and one not in same}
    alike = difflib.get_close_matches(account.scope, of_meter, n=3)
    return (same + [of_meter[scope] for scope in alike])[:3]


def account_words(account: Account) -> str:
    """
    ``team:search usd per day (UTC)``.
    """
    window, _, zone = account.window.partition("@")
    per = f" per {window}" if window else ""
    return f"{printable(account.scope)} {account.meter}{per}{f' ({zone})' if zone else ''}"
