"""
The journal of a ledger in memory: compact lines, and the opening balance that older ones become.
"""

import functools
from collections.abc import Iterator, Mapping

from msgspec import Struct

from solvent._ledger import postings
from solvent._records import Account, CallRecord, Change, Entry, Kind, Place, Posting, Terms
from solvent.stores._books import unpack
from solvent.stores._protocol import under


class Line(Struct, frozen=True, gc=False, kw_only=True):
    """
    An entry whose changes are packed: each is the same in every place of the terms.
    """

    at: int
    kind: Kind
    id: str
    scope: str
    terms: Terms | None = None
    numbers: tuple[int, ...] = ()
    reserved: int = 0
    spent: int = 0
    overrun: int = 0
    topped_up: int = 0
    run_total: int | None = None
    call: CallRecord

    def entry(self, seq: int) -> Entry:
        change = Change(
            reserved=unpack(self.reserved),
            spent=unpack(self.spent),
            overrun=unpack(self.overrun),
            topped_up=unpack(self.topped_up),
        )
        return Entry(
            seq=seq,
            at=self.at,
            kind=self.kind,
            id=self.id,
            scope=self.scope,
            postings=postings(self.terms, self.numbers, change),
            run_total_nanodollars=self.run_total,
            call=self.call,
        )


class Opening:
    """
    What the lines that are no longer kept add up to.
    """

    def __init__(self) -> None:
        self.count = 0
        self._at = 0
        self._sums: dict[tuple[Place, int], list[int]] = {}  # Reserved, spent, overrun, topped up: packed.
        self._limits: dict[Account, int | None] = {}

    def add(self, line: Line) -> None:
        self.count += 1
        self._at = line.at
        if line.terms is None:
            return
        if line.kind == "set_limit":
            self._limits[line.terms.accounts[0]] = line.terms.limits[0]
        for place, number in zip(_places(line.terms), line.numbers, strict=True):
            sums = self._sums.setdefault((place, number), [0, 0, 0, 0])
            sums[0] += line.reserved
            sums[1] += line.spent
            sums[2] += line.overrun
            sums[3] += line.topped_up

    def forget(self, oldest: Mapping[Place, int]) -> None:
        """
        Drop the buckets of these places that are below their oldest one.
        """
        for key in [key for key in self._sums if key[1] < oldest.get(key[0], 0)]:
            del self._sums[key]

    def entries(self, scope: str | None) -> Iterator[Entry]:
        """
        The opening balance, when there is any; with the accounts of a scope and of all below it.
        """
        if self.count:
            yield Entry(
                seq=self.count,
                at=self._at,
                kind="opening_balance",
                id="opening-balance",
                scope=scope or "",
                postings=tuple(posting for posting in self._postings() if under(posting.account.scope, scope)),
                run_total_nanodollars=None,
                call=CallRecord(),
            )

    def _postings(self) -> Iterator[Posting]:
        limits = dict(self._limits)
        for (place, number), packed in self._sums.items():
            parts = [unpack(part) for part in packed]
            for meter in dict.fromkeys(meter for part in parts for meter in part):
                account = Account(place[0], meter, place[1])
                reserved, spent, overrun, topped_up = (part.get(meter, 0) for part in parts)
                yield Posting(account, number, reserved, spent, overrun, topped_up, limits.pop(account, None))
        for account, limit in limits.items():
            yield Posting(account, 0, limit=limit)


@functools.lru_cache(maxsize=1_024)
def _places(terms: Terms) -> tuple[Place, ...]:
    return terms.places
