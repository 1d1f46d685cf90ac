"""
What is exported: the entries of a journal about calls, of a scope and a time.
"""

from collections.abc import Callable, Collection, Iterator
from typing import TextIO, TypeAlias

from msgspec import Struct

from solvent._digest import DIGESTED
from solvent._records import BRANCHES, Entry, Kind
from solvent.prices import Prices
from solvent.stores._protocol import Store


class Source(Struct, frozen=True, kw_only=True):
    """
    Where the calls come from.

    Attributes:
        scope: Only calls of this scope and of all below it.
        since, until: Only calls that ended at or after the one, and before the other; nanoseconds since 1970, UTC.
        prices: Finds the prices, for formats that tell the parts of a cost apart.
        watched: Is handed the entries on their way, all that are read.
    """

    store: Store
    scope: str | None = None
    since: int | None = None
    until: int | None = None
    prices: Callable[[], Prices] = Prices.load
    watched: Callable[[Iterator[Entry]], Iterator[Entry]] = iter

    def entries(self, kinds: Collection[Kind] = DIGESTED) -> Iterator[Entry]:
        """
        The entries about calls, in the order of the journal: closings, corrections and refusals.
        """
        for entry in self.watched(self.store.entries(scope=self.scope, kinds=kinds)):
            if entry.call.format == BRANCHES and entry.kind != "refuse":
                continue  # The branches of a fan-out are no calls; the calls in them have entries of their own.
            at = ended(entry)
            if (self.since is None or at >= self.since) and (self.until is None or at < self.until):
                yield entry


class Written(Struct, frozen=True, kw_only=True):
    """
    What was written.

    Attributes:
        entries: Of the journal.
        rows: Lines, without a header.
        unpriced: Entries that were left out, for what they cost is not known.
    """

    entries: int
    rows: int
    unpriced: int = 0


Write: TypeAlias = Callable[[Source, TextIO], Written]


def ended(entry: Entry) -> int:
    """
    When a call ended, or what is nearest to that; nanoseconds since 1970, UTC. Reports count it in that hour.
    """
    return entry.call.ended or entry.call.started or entry.at
