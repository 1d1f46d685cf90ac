"""
What users hold: a budget, the limits over a scope and the ledger that keeps its account.
"""

import asyncio
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from decimal import Decimal
from functools import partial, wraps
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from solvent import _amounts
from solvent._clock import SystemClock
from solvent._ids import new_id
from solvent._limits import METERS, PATH_METERS, Limit, Meter, Scope
from solvent._openings import opening
from solvent._operations import Note
from solvent._outer import Asked, Outer, segment
from solvent._records import Account, Balance, CallRecord
from solvent._runtime import PROCESS, Runtime
from solvent.errors import SettingsError, SolventError
from solvent.events import StoreFailed
from solvent.policy import LimitsInForce, Policy
from solvent.policy._fallback import Fallback, chain
from solvent.stores import is_shared

if TYPE_CHECKING:
    from solvent.report import Report

Money = str | int | float | Decimal
Count = str | int

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger("solvent")

CURRENT: ContextVar["Budget | None"] = ContextVar("solvent_budget", default=None)


class Budget:
    """
    Limits over a scope, while its ``with`` block is open; made by ``solvent.budget``.

    Inside a ``solvent run`` it is opened at the run's gateway, below the run.

    Attributes:
        scope: ``run:triage-01J9ZK…``; a budget inside another one, or inside a run, is a step below it.
        below: The steps below the run, as a request to its gateway names them; ``None`` for one that was not opened
            there.
    """

    def __init__(
        self,
        name: str,
        limits: tuple[Limit, ...],
        *,
        fallback: tuple[Fallback, ...],
        run: str | None,
        ledger: str | None,
        wait_seconds: float | None,
    ) -> None:
        self.limits = limits
        self.fallback = fallback
        self.wait_seconds = wait_seconds
        self.scope = Scope((("run", name),))
        self._name = name
        self._run = run
        self._ledger_url = ledger
        self._runtime: Runtime | None = None
        self.below: tuple[str, ...] | None = None
        self._tokens: list[Token[Budget | None]] = []

    def __repr__(self) -> str:
        return f"<solvent.Budget {self.scope}{'' if self in OPEN else ', not open'}>"

    def __enter__(self) -> Self:
        self._open()
        if self._runtime is not None:
            self._runtime.ledger.do(self._opening())
        return self._entered()

    async def __aenter__(self) -> Self:
        if self._gateway() is None:
            self._open()
        else:
            await asyncio.to_thread(self._open)  # The gateway may still be loading, and others go on meanwhile.
        if self._runtime is not None:
            await self._runtime.ledger.ado(self._opening())
        return self._entered()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left()
        if self._runtime is not None:
            with self._is_let_go(self._runtime):
                self._runtime.ledger.do(self._closing(error))
                self._warn_if_unseen(self._runtime.ledger.store.balances(str(self.scope)))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left()
        if self._runtime is not None:
            with self._is_let_go(self._runtime):
                await self._runtime.ledger.ado(self._closing(error))
                self._warn_if_unseen(await self._runtime.ledger.aask(lambda store: store.balances(str(self.scope))))

    @property
    def runtime(self) -> Runtime:
        if self._runtime is not None:
            return self._runtime
        if self.below is None:
            raise RuntimeError(f"the budget {self._name!r} is not open; use it in a `with` block")
        return PROCESS.runtime()  # Which says that the gateway's ledger is in nobody else's reach.

    def remaining(self, meter: Meter = "usd") -> int | None:
        """
        What is left for calls made in it: the least that a limit on its path leaves, be it this budget's, of one around
        it, or the policy's. Nanodollars for ``usd``, a count for the rest; negative after an overrun, ``None`` without
        a limit.

        Raises:
            ValueError: There is no such meter.
        """
        if meter not in METERS + PATH_METERS:
            raise ValueError(f"meter must be one of {', '.join(METERS + PATH_METERS)}, got {meter!r}")
        runtime = self.runtime
        limits = [(place, limit) for place, limit in runtime.guard.limits.of(self.scope) if limit.meter == meter]
        places = {place for place, _ in limits}
        found = {balance.account: balance for place in places for balance in runtime.ledger.store.balances(place)}
        return min(
            (_left(Account(place, meter, limit.window_key), limit, found) for place, limit in limits), default=None
        )

    def report(self) -> "Report":
        """
        What was spent until now, of what, on which models; ``print`` draws it.
        """
        from solvent.report import summarize  # Programs that ask for none need not load it.

        return summarize(self.runtime.ledger.store, str(self.scope))

    def is_kept_with(self, other: "Budget") -> bool:
        """
        Whether one guard, or one gateway, holds calls to both.
        """
        return self._runtime is other._runtime and (self.below is None) == (other.below is None)

    @contextmanager
    def _is_let_go(self, runtime: Runtime) -> Iterator[None]:
        """
        While its end is written: what its block made was paid for, and is not thrown away for the ledger's sake.
        """
        try:
            yield
        except SolventError as error:
            _log.warning("the end of %s could not be written: %s", self.scope, error)
            runtime.guard.listeners.tell(StoreFailed(id="", error=error))

    def _warn_if_unseen(self, balances: Sequence[Balance]) -> None:
        if self.limits and not balances and not PROCESS.is_hooked:
            _log.warning(
                "no call was seen in %s: without solvent.install(), calls of SDKs are not held to it", self.scope
            )

    def _gateway(self) -> Outer | None:
        """
        Where it is to be opened, other than in this process.
        """
        outer = CURRENT.get()
        if self._ledger_url is not None or (outer is not None and outer.below is None):
            return None
        return PROCESS.outer()

    def _open(self) -> None:
        if self in OPEN:
            raise RuntimeError(f"the budget {self._name!r} is open already; make another one for the block inside it")
        outer, gateway = CURRENT.get(), self._gateway()
        if outer is not None and self._ledger_url is not None:
            raise SettingsError(
                where=f"the ledger of budget({self._name!r})",
                expected=f"that of {outer.scope} around it, which decides in one step over both",
                got=self._ledger_url,
                hint="leave ledger out, or open it outside of the other block",
            )
        name = self._run or f"{self._name}-{new_id()}"
        self._runtime = self.below = None
        if gateway is not None:
            self._open_at(gateway, name, outer.below or () if outer else ())
        elif outer is not None:
            self._runtime = outer.runtime
            self.scope = outer.scope.child("step", name)
        else:
            self._runtime = PROCESS.runtime(self._ledger_url)
            self.scope = Scope((("run", name),))
        if self._runtime is not None:
            guard = self._runtime.guard
            opening = guard.open(self.scope, self.limits, self.fallback, self.wait_seconds)
            # Not at the end of the block: a task that was started in it may go on, and is held to these limits still.
            weakref.finalize(self, guard.close, self.scope, opening)

    def _open_at(self, gateway: Outer, name: str, above: tuple[str, ...]) -> None:
        """
        Open it at the gateway of the run around this process; what does not pass there is held to it in this process.
        """
        asked = Asked(name=name, limits=self.limits, fallback=self.fallback, wait_seconds=self.wait_seconds)
        opened = gateway.open(asked, below="/".join(above))
        self.scope = Scope.parse(opened.scope)
        self.below = (*above, segment(name))
        if is_shared(opened.ledger):
            self._runtime = PROCESS.runtime()
            self._runtime.keep_alive()
            end = partial(_close_at, gateway, opened.opening, os.getpid())
            weakref.finalize(self, self._runtime.later, end).atexit = False  # The run's end is near, and ends it.

    def _opening(self) -> Note:
        limits = LimitsInForce(Policy())
        limits.open(self.scope, self.limits)
        return opening(self.scope, limits.rules(self.scope))

    def _closing(self, error: BaseException | None) -> Note:
        reason = "exited" if error is None else type(error).__name__
        call = CallRecord(ended=SystemClock().now_ns(), reason=reason, status="0" if error is None else "1")
        return Note(kind="close", id=new_id(), scope=str(self.scope), call=call)

    def _entered(self) -> Self:
        with OPEN_LOCK:
            OPEN.append(self)
        self._tokens.append(CURRENT.set(self))
        return self

    def _left(self) -> None:
        with OPEN_LOCK:
            OPEN.remove(self)
        CURRENT.reset(self._tokens.pop())


