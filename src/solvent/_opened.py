"""
How a budget opens: where its scope is, who holds calls to it, and that its limits are forgotten when nobody has them.
"""

import os
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from functools import partial
from threading import Lock
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from solvent._block import OPEN, RAISED_MAX, Block
from solvent._branches import Begins
from solvent._carrier import Carrier, check_known, is_known, openings_in
from solvent._clock import SystemClock
from solvent._ids import new_id
from solvent._limits import OWNERS, SECOND_NS, SEGMENTS_MAX, Limit, Scope
from solvent._openings import opening
from solvent._outer import Asked, Opened, Outer, outer_gateway, segment
from solvent._runtime import PROCESS, Runtime
from solvent.errors import BudgetExceeded, SettingsError
from solvent.policy import Opening
from solvent.policy._fallback import Fallback
from solvent.stores import is_shared

Kind = Literal["run", "agent", "step"]


class Wanted(Struct, frozen=True, kw_only=True):
    """
    What a budget was asked for.

    Attributes:
        kind: An agent and a step keep their name; each opening of a run is one of its own.
        run: The name of a run to go on with.
        owner: The scope that it is to be in, such as ``org:acme/team:search``.
        carrier: The budget to go on with, in the place of a new one.
        retry: Which attempt the code in it is, 0 for the first.
        seconds: For which its time runs already.
        is_noted: The journal has its beginning and its end.
        begins: What is begun; a tool and a turn need more than code does.
        runs: What of a framework runs in it, where that opens it.
    """

    name: str
    kind: Kind = "run"
    limits: tuple[Limit, ...] = ()
    fallback: tuple[Fallback, ...] = ()
    wait_seconds: float | None = None
    alert: tuple[Fraction, ...] = ()
    run: str | None = None
    ledger: str | None = None
    owner: Scope | None = None
    carrier: Carrier | None = None
    retry: int = 0
    seconds: float = 0
    is_noted: bool = True
    begins: Begins = "code"
    runs: object = None

    @property
    def puts_in_force(self) -> bool:
        return bool(self.limits or self.fallback or self.wait_seconds is not None or self.alert)


class Ended(Struct, frozen=True):
    """
    What is known of a block that is over.

    Attributes:
        block: Itself, as long as a task goes on in it.
        limits: That were in force on its path.
    """

    block: "weakref.ref[Block]"
    scope: Scope
    kept_by: Runtime | None
    began_ns: Mapping[int, int]
    own: Opened | None
    limits: tuple[tuple[str, Limit], ...]

    @property
    def runtime(self) -> Runtime:
        return self.kept_by or PROCESS.runtime()


def ended(block: Block) -> Ended:
    """
    What stays known of a block that is left.
    """
    limits = () if block.kept_by is None else block.kept_by.guard.limits.of(block.scope)
    return Ended(weakref.ref(block), block.scope, block.kept_by, block.began_ns, block.own, limits)


def gateway_for(wanted: Wanted, outer: Block | None) -> Outer | None:
    """
    Where it is to be opened, other than in this process.
    """
    if wanted.ledger is not None or wanted.owner is not None or (outer is not None and outer.below is None):
        return None
    return PROCESS.outer()


def open_block(budget: object, wanted: Wanted, gateway: Outer | None, outer: Block | None) -> Block:
    """
    Args:
        outer: The block around it; asked for by the caller, for this may run on another stack.

    Raises:
        SettingsError, StoreUnavailable, LedgerCorrupt: It cannot be opened.
        BudgetExceeded: It would be nested deeper than any scope can be.
    """
    if wanted.carrier is not None:
        return _resumed(budget, wanted, wanted.carrier, outer)
    _check_place(wanted, outer)
    name = wanted.name if wanted.kind != "run" else wanted.run or f"{wanted.name}-{new_id()}"
    if gateway is not None:
        block = _open_at(gateway, budget, wanted, name, outer)
    else:
        runtime = outer.runtime if outer is not None else PROCESS.runtime(wanted.ledger)
        block = Block(budget, outer, _scope(wanted, name, outer), runtime, retry=wanted.retry)
    if wanted.runs is not None:
        block.runs, block.raised = wanted.runs, deque(maxlen=RAISED_MAX)
    if block.kept_by is not None:
        block.kept_by.guard.limits.check_fallback(wanted.fallback, where=f"the fallback of budget({wanted.name!r})")
    if wanted.puts_in_force:
        block.own = Opened(
            scope=str(block.scope),
            seconds=0,
            limits=wanted.limits,
            fallback=wanted.fallback,
            wait_seconds=wanted.wait_seconds,
            alert=wanted.alert,
        )
        if block.kept_by is not None:
            _put_in_force(block, block.kept_by, wanted, block.scope, wanted.seconds)
    return block


