"""
The one way into the ledger: authorize a call, let it be sent, settle it.

The decision is the pure flow of ``_admit``; a thin driver does what it asks for, asynchronously here. Every face enters
here, and none has logic of its own.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Coroutine, Generator, Mapping
from hashlib import blake2b
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from solvent import _ladder
from solvent._admit import TTL_SECONDS, Admission, Authorizer, Wait, reply_headers
from solvent._booking import Booking, NotSent, Outcome, book
from solvent._clock import Clock, SystemClock, utc
from solvent._estimate import Estimator, usage_json
from solvent._ids import new_id
from solvent._ladder import CALL, obstacle
from solvent._limits import Limit, Scope
from solvent._operations import Closed, Extend, Note, Operation, Refusal, Release, Reserved, Settle
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
from solvent.events import CallAdmitted, CallClosed, CallRefused, Listeners, PriceAssumed, StoreFailed
from solvent.policy import LimitsInForce, Policy
from solvent.prices import Prices
from solvent.stores._batcher import Ledger
from solvent.wire._call import Call

EXTEND_SECONDS = 30.0
_log = logging.getLogger("solvent")

STORE_TRIES = 3
FAILED_MAX = 4_096  # Requests whose failure is remembered, to know their retries.


class Settlement(Struct, frozen=True, kw_only=True):
    """
    A call that is booked.
    """

    cost_nanodollars: int | None
    headers: Mapping[str, str]


class Guard:
    """
    Admits calls against a ledger and books them.

    Args:
        ledger: Where the books are.
        policy: The limits, and what the ladder may do.
        prices: The rate card with the user's prices.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        policy: Policy | None = None,
        prices: Prices | None = None,
        clock: Clock | None = None,
        listeners: Listeners | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self.limits = LimitsInForce(self.policy)
        self.listeners = listeners or Listeners()
        self._ledger = ledger
        self._clock = clock or SystemClock()
        self._estimator = Estimator(
            prices or Prices.load(self.policy.prices),
            price_as=self.policy.price_as,
            assumed=lambda model, other: self.listeners.tell(PriceAssumed(model=model, priced_as=other)),
        )
        self._queues = Queues()
        self._authorizer = Authorizer(
            policy=self.policy,
            limits=self.limits,
            estimator=self._estimator,
            queues=self._queues,
            clock=self._clock,
        )
        self._open: dict[str, Admission] = {}
        self._failed: OrderedDict[str, int] = OrderedDict()
        self._fingerprint_key = ledger.store.fingerprint_key()
        self._closing: DeadlinePassed | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._unbooked: dict[str, Settle | Release] = {}  # What the ledger did not take; it is asked again.

    def open(self, scope: Scope, limits: tuple[Limit, ...]) -> None:
        """
        Put limits of code or flags in force for a scope.
        """
        self.limits.open(scope, limits)

    def stop(self, error: DeadlinePassed) -> None:
        """
        Admit nothing more: every call from now on gets this error.
        """
        self._closing = error

    async def admit(
        self,
        call: Call,
        *,
        scope: Scope,
        fingerprint: bytes,
        began: float,
        own_host: bool = False,
        within: tuple[str, ...] = (),
    ) -> Admission:
        """
        Set aside the most that a call can cost, after what the ladder can do to make it fit.

        Args:
            fingerprint: A digest of the request as it came.
            began: When it came, in seconds of the monotonic clock that events use.
            own_host: It goes to the provider's own address, whose ways are known.
            within: Open reservations that this call is part of; they end after it, so it waits for none of them.

        Raises:
            BudgetExceeded: A limit would be passed; ``held`` when only open calls were in the way.
            PriceUnknown, Unbounded: A limit needs to know what it cannot.
            StoreUnavailable, OutcomeUnknown: The ledger did not answer; no call may be made.
        """
        id, started = new_id(), self._clock.now_ns()
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
            if self._closing is not None:
                raise self._closing
            flow = self._authorizer.flow(id, call, scope, record, own_host=own_host, within=within)
            admission: Admission = await self._drive(flow)
        except SolventError as error:
            await self._refused(id, scope, record, error, began)
            raise
        except asyncio.CancelledError:
            # The caller went away; what may have been reserved meanwhile was never sent.
            self._later(self._release(id))
            raise
        self._open[id] = admission
        self.listeners.tell(CallAdmitted(id=id, scope=str(scope), call=admission.record))
        return admission

    async def settle(self, admission: Admission, outcome: Outcome) -> Settlement:
        """
        Close a call's reservation by what became of it. Never raises for the ledger's sake: what cannot be booked now
        is kept and booked later, if need be after the reservation expired in full.
        """
        self._open.pop(admission.id, None)
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
            closed: Closed | None = await self._apply(operation)
        except SolventError as error:
            self._not_booked(operation, error)
            return Settlement(cost_nanodollars=booking.cost_nanodollars, headers={})
        assert closed is not None
        self._queues.wake(admission.charges.accounts)
        reading = None if isinstance(outcome, NotSent) else outcome.reading
        self.listeners.tell(
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

    async def drain(self) -> None:
        """
        Wait for what goes on in the background: releases for callers that went away, and what is still to be booked.
        """
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
        await self._book_late()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _release(self, id: str) -> None:
        release = Release(id=id, reason="client_gone", call=CallRecord(status="not_sent"))
        try:
            await self._apply(release)
        except ReservationNotFound:
            pass  # It never came to a reservation.
        except SolventError as error:
            self._not_booked(release, error)

    def _not_booked(self, operation: Settle | Release, error: SolventError) -> None:
        if isinstance(error, StoreUnavailable | OutcomeUnknown):
            self._unbooked[operation.id] = operation
        self.listeners.tell(StoreFailed(id=operation.id, error=error))

    async def _book_late(self) -> None:
        """
        Ask again for what the ledger did not take; what it refuses for good is told.
        """
        for id, operation in list(self._unbooked.items()):
            try:
                await self._apply(operation)
            except (StoreUnavailable, OutcomeUnknown):
                return  # It is still away.
            except ReservationNotFound:
                pass  # It never came to a reservation.
            except SolventError as error:
                self.listeners.tell(StoreFailed(id=id, error=error))
            del self._unbooked[id]

    async def keep_alive(self) -> None:
        """
        Extend every open reservation until cancelled, and book what the ledger did not take before.
        """
        while True:
            await asyncio.sleep(EXTEND_SECONDS)
            try:
                await asyncio.gather(*(self._extend(id) for id in list(self._open)))
                await self._book_late()
            except SolventError as error:
                self.listeners.tell(StoreFailed(id="", error=error))
            except Exception:  # Whatever it is, the next round has to come, or calls expire while they run.
                _log.exception("open reservations could not be extended")

    async def _extend(self, id: str) -> None:
        try:
            await self._ledger.ado(Extend(id=id, ttl_seconds=TTL_SECONDS))
        except SolventError as error:
            # It may have been settled meanwhile, and is open no more; one that expired while it ran is told.
            if id in self._open:
                self.listeners.tell(StoreFailed(id=id, error=error))

    async def _drive(self, flow: Generator[Operation | Wait, Any, Admission]) -> Admission:
        """
        The async driver: do what the flow asks for, and send it the answers.
        """
        answer: Any = None
        while True:
            try:
                effect = flow.send(answer)
            except StopIteration as stop:
                admission: Admission = stop.value
                return admission
            answer = await (self._wait(effect) if isinstance(effect, Wait) else self._apply(effect))

    async def _wait(self, effect: Wait) -> Reserved | Refusal:
        until = asyncio.get_running_loop().time() + effect.seconds
        with self._queues.join(effect.account) as place:
            while await place.turn(until):
                answer: Reserved | Refusal = await self._apply(effect.reserve)
                if isinstance(answer, Reserved):
                    return answer
                now = utc(self._clock.now_ns())
                wait_seconds = self.policy.wait_seconds
                if not obstacle(answer, effect.reserve.amounts, wait_seconds=wait_seconds, now=now).passes:
                    return answer
            last: Reserved | Refusal = await self._apply(effect.reserve)
            return last

    async def _apply(self, operation: Any) -> Any:
        """
        Apply one operation; an unknown outcome is asked for again with the same id.
        """
        for _ in range(STORE_TRIES - 1):
            try:
                return await self._ledger.ado(operation)
            except OutcomeUnknown:
                continue
        return await self._ledger.ado(operation)

    async def _refused(self, id: str, scope: Scope, record: CallRecord, error: SolventError, began: float) -> None:
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
                await self._apply(Note(kind="refuse", id=id, scope=str(scope), terms=terms, call=record))
            except SolventError as failure:
                self.listeners.tell(StoreFailed(id=id, error=failure))
        answered = time.monotonic()
        self.listeners.tell(
            CallRefused(id=id, scope=str(scope), call=record, error=error, began=began, answered=answered)
        )

    def _remember(self, admission: Admission, booking: Booking) -> None:
        """
        What later calls can use: the billed prompt, and whether the same request is a retry.
        """
        fingerprint = admission.record.fingerprint or ""
        if booking.billed and booking.usage is not None and admission.chain is not None:
            scope = str(admission.scope)
            self._estimator.learn(admission.chain, scope=scope, input_tokens=booking.usage.input_tokens)
        if booking.status.startswith("2") and booking.estimated != "cut":
            self._failed.pop(fingerprint, None)
            return
        self._failed[fingerprint] = admission.record.attempt or 0
        self._failed[fingerprint] += 1
        self._failed.move_to_end(fingerprint)
        if len(self._failed) > FAILED_MAX:
            self._failed.popitem(last=False)
