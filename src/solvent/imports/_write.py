"""
Books calls of the past: each as a guarded call without limits is, with its own times and at the prices of its day.

A call is counted in its run's own accounts over the run's life, and in no window, for it is not made now. Its id is the
source's own, so a call that a ledger knows already, under whatever scope, stays as it is.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from hashlib import blake2b

from msgspec import Struct, field
from msgspec.structs import replace

from solvent._amounts import AMOUNT_MAX
from solvent._booking import Booking
from solvent._clock import utc
from solvent._estimate import Estimator, usage_json
from solvent._ladder import Charges, actual
from solvent._limits import OWNERS, Scope
from solvent._openings import IMPORTED
from solvent._operations import Answer, Note, Operation, Refusal, Reserve, Reserved, Settle
from solvent._records import CallRecord, Kind, Terms
from solvent.errors import IdConflict, PriceUnknown, SolventError
from solvent.imports._past import BadCall, Intake, PastCall, Place, Refused
from solvent.stores._protocol import Store

AT_ONCE = 128  # Calls in one transaction, each of two operations: some milliseconds of lock for other processes.
EXPIRED = "expired"  # Why the cost of a call that nobody closed is its bound.
ENDED = "import"  # Why a run ended that an import opened.
_OPENINGS: frozenset[Kind] = frozenset({"open"})
_CLOSINGS: frozenset[Kind] = frozenset({"close"})


class Imported(Struct, kw_only=True):
    """
    What an import recorded.

    Attributes:
        calls: Those that the ledger did not know, or only as expired.
        corrected: Of these, those that had expired there: an import that was killed had begun with them.
        known: Those that it knew, whatever it is that it knows of them.
        runs: The scopes of the runs that these new calls belong to.
        cost_nanodollars: Booked for them.
        unpriced: Of these, those of unknown cost, by their model.
        older: Of these, those before all prices that are known, which cost what they would have at the earliest.
    """

    calls: int = 0
    corrected: int = 0
    known: int = 0
    runs: set[str] = field(default_factory=set)
    cost_nanodollars: int = 0
    unpriced: Counter[str] = field(default_factory=Counter)
    older: int = 0


class _Run(Struct):
    """
    A run as far as its calls were seen.
    """

    scope: str
    started: int
    ended: int
    is_open: bool  # It has an opening in the ledger.
    is_ours: bool  # An import opened it, or is to.


class _Charged(Struct, frozen=True, gc=False):
    """
    What a call is charged to: its scope, and of it the run, whose accounts these are.
    """

    scope: str
    run: str | None
    terms: Terms


class _Booked(Struct, frozen=True, gc=False):
    """
    A call as the ledger is told of it.
    """

    call: PastCall
    run: str | None
    reserve: Reserve
    settle: Settle
    is_older: bool


class Writer:
    """
    Books calls in a store.

    Args:
        estimator: Finds the price of a model.
        begins: The first day whose prices are known.
        under: All is put below this scope, in the place of the owners that a source names.
    """

    def __init__(self, store: Store, estimator: Estimator, *, begins: date, under: Scope | None = None) -> None:
        self.imported = Imported()
        self._begins = begins
        self._store = store
        self._estimator = estimator
        self._under = under
        self._runs: dict[str, _Run] = {}

    def book(self, calls: Iterable[PastCall], intake: Intake) -> None:
        """
        Book them all. What was booked when an error comes stays so, and is not booked again the next time.

        Raises:
            BadCall: One of them cannot be believed.
            Refused: The ledger itself limits the run of one.
            StoreUnavailable, OutcomeUnknown: The ledger did not answer.
        """
        batch: dict[str, _Booked] = {}
        try:
            for call in calls:
                try:
                    self._add(call, batch)
                except BadCall as error:
                    intake.refuse(error)
                if len(batch) == AT_ONCE:
                    self._write([*batch.values()])
                    batch.clear()
            self._write([*batch.values()])
        except (BadCall, KeyboardInterrupt, OSError):
            self._write([*batch.values()])  # What came before is as good as any.
            self._note_runs()
            raise
        except Refused:
            self._note_runs()
            raise
        self._note_runs()

    def _add(self, call: PastCall, batch: dict[str, _Booked]) -> None:
        if call.id in batch:
            self.imported.known += 1
        else:
            batch[call.id] = self._booked(call)

    def _note_runs(self) -> None:
        """
        Open and end the runs, both after their calls, for the first one of a run may be the last one of its log.
        """
        notes = [note for run in self._runs.values() for note in (*self._opening(run), *self._closing(run))]
        for at in range(0, len(notes), AT_ONCE):
            self._store.apply(notes[at : at + AT_ONCE])

    def _booked(self, call: PastCall) -> _Booked:
        """
        Raises:
            BadCall: Its scope is none, a text of it cannot be written, or it cost more than a ledger holds.
        """
        cost, source, is_older = self._cost(call)
        has_expired = call.estimated == EXPIRED
        if cost is not None and cost > AMOUNT_MAX:
            raise BadCall(call.where, f"its tokens cost more than any ledger holds: {cost} nanodollars")
        try:
            where = _charged(self._placed(call.place))
            told = CallRecord(
                provider=call.provider or None,
                format=call.format,
                model_asked=call.model_asked,
                tier=call.tier,
                stream=call.stream,
                decision="admitted",
                parent_id=call.parent_id,
                attempt=call.attempt,
                started=call.started,
                bound_nanodollars=cost if has_expired else None,
            )
            record = replace(
                told,
                model_used=call.model_used,
                usage=None if call.usage is None else usage_json(call.usage),
                cost_nanodollars=cost,
                price_source=source,
                estimated=call.estimated,
                ended=call.ended,
                status=call.status,
            )
        except ValueError as error:
            raise BadCall(call.where, str(error)) from None
        booking = Booking(usage=call.usage, cost_nanodollars=cost)
        # What did expire was charged in full, and is so again if this import is killed before it says so.
        full = actual(booking) if has_expired else {}
        amounts = {**full, "calls": 1, "parallel": 1, "retries": int(call.attempt > 0)}
        return _Booked(
            call,
            where.run,
            Reserve(id=call.id, scope=where.scope, terms=where.terms, amounts=amounts, call=told),
            Settle(id=call.id, actual=actual(booking), call=record),
            is_older,
        )

    def _placed(self, place: Place) -> Place:
        if self._under is None:
            return place
        return self._under.parts + tuple([part for part in place if part[0] not in OWNERS])

    def _cost(self, call: PastCall) -> tuple[int | None, str | None, bool]:
        """
        What a call cost, by whom, and whether it is older than all prices; nothing where nobody knows.
        """
        if call.cost_nanodollars is not None or call.is_copy:
            return call.cost_nanodollars, None if call.cost_nanodollars is None else call.price_source, False
        names = dict.fromkeys(name for name in (call.model_used, call.model_asked) if name is not None)
        found = (self._estimator.price(call.provider, name) for name in names)
        price = next((price for price in found if price is not None), None)
        if price is None or call.usage is None:
            return None, None, False
        at = utc(call.started or call.ended)
        try:
            cost = price.cost(call.usage, tier=call.tier, region=call.region, at=at)
        except PriceUnknown:
            return None, None, False
        return cost, price.source, at.date() < self._begins and not price.by_user

    def _write(self, batch: Sequence[_Booked]) -> None:
        fresh = self._begun([one for one in batch if one.call.is_copy or self._is_unseen(one)])
        left = [one for one in batch if one.call.is_copy and one.call.id not in fresh]
        self.imported.known += len(left)
        batch = [one for one in batch if one not in left] if left else batch
        operations: list[Operation] = [operation for one in batch for operation in (one.reserve, one.settle)]
        answers = self._store.apply(operations) if operations else []
        refused = None
        for one, answer in zip(batch, answers[::2], strict=True):
            if isinstance(answer, Refusal):
                refused = refused or _refused(one.call, answer)
            else:
                self._count(one, answer)
        if refused is not None:
            raise refused

    def _begun(self, firsts: Sequence[_Booked]) -> set[str]:
        """
        Those of these calls that nobody closed yet, reserved; and their runs, as far as they are in this ledger: a call
        that is known elsewhere has none here.
        """
        fresh = set()
        answers = self._store.apply([one.reserve for one in firsts]) if firsts else []
        for one, answer in zip(firsts, answers, strict=True):
            if not isinstance(answer, Reserved):
                continue
            # What an import reserved that was killed then has expired; a copy of what did expire stays as it is.
            if answer.state == "open" or (answer.state == "expired" and one.call.estimated != EXPIRED):
                fresh.add(one.call.id)
            if one.run is not None and self._is_unseen(one):
                opening = self._opening_id(one.run)
                if opening is None and one.call.id not in fresh and not self._was_killed(one):
                    continue  # Whoever made it did without an opening, and so does an import that adds nothing.
                is_ours = opening is None or opening.startswith(IMPORTED)
                started = one.call.started or one.call.ended
                self._runs[one.run] = _Run(one.run, started, one.call.ended, opening is not None, is_ours)
        return fresh

    def _was_killed(self, one: _Booked) -> bool:
        """
        Whether an import recorded this call and not yet the opening of its run.
        """
        return not one.call.is_copy and one.run is not None and bool(self._store.balances(one.run))

    def _is_unseen(self, one: _Booked) -> bool:
        return one.run is not None and one.run not in self._runs

    def _opening_id(self, run: str) -> str | None:
        """
        The id of a run's opening.
        """
        entries = self._store.entries(scope=run, kinds=_OPENINGS)
        return next((entry.id for entry in entries if entry.scope == run), None)

    def _count(self, one: _Booked, answer: Answer | SolventError) -> None:
        if isinstance(answer, SolventError) and not isinstance(answer, IdConflict):
            raise answer
        run = self._runs.get(one.run or "")
        if isinstance(answer, Reserved) and run is not None:
            run.started = min(run.started, one.call.started or one.call.ended)
            run.ended = max(run.ended, one.call.ended)
        if not isinstance(answer, Reserved) or answer.state not in ("open", "expired"):
            self.imported.known += 1
            return
        record = one.settle.call
        self.imported.calls += 1
        self.imported.corrected += answer.state == "expired"
        self.imported.runs.add(one.run or one.reserve.scope)
        if record.cost_nanodollars is None:
            self.imported.unpriced[record.model_used or record.model_asked or "no model"] += 1
        else:
            self.imported.cost_nanodollars += record.cost_nanodollars
            self.imported.older += one.is_older

    def _opening(self, run: _Run) -> Iterable[Note]:
        if not run.is_open:
            call = CallRecord(started=run.started)
            yield Note(kind="open", id=_note_id(run.scope), scope=run.scope, call=call)

    def _closing(self, run: _Run) -> Iterable[Note]:
        """
        The end of a run that an import opened, where it is later than the one that is known.
        """
        if run.is_ours:
            entries = self._store.entries(scope=run.scope, kinds=_CLOSINGS)
            ends = [entry.call.ended or entry.at for entry in entries if entry.scope == run.scope]
            if run.ended > max(ends, default=0):
                call = CallRecord(ended=run.ended, reason=ENDED, status="0")
                yield Note(kind="close", id=f"{_note_id(run.scope)}:{run.ended}", scope=run.scope, call=call)


@lru_cache(maxsize=4_096)
def _charged(place: Place) -> _Charged:
    """
    Raises:
        ValueError: It is no scope.
    """
    scope = Scope(place)
    run = next((str(place) for place in scope.path() if place.parts[-1][0] == "run"), None)
    return _Charged(str(scope), run, Charges.on(scope, (), ()).terms)


def _note_id(scope: str) -> str:
    return f"{IMPORTED}{blake2b(scope.encode(), digest_size=16).hexdigest()}"


def _refused(call: PastCall, refusal: Refusal) -> Refused:
    account = refusal.balance.account
    return Refused(
        f"{call.where}: the ledger limits {account.meter} of {account.scope} by itself; this call is not recorded.\n"
        f"To go on: put all below another scope with --scope, or lift the limit: "
        f"solvent ledger set-limit {account.scope} {account.meter} none"
    )