def _left(account: Account, limit: Limit, balances: Mapping[Account, Balance]) -> int:
    balance = balances.get(account, Balance(account=account))
    most = balance.limit if balance.limit is not None else limit.amount + balance.topped_up
    return most - balance.spent - balance.reserved


OPEN: list[Budget] = []
OPEN_LOCK = threading.Lock()


def budget(
    name: str = "budget",
    *,
    usd: Money | None = None,
    tokens: Count | None = None,
    input_tokens: Count | None = None,
    output_tokens: Count | None = None,
    calls: Count | None = None,
    tool_calls: Count | None = None,
    retries: Count | None = None,
    parallel: Count | None = None,
    depth: Count | None = None,
    seconds: str | int | None = None,
    fallback: Sequence[str | Mapping[str, str]] = (),
    wait: str | float | None = None,
    ledger: str | None = None,
    run: str | None = None,
) -> Budget:
    """
    A budget: in its ``with`` (or ``async with``) block, every guarded call is held to these limits.

    Args:
        name: What it is for; each opening is a scope of its own, ``run:triage-01J9ZK…``.
        usd: Dollars, such as ``0.50`` or ``"2.00"``; 0 allows no paid call, ``None`` is no limit.
        tokens, input_tokens, output_tokens: Counts, such as ``200_000`` or ``"200k"``.
        calls: Requests that reach a provider; a retry is another one.
        tool_calls: Tool executions that models ask for.
        parallel: Calls open at the same time.
        depth: How deep agents and steps may nest in it.
        seconds: From its opening on, such as ``90`` or ``"15m"``; calls that are under way then are ended.
        fallback: Models, each of which is used where a call does not fit with the one before it; or steps as the policy
            has them: ``{"from": "gpt-4o", "to": "gpt-4o-mini", "at": "80%"}``.
        wait: How long a call may wait for room that open calls hold, such as ``"30s"``; as the budget around this one
            or the policy says, else.
        ledger: A URL or a ``.db`` file, in the place of the process's own ledger.
        run: The name of a run to go on with, in the place of a new one.

    Raises:
        ValueError: An amount is negative, no number, or not finite; the models of a fallback lead back; or a text that
            names something is empty.
    """
    for what, text in (("name", name), ("ledger", ledger), ("run", run)):
        if text == "":
            raise ValueError(f"{what} must be a text with something in it, got ''")
    asked: dict[Meter, Count | None] = {
        "tokens": tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "calls": calls,
        "tool_calls": tool_calls,
        "retries": retries,
        "parallel": parallel,
        "depth": depth,
    }
    source = f"budget({name!r})"
    limits = [] if usd is None else [Limit(meter="usd", amount=_amounts.nanodollars(usd, name="usd"), source=source)]
    for meter, value in asked.items():
        if value is not None:
            limits.append(Limit(meter=meter, amount=_amounts.count(value, name=meter), source=source))
    if seconds is not None:
        limits.append(Limit(meter="seconds", amount=_amounts.whole_seconds(seconds, name="seconds"), source=source))
    wait_seconds = None if wait is None else _amounts.seconds(wait, name="wait")
    return Budget(name, tuple(limits), fallback=chain(fallback), run=run, ledger=ledger, wait_seconds=wait_seconds)


def current_budget() -> Budget | None:
    """
    The budget that calls made here are held to; ``None`` when none is open.
    """
    return CURRENT.get()


def carried(function: Callable[P, T]) -> Callable[P, T]:
    """
    The function, to be run elsewhere under the budget that is open here; itself when none is.
    """
    found = CURRENT.get()
    if found is None:
        return function

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        token = CURRENT.set(found)
        try:
            return function(*args, **kwargs)
        finally:
            CURRENT.reset(token)

    return run


def _close_at(gateway: Outer, opening: str, pid: int) -> None:
    if os.getpid() == pid:  # A forked child has a copy of what its parent opened.
        with suppress(SettingsError):  # The run is over.
            gateway.close(opening)
