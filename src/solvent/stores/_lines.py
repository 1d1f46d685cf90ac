"""
The journal of a ledger in memory: compact lines, and the opening balance that older ones become.
"""

import functools
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice

from msgspec import Struct

from solvent._ledger import postings
from solvent._limits import SECOND_NS
from solvent._records import Account, CallRecord, Change, Entry, Kind, Place, Posting, Terms
from solvent.stores._audit import first_difference, held_difference, limit_difference, limits_set, rebuild
from solvent.stores._books import Books, kept, limits_kept
from solvent.stores._lanes import unpack
from solvent.stores._protocol import under

_FOLDED_BETWEEN = 4_096
_MINUTES_KEPT_SECONDS = 3_600


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


class Journal:
    """
    The last lines, and the opening balance that those before have become.

    Attributes:
        lines_max: How many lines are kept.
    """

    def __init__(self, books: Books, *, lines_max: int, runs_max: int) -> None:
        self.lines: deque[Line] = deque()
        self.lines_max = lines_max
        self._books = books
        self._opening = Opening()
        self._opened: OrderedDict[str, tuple[int, Line]] = OrderedDict()  # By run.
        self._runs_max = runs_max

    def append_once(self, line: Line) -> None:
        if self._number(line) is None:
            self.lines.append(line)
        if line.kind == "open":
            self.open_run(line)

    def open_run(self, line: Line) -> None:
        number = self._number(line)
        assert number is not None, "a run was opened by no entry"
        self._opened[line.scope] = number, line
        self._opened.move_to_end(line.scope)
        while len(self._opened) > self._runs_max:
            self._opened.popitem(last=False)

    def last_opened(self, scope: str | None) -> Entry | None:
        found = self._opened.get(scope) if scope is not None else next(reversed(self._opened.values()), None)
        return None if found is None else found[1].entry(found[0])

    def entries(
        self, scope: str | None = None, after: int = 0, kinds: Collection[Kind] | None = None
    ) -> Iterator[Entry]:
        """
        The entries that there are now, each made when it is asked for.
        """
        opening, count = [entry for entry in self._opening.entries(scope) if entry.seq > after], self._opening.count
        if kinds is not None and "opening_balance" not in kinds:
            opening.clear()
        lines = list(islice(self.lines, max(after - count, 0), None))
        numbered = enumerate(lines, max(count, after) + 1)
        found = (each for each in numbered if under(each[1].scope, scope) and (kinds is None or each[1].kind in kinds))
        return chain(opening, (line.entry(seq) for seq, line in found))

    def fold(self) -> None:
        """
        Let lines that are too many become part of the opening balance. Cut off, it goes on the next time.
        """
        lines, opening = self.lines, self._opening
        while len(lines) > self.lines_max:
            line = lines[0]
            if line is not opening.newest:
                opening.add(line)
            if lines[0] is line:  # Else a finalizer has folded, too.
                lines.popleft()
            if not opening.count % _FOLDED_BETWEEN:
                self._forget_minutes()

    def difference(self, holds: Iterable[tuple[Mapping[Place, int], int]]) -> str | None:
        """
        The first difference between the books and what the journal adds up to, in words.

        Args:
            holds: Of each open reservation its buckets, and what it holds in each of them: packed.
        """
        tallies = self._books.tallies
        forgotten = {place: tally.forgotten for place, tally in tallies.items()}
        limits: dict[Account, int] = {}
        found = (posting for entry in limits_set(self.entries(), limits) for posting in entry.postings)
        rebuilt = rebuild(each for each in found if each.bucket >= forgotten.get(each.account.place, 0))
        balances, held = kept(tallies.values()), dict[tuple[Account, int], int]()
        for buckets, amounts in holds:
            for (scope, window), number in buckets.items():
                for meter, amount in unpack(amounts).items():
                    key = Account(scope, meter, window), number
                    held[key] = held.get(key, 0) + amount
        return (
            first_difference(rebuilt, balances)
            or limit_difference(limits, limits_kept(tallies.values()))
            or held_difference(held, balances)
        )

    def restore(self, places: Collection[Place]) -> None:
        """
        Read the balances of places anew, from the journal alone.
        """
        while True:
            total = self._opening.copy()
            for line in list(self.lines):
                total.add(line)
            for place in places:
                self._books.tally(place).load(*total.of(place))
            if total.count == self._opening.count + len(self.lines):  # Else a finalizer has made an entry meanwhile.
                return

    def _number(self, line: Line) -> int | None:
        """
        The number of an entry, most likely of the last one.
        """
        count, lines = self._opening.count, list(self.lines)
        return next((count + at for at in range(len(lines), 0, -1) if lines[at - 1] is line), None)

    def _forget_minutes(self) -> None:
        """
        Drop seconds that are long over; one that is still in the journal stays.
        """
        oldest = self.lines[0].at // SECOND_NS - _MINUTES_KEPT_SECONDS
        minutes = [tally for tally in self._books.tallies.values() if tally.window == "minute"]
        for tally in minutes:
            tally.forget(oldest)
        self._opening.forget({tally.place: tally.forgotten for tally in minutes})


