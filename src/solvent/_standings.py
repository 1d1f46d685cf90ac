"""
What this process last heard of accounts: how much of its limit each has used.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from msgspec import Struct

from solvent._clock import Clock, utc
from solvent._ladder import BOUNDED_METERS, CALL, Charges
from solvent._ledger import limit_in_force
from solvent._limits import Limit, resets_at
from solvent._records import Account, Balance
from solvent.stores._protocol import Store

ACCOUNTS_MAX = 16_384


class Look(Struct, frozen=True):
    """
    Asks the driver for the balances of a scope.
    """

    scope: str

    def balances(self, store: Store) -> list[Balance]:
        return store.balances(self.scope)


class Standings:
    """
    The balances of accounts that somebody asked about, kept up to date by every answer of the ledger that tells them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[Account, tuple[Balance, int]] = {}

    def heard(self, balances: Iterable[Balance]) -> None:
        if self._seen:
            now_ns = self._clock.now_ns()
            for balance in balances:
                if balance.account in self._seen:
                    self._seen[balance.account] = balance, now_ns

    def unknown(self, charges: Charges) -> list[Account]:
        """
        The accounts of money and tokens with a limit that nothing was heard of yet.
        """
        return [account for account, _ in _limited(charges) if account not in self._seen]

    def look(self, account: Account, balances: Sequence[Balance]) -> None:
        """
        What a store says of a scope, and so of one of its accounts.
        """
        found = next((balance for balance in balances if balance.account == account), Balance(account=account))
        if len(self._seen) >= ACCOUNTS_MAX:
            self._seen.clear()
        self._seen[account] = found, self._clock.now_ns()

    def is_reached(self, share: Fraction, charges: Charges) -> bool:
        """
        Whether so much of any limit of money or tokens is used or set aside.
        """
        return any(self._is_reached(share, account, limit) for account, limit in _limited(charges))

    def _is_reached(self, share: Fraction, account: Account, limit: Limit) -> bool:
        balance, seen_ns = self._seen.get(account, (Balance(account=account), 0))
        used, most = balance.spent + balance.reserved, balance.limit
        if most is None or limit.on_exceed != "block":  # The ledger's own limit is in the place of one that refuses.
            most = limit_in_force(limit.amount, override=None, topped_up=balance.topped_up)
        if account.window:
            reset = resets_at(account.window, now=utc(seen_ns))
            if reset is not None and reset <= utc(self._clock.now_ns()):
                used = 0  # Nothing was heard of the window that counts now.
        return used * share.denominator >= (most or 0) * share.numerator


def _limited(charges: Charges) -> list[tuple[Account, Limit]]:
    """
    Those that a cheaper model spares, whether they refuse or only tell.
    """
    return [
        (account, limit)
        for account, limit in (*charges.places, *charges.watched)
        if limit is not None and account.meter in BOUNDED_METERS and account.scope != CALL
    ]
