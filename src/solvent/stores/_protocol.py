"""
What a store is: a place that applies operations of the ledger, each atomically, and keeps the journal.

A new store is one file with one class, and one line in ``stores.STORES``.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from solvent._digest import Groups, Hours
from solvent._operations import Answer, Closed, Operation
from solvent._records import Account, Balance, Entry, Kind
from solvent.errors import SolventError

Told = Callable[[int, int], object]  # Is handed how many entries were read, and of how many.


class Store(Protocol):
    """
    The seam under the ledger. Every method may be called from any thread.
    """

    url: str
    blocks: bool  # Whether ``apply`` waits for a disk or a network, and so may not run in an event loop.

    def apply(self, operations: Sequence[Operation]) -> list[Answer | SolventError]:
        """
        Apply each operation, in order, in as few durable steps as the store can.

        Returns:
            One answer an operation, in order; an operation that cannot be applied has its error in that place and
            changed nothing.

        Raises:
            StoreUnavailable: The store did not answer; none of the operations was recorded.
            OutcomeUnknown: They may have been recorded. Apply them again: each is counted once.
        """

    def expire(self, told: Callable[[Closed], object] | None = None) -> int:
        """
        Charge in full every open reservation whose time ran out or whose owner is dead; how many that were.

        Args:
            told: Is handed how each of them was closed, when all that is recorded and no lock is held.
        """

    def balances(self, scope: str | None = None, *, below: bool = True) -> list[Balance]:
        """
        The accounts of a scope and of all below it (of all scopes without one), in their present windows.

        Args:
            below: Those below it, too.
        """

    def entries(
        self, *, scope: str | None = None, after: int = 0, kinds: Collection[Kind] | None = None
    ) -> Iterator[Entry]:
        """
        The journal in order: the entries of a scope and of all below it, with ``seq`` above ``after``.

        Args:
            kinds: Only entries of these kinds.
        """

    def groups(
        self, *, scope: str | None = None, hours: Hours | None = None, after: int = 0, told: Told | None = None
    ) -> Groups:
        """
        The digest of the journal: what the calls of a scope and of all below it add up to, group by group.

        Args:
            hours: Only calls that ended in these hours since 1970, the second one not included.
            after: Only entries with ``seq`` above this one, which have to be read one by one.
            told: Is handed how many entries were read, and of how many, where many have to be.
        """

    def limits(self, scope: str | None = None) -> Mapping[Account, int]:
        """
        The limits that came with calls to the accounts of a scope and of all below it, the newest of each account.
        """

    def held(self, scope: str | None = None) -> list[Entry]:
        """
        The reservations of a scope and of all below it that are open now, by the entries that made them.
        """

    def last_seen(self, scope: str, *, before: int | None = None) -> int | None:
        """
        When a scope, or one below it, last gave a sign of life: the time of its last entry with ``seq`` below
        ``before`` that is no expiry, for whoever looks may write one; ``None`` when there was none.
        """

    def last_opened(self, scope: str | None = None) -> Entry | None:
        """
        The entry of the last run that was opened, or of this one's last opening; ``None`` when there was none.
        """

    def verify(self) -> str | None:
        """
        Rebuild every account from the journal; the first difference in words, or ``None`` when there is none.
        """

    def fingerprint_key(self) -> bytes:
        """
        The secret under which this ledger's request fingerprints are made.
        """

    def close(self) -> None: ...


def under(scope: str, top: str | None) -> bool:
    """
    Whether ``scope`` is ``top`` or below it; everything is below ``None``.
    """
    return top is None or scope == top or scope.startswith(f"{top}/")
