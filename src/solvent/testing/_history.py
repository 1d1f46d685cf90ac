"""
Recorded histories of concurrent calls, and whether some order of them explains all answers (after Wing and Gong).

An order explains a history when no call stands before one that had ended before it began, and a store that serves one
call after the other in this order gives the very answers that were recorded.
"""

import itertools
import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence

from msgspec import Struct

from solvent._ledger import first_failing, overruns, settled
from solvent._operations import Answer, Closed, Operation, Refusal, Release, Reserve, Reserved, Settle
from solvent._records import Account, Balance, State
from solvent.errors import SolventError
from solvent.testing._faces import Face

_Sums = tuple[int, int, int]  # Spent, reserved, overrun.
_Hold = tuple[State, tuple[Account, ...], Mapping[str, int], Mapping[str, int]]  # State, accounts, held, overrun.


class Recorded(Struct, frozen=True, kw_only=True):
    """
    One call: what was asked and answered, and when, in ticks of one counter.

    ``answer`` is ``None`` where nobody heard one: then it may have been applied at any time after ``began``, or never.
    """

    operation: Operation
    answer: Answer | SolventError | None
    began: int
    ended: int


class History:
    """
    Makes calls and records them; from any number of threads.
    """

    def __init__(self) -> None:
        self.calls: list[Recorded] = []
        self._ticks = itertools.count()

    def call(self, face: Face, operation: Operation) -> Answer | SolventError:
        began = next(self._ticks)
        (answer,) = face.do_all([operation])
        self.calls.append(Recorded(operation=operation, answer=answer, began=began, ended=next(self._ticks)))
        return answer

    def run(self, face: Face, work: Sequence[Sequence[Operation]]) -> list[Recorded]:
        """
        Let a thread make each list of calls, all threads at once; the history of them all.
        """
        barrier = threading.Barrier(len(work))
        failures: list[Exception] = []

        def make(operations: Sequence[Operation]) -> None:
            barrier.wait()
            try:
                for operation in operations:
                    self.call(face, operation)
            except Exception as error:  # Whatever it is, it is raised below.
                failures.append(error)

        threads = [threading.Thread(target=make, args=(operations,)) for operations in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in failures:
            raise failure
        return self.calls


def is_linearizable(calls: Iterable[Recorded]) -> bool:
    """
    Whether one order explains all answers: of reservations without windows, settlements and releases.
    """
    calls = tuple(calls)
    answers = [view(call.answer) for call in calls]
    heard = sum(1 << at for at, call in enumerate(calls) if call.answer is not None)
    hopeless: set[tuple[int, Hashable]] = set()

    def explains(done: int, model: "_Model") -> bool:
        if done & heard == heard:
            return True
        if (done, model.key()) in hopeless:
            return False
        waiting = [at for at in range(len(calls)) if not done >> at & 1]
        first_end = min((calls[at].ended for at in waiting if calls[at].answer is not None), default=0)
        for at in waiting:
            if calls[at].began > first_end:
                continue  # Another one had ended before this one began.
            after, answer = model.apply(calls[at].operation)
            if (calls[at].answer is None or answer == answers[at]) and explains(done | 1 << at, after):
                return True
        hopeless.add((done, model.key()))
        return False

    return explains(0, _Model({}, {}))


def view(answer: Answer | SolventError | None) -> Hashable:
    """
    What a caller can see of an answer, balances included.
    """
    if isinstance(answer, Reserved):
        return "reserved", answer.state, _seen(answer.balances)
    if isinstance(answer, Refusal):
        return "refused", answer.charge.account, _seen(answer.balances)
    if isinstance(answer, Closed):
        return "closed", answer.state, tuple(sorted(answer.overrun.items())), _seen(answer.balances)
    return type(answer).__name__


def _seen(balances: Sequence[Balance]) -> tuple[_Sums, ...]:
    return tuple((balance.spent, balance.reserved, balance.overrun) for balance in balances)


class _Model:
    """
    The sums and reservations of a ledger that serves one call after the other. It is never changed, only copied.
    """

    def __init__(self, sums: Mapping[Account, _Sums], holds: Mapping[str, _Hold]) -> None:
        self._sums = sums
        self._holds = holds

    def key(self) -> Hashable:
        holds = ((id, state, *sorted(overrun.items())) for id, (state, _, _, overrun) in self._holds.items())
        return frozenset(self._sums.items()), frozenset(holds)

    def apply(self, operation: Operation) -> tuple["_Model", Hashable]:
        if isinstance(operation, Reserve):
            return self._reserve(operation)
        assert isinstance(operation, Settle | Release), "a history has reservations and their closings only"
        return self._close(operation)

    def _reserve(self, operation: Reserve) -> tuple["_Model", Hashable]:
        id, accounts = operation.id, operation.terms.accounts
        if id in self._holds:
            state, known, held, _ = self._holds[id]
            same = (known, held) == (accounts, operation.amounts)
            return self, ("reserved", state, self._shown(accounts)) if same else "IdConflict"
        failing = first_failing(operation.amounts, map(self._balance, accounts, operation.terms.limits))
        if failing is not None:
            return self, ("refused", failing.account, self._shown(accounts))
        after = self._with(id, ("open", accounts, operation.amounts, {}), {}, operation.amounts, {})
        return after, ("reserved", "open", after._shown(accounts))

    def _close(self, operation: Settle | Release) -> tuple["_Model", Hashable]:
        if operation.id not in self._holds:
            return self, "ReservationNotFound"
        state, accounts, held, overrun = self._holds[operation.id]
        wanted: State = "settled" if isinstance(operation, Settle) else "released"
        after = self
        if state == "open":
            booked = settled(held, operation.actual) if isinstance(operation, Settle) else {}
            state, overrun = wanted, overruns(held, {**dict.fromkeys(held, 0), **booked})
            freed = {meter: -amount for meter, amount in held.items()}
            after = self._with(operation.id, (state, accounts, held, overrun), booked, freed, overrun)
        if state != wanted:
            return self, "ReservationClosed"
        return after, ("closed", state, tuple(sorted(overrun.items())), after._shown(accounts))

    def _with(self, id: str, hold: _Hold, *changes: Mapping[str, int]) -> "_Model":
        sums = dict(self._sums)
        for account in hold[1]:
            before, added = sums.get(account, (0, 0, 0)), [change.get(account.meter, 0) for change in changes]
            sums[account] = before[0] + added[0], before[1] + added[1], before[2] + added[2]
        return _Model(sums, {**self._holds, id: hold})

    def _balance(self, account: Account, limit: int | None) -> Balance:
        spent, reserved, overrun = self._sums.get(account, (0, 0, 0))
        return Balance(account=account, limit=limit, spent=spent, reserved=reserved, overrun=overrun)

    def _shown(self, accounts: tuple[Account, ...]) -> tuple[_Sums, ...]:
        return tuple(self._sums.get(account, (0, 0, 0)) for account in accounts)
