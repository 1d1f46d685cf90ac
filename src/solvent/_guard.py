"""
The one way into the ledger: authorize a call, let it be sent, settle it.

Each of these is one flow; two thin drivers do what it asks for, one for synchronous callers and one for asynchronous
ones. Every face enters here, and none has logic of its own.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from solvent._admit import Admission, Authorizer
from solvent._attempt import Flow
from solvent._booking import Outcome
from solvent._calls import Calls, Settlement
from solvent._checks import Checks
from solvent._clock import Clock, SystemClock
from solvent._counting import Count, Counting
from solvent._estimate import Estimator
from solvent._ids import new_id
from solvent._limits import SECOND_NS, Limit, Scope
from solvent._operations import Operation
from solvent._outer import InForce, Opened
from solvent._standings import Look
from solvent._waiting import Queues, Sleep
from solvent.errors import DeadlinePassed, OutcomeUnknown, SolventError
from solvent.events import Listeners, PriceAssumed, StoreFailed
from solvent.policy import LimitsInForce, Opening, Policy
from solvent.policy._fallback import Fallback
from solvent.prices import Prices
from solvent.stores._batcher import Ledger
from solvent.wire._call import Asked, Call

EXTEND_SECONDS = 30.0
STORE_TRIES = 3

T = TypeVar("T")

_log = logging.getLogger("solvent")


class Guard:
    """
    Admits calls against a ledger and books them, for any number of threads and event loops at once.

    ``admit`` and ``settle`` have an async face each, ``aadmit`` and ``asettle``, as a ledger's ``do`` has ``ado``.

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
        clock = clock or SystemClock()
        estimator = Estimator(
            prices or Prices.load(self.policy.prices),
            price_as=self.policy.price_as,
            assumed=lambda model, other: self.listeners.tell(PriceAssumed(model=model, priced_as=other)),
        )
        queues = Queues()
        self._clock = clock
        self._checks = Checks(self.policy, clock)
        self._calls = Calls(
            authorizer=Authorizer(
                policy=self.policy,
                limits=self.limits,
                checks=self._checks,
                estimator=estimator,
                queues=queues,
                clock=clock,
            ),
            estimator=estimator,
            queues=queues,
            listeners=self.listeners,
            clock=clock,
            fingerprint_key=ledger.store.fingerprint_key(),
        )
        self._background: set[asyncio.Task[None]] = set()

    def open(
        self,
        scope: Scope,
        limits: tuple[Limit, ...],
        fallback: tuple[Fallback, ...] = (),
        wait_seconds: float | None = None,
        *,
        seconds: float = 0,
    ) -> Opening:
        """
        Put limits of code or flags in force for a scope, until this opening is closed. Its time begins now, or began so
        many seconds ago.

        A scope may be open several times at once: all that was put in force holds then, each limit of seconds from its
        own opening on, and the policy's from the first of those that are open.
        """
        began_ns = self._clock.uptime_ns() - int(seconds * SECOND_NS)
        opening = self.limits.open(scope, limits, fallback, wait_seconds, began_ns=began_ns)
        self._checks.opened(scope)
        return opening

    def in_force(self, scope: Scope) -> InForce:
        """
        All that holds for the calls of a scope, for another process that makes some.
        """
        now_ns = self._clock.uptime_ns()
        openings = [
            Opened(
                scope=place,
                seconds=(now_ns - opening.began_ns) / SECOND_NS,
                limits=opening.limits,
                fallback=opening.fallback,
                wait_seconds=opening.wait_seconds,
            )
            for place, opening in self.limits.openings(scope)
        ]
        url = self._ledger.store.url
        return InForce(scope=str(scope), ledger=url, policy=self.policy, openings=tuple(openings))

    def close(self, scope: Scope, opening: Opening) -> None:
        """
        Forget what an opening of a scope put in force, for nobody has it any more.
        """
        self.limits.close(scope, opening)

    def stop(self, error: DeadlinePassed) -> None:
        """
        Admit nothing more: every call from now on gets this error.
        """
        self._calls.closing = error

    def admit(
        self,
        call: Call,
        *,
        scope: Scope,
        fingerprint: bytes,
        began: float,
        own_host: bool = False,
        within: tuple[str, ...] = (),
        wait_seconds: float | None = None,
        asked: Asked | None = None,
        counting: Counting | None = None,
    ) -> Admission:
        """
        Set aside the most that a call can cost, after what the ladder can do to make it fit.

        Where an event loop runs in this thread it waits for no room: the calls that hold it could not end meanwhile.

        Args:
            fingerprint: A digest of the request as it came.
            began: When it came, in seconds of the monotonic clock that events use.
            own_host: It goes to the provider's own address, whose ways are known.
            within: Open reservations that this call is part of; they end after it, so it waits for none of them.
            wait_seconds: How long it may wait for room; as its scopes or the policy say, unless it is given.
            asked: How it was asked, so that it can be asked of another model.
            counting: How its provider can be asked to count it, where the policy has that done.

        Raises:
            BudgetExceeded: A limit would be passed; ``held`` when only open calls were in the way.
            PriceUnknown, Unbounded: A limit needs to know what it cannot.
            StoreUnavailable, OutcomeUnknown: The ledger did not answer; no call may be made.
        """
        id = new_id()
        try:
            wait = 0.0 if _in_event_loop() else self._wait_seconds(scope, wait_seconds)
            return self._drive(
                self._calls.admit(id, call, scope, fingerprint, began, own_host, within, wait, asked, counting)
            )
        except Exception:
            raise
        except BaseException:  # Ctrl-C: what may have been reserved by now was never sent.
            self._drive(self._calls.let_go(id))
            raise

    async def aadmit(
        self,
        call: Call,
        *,
        scope: Scope,
        fingerprint: bytes,
        began: float,
        own_host: bool = False,
        within: tuple[str, ...] = (),
        wait_seconds: float | None = None,
        asked: Asked | None = None,
        counting: Counting | None = None,
    ) -> Admission:
        """
        ``admit`` for async callers.
        """
        id = new_id()
        try:
            wait = self._wait_seconds(scope, wait_seconds)
            flow = self._calls.admit(id, call, scope, fingerprint, began, own_host, within, wait, asked, counting)
            return await self._adrive(flow)
        except asyncio.CancelledError:
            # The caller went away; what may have been reserved meanwhile was never sent.
            self._later(self._adrive(self._calls.let_go(id)))
            raise

    def settle(self, admission: Admission, outcome: Outcome) -> Settlement:
        """
        Close a call's reservation by what became of it. Never raises for the ledger's sake: what cannot be booked now
        is kept and booked later, if need be after the reservation expired in full.
        """
        return self._drive(self._calls.settle(admission, outcome))

    async def asettle(self, admission: Admission, outcome: Outcome) -> Settlement:
        """
        ``settle`` for async callers.
        """
        return await self._adrive(self._calls.settle(admission, outcome))

    def drain(self) -> None:
        """
        Book what the ledger did not take before.
        """
        self._drive(self._calls.book_late())

    async def adrain(self) -> None:
        """
        Wait for what goes on in the background: releases for callers that went away, and what is still to be booked.
        """
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
        await self._adrive(self._calls.book_late())

    def beat(self) -> None:
        """
        Extend every open reservation, and book what the ledger did not take before; to be done every 30 seconds.
        """
        for id in list(self._calls.open):
            self._drive(self._calls.extend(id))
        self._drive(self._calls.book_late())

    async def abeat(self) -> None:
        """
        ``beat`` for async callers.
        """
        await asyncio.gather(*(self._adrive(self._calls.extend(id)) for id in list(self._calls.open)))
        await self._adrive(self._calls.book_late())

    async def keep_alive(self) -> None:
        """
        ``abeat`` until cancelled.
        """
        while True:
            await asyncio.sleep(EXTEND_SECONDS)
            try:
                await self.abeat()
            except SolventError as error:
                self.listeners.tell(StoreFailed(id="", error=error))
            except Exception:  # Whatever it is, the next round has to come, or calls expire while they run.
                _log.exception("open reservations could not be extended")

    def forget(self) -> None:
        """
        Leave the calls that are open to others: in a forked child they are the parent's.
        """
        self._calls.forget()
        self._checks.forget()
        self.limits.forget()

    def _wait_seconds(self, scope: Scope, asked: float | None) -> float:
        if asked is None:
            asked = self.limits.rules(scope).wait_seconds
        return self.policy.wait_seconds if asked is None else asked

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _drive(self, flow: Flow[T]) -> T:
        """
        The synchronous driver: do what the flow asks for, and send it the answers and the failures.
        """
        try:
            effect = next(flow)
            while True:
                try:
                    answer = self._do(effect)
                except SolventError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            flow.close()

    async def _adrive(self, flow: Flow[T]) -> T:
        """
        The asynchronous driver.
        """
        try:
            effect = next(flow)
            while True:
                try:
                    answer = await self._ado(effect)
                except SolventError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            flow.close()

    def _do(self, effect: Operation | Sleep | Count | Look) -> Any:
        """
        Sleep, ask, or apply one operation; an unknown outcome is asked for again with the same id.
        """
        if isinstance(effect, Sleep):
            return effect.place.sleep(effect.seconds)
        if isinstance(effect, Count):
            return effect.do()
        if isinstance(effect, Look):
            return effect.balances(self._ledger.store)
        for _ in range(STORE_TRIES - 1):
            try:
                return self._ledger.do(effect)
            except OutcomeUnknown:
                continue
        return self._ledger.do(effect)

    async def _ado(self, effect: Operation | Sleep | Count | Look) -> Any:
        if isinstance(effect, Sleep):
            return await effect.place.asleep(effect.seconds)
        if isinstance(effect, Count):
            return await effect.ado()
        if isinstance(effect, Look):
            return await self._ledger.aask(effect.balances)
        for _ in range(STORE_TRIES - 1):
            try:
                return await self._ledger.ado(effect)
            except OutcomeUnknown:
                continue
        return await self._ledger.ado(effect)


def _in_event_loop() -> bool:
    return asyncio._get_running_loop() is not None  # The public one makes an error where there is none.
