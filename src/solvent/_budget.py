"""
What users hold: a budget, the limits over a scope and the ledger that keeps its account.
"""

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from decimal import Decimal
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from msgspec import Struct

from solvent import _amounts
from solvent._clock import SystemClock
from solvent._ids import new_id
from solvent._limits import PATH_METERS, Limit, Meter, Scope
from solvent._operations import Note
from solvent._records import Account, Balance, CallRecord, Terms
from solvent._runtime import PROCESS, Runtime
from solvent.policy._fallback import Fallback, chain

if TYPE_CHECKING:
    from solvent.report import Report

Money = str | int | float | Decimal
Count = str | int

P = ParamSpec("P")
T = TypeVar("T")

_CURRENT: ContextVar["Budget | None"] = ContextVar("solvent_budget", default=None)


class Place(Struct, frozen=True, kw_only=True):
    """
    Whom a call is charged to, and by which guard.
    """

    runtime: Runtime
    scope: Scope
    wait_seconds: float | None = None


class Budget:
    """
    Limits over a scope, while its ``with`` block is open; made by ``solvent.budget``.

    Attributes:
        scope: ``run:triage-01J9ZK…``; a budget inside another one is a step below it.
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
        self._tokens: list[Token[Budget | None]] = []

    def __enter__(self) -> Self:
        runtime = self._open()
        runtime.ledger.do(self._opening())
        return self._entered()

    async def __aenter__(self) -> Self:
        runtime = self._open()
        await runtime.ledger.ado(self._opening())
        return self._entered()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left()
        self.runtime.ledger.do(self._closing(error))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left()
        await self.runtime.ledger.ado(self._closing(error))

    @property
    def runtime(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError(f"the budget {self._name!r} is not open; use it in a `with` block")
        return self._runtime

    def remaining(self, meter: Meter = "usd") -> int | None:
        """
        What is left of a limit on this budget's own scope: nanodollars for ``usd``, a count for the rest; negative
        after an overrun, ``None`` without a limit.
        """
        limits = {limit.meter: limit.amount for limit in self.limits if not limit.window}
        limit = None if meter in PATH_METERS else limits.get(meter)
        if limit is None:
            return None
        account = Account(str(self.scope), meter)
        found = (
            balance for balance in self.runtime.ledger.store.balances(str(self.scope)) if balance.account == account
        )
        balance = next(found, Balance(account=account))
        return limit + balance.topped_up - balance.spent - balance.reserved

    def report(self) -> "Report":
        """
        What was spent until now, of what, on which models; ``print`` draws it.
        """
        from solvent.report import summarize  # Programs that ask for none need not load it.

        return summarize(self.runtime.ledger.store, str(self.scope))

    def _open(self) -> Runtime:
        outer = _CURRENT.get()
        if outer is not None and self._ledger_url is None:
            self._runtime = outer.runtime
            self.scope = outer.scope.child("step", self._run or f"{self._name}-{new_id()}")
        else:
            self._runtime = PROCESS.runtime(self._ledger_url)
            self.scope = Scope((("run", self._run or f"{self._name}-{new_id()}"),))
        guard = self._runtime.guard
        opening = guard.open(self.scope, self.limits, self.fallback)
        # Not at the end of the block: a task that was started in it may go on, and is held to these limits still.
        weakref.finalize(self, guard.close, self.scope, opening)
        return self._runtime

    def _opening(self) -> Note:
        limits = {
            Account(str(self.scope), limit.meter, limit.window_key): limit.amount
            for limit in self.limits
            if limit.meter not in PATH_METERS
        }
        terms = Terms.of(dict(limits)) if limits else None
        call = CallRecord(started=SystemClock().now_ns())
        return Note(kind="open", id=new_id(), scope=str(self.scope), terms=terms, call=call)

    def _closing(self, error: BaseException | None) -> Note:
        reason = "exited" if error is None else type(error).__name__
        call = CallRecord(ended=SystemClock().now_ns(), reason=reason, status="0" if error is None else "1")
        return Note(kind="close", id=new_id(), scope=str(self.scope), call=call)

    def _entered(self) -> Self:
        with _OPEN_LOCK:
            _OPEN.append(self)
        self._tokens.append(_CURRENT.set(self))
        return self

    def _left(self) -> None:
        with _OPEN_LOCK:
            _OPEN.remove(self)
        _CURRENT.reset(self._tokens.pop())


_OPEN: list[Budget] = []
_OPEN_LOCK = threading.Lock()


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
        wait: How long a call may wait for room that open calls hold, such as ``"30s"``; as the policy says, else.
        ledger: A URL or a ``.db`` file, in the place of the process's own ledger.
        run: The name of a run to go on with, in the place of a new one.

    Raises:
        ValueError: An amount is negative, no number, or not finite; or the models of a fallback lead back.
    """
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
    return _CURRENT.get()


def carried(function: Callable[P, T]) -> Callable[P, T]:
    """
    The function, to be run elsewhere under the budget that is open here; itself when none is.
    """
    found = _CURRENT.get()
    if found is None:
        return function

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        token = _CURRENT.set(found)
        try:
            return function(*args, **kwargs)
        finally:
            _CURRENT.reset(token)

    return run


def is_budget_open() -> bool:
    """
    Whether any budget of this process is open.
    """
    return bool(_OPEN)


def current_place() -> Place:
    """
    Whom a call made here is charged to: the budget of this context; where the context was lost, the one that is open,
    or what several have in common; else the process.
    """
    found = _CURRENT.get()
    if found is None and _OPEN:
        with _OPEN_LOCK:
            budgets = list(_OPEN)
        if len(budgets) == 1:
            found = budgets[0]
        elif budgets:
            return _in_common(budgets)
    if found is None:
        runtime = PROCESS.runtime()
        return Place(runtime=runtime, scope=runtime.scope)
    return Place(runtime=found.runtime, scope=found.scope, wait_seconds=found.wait_seconds)


def _in_common(budgets: list[Budget]) -> Place:
    runtime = budgets[0].runtime
    parts = []
    if all(each.runtime is runtime for each in budgets):
        for level in zip(*(each.scope.parts for each in budgets), strict=False):
            if len(set(level)) > 1:
                break
            parts.append(level[0])
    if parts:
        return Place(runtime=runtime, scope=Scope(tuple(parts)))
    runtime = PROCESS.runtime()
    return Place(runtime=runtime, scope=runtime.scope)
