"""
Reads of a ledger what changed since the last look.

The journal is not read: of its calls only those of the last minutes, once; then its notes and refusals as they come,
and the balances and limits of what is open.
"""

import functools
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from solvent._clock import Clock
from solvent._records import Kind
from solvent.stores._owner import is_there
from solvent.stores._protocol import Store, under
from solvent.top._burn import WINDOW_NS, Burn
from solvent.top._model import Model
from solvent.top._records import Picture

STEP = 1_000  # Entries: how exactly the end of the journal is found.
TAIL_STEPS = 10  # Of them, in which calls before the first look are read.
REFUSALS_TAIL = 20_000  # Entries in which the last refusals before it are looked for.

_NOTES: frozenset[Kind] = frozenset({"open", "close", "set_limit", "top_up"})
_REFUSALS: frozenset[Kind] = frozenset({"refuse"})
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
        self._scope = scope
        self._told = end = find_end(store)
        tail, since_ns = find_tail(store, end, clock.now_ns() - WINDOW_NS)
        burn = Burn(since_ns)
        self._model = Model(functools.partial(is_there, clock=clock), scope=scope, burn=burn)
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
        opened, wide = list(_outermost(self._model.open_scopes(now_ns))), self._model.wide_scopes()
        # Of what is open with all below it, and of the wide scopes alone: below these is all that ever was.
        balances = [balance for scope in wide for balance in self._store.balances(scope, below=False)]
        balances += [balance for scope in opened for balance in self._store.balances(scope)]
        carried = {account: limit for scope in opened for account, limit in self._store.limits(scope).items()}
        picture = self._model.picture({balance.account: balance for balance in balances}, carried, now_ns=now_ns)
        return picture if picture.budgets or self._is_known() else replace(picture, unknown=self._scope)

    def _is_known(self) -> bool:
        scope, store = self._scope, self._store
        if scope is None or store.balances(scope):
            return True
        return next(store.entries(scope=scope, kinds=_NOTES | _REFUSALS), None) is not None


def _outermost(scopes: Iterable[str]) -> Iterator[str]:
    """
    Those that are below no other one.
    """
    last = ""
    for scope in sorted(scopes, key=lambda scope: f"{scope}/"):  # Each before what is below it.
        if not last or not under(scope, last):
            yield (last := scope)


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
