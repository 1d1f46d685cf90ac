"""
How a budget opens: where its scope is, who holds calls to it, and that its limits are forgotten when nobody has them.
"""

import os
import weakref
from contextlib import suppress
from fractions import Fraction
from functools import partial
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from solvent._block import OPEN, Block, innermost
from solvent._carrier import Carrier, check_known, openings_in
from solvent._clock import SystemClock
from solvent._ids import new_id
from solvent._limits import OWNERS, SEGMENTS_MAX, Limit, Scope
from solvent._outer import Asked, Outer, segment
from solvent._runtime import PROCESS, Runtime
from solvent.errors import BudgetExceeded, SettingsError
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
        is_tool: It is a tool, which is not begun once ``tool_calls`` is passed.
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
    is_tool: bool = False

    @property
    def puts_in_force(self) -> bool:
        return bool(self.limits or self.fallback or self.wait_seconds is not None or self.alert)


def gateway_for(wanted: Wanted) -> Outer | None:
    """
    Where it is to be opened, other than in this process.
    """
    outer = innermost()
    if wanted.ledger is not None or wanted.owner is not None or (outer is not None and outer.below is None):
        return None
    return PROCESS.outer()


def open_block(budget: object, wanted: Wanted, gateway: Outer | None) -> Block:
    """
    Raises:
        SettingsError, StoreUnavailable, LedgerCorrupt: It cannot be opened.
        BudgetExceeded: It would be nested deeper than any scope can be.
    """
    outer = innermost()
    if wanted.carrier is not None:
        return _resumed(budget, wanted, wanted.carrier, outer)
    _check_place(wanted, outer)
    name = wanted.name if wanted.kind != "run" else wanted.run or f"{wanted.name}-{new_id()}"
    if gateway is not None:
        block = _open_at(gateway, budget, wanted, name, outer)
    else:
        runtime = outer.runtime if outer is not None else PROCESS.runtime(wanted.ledger)
        block = Block(budget, outer, _scope(wanted, name, outer), runtime, retry=wanted.retry)
    if block.kept_by is not None and wanted.puts_in_force:
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


def carried_by(block: Block, carrier: Carrier | None) -> Carrier:
    """
    What stands for a block elsewhere.

    Args:
        carrier: The one that it goes on with itself.

    Raises:
        SettingsError: Its ledger is in nobody else's reach.
    """
    store = block.runtime.ledger.store
    if not is_shared(store.url):
        raise SettingsError(
            where=f"carry() of {block.scope}",
            expected="a ledger that other processes can reach",
            got=store.url,
            hint="name a file: SOLVENT_LEDGER=ledger.db, or budget(…, ledger=…)",
        )
    began_ns = dict(carrier.began_ns) if carrier is not None else {}
    each: Block | None = block
    while each is not None:
        if each.scope.parts == block.scope.parts[: len(each.scope.parts)]:
            began_ns.setdefault(len(each.scope.parts), each.began_ns)
        each = each.outer
    return Carrier.of(block.scope, began_ns, store.url)


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
    inherited = wanted.owner or PROCESS.inherited_scope()
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
    if runtime is not None:
        runtime.keep_alive()
        end = partial(_close_at, gateway, opened.opening, os.getpid(), OPEN.forks)
        weakref.finalize(block, runtime.later, end).atexit = False  # The run's end is near, and ends it.
    return block


def _resumed(budget: object, wanted: Wanted, carrier: Carrier, outer: Block | None) -> Block:
    """
    Go on with a budget that was opened before, or elsewhere.
    """
    gateway = PROCESS.outer() if wanted.ledger is None else None
    runtime = PROCESS.runtime(wanted.ledger)
    store = runtime.ledger.store
    check_known(store, carrier)
    below = None
    if gateway is not None and carrier.scope.parts[: len(runtime.scope.parts)] == runtime.scope.parts:
        below = tuple([segment(kind, name) for kind, name in carrier.scope.parts[len(runtime.scope.parts) :]])
    block = Block(budget, outer, carrier.scope, runtime, below, retry=wanted.retry)
    for opened in openings_in(store, carrier, now_ns=SystemClock().now_ns()):
        again = replace(
            wanted,
            limits=opened.limits,
            fallback=opened.fallback,
            wait_seconds=opened.wait_seconds,
            alert=opened.alert,
        )
        _put_in_force(block, runtime, again, Scope.parse(opened.scope), opened.seconds)
    return block


def _put_in_force(block: Block, runtime: Runtime, wanted: Wanted, scope: Scope, seconds: float) -> None:
    guard = runtime.guard
    opening = guard.open(scope, wanted.limits, wanted.fallback, wanted.wait_seconds, wanted.alert, seconds=seconds)
    # Not at the end of the block: a task that was started in it may go on, and is held to these limits still.
    weakref.finalize(block, guard.close, scope, opening)


def _close_at(gateway: Outer, opening: str, pid: int, forks: int) -> None:
    # A forked child has a copy of what its parent opened, and may be in it when its parent is not any more.
    if os.getpid() == pid and OPEN.forks == forks:
        with suppress(SettingsError):  # The run is over.
            gateway.close(opening)