def child_of(scope: Scope, kind: str, name: str) -> Scope:
    """
    Raises:
        BudgetExceeded: A scope has no more parts than that.
    """
    if len(scope.parts) >= SEGMENTS_MAX:
        top = next((place for place in scope.path() if place.parts[-1][0] == "run"), scope.path()[0])
        most = SEGMENTS_MAX - len(top.parts)
        raise BudgetExceeded(scope=str(top), meter="depth", limit=most, requested=most + 1)
    return scope.child(kind, name)


def carried_by(block: Block | Ended, scope: Scope | None = None) -> Carrier:
    """
    What stands for a block elsewhere.

    Args:
        scope: One around it that is meant in its place.

    Raises:
        SettingsError: Its ledger is in nobody else's reach.
        StoreUnavailable, OutcomeUnknown: It did not answer.
    """
    scope, runtime = scope or block.scope, block.runtime
    store = runtime.ledger.store
    if not is_shared(store.url):
        raise SettingsError(
            where=f"carry() of {scope}",
            expected="a ledger that other processes can reach",
            got=store.url,
            hint="name a file: SOLVENT_LEDGER=ledger.db, or budget(…, ledger=…)",
        )
    if not is_known(store, scope):  # An agent without limits, in no budget: whoever goes on with it asks the ledger.
        own = Opened(scope=str(scope), seconds=0)
        runtime.ledger.do(opening(scope, runtime.guard.limits.rules(scope), own=own))
    return Carrier.of(
        scope, {depth: at for depth, at in block.began_ns.items() if depth <= len(scope.parts)}, store.url
    )


def way_in(block: Block) -> str:
    """
    The address of the run's gateway that stands for a block that was opened there: for a child process, which it holds
    to the block as long as somebody has it.

    Raises:
        SettingsError: There is no gateway, or it would not.
    """
    gateway = PROCESS.outer()
    if gateway is None or not block.below:
        return outer_gateway() or ""
    with _WAYS:
        if block.way_in is None:
            kind, name = block.scope.parts[-1]
            asked = Asked(name=name, kind="agent" if kind == "agent" else "step", way_in=True)
            opened = gateway.open(asked, below="/".join(block.below[:-1]))
            block.way_in = f"{gateway.address.rpartition('/')[0]}/{opened.token}"
            _close_with(block, gateway, opened.opening)
        return block.way_in


_WAYS = Lock()  # Held while a block gets the one way in that it has.


def _begin_in_child() -> None:
    global _WAYS
    _WAYS = Lock()  # Another thread of the parent may have held it.


os.register_at_fork(after_in_child=_begin_in_child)


def _check_place(wanted: Wanted, outer: Block | None) -> None:
    for what, given in (("ledger", wanted.ledger), ("scope", wanted.owner)):
        if given is not None and outer is not None:
            raise SettingsError(
                where=f"the {what} of budget({wanted.name!r})",
                expected=f"that of {outer.scope} around it, which decides in one step over both",
                got=str(given),
                hint=f"leave {what} out, or open it outside of the other block",
            )
    if wanted.owner is not None and PROCESS.outer() is not None:
        raise SettingsError(
            where=f"the scope of budget({wanted.name!r})",
            expected="that of the `solvent run` around this process",
            got=str(wanted.owner),
            hint="give the scope to `solvent run --scope`",
        )


def _scope(wanted: Wanted, name: str, outer: Block | None) -> Scope:
    if outer is not None:
        return child_of(outer.scope, "step" if wanted.kind == "run" else wanted.kind, name)
    inherited = wanted.owner or PROCESS.inherited_scope(wanted.ledger)  # Another ledger has none of it.
    if wanted.kind != "run":
        return child_of(PROCESS.runtime(wanted.ledger).scope, wanted.kind, name)
    if inherited is None:
        return Scope((("run", name),))
    has_run = any(kind not in OWNERS for kind, _ in inherited.parts)
    return child_of(inherited, "step" if has_run else "run", name)


def _open_at(gateway: Outer, budget: object, wanted: Wanted, name: str, outer: Block | None) -> Block:
    """
    Open it at the gateway of the run around this process; what does not pass there is held to it in this process.
    """
    if outer is not None:
        child_of(outer.scope, "step", name)
    above = (outer.below or ()) if outer is not None else ()
    kind: Literal["agent", "step"] = "step" if wanted.kind == "run" else wanted.kind
    asked = Asked(
        name=name,
        kind=kind,
        limits=wanted.limits,
        fallback=wanted.fallback,
        wait_seconds=wanted.wait_seconds,
        alert=wanted.alert,
    )
    opened = gateway.open(asked, below="/".join(above))
    runtime = PROCESS.runtime() if is_shared(opened.ledger) else None
    below = (*above, segment(kind, name))
    block = Block(budget, outer, Scope.parse(opened.scope), runtime, below, retry=wanted.retry)
    block.at_gateway = gateway, opened.opening
    _close_with(block, gateway, opened.opening)
    return block


