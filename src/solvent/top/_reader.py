"""
Reads of a ledger what changed since the last look.

The journal is not read: of its calls only those of the last minutes, once; then its notes and refusals as they come,
and the balances of what is open.
"""

import functools
from collections import defaultdict
from collections.abc import Collection
from itertools import islice

from solvent._clock import Clock
from solvent._records import Account, Balance, Kind
from solvent.stores._owner import is_there
from solvent.stores._protocol import Store, under
from solvent.top._burn import WINDOW_NS, Burn
from solvent.top._model import Model
from solvent.top._records import Picture

STEP = 1_000  # Entries: how exactly the end of the journal is found.
TAIL_STEPS = 10  # Of them, in which calls before the first look are read.
REFUSALS_TAIL = 20_000  # Entries in which the last refusals before it are looked for.
ASKED_MAX = 3  # Looks in which the limits of a scope that nobody opened are looked for.

_NOTES: frozenset[Kind] = frozenset({"open", "close", "set_limit", "top_up"})
_REFUSALS: frozenset[Kind] = frozenset({"refuse"})
_RESERVING: frozenset[Kind] = frozenset({"reserve"})
_CLOSINGS: frozenset[Kind] = frozenset({"settle", "expire", "correct"})


class Reader:
    """
    Looks at one ledger, again and again.

    Args:
        scope: Only this scope and all below it.

    Raises:
        StoreUnavailable: The ledger did not answer.
        LedgerCorrupt: It is damaged.
    """

    def __init__(self, store: Store, clock: Clock, *, scope: str | None = None) -> None:
        self._store = store
        self._clock = clock
        self._told = end = find_end(store)
        self._carried = max(end - STEP, 0)  # The last entry in which limits that come with calls were looked for.
        tail, since_ns = find_tail(store, end, clock.now_ns() - WINDOW_NS)
        burn = Burn(since_ns)
        self._model = Model(functools.partial(is_there, clock=clock), scope=scope, burn=burn)
        self._asked: defaultdict[str, int] = defaultdict(int)
        for after, kinds in ((0, _NOTES), (max(end - REFUSALS_TAIL, 0), _REFUSALS)):
            for entry in store.entries(after=after, kinds=kinds):
                if entry.seq <= end:  # What came since is told by the first look.
                    self._model.add(entry)
        for entry in store.entries(after=tail, kinds=_CLOSINGS):
            burn.past(entry)
            self._model.seen(entry.scope, entry.at)

    def look(self) -> Picture:
        """
        Raises:
            StoreUnavailable: The ledger did not answer.
            LedgerCorrupt: It is damaged.
        """
        before, now_ns = self._told, self._clock.now_ns()
        end = find_end(self._store, before)  # First, so that nothing below it is passed over.
        for entry in self._store.entries(after=before, kinds=_NOTES | _REFUSALS):
            self._model.add(entry)
            self._told = entry.seq
        self._told = max(self._told, end)
        balances = self._balances(set(self._model.open_scopes(now_ns)), self._model.wide_scopes())
        self._find_limits(balances, before)
        return self._model.picture(balances, now_ns=now_ns)

    def _balances(self, opened: Collection[str], wide: Collection[str]) -> dict[Account, Balance]:
        """
        Those of what is open with all below it, and of the wide scopes alone: below these is all that ever was.
        """
        found, asked = [balance for scope in wide for balance in self._store.balances(scope, below=False)], ""
        for scope in sorted(opened, key=lambda scope: f"{scope}/"):  # Each before what is below it.
            if not asked or not under(scope, asked):
                found += self._store.balances(asked := scope)
        return {balance.account: balance for balance in found}

    def _find_limits(self, balances: Collection[Account], before: int) -> None:
        """
        Have the model told the limits of scopes that nobody opened, by the last calls.
        """
        unknown = {scope for scope in self._model.unknown(balances) if self._asked[scope] < ASKED_MAX}
        if not unknown:
            return
        for scope in unknown:
            self._asked[scope] += 1
        after = max(self._carried, before - STEP)
        for entry in islice(self._store.entries(after=after, kinds=_RESERVING), STEP):
            self._carried = entry.seq
            if any(posting.account.scope in unknown for posting in entry.postings):
                self._model.carry(entry)
                unknown = unknown.difference(posting.account.scope for posting in entry.postings)
            if not unknown:
                return


def find_end(store: Store, after: int = 0) -> int:
    """
    An entry that is at most some thousand before the last one; from ``after`` on, which was one before.
    """
    step = STEP
    while next(store.entries(after=after + step), None) is not None:
        after, step = after + step, step * 2
    while step > STEP:
        step //= 2
        if next(store.entries(after=after + step), None) is not None:
            after += step
    return after


def find_tail(store: Store, end: int, since_ns: int) -> tuple[int, int]:
    """
    After which entry those since a time begin, and since when they are told; 0 where that is all of them.
    """
    after, told_ns = end, 0
    for _ in range(TAIL_STEPS):
        after = max(after - STEP, 0)
        told_ns = next((entry.at for entry in store.entries(after=after)), 0)
        if after == 0 or told_ns <= since_ns:
            return after, 0
    return after, told_ns
