"""
The one way into the ledger: authorize a call, let it be sent, settle it.

Each of these is one flow; two thin drivers do what it asks for, one for synchronous callers and one for asynchronous
ones. Every face enters here, and none has logic of its own.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from solvent._admission import Admission
from solvent._admit import Authorizer
from solvent._alerts import Alerts
from solvent._attempt import Flow
from solvent._booking import Outcome
from solvent._branches import Begins, Branches
from solvent._calls import Calls, Settlement
from solvent._checks import Checks
from solvent._clock import Clock, SystemClock
from solvent._counting import Counting
from solvent._decide import Decider, Decision
from solvent._driver import Driver
from solvent._estimate import Estimator
from solvent._ids import new_id
from solvent._limits import SECOND_NS, Limit, Scope
from solvent._outer import InForce, Opened
from solvent._records import Account
from solvent._waiting import Queues
from solvent.errors import BudgetExceeded, DeadlinePassed, SolventError
from solvent.events import Listeners, PriceAssumed, StoreFailed
from solvent.policy import LimitsInForce, Opening, Policy
from solvent.policy._fallback import Fallback
from solvent.prices import Prices
from solvent.stores._batcher import Ledger
from solvent.wire._call import Asked, Call

if TYPE_CHECKING:
    from solvent.report import Report

EXTEND_SECONDS = 30.0

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
        history: Makes the report of a scope, for the error of a refusal.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        policy: Policy | None = None,
        prices: Prices | None = None,
        clock: Clock | None = None,
        listeners: Listeners | None = None,
        history: "Callable[[str], Report] | None" = None,
    ) -> None:
        policy = policy or Policy()
        prices = prices or Prices.load(policy.prices)
        self.limits = LimitsInForce(policy, prices)
        self.listeners = listeners or Listeners()
        self._ledger = ledger
        driver = Driver(ledger)
        self._drive, self._adrive = driver.run, driver.arun
        clock = clock or SystemClock()
        estimator = Estimator(
            prices,
            price_as=policy.price_as,
            assumed=lambda model, other: self.listeners.tell(PriceAssumed(model=model, priced_as=other)),
        )
        queues = Queues()
        self._clock = clock
        checks = self._checks = Checks(clock)
        authorizer = Authorizer(limits=self.limits, checks=checks, estimator=estimator, queues=queues, clock=clock)
        key = ledger.store.fingerprint_key()
        alerts = Alerts(self.limits, self.listeners, clock, key)
        ledger.on_expired(alerts.booked)
        self._calls = Calls(
            authorizer=authorizer,
            estimator=estimator,
            queues=queues,
            listeners=self.listeners,
            clock=clock,
            alerts=alerts,
            fingerprint_key=key,
            history=history,
        )
        self._decider = Decider(authorizer, checks, clock)
        self._branches = Branches(self._calls, authorizer, clock)
        self._background: set[asyncio.Task[None]] = set()

    @property
    def policy(self) -> Policy:
        return self.limits.policy

    def open(
        self,
        scope: Scope,
        limits: tuple[Limit, ...],
        fallback: tuple[Fallback, ...] = (),
        wait_seconds: float | None = None,
        alert: tuple[Fraction, ...] = (),
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
        opening = self.limits.open(scope, limits, fallback, wait_seconds, alert, began_ns=began_ns)
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
                alert=opening.alert,
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
        id, wait = new_id(), 0.0 if _in_event_loop() else wait_seconds
        return self._or_let_go(
            id, self._calls.admit(id, call, scope, fingerprint, began, own_host, within, wait, asked, counting)
        )

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
        id, wait = new_id(), wait_seconds
        return await self._aor_let_go(
            id, self._calls.admit(id, call, scope, fingerprint, began, own_host, within, wait, asked, counting)
        )

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

    def check(self, call: Call, *, scope: Scope, within: tuple[str, ...] = ()) -> Decision:
        """
        Whether a call would be admitted now; changes nothing.

        Raises:
            StoreUnavailable: The ledger did not answer.
        """
        return self._drive(self._decider.decide(call, scope, within))

    async def acheck(self, call: Call, *, scope: Scope, within: tuple[str, ...] = ()) -> Decision:
        """
        ``check`` for async callers.
        """
        return await self._adrive(self._decider.decide(call, scope, within))

    def enter(self, scope: Scope, *, begins: Begins = "code") -> None:
        """
        Refuse to begin code in a scope where no call could be made, for it is nested too deep or its time is over; a
        tool once models asked for more of them than ``tool_calls`` allows; and a turn of a loop once any limit is used
        up.

        Raises:
            BudgetExceeded: It may not begin.
        """
        self._drive(self._branches.enter(new_id(), scope, time.monotonic(), begins))

    async def aenter(self, scope: Scope, *, begins: Begins = "code") -> None:
        """
        ``enter`` for async callers.
        """
        await self._adrive(self._branches.enter(new_id(), scope, time.monotonic(), begins))

    def seconds_left(self, scope: Scope) -> float | None:
        """
        Until the first deadline on a scope's path; ``None`` without one.
        """
        return self._checks.on_path(scope, self.limits.rules(scope), begins=False).seconds_left

    def tell_history(self, error: BudgetExceeded, scope: Scope) -> None:
        """
        Let an error know where the history of a call's run is to be had.
        """
        self._calls.tell_history(error, scope)

    def wake(self, accounts: Sequence[Account]) -> None:
        """
        Let the calls that wait for room in these accounts look again.
        """
        self._calls.wake(accounts)

    def open_branches(self, scope: Scope, count: int) -> str | None:
        """
        Set the branches of a fan-out aside, before the first one starts.

        Returns:
            What ``close_branches`` needs; ``None`` where no limit counts them.

        Raises:
            BudgetExceeded: There are too many.
            StoreUnavailable, OutcomeUnknown: The ledger did not answer.
        """
        id = new_id()
        return id if self._or_let_go(id, self._branches.open(id, scope, count, time.monotonic())) else None

    async def aopen_branches(self, scope: Scope, count: int) -> str | None:
        """
        ``open_branches`` for async callers.
        """
        id = new_id()
        return id if await self._aor_let_go(id, self._branches.open(id, scope, count, time.monotonic())) else None

    def close_branches(self, id: str | None, started: int) -> None:
        """
        Book the branches that were started. Never raises for the ledger's sake.
        """
        if id is not None:
            self._drive(self._branches.close(id, started))

    async def aclose_branches(self, id: str | None, started: int) -> None:
        """
        ``close_branches`` for async callers.
        """
        if id is not None:
            await self._adrive(self._branches.close(id, started))

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

    def _or_let_go(self, id: str, flow: Flow[T]) -> T:
        """
        Drive what reserves; what may be reserved when it is interrupted was never sent.
        """
        try:
            return self._drive(flow)
        except Exception:
            raise
        except BaseException:  # Ctrl-C.
            self._drive(self._calls.let_go(id))
            raise

    async def _aor_let_go(self, id: str, flow: Flow[T]) -> T:
        try:
            return await self._adrive(flow)
        except asyncio.CancelledError:  # The caller went away.
            self._later(self._adrive(self._calls.let_go(id)))
            raise
        except GeneratorExit:  # It went away for good, and no loop may be there any more.
            self._drive(self._calls.let_go(id))
            raise

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _in_event_loop() -> bool:
    return asyncio._get_running_loop() is not None  # The public one makes an error where there is none.