def _resumed(budget: object, wanted: Wanted, carrier: Carrier, outer: Block | None) -> Block:
    """
    Go on with a budget that was opened before, or elsewhere.
    """
    gateway = PROCESS.outer() if wanted.ledger is None else None
    runtime = PROCESS.runtime(wanted.ledger)
    store = runtime.ledger.store
    check_known(store, carrier)
    run = runtime.scope if gateway is not None and carrier.scope.is_in(runtime.scope) else None
    below = (
        None if run is None else tuple([segment(kind, name) for kind, name in carrier.scope.parts[len(run.parts) :]])
    )
    block = Block(budget, outer, carrier.scope, runtime, below, retry=wanted.retry)
    now_ns = SystemClock().now_ns()
    block.began_ns |= carrier.began_ns
    block.own = Opened(scope=str(carrier.scope), seconds=0)
    for opened in openings_in(store, carrier, now_ns=now_ns):
        place = Scope.parse(opened.scope)
        block.began_ns[len(place.parts)] = now_ns - int(opened.seconds * SECOND_NS)
        if place == carrier.scope:
            block.own = replace(opened, seconds=0)
        if run is not None and run.is_in(place):
            continue  # It is in force since this run began.
        again = replace(
            wanted,
            limits=opened.limits,
            fallback=opened.fallback,
            wait_seconds=opened.wait_seconds,
            alert=opened.alert,
        )
        _put_in_force(block, runtime, again, place, opened.seconds)
        if run is not None and gateway is not None:
            _hold_at(gateway, block, place, opened, len(run.parts))
    return block


def _hold_at(gateway: Outer, block: Block, place: Scope, opened: Opened, depth: int) -> None:
    """
    Put in force at the run's gateway what a budget was opened with: nobody there may have it any more.

    Args:
        depth: Of the run.
    """
    kind, name = place.parts[-1]
    asked = Asked(
        name=name,
        kind="agent" if kind == "agent" else "step",
        limits=opened.limits,
        fallback=opened.fallback,
        wait_seconds=opened.wait_seconds,
        alert=opened.alert,
        seconds=opened.seconds,
    )
    answered = gateway.open(asked, below="/".join(segment(*part) for part in place.parts[depth:-1]))
    _close_with(block, gateway, answered.opening)


class _Held:
    """
    What a block put in force in this process, and has to forget; apart from the block, for that is gone by then.
    """

    def __init__(self, runtime: Runtime, scope: Scope, opening: Opening) -> None:
        self.runtime = runtime
        self.scope = scope
        self.opening = opening

    def close(self) -> None:
        self.runtime.guard.close(self.scope, self.opening)


def _put_in_force(block: Block, runtime: Runtime, wanted: Wanted, scope: Scope, seconds: float) -> None:
    opened = runtime.guard.open(
        scope, wanted.limits, wanted.fallback, wanted.wait_seconds, wanted.alert, seconds=seconds
    )
    held = _Held(runtime, scope, opened)
    if scope == block.scope:
        block.held = held
    # Not at the end of the block: a task that was started in it may go on, and is held to these limits still.
    weakref.finalize(block, held.close)


def raise_limits(block: Block, own: Opened) -> None:
    """
    Put other limits in force for a block, in this process and at the gateway that it was opened at.

    Raises:
        SettingsError: There is no gateway any more, or it would not.
    """
    held, block.own = block.held, own
    if held is not None:
        held.opening = held.runtime.guard.limits.change(held.scope, held.opening, own.limits)
    if block.at_gateway is not None:
        gateway, former = block.at_gateway
        seconds = (SystemClock().now_ns() - block.began_ns[len(block.scope.parts)]) / SECOND_NS
        kind, name = block.scope.parts[-1]
        asked = Asked(
            name=name,
            kind="agent" if kind == "agent" else "step",
            limits=own.limits,
            fallback=own.fallback,
            wait_seconds=own.wait_seconds,
            alert=own.alert,
            seconds=max(seconds, 0),
        )
        answered = gateway.open(asked, below="/".join((block.below or ())[:-1]))
        gateway.close(former)
        block.at_gateway = gateway, answered.opening
        _close_with(block, gateway, answered.opening)


def _close_with(block: Block, gateway: Outer, opening: str) -> None:
    """
    Have an opening at the gateway forgotten with a block; without a ledger in reach that is at the run's end.
    """
    runtime = block.kept_by
    if runtime is not None:
        runtime.keep_alive()
        end = partial(_close_at, gateway, opening, os.getpid(), OPEN.forks)
        weakref.finalize(block, runtime.later, end).atexit = False  # The run's end is near, and ends it.


def _close_at(gateway: Outer, opening: str, pid: int, forks: int) -> None:
    # A forked child has a copy of what its parent opened, and may be in it when its parent is not any more.
    if os.getpid() == pid and OPEN.forks == forks:
        with suppress(SettingsError):  # The run is over.
            gateway.close(opening)