class Opening:
    """
    What the lines that are no longer kept add up to.

    Attributes:
        count: How many they are.
        newest: The last of them.
    """

    def __init__(self) -> None:
        self.count = 0
        self.newest: Line | None = None
        # Reserved, spent, overrun, topped up, packed; and how many lines there were, so that none is counted in twice.
        self._sums: dict[tuple[Place, int], list[int]] = {}
        self._limits: dict[Account, int | None] = {}

    def copy(self) -> "Opening":
        found = Opening()
        found.count, found.newest = self.count, self.newest
        found._sums, found._limits = {key: sums.copy() for key, sums in self._sums.items()}, self._limits.copy()
        return found

    def add(self, line: Line) -> None:
        """
        Add the next line. Where that is cut off, the same line has to be added again.
        """
        count = self.count + 1
        if line.kind == "set_limit":
            assert line.terms is not None, "a limit was set in no account"
            self._limits[line.terms.accounts[0]] = line.terms.limits[0]
        all_sums, places = self._sums, () if line.terms is None else _places(line.terms)
        reserved, spent, overrun, topped_up = line.reserved, line.spent, line.overrun, line.topped_up
        for key in zip(places, line.numbers, strict=True):
            sums = all_sums.get(key)
            if sums is None:
                sums = all_sums.setdefault(key, [0, 0, 0, 0, 0])
            if sums[4] >= count:
                continue
            if overrun or topped_up:
                sums[:] = sums[0] + reserved, sums[1] + spent, sums[2] + overrun, sums[3] + topped_up, count
            else:  # Nearly all lines.
                sums[0], sums[1], sums[4] = sums[0] + reserved, sums[1] + spent, count
        if self.count < count:  # Else a finalizer has added it, and more.
            self.count, self.newest = count, line

    def of(self, place: Place) -> tuple[list[tuple[int, int, int, int, int]], dict[str, int]]:
        """
        Of one place by bucket: its number, used, spent, overrun and topped up; and the limits that were set.
        """
        sums = [
            (number, reserved + spent, spent, overrun, topped_up)
            for (at, number), (reserved, spent, overrun, topped_up, _) in self._sums.items()
            if at == place
        ]
        limits = {
            account.meter: limit
            for account, limit in self._limits.items()
            if account.place == place and limit is not None
        }
        return sums, limits

    def forget(self, oldest: Mapping[Place, int]) -> None:
        """
        Drop the buckets of these places that are below their oldest one.
        """
        for key in [key for key in self._sums if key[1] < oldest.get(key[0], 0)]:
            self._sums.pop(key, None)

    def entries(self, scope: str | None) -> Iterator[Entry]:
        """
        The opening balance, when there is any; with the accounts of a scope and of all below it.
        """
        if self.newest is not None:
            yield Entry(
                seq=self.count,
                at=self.newest.at,
                kind="opening_balance",
                id="opening-balance",
                scope=scope or "",
                postings=tuple(posting for posting in self._postings() if under(posting.account.scope, scope)),
                run_total_nanodollars=None,
                call=CallRecord(),
            )

    def _postings(self) -> Iterator[Posting]:
        limits = dict(self._limits)
        for (place, number), (*packed, _) in self._sums.items():
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
