"""
What users hold: a budget, the limits over a scope and the ledger that keeps its account.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from msgspec.structs import replace

from solvent._asking import Asks
from solvent._block import CURRENT, OPEN, Block, innermost, may_await
from solvent._carrier import Carrier
from solvent._clock import SystemClock
from solvent._decide import standing
from solvent._ids import new_id
from solvent._limits import METERS, PATH_METERS, Limit, Meter, Scope
from solvent._limits_in_code import Amount
from solvent._opened import Ended, Wanted, carried_by, ended, gateway_for, open_block
from solvent._openings import opening
from solvent._operations import Note
from solvent._outer import Opened, outer_gateway
from solvent._place import Place, around_here, place_of
from solvent._records import Account, Balance, CallRecord
from solvent._runtime import PROCESS, Runtime
from solvent._top_up import top_up
from solvent._wrapping import wrapped
from solvent.errors import OutcomeUnknown, SolventError, StoreUnavailable
from solvent.events import StoreFailed
from solvent.stores._protocol import Store

if TYPE_CHECKING:
    from solvent.report import Report

P = ParamSpec("P")
T = TypeVar("T")

_SDKS = ("anthropic", "cohere", "google.genai", "groq", "litellm", "mistralai", "ollama", "openai", "together")
_told: list[str] = []  # The SDK that it was said of.

_log = logging.getLogger("solvent")


class Budget(Asks):
    """
    Limits over a scope, while its ``with`` block is open; made by ``solvent.budget`` and its kin.

    As a decorator it opens a block of its own for each call of the function. Inside a ``solvent run`` it is opened at
    the run's gateway, below the run.

    Attributes:
        scope: ``run:triage-01J9ZK…``; a budget inside another one, or inside a run, is a step below it.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._is_open = False
        # Held while it is open alone: its limits are forgotten with it, and that is when nobody is in it any more.
        self._block: Block | None = None
        self._ended: Ended | None = None

    def __repr__(self) -> str:
        return f"<solvent.Budget {self.scope}{'' if self._is_open else ', not open'}>"

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        wanted, name = self._wanted, getattr(function, "__name__", "") or type(function).__name__
        for limit in wanted.limits if wanted.kind == "run" and wanted.run is None else ():
            if limit.window not in ("", "minute"):
                raise ValueError(
                    f"each call of {name} is a run of its own, so that a limit per {limit.window} would hold nothing "
                    f"over it; name the run that goes on: run={name!r}"
                )
        if not wanted.name:
            limits = tuple([replace(limit, source=f"budget of {name}") for limit in wanted.limits])
            wanted = replace(wanted, name=name, limits=limits)
        return wrapped(function, lambda: Budget(wanted))

    def __enter__(self) -> Self:
        with self._beginning():
            outer = self._outer_here()
            block = open_block(self, self._named(), gateway_for(self._wanted, outer), outer)
            if block.kept_by is not None:
                block.kept_by.guard.enter(block.scope, begins=self._wanted.begins)
                if self._is_noted:
                    with self._is_let_go(block, block.kept_by):
                        block.kept_by.ledger.do(self._opening(block, block.kept_by))
            return self._entered(block, sys._getframe(1))

    async def __aenter__(self) -> Self:
        if not may_await():
            return self.__enter__()
        with self._beginning():
            outer = self._outer_here()
            wanted, gateway = self._named(), gateway_for(self._wanted, outer)
            # The gateway may still be loading, and others go on meanwhile.
            is_elsewhere = gateway is not None or wanted.carrier is not None
            begin = partial(open_block, self, wanted, gateway, outer)
            block = await asyncio.to_thread(begin) if is_elsewhere else begin()
            if block.kept_by is not None:
                await block.kept_by.guard.aenter(block.scope, begins=self._wanted.begins)
                if self._is_noted:
                    with self._is_let_go(block, block.kept_by):
                        await block.kept_by.ledger.ado(self._opening(block, block.kept_by))
            return self._entered(block, sys._getframe(1))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        block = self._left()
        if block.kept_by is not None and self._is_noted:
            with self._is_let_go(block, block.kept_by, note := _closing(block, error)):
                block.kept_by.ledger.do(note)
                if self._may_be_blind:
                    self._warn_if_unseen(block.kept_by.ledger.store.balances(str(block.scope)))
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if not may_await(error):
            return Budget.__exit__(self, kind, error, traceback)
        block = self._left()
        if block.kept_by is not None and self._is_noted:
            with self._is_let_go(block, block.kept_by, note := _closing(block, error)):
                await block.kept_by.ledger.ado(note)
                if self._may_be_blind:
                    found = await block.kept_by.ledger.aask(lambda store: store.balances(str(block.scope)))
                    self._warn_if_unseen(found)
        return None

    @property
    def limits(self) -> tuple[Limit, ...]:
        """
        Its own, as the code that made it gave them; of one that was resumed, as the ledger has them.
        """
        found = self._block or self._ended
        return self._wanted.limits if found is None or found.own is None else found.own.limits

    @property
    def scope(self) -> Scope:
        found = self._block or self._ended
        if found is not None:
            return found.scope
        if self._wanted.carrier is not None:
            return self._wanted.carrier.scope
        return Scope(((self._wanted.kind, self._called),))

    @property
    def runtime(self) -> Runtime:
        return self._opened().runtime

    @property
    def deadline(self) -> datetime | None:
        """
        When calls in it are ended (UTC): the first one on its path; ``None`` without one.
        """
        left = self.runtime.guard.seconds_left(self.scope)
        if left is None:
            return None
        try:
            return datetime.now(UTC) + timedelta(seconds=left)
        except OverflowError:  # After the year 9999.
            return datetime.max.replace(tzinfo=UTC)

    def remaining(self, meter: Meter = "usd") -> int | None:
        """
        What is left for calls made in it: the least that a limit on its path leaves, be it this budget's, of one around
        it, or the policy's. Nanodollars for ``usd``, whole seconds for ``seconds``, a count for the rest; negative
        after an overrun, ``None`` without a limit.

        Raises:
            ValueError: There is no such meter.
        """
        return self._left_of(meter, self.runtime.ledger.store)

    async def aremaining(self, meter: Meter = "usd") -> int | None:
        """
        ``remaining`` for async callers.
        """
        return await self.runtime.ledger.aask(partial(self._left_of, meter))

    def report(self) -> "Report":
        """
        What was spent until now, of what, on which models; ``print`` draws it.
        """
        return self.runtime.history(str(self.scope))

    async def areport(self) -> "Report":
        """
        ``report`` for async callers.
        """
        return await asyncio.to_thread(self.report)

    def top_up(self, *, reason: str = "", **amounts: Amount) -> None:
        """
        Give it more: raise limits of its own, by meter, until its end. The policy's limits, and those around it, hold
        all the same.

        Args:
            reason: Kept in the journal.
            **amounts: Dollars for ``usd``, a count for the rest.

        Raises:
            ValueError: It has no limit of that meter, or the amount is none.
            SettingsError: The policy allows no more.
            StoreUnavailable, OutcomeUnknown: The ledger did not answer. Nothing was raised.
        """
        more = top_up(self._opened_block(), amounts, reason)
        more.block.runtime.ledger.do(more.note)
        more.put_in_force()

    async def atop_up(self, *, reason: str = "", **amounts: Amount) -> None:
        """
        ``top_up`` for async callers.
        """
        more = await asyncio.to_thread(top_up, self._opened_block(), amounts, reason)
        await more.block.runtime.ledger.ado(more.note)
        await asyncio.to_thread(more.put_in_force)

    def carry(self) -> Carrier:
        """
        A text that stands for this budget elsewhere: ``solvent.resume`` goes on with it in another process or service.
        Its ``headers`` and its ``environ`` are the same for an HTTP request and for a child process.

        Raises:
            SettingsError: Its ledger is in nobody else's reach.
        """
        return carried_by(self._opened())

    def _outer_here(self) -> Block | None:
        """
        A run begins anew where the context was lost; what is below one is looked for there as well.
        """
        return innermost() if self._wanted.kind == "run" else around_here()

    @property
    def _called(self) -> str:
        return self._wanted.name or "budget"

    def _named(self) -> Wanted:
        return replace(self._wanted, name=self._called)

    def _find_place(self) -> Place:
        """
        Of a call that is charged to it wherever it is made.
        """
        block, current = self._opened_block(), CURRENT.get()
        place = place_of(block)
        is_inside = current is not None and current.is_in(block)
        return replace(place, within=current.within) if current is not None and is_inside else place

    def _opened(self) -> "Block | Ended":
        """
        What is open, or was last.
        """
        found = self._block or self._ended
        if found is None:
            raise RuntimeError(f"the budget {self._called!r} is not open; use it in a `with` block")
        return found

    def _opened_block(self) -> Block:
        """
        What can still be spent in: its block, or that of a task which goes on in it.
        """
        found = self._opened()
        block = found.block() if isinstance(found, Ended) else found
        if block is None:
            raise RuntimeError(
                f"the budget {self._called!r} is over; go on with it by solvent.resume({str(self.scope)!r})"
            )
        return block

    def _left_of(self, meter: Meter, store: Store) -> int | None:
        if meter not in METERS + PATH_METERS:
            raise ValueError(f"meter must be one of {', '.join(METERS + PATH_METERS)}, got {meter!r}")
        guard = self.runtime.guard
        if meter == "seconds":
            left_seconds = guard.seconds_left(self.scope)
            return None if left_seconds is None else int(left_seconds)
        known = self._ended.limits if self._ended is not None and self._block is None else guard.limits.of(self.scope)
        limits = [(place, limit) for place, limit in known if limit.meter == meter]
        found = {
            balance.account: balance for place in {place for place, _ in limits} for balance in store.balances(place)
        }
        accounts = [(Account(place, meter, limit.window_key), limit) for place, limit in limits]
        left = [standing(account, limit, found).remaining for account, limit in accounts]
        return min([each for each in left if each is not None], default=None)

    @property
    def _is_noted(self) -> bool:
        wanted = self._wanted
        is_joined = wanted.carrier is not None and bool(wanted.carrier.began_ns)
        return wanted.is_noted and not is_joined and (wanted.kind == "run" or wanted.puts_in_force)

    @contextmanager
    def _is_let_go(self, block: Block, runtime: Runtime, closing: Note | None = None) -> Iterator[None]:
        """
        While its beginning or its end is written. It may only begin without the ledger where calls may be made so. What
        its block made was paid for, and is not thrown away for the ledger's sake: its end is written once more later.
        """
        try:
            yield
        except SolventError as error:
            if closing is not None and isinstance(error, StoreUnavailable | OutcomeUnknown):
                runtime.later(partial(runtime.ledger.do, closing))
            elif closing is None and not runtime.guard.policy.open_nanodollars:
                raise
            what = "yet of the end" if closing is not None else "of the beginning"
            _log.warning("the ledger knows nothing %s of %s: %s", what, block.scope, error)
            runtime.guard.listeners.tell(StoreFailed(id="", error=error))

    @property
    def _may_be_blind(self) -> bool:
        return (
            not PROCESS.is_hooked
            and self._wanted.kind == "run"
            and any(limit.meter not in PATH_METERS for limit in self.limits)
        )

    def _warn_if_unseen(self, balances: Sequence[Balance]) -> None:
        if not balances:
            _log.warning(
                "no call was seen in %s: without solvent.install(), calls of SDKs are not held to it", self.scope
            )

    @contextmanager
    def _beginning(self) -> Iterator[None]:
        with OPEN.lock:
            if self._is_open:
                raise RuntimeError(
                    f"the budget {self._called!r} is open already; make another one for the block inside it"
                )
            self._is_open = True
        try:
            yield
        except BaseException:
            self._is_open = False
            raise

    def _opening(self, block: Block, runtime: Runtime) -> Note:
        guard, own = runtime.guard, block.own or Opened(scope=str(block.scope), seconds=0)
        return opening(block.scope, guard.limits.rules(block.scope), per_call=guard.policy.call, own=own)

    def _entered(self, block: Block, frame: FrameType) -> Self:
        if self.limits and not PROCESS.is_hooked:
            _tell_unhooked()
        self._block, self._ended = block, None
        block.is_adopted = block.outer is not None and innermost() is None
        OPEN.add(block, frame)
        block.enter()
        return self

    def _left(self) -> Block:
        """
        It may be left after a block around it, and in another context than it was entered in.
        """
        block = self._block
        if block is None or not self._is_open:
            raise RuntimeError(f"the budget {self._called!r} is not open")
        OPEN.remove(block)
        self._block, self._ended, self._is_open = None, ended(block), False
        block.leave()
        return block


def current_budget() -> Budget | None:
    """
    The budget that calls made here are held to; ``None`` when none is open.
    """
    found = innermost()
    budget: Budget | None = None if found is None else found.budget
    return budget


def _closing(block: Block, error: BaseException | None) -> Note:
    reason = "exited" if error is None else type(error).__name__
    call = CallRecord(ended=SystemClock().now_ns(), reason=reason, status="0" if error is None else "1")
    return Note(kind="close", id=new_id(), scope=str(block.scope), call=call)


def _tell_unhooked() -> None:
    """
    Say once that an SDK is loaded whose calls no budget of this process holds.
    """
    found = next((name for name in _SDKS if name in sys.modules), None)
    if found is not None and not _told and outer_gateway() is None:
        _told.append(found)
        _log.warning("calls of %s are held to no budget: call solvent.install() first", found)
