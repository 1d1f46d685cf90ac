"""
What happens to a call between its description and its record, as flows: pure but for memory, and driven by the guard.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from solvent import _ladder
from solvent._admission import Admission
from solvent._admit import Authorizer
from solvent._alerts import Alerts
from solvent._attempt import TTL_SECONDS, Flow
from solvent._booking import Booking, Lost, Outcome, Replied, book
from solvent._clock import Clock, utc
from solvent._counting import Counting
from solvent._estimate import Estimator, PromptChain, usage_json
from solvent._headers import reply_headers
from solvent._ladder import CALL
from solvent._limits import METERS, RESERVED_METERS, Scope
from solvent._operations import Closed, Extend, Note, Release, Reserve, Settle
from solvent._records import Account, Balance, CallRecord, Terms
from solvent._waiting import Queues
from solvent.errors import (
    BudgetExceeded,
    DeadlinePassed,
    IdConflict,
    OutcomeUnknown,
    ReservationNotFound,
    SolventError,
    StoreUnavailable,
)
from solvent.events import BoundBroken, CallAdmitted, CallClosed, CallRefused, LimitPassed, Listeners, StoreFailed
from solvent.wire._call import Asked, Call

if TYPE_CHECKING:
    from solvent.report import Report

FAILED_MAX = 4_096  # Requests whose failure is remembered, to know their retries.

_log = logging.getLogger("solvent")


class Settlement(Struct, frozen=True, kw_only=True):
    """
    A call that is booked.

    Attributes:
        balances: Of its accounts; ``None`` where the ledger did not answer.
    """

    id: str
    cost_nanodollars: int | None
    balances: Sequence[Balance] | None
    rungs: Sequence[str] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """
        The running total and what remains, for a reply that begins when the call is settled.
        """
        if self.balances is None:
            return {}
        cost = self.cost_nanodollars
        return reply_headers(self.id, self.balances, cost=cost, is_priced=cost is not None, rungs=self.rungs)


class Calls:
    """
    The flows of a guard's calls, and what it remembers of them.

    Attributes:
        open: The calls that are admitted and not closed, and the scopes of open fan-outs, by id.
        closing: The error that every call gets from now on; ``None`` while calls are admitted.
        alerts: Tells how far limits are used.
    """

    def __init__(
        self,
        *,
        authorizer: Authorizer,
        estimator: Estimator,
        queues: Queues,
        listeners: Listeners,
        clock: Clock,
        alerts: Alerts,
        fingerprint_key: bytes,
        history: "Callable[[str], Report] | None" = None,
    ) -> None:
        self.open: dict[str, Admission | Scope] = {}
        self.closing: DeadlinePassed | None = None
        self.alerts = alerts
        self._authorizer = authorizer
        self._estimator = estimator
        self._queues = queues
        self._clock = clock
        self._fingerprint_key = fingerprint_key
        self._history = history
        self._listeners = listeners
        # What the ledger did not take; it is asked again, and for a call that it knows nothing of to reserve it first.
        self._unbooked: dict[str, tuple[Reserve | None, Settle | Release]] = {}
        self._failed: OrderedDict[str, int] = OrderedDict()
        self._memory_lock = threading.Lock()  # Over what is remembered of earlier calls.

    def forget(self) -> None:
        self.open.clear()
        self._unbooked.clear()
        self._memory_lock = threading.Lock()
        self._queues.clear()
        self._authorizer.allowance.forget()

    def admit(
        self,
        id: str,
        call: Call,
        scope: Scope,
        fingerprint: bytes,
        began: float,
        own_host: bool,
        within: tuple[str, ...],
        wait_seconds: float | None,
        asked: Asked | None = None,
        counting: Counting | None = None,
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
                id,
                call,
                scope,
                record,
                own_host=own_host,
                within=within,
                wait_seconds=wait_seconds,
                asked=asked,
                counting=counting,
            )
        except SolventError as error:
            yield from self.refuse(id, scope, record, error, began)
            raise
        if admission.trouble is None:
            self.open[id] = admission
        else:
            _log.warning("a call is made without the ledger: %s", admission.trouble)
            self._listeners.tell(StoreFailed(id=id, error=admission.trouble))
        self._listeners.tell(CallAdmitted(id=id, scope=str(scope), call=admission.record))
        for notice in admission.notices:
            self.notify(notice)
        return admission

    def notify(self, notice: LimitPassed) -> None:
        level = logging.WARNING if notice.on_exceed == "warn" else logging.INFO
        _log.log(level, "%s", notice.error.headline())
        self._listeners.tell(notice)

    def refuse(self, id: str, scope: Scope, record: CallRecord, error: SolventError, began: float) -> Flow[None]:
        """
        Write the refusal into the journal, once a call, and tell whoever listens.
        """
        terms = None
        if isinstance(error, BudgetExceeded):
            self.tell_history(error, scope)
        if isinstance(error, OutcomeUnknown):  # It may be reserved, and no call is made.
            release = Release(id=id, reason="not_sent", call=CallRecord(status="not_sent"))
            self._unbooked[id] = None, release
        if isinstance(error, BudgetExceeded) and error.scope != CALL and error.meter in METERS:
            terms = Terms((Account(error.scope, error.meter, error.window),), (error.limit,))
        reason = error.headline() if isinstance(error, BudgetExceeded) else str(error).partition("\n")[0]
        # What it asked for under a limit in dollars is the most that it could cost.
        bound = error.requested if isinstance(error, BudgetExceeded) and error.meter == "usd" else None
        record = replace(
            record,
            bound_nanodollars=bound or None,
            decision="refused",
            reason=reason,
            status=error.code,
            ended=self._clock.now_ns(),
        )
        if not isinstance(error, StoreUnavailable | OutcomeUnknown):
            try:
                yield Note(kind="refuse", id=id, scope=str(scope), terms=terms, call=record)
            except SolventError as failure:
                self._listeners.tell(StoreFailed(id=id, error=failure))
        answered = time.monotonic()
        self._listeners.tell(
            CallRefused(id=id, scope=str(scope), call=record, error=error, began=began, answered=answered)
        )
        if isinstance(error, BudgetExceeded):
            self.alerts.refused(id, scope, error)

    def settle(self, admission: Admission, outcome: Outcome) -> Flow[Settlement]:
        self.open.pop(admission.id, None)
        booking = book(
            admission.call,
            admission.bound,
            outcome,
            sums_choices=admission.own_host,
            price_of=lambda model: self._estimator.price(admission.call.provider, model, admission.rules),
            at=utc(admission.record.started or 0),
        )
        broken = self._remember(admission, booking)
        if broken is not None:
            self._listeners.tell(broken)
        is_degraded = admission.call.model != admission.record.model_asked
        record = replace(
            admission.record,
            model_used=booking.model or (admission.call.model if is_degraded else None),
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
        first = None if admission.trouble is None else _late(admission, record)
        try:
            closed = yield from self._book(first, operation)
        except SolventError as error:
            self.not_booked(operation, error, first)
            return Settlement(id=admission.id, cost_nanodollars=booking.cost_nanodollars, balances=None)
        except GeneratorExit:  # The caller was interrupted, and it may be that nothing was asked yet.
            self._unbooked[operation.id] = first, operation
            raise
        self._authorizer.standings.heard(closed.balances)
        self._queues.wake(admission.charges.accounts)
        reading = outcome.reading if isinstance(outcome, Replied | Lost) else None
        self._listeners.tell(
            CallClosed(
                id=admission.id,
                scope=str(admission.scope),
                call=record,
                overrun_nanodollars=closed.overrun.get("usd", 0),
                cut_at_length=reading is not None and reading.cut_at_length,
                run_total_nanodollars=closed.run_total_nanodollars,
                balances=closed.balances,
            )
        )
        self.alerts.closed(admission.scope, closed)
        return Settlement(
            id=admission.id, cost_nanodollars=booking.cost_nanodollars, balances=closed.balances, rungs=record.rungs
        )

    def wake(self, accounts: Sequence[Account]) -> None:
        """
        There may be room in these accounts.
        """
        self._queues.wake(accounts)

    def tell_history(self, error: BudgetExceeded, scope: Scope) -> None:
        if self._history is not None:
            run = next((place for place in scope.path() if place.parts[-1][0] == "run"), scope)
            error.remember(history=partial(self._history, str(run)))

    def let_go(self, id: str) -> Flow[None]:
        """
        Release what may have been reserved for a caller that went away before its call was sent.
        """
        self.open.pop(id, None)
        release = Release(id=id, reason="client_gone", call=CallRecord(status="not_sent"))
        try:
            closed = yield release
        except ReservationNotFound:
            return  # It never came to a reservation.
        except SolventError as error:
            self.not_booked(release, error)
        else:
            self._queues.wake([balance.account for balance in closed.balances])

    def extend(self, id: str) -> Flow[None]:
        try:
            yield Extend(id=id, ttl_seconds=TTL_SECONDS)
        except SolventError as error:
            # It may have been settled meanwhile, and is open no more; one that expired while it ran is told.
            if id in self.open:
                self._listeners.tell(StoreFailed(id=id, error=error))

    def _book(self, first: Reserve | None, operation: Settle | Release) -> Flow[Closed]:
        if first is not None:
            with suppress(IdConflict):  # It had been recorded after all.
                yield first
        closed: Closed = yield operation
        self._authorizer.allowance.give_back(operation.id)
        return closed

    def not_booked(self, operation: Settle | Release, error: SolventError, first: Reserve | None = None) -> None:
        if isinstance(error, StoreUnavailable | OutcomeUnknown):
            self._unbooked[operation.id] = first, operation
        self._listeners.tell(StoreFailed(id=operation.id, error=error))

    def book_late(self) -> Flow[None]:
        """
        Ask again for what the ledger did not take; what it refuses for good is told.
        """
        for id, (first, operation) in list(self._unbooked.items()):
            try:
                self.alerts.booked((yield from self._book(first, operation)))
            except (StoreUnavailable, OutcomeUnknown):
                return  # It is still away.
            except SolventError as error:
                if first is not None or not isinstance(error, ReservationNotFound):  # Else it was never reserved.
                    self._listeners.tell(StoreFailed(id=id, error=error))
            self._unbooked.pop(id, None)

    def _remember(self, admission: Admission, booking: Booking) -> BoundBroken | None:
        """
        What later calls can use: the billed prompt, and whether the same request is a retry; and whether a bound broke.
        """
        fingerprint = admission.record.fingerprint or ""
        if admission.call.stated is not None:  # Of what a program does itself nobody knows what is the same again.
            return None
        with self._memory_lock:
            broken = self._learn(admission, booking)
            if booking.status.startswith("2") and booking.estimated != "cut":
                self._failed.pop(fingerprint, None)
                return broken
            self._failed[fingerprint] = 1 + (admission.record.attempt or 0)
            self._failed.move_to_end(fingerprint)
            if len(self._failed) > FAILED_MAX:
                self._failed.popitem(last=False)
        return broken

    def _learn(self, admission: Admission, booking: Booking) -> BoundBroken | None:
        """
        Learn from a bill, and say whether it was above its bound.
        """
        if not booking.billed or booking.usage is None:
            return None
        call, bound, scope, billed = admission.call, admission.bound, str(admission.scope), booking.usage.input_tokens
        chain = admission.chain or PromptChain(call)
        raised = self._estimator.broken(call, bound, chain, scope=scope, input_tokens=billed)
        if admission.chain is not None:
            self._estimator.learn(chain, scope=scope, input_tokens=billed, rules=admission.rules)
        if raised is None:
            return None
        return BoundBroken(
            id=admission.id,
            scope=scope,
            provider=call.provider,
            format=call.format,
            model=call.model,
            bound=bound.input_tokens or 0,
            billed=billed,
            raised=raised,
        )


def _late(admission: Admission, record: CallRecord) -> Reserve:
    """
    Reserves nothing for a call that was made without the ledger: all of it is an overrun, and no limit keeps it out.
    """
    accounts = admission.charges.accounts
    return Reserve(
        id=admission.id,
        scope=str(admission.scope),
        terms=Terms(accounts, (None,) * len(accounts)),
        amounts=dict.fromkeys(RESERVED_METERS, 0),
        ttl_seconds=TTL_SECONDS,
        call=record,
    )
