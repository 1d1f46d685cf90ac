"""
What happens to a call between its description and its record, as flows: pure but for memory, and driven by the guard.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from solvent import _ladder
from solvent._admit import TTL_SECONDS, Admission, Authorizer, Flow, reply_headers
from solvent._booking import Booking, NotSent, Outcome, book
from solvent._clock import Clock, utc
from solvent._estimate import Estimator, usage_json
from solvent._ladder import CALL
from solvent._limits import Scope
from solvent._operations import Extend, Note, Release, Settle
from solvent._records import Account, CallRecord, Terms
from solvent._waiting import Queues
from solvent.errors import (
    BudgetExceeded,
    DeadlinePassed,
    OutcomeUnknown,
    ReservationNotFound,
    SolventError,
    StoreUnavailable,
)
from solvent.events import CallAdmitted, CallClosed, CallRefused, Listeners, StoreFailed
from solvent.wire._call import Call

FAILED_MAX = 4_096  # Requests whose failure is remembered, to know their retries.


class Settlement(Struct, frozen=True, kw_only=True):
    """
    A call that is booked.
    """

    cost_nanodollars: int | None
    headers: Mapping[str, str]


class Calls:
    """
    The flows of a guard's calls, and what it remembers of them.

    Attributes:
        open: The calls that are admitted and not closed, by id.
        closing: The error that every call gets from now on; ``None`` while calls are admitted.
    """

    def __init__(
        self,
        *,
        authorizer: Authorizer,
        estimator: Estimator,
        queues: Queues,
        listeners: Listeners,
        clock: Clock,
        fingerprint_key: bytes,
    ) -> None:
        self.open: dict[str, Admission] = {}
        self.closing: DeadlinePassed | None = None
        self._authorizer = authorizer
        self._estimator = estimator
        self._queues = queues
        self._clock = clock
        self._fingerprint_key = fingerprint_key
        self._listeners = listeners
        self._unbooked: dict[str, Settle | Release] = {}  # What the ledger did not take; it is asked again.
        self._failed: OrderedDict[str, int] = OrderedDict()
        self._memory_lock = threading.Lock()  # Over what is remembered of earlier calls.

    def admit(
        self,
        id: str,
        call: Call,
        scope: Scope,
        fingerprint: bytes,
        began: float,
        own_host: bool,
        within: tuple[str, ...],
        *,
        may_wait: bool = True,
    ) -> Flow[Admission]:
        started = self._clock.now_ns()
        named = f"{scope}\n".encode() + fingerprint
        print_of_it = blake2b(named, key=self._fingerprint_key, digest_size=16).hexdigest()
        record = CallRecord(
            provider=call.provider,
            format=call.format,
            model_asked=call.model,
            tier=call.tier,
            stream=call.stream,
            attempt=max(call.retry, self._failed.get(print_of_it, 0)),
            fingerprint=print_of_it,
            started=started,
        )
        try:
            if self.closing is not None:
                raise self.closing
            admission = yield from self._authorizer.flow(
                id, call, scope, record, own_host=own_host, within=within, may_wait=may_wait
            )
        except SolventError as error:
            yield from self.refuse(id, scope, record, error, began)
            raise
        self.open[id] = admission
        self._listeners.tell(CallAdmitted(id=id, scope=str(scope), call=admission.record))
        return admission

    def refuse(self, id: str, scope: Scope, record: CallRecord, error: SolventError, began: float) -> Flow[None]:
        """
        Write the refusal into the journal, once a call, and tell whoever listens.
        """
        terms = None
        if isinstance(error, BudgetExceeded) and error.scope != CALL and not isinstance(error, DeadlinePassed):
            terms = Terms((Account(error.scope, error.meter, error.window),), (error.limit,))
        reason = error.headline() if isinstance(error, BudgetExceeded) else str(error).partition("\n")[0]
        record = replace(record, decision="refused", reason=reason, status=error.code, ended=self._clock.now_ns())
        if not isinstance(error, StoreUnavailable | OutcomeUnknown):
            try:
                yield Note(kind="refuse", id=id, scope=str(scope), terms=terms, call=record)
            except SolventError as failure:
                self._listeners.tell(StoreFailed(id=id, error=failure))
        answered = time.monotonic()
        self._listeners.tell(
            CallRefused(id=id, scope=str(scope), call=record, error=error, began=began, answered=answered)
        )

    def settle(self, admission: Admission, outcome: Outcome) -> Flow[Settlement]:
        self.open.pop(admission.id, None)
        booking = book(
            admission.call,
            admission.bound,
            outcome,
            sums_choices=admission.own_host,
            price_of=lambda model: self._estimator.price(admission.call.provider, model),
            at=utc(admission.record.started or 0),
        )
        self._remember(admission, booking)
        record = replace(
            admission.record,
            model_used=booking.model,
            tier=booking.tier or admission.record.tier,
            usage=None if booking.usage is None else usage_json(booking.usage),
            cost_nanodollars=booking.cost_nanodollars,
            price_source=booking.price_source,
            estimated=booking.estimated,
            ended=self._clock.now_ns(),
            status=booking.status,
        )
        operation: Settle | Release
        if booking.released:
            operation = Release(id=admission.id, reason=booking.status, call=record)
        else:
            operation = Settle(id=admission.id, actual=_ladder.actual(booking), call=record)
        try:
            closed = yield operation
        except SolventError as error:
            self._not_booked(operation, error)
            return Settlement(cost_nanodollars=booking.cost_nanodollars, headers={})
        except GeneratorExit:  # The caller was interrupted, and it may be that nothing was asked yet.
            self._unbooked[operation.id] = operation
            raise
        self._queues.wake(admission.charges.accounts)
        reading = None if isinstance(outcome, NotSent) else outcome.reading
        self._listeners.tell(
            CallClosed(
                id=admission.id,
                scope=str(admission.scope),
                call=record,
                overrun_nanodollars=closed.overrun.get("usd", 0),
                cut_at_length=reading is not None and reading.cut_at_length,
                run_total_nanodollars=closed.run_total_nanodollars,
            )
        )
        return Settlement(
            cost_nanodollars=booking.cost_nanodollars,
            headers=reply_headers(admission.id, closed.balances, cost=booking.cost_nanodollars),
        )

    def let_go(self, id: str) -> Flow[None]:
        """
        Release what may have been reserved for a caller that went away before its call was sent.
        """
        release = Release(id=id, reason="client_gone", call=CallRecord(status="not_sent"))
        try:
            closed = yield release
        except ReservationNotFound:
            return  # It never came to a reservation.
        except SolventError as error:
            self._not_booked(release, error)
        else:
            self._queues.wake([balance.account for balance in closed.balances])

    def extend(self, id: str) -> Flow[None]:
        try:
            yield Extend(id=id, ttl_seconds=TTL_SECONDS)
        except SolventError as error:
            # It may have been settled meanwhile, and is open no more; one that expired while it ran is told.
            if id in self.open:
                self._listeners.tell(StoreFailed(id=id, error=error))

    def _not_booked(self, operation: Settle | Release, error: SolventError) -> None:
        if isinstance(error, StoreUnavailable | OutcomeUnknown):
            self._unbooked[operation.id] = operation
        self._listeners.tell(StoreFailed(id=operation.id, error=error))

    def book_late(self) -> Flow[None]:
        """
        Ask again for what the ledger did not take; what it refuses for good is told.
        """
        for id, operation in list(self._unbooked.items()):
            try:
                yield operation
            except (StoreUnavailable, OutcomeUnknown):
                return  # It is still away.
            except ReservationNotFound:
                pass  # It never came to a reservation.
            except SolventError as error:
                self._listeners.tell(StoreFailed(id=id, error=error))
            self._unbooked.pop(id, None)

    def _remember(self, admission: Admission, booking: Booking) -> None:
        """
        What later calls can use: the billed prompt, and whether the same request is a retry.
        """
        fingerprint = admission.record.fingerprint or ""
        with self._memory_lock:
            if booking.billed and booking.usage is not None and admission.chain is not None:
                scope = str(admission.scope)
                self._estimator.learn(admission.chain, scope=scope, input_tokens=booking.usage.input_tokens)
            if booking.status.startswith("2") and booking.estimated != "cut":
                self._failed.pop(fingerprint, None)
                return
            self._failed[fingerprint] = 1 + (admission.record.attempt or 0)
            self._failed.move_to_end(fingerprint)
            if len(self._failed) > FAILED_MAX:
                self._failed.popitem(last=False)
