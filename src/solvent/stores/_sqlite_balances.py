"""
Balances of an SQLite ledger as they stand inside one write transaction: read once, then kept in step with what is
written.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from solvent import _ledger
from solvent._ledger import Account, Balance

if TYPE_CHECKING:
    from solvent.stores._sqlite_file import SQLiteFile

_SUMS = (
    "SELECT coalesce(sum(reserved), 0), coalesce(sum(spent), 0), coalesce(sum(overrun), 0), "
    "coalesce(sum(topped_up), 0), (SELECT override FROM account WHERE id = ?1) "
    "FROM bucket WHERE account = ?1 AND number BETWEEN ?2 AND ?3"
)


@dataclass(slots=True)
class Sums:
    """
    What the buckets of one account hold together, from the first that counts to the last.
    """

    first: int
    last: int
    reserved: int
    spent: int
    overrun: int
    topped_up: int
    override: int | None

    def balance(self, account: Account, limit: int | None) -> Balance:
        return Balance(
            account=account,
            limit=_ledger.limit_in_force(limit, override=self.override, topped_up=self.topped_up),
            spent=self.spent,
            reserved=self.reserved,
            overrun=self.overrun,
        )


class Balances:
    """
    The sums that a transaction has read. Nobody else writes meanwhile, so they hold until it ends.
    """

    def __init__(self, file: "SQLiteFile") -> None:
        self._file = file
        self._sums: dict[int, Sums] = {}

    def forget(self) -> None:
        """
        Begin anew: from now on others may have written.
        """
        self._sums.clear()

    def sums(self, account: int, first: int, last: int) -> Sums:
        """
        The sums of an account's buckets from ``first`` to ``last``.
        """
        sums = self._sums.get(account)
        if sums is None or (sums.first, sums.last) != (first, last):
            row = self._file.row(_SUMS, account, first, last)
            assert row is not None
            sums = self._sums[account] = Sums(first, last, *row)
        return sums

    def add(self, account: int, bucket: int, reserved: int, spent: int, overrun: int) -> None:
        """
        Something was written to a bucket.
        """
        sums = self._sums.get(account)
        if sums is not None and sums.first <= bucket <= sums.last:
            sums.reserved += reserved
            sums.spent += spent
            sums.overrun += overrun
