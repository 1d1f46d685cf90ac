"""
What users hold: a budget, the limits over a scope and the ledger that keeps its account.
"""

import asyncio
import logging
import os
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from solvent import _amounts
from solvent._block import CURRENT, OPEN, Block, innermost
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
from solvent.policy._fallback import Fallback, chain
from solvent.stores import is_shared

if TYPE_CHECKING:
    from solvent.report import Report

Money = str | int | float | Decimal
Count = str | int

_log = logging.getLogger("solvent")


class Budget:
    """
    Limits over a scope, while its ``with`` block is open; made by ``solvent.budget``.

    Inside a ``solvent run`` it is opened at the run's gateway, below the run.

    Attributes:
        scope: ``run:triage-01J9ZK…``; a budget inside another one, or inside a run, is a step below it.
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
        self._name = name
        self._run = run
        self._ledger_url = ledger
        self._is_open = False
        self._block: Block | None = None  # The last one.

    def __repr__(self) -> str:
        return f"<solvent.Budget {self.scope}{'' if self._is_open else ', not open'}>"

    def __enter__(self) -> Self:
        with self._beginning():
            block = self._open()
            if block.kept_by is not None:
                with self._is_let_go(block.kept_by, self._may_begin_without(block.kept_by)):
                    block.kept_by.ledger.do(self._opening(block.kept_by))
            return self._entered(block, sys._getframe(1))

    async def __aenter__(self) -> Self:
        with self._beginning():
            # The gateway may still be loading, and others go on meanwhile.
            block = self._open() if self._gateway() is None else await asyncio.to_thread(self._open)
            if block.kept_by is not None:
                with self._is_let_go(block.kept_by, self._may_begin_without(block.kept_by)):
                    await block.kept_by.ledger.ado(self._opening(block.kept_by))
            return self._entered(block, sys._getframe(1))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        runtime = self._left()
        if runtime is not None:
            with self._is_let_go(runtime):
                runtime.ledger.do(self._closing(error))
                if self._may_be_blind:
                    self._warn_if_unseen(runtime.ledger.store.balances(str(self.scope)))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        runtime = self._left()
        if runtime is not None:
            with self._is_let_go(runtime):
                await runtime.ledger.ado(self._closing(error))
                if self._may_be_blind:
                    self._warn_if_unseen(await runtime.ledger.aask(lambda store: store.balances(str(self.scope))))

    @property
    def scope(self) -> Scope:
        return Scope((("run", self._name),)) if self._block is None else self._block.scope

    @property
    def runtime(self) -> Runtime:
        if self._block is None:
            raise RuntimeError(f"the budget {self._name!r} is not open; use it in a `with` block")
        return self._block.runtime

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

    @contextmanager
    def _is_let_go(self, runtime: Runtime, is_allowed: bool = True) -> Iterator[None]:
        """
        While its beginning or its end is written. What its block made was paid for, and is not thrown away for the
        ledger's sake.
        """
        try:
            yield
        except SolventError as error:
            if not is_allowed:
                raise
            _log.warning("the ledger knows nothing of the beginning or the end of %s: %s", self.scope, error)
            runtime.guard.listeners.tell(StoreFailed(id="", error=error))

    def _may_begin_without(self, runtime: Runtime) -> bool:
        """
        Calls may be made up to an amount while the ledger does not answer.
        """
        return runtime.guard.policy.open_nanodollars > 0

    @property
    def _may_be_blind(self) -> bool:
        return not PROCESS.is_hooked and any(limit.meter not in PATH_METERS for limit in self.limits)

    def _warn_if_unseen(self, balances: Sequence[Balance]) -> None:
        if not balances:
            _log.warning(
                "no call was seen in %s: without solvent.install(), calls of SDKs are not held to it", self.scope
            )

    def _gateway(self) -> Outer | None:
        """
        Where it is to be opened, other than in this process.
        """
        outer = innermost()
        if self._ledger_url is not None or (outer is not None and outer.below is None):
            return None
        return PROCESS.outer()

    @contextmanager
    def _beginning(self) -> Iterator[None]:
        with OPEN.lock:
            if self._is_open:
                raise RuntimeError(
                    f"the budget {self._name!r} is open already; make another one for the block inside it"
                )
            self._is_open = True
        try:
            yield
        except BaseException:
            self._is_open = False
            raise

    def _open(self) -> Block:
        outer, gateway = innermost(), self._gateway()
        if outer is not None and self._ledger_url is not None:
            raise SettingsError(
                where=f"the ledger of budget({self._name!r})",
                expected=f"that of {outer.scope} around it, which decides in one step over both",
                got=self._ledger_url,
                hint="leave ledger out, or open it outside of the other block",
            )
        name = self._run or f"{self._name}-{new_id()}"
        if gateway is not None:
            block = self._open_at(gateway, name, outer)
        elif outer is not None:
            block = Block(self, outer, outer.scope.child("step", name), outer.runtime)
        else:
            block = Block(self, None, Scope((("run", name),)), PROCESS.runtime(self._ledger_url))
        if block.kept_by is not None:
            guard = block.kept_by.guard
            opening = guard.open(block.scope, self.limits, self.fallback, self.wait_seconds)
            # Not at the end of the block: a task that was started in it may go on, and is held to these limits still.
            weakref.finalize(block, guard.close, block.scope, opening)
        self._block = block
        return block

    def _open_at(self, gateway: Outer, name: str, outer: Block | None) -> Block:
        """
        Open it at the gateway of the run around this process; what does not pass there is held to it in this process.
        """
        above = (outer.below or ()) if outer is not None else ()
        asked = Asked(name=name, limits=self.limits, fallback=self.fallback, wait_seconds=self.wait_seconds)
        opened = gateway.open(asked, below="/".join(above))
        runtime = PROCESS.runtime() if is_shared(opened.ledger) else None
        block = Block(self, outer, Scope.parse(opened.scope), runtime, (*above, segment(name)))
        if runtime is not None:
            runtime.keep_alive()
            end = partial(_close_at, gateway, opened.opening, os.getpid(), OPEN.forks)
            weakref.finalize(block, runtime.later, end).atexit = False  # The run's end is near, and ends it.
        return block

    def _opening(self, runtime: Runtime) -> Note:
        guard = runtime.guard
        return opening(self.scope, guard.limits.rules(self.scope), per_call=guard.policy.call)

    def _closing(self, error: BaseException | None) -> Note:
        reason = "exited" if error is None else type(error).__name__
        call = CallRecord(ended=SystemClock().now_ns(), reason=reason, status="0" if error is None else "1")
        return Note(kind="close", id=new_id(), scope=str(self.scope), call=call)

    def _entered(self, block: Block, frame: FrameType) -> Self:
        OPEN.add(block, frame)
        CURRENT.set(block)
        return self

    def _left(self) -> Runtime | None:
        """
        It may be left after a block around it, and in another context than it was entered in.
        """
        block = self._block
        if block is None or not self._is_open:
            raise RuntimeError(f"the budget {self._name!r} is not open")
        OPEN.remove(block)
        self._is_open = False
        if CURRENT.get() is block:
            CURRENT.set(block.nearest_open())
        return block.kept_by


def _left(account: Account, limit: Limit, balances: Mapping[Account, Balance]) -> int:
    balance = balances.get(account, Balance(account=account))
    most = balance.limit if balance.limit is not None else limit.amount + balance.topped_up
    return most - balance.spent - balance.reserved


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
        retries: Requests that repeat a failed one.
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
        ValueError: An amount is negative, no number, or not finite; the models of a fallback lead back; or a name is no
            text. When it is opened: ``SettingsError`` for a ledger or a policy that cannot be used, ``RuntimeError``
            where it is open already.
    """
    for what, text in (("name", name), ("ledger", ledger), ("run", run)):
        if text is not None and (not isinstance(text, str) or not text):
            raise ValueError(f"{what} must be a text with something in it, got {text!r}")
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
    found = innermost()
    budget: Budget | None = None if found is None else found.budget
    return budget


def _close_at(gateway: Outer, opening: str, pid: int, forks: int) -> None:
    # A forked child has a copy of what its parent opened, and may be in it when its parent is not any more.
    if os.getpid() == pid and OPEN.forks == forks:
        with suppress(SettingsError):  # The run is over.
            gateway.close(opening)
