"""
The ``with`` blocks of budgets that are open in this process, and in which of them code runs.
"""

import asyncio
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from solvent._limits import Scope
from solvent._outer import Opened, Outer
from solvent._runtime import PROCESS, Runtime
from solvent.errors import SolventError

P = ParamSpec("P")
T = TypeVar("T")

RAISED_MAX = 64  # Errors of tools that an agent's run may have at once.
_KEPT_NONE: deque[BaseException] = deque(maxlen=0)  # Of all blocks of a program's own.

CURRENT: ContextVar["Block | None"] = ContextVar("solvent_block", default=None)


class Block:
    """
    One ``with`` block of a budget. Its limits hold as long as somebody has it: tasks that go on after it have it still.

    Attributes:
        budget: Whose block it is.
        outer: The block around it.
        kept_by: The guard of this process that holds calls to it; ``None`` where only the gateway can.
        below: The steps below the run, as a request to its gateway names them; ``None`` for one that was not opened
            there.
        began_ns: When it and those above it were opened (since 1970, UTC), by the number of their scope's segments.
        own: What it puts in force; where it goes on with a budget, by the ledger.
        held: What forgets that with it.
        at_gateway: The gateway that it was opened at, and the name of its opening there.
        way_in: The address of the run's gateway that stands for it, once a child process needed one.
        retry: Which attempt the code in it is, 0 for the first.
        within: Open reservations that the calls in it are part of.
        is_open: It was entered and not left.
        was_in_open: So was the one around it, when this one was made.
        is_adopted: It was opened where the context was lost, and the one around it was found by what is open.
        frame: Of the function that the block stands in, while it is open.
        runs: What of a framework runs in it, its agent or tool; ``None`` for a block of the program's own.
        refusal: Of the last call in it, where that was refused.
        stopped: A refusal that ended what runs in it; it makes no call any more.
        raised: What its tools raised of their own, the last ones.
    """

    def __init__(
        self,
        budget: Any,
        outer: "Block | None",
        scope: Scope,
        kept_by: Runtime | None,
        below: tuple[str, ...] | None = None,
        *,
        retry: int = 0,
        within: tuple[str, ...] = (),
    ) -> None:
        self.budget = budget
        self.outer = outer
        self.scope = scope
        self.kept_by = kept_by
        self.below = below
        self.began_ns = _began_above(scope, outer, kept_by) | {len(scope.parts): time.time_ns()}
        self.own: Opened | None = None
        self.way_in: str | None = None
        self.held: Any = None
        self.at_gateway: tuple[Outer, str] | None = None
        self.retry: int = max(retry, outer.retry if outer else 0)
        self.within: tuple[str, ...] = within or (outer.within if outer else ())
        self.is_open = False
        self.was_in_open = outer is not None and outer.is_open
        self.is_adopted = False
        self.frame: FrameType | None = None
        self.runs: object = None
        self.refusal: SolventError | None = None
        self.stopped: SolventError | None = None
        self.raised = _KEPT_NONE

    @property
    def runtime(self) -> Runtime:
        return self.kept_by or PROCESS.runtime()  # Which says that the gateway's ledger is in nobody else's reach.

    def is_kept_with(self, other: "Block") -> bool:
        """
        Whether one guard, or one gateway, holds calls to both.
        """
        return self.kept_by is other.kept_by and (self.below is None) == (other.below is None)

    @property
    def is_agent(self) -> bool:
        """
        Whether it is what a framework runs as an agent.
        """
        return self.runs is not None and self.scope.parts[-1][0] == "agent"

    def is_in(self, other: "Block") -> bool:
        block: Block | None = self
        while block is not None and block is not other:
            block = block.outer
        return block is other

    def enter(self) -> None:
        """
        What goes on here is in it.
        """
        self.is_open = True
        CURRENT.set(self)

    def around(self) -> "Block | None":
        """
        The block that code goes on in when this one is left: the one around it, unless that was left meanwhile. One
        that was over before is where a task goes on.
        """
        block: Block | None = self
        while block is not None and block.outer is not None and block.was_in_open and not block.outer.is_open:
            block = block.outer
        return None if block is None or block.is_adopted else block.outer

    def leave(self) -> None:
        """
        Its code is over: what goes on here is in the block around it that is open. They may be left in any order, and
        in another context than they were entered in.
        """
        self.is_open = False
        if CURRENT.get() is self:
            CURRENT.set(self.around())


def _began_above(scope: Scope, outer: Block | None, runtime: Runtime | None) -> dict[int, int]:
    above = outer or runtime
    is_below = above is not None and scope.is_in(above.scope)
    return dict(above.began_ns) if above is not None and is_below else {}


class _Open:
    """
    The blocks that are open.

    Attributes:
        forks: Of this process: a child may be in the blocks that it was forked in.
    """

    def __init__(self) -> None:
        self.forks = 0
        self._blocks: list[Block] = []
        self._by_frame: dict[int, list[Block]] = {}
        self.lock = threading.Lock()

    def add(self, block: Block, frame: FrameType) -> None:
        with self.lock:
            block.frame = frame  # Held, so that no other one gets its number.
            self._blocks.append(block)
            self._by_frame.setdefault(id(frame), []).append(block)

    def remove(self, block: Block) -> None:
        with self.lock:
            frame, block.frame = block.frame, None
            self._blocks.remove(block)
            others = self._by_frame[id(frame)]
            others.remove(block)
            if not others:
                del self._by_frame[id(frame)]

    def blocks(self) -> list[Block]:
        if not self._blocks:
            return []
        with self.lock:
            return list(self._blocks)

    def on_stack(self) -> Block | None:
        """
        The innermost block whose code runs now, by the functions that called each other.
        """
        by_frame = self._by_frame
        frame: FrameType | None = sys._getframe(1) if by_frame else None
        while frame is not None:
            found = by_frame.get(id(frame))
            if found:
                return found[-1]
            frame = frame.f_back
        return None

    def forget(self) -> None:
        """
        For a process that works for others than it was forked from: it is in none of them.
        """
        with self.lock:
            self._blocks.clear()
            self._by_frame.clear()

    def begin_in_child(self) -> None:
        self.lock = threading.Lock()

    def forking(self) -> None:
        self.forks += 1


OPEN = _Open()
os.register_at_fork(before=OPEN.forking, after_in_child=OPEN.begin_in_child)


def may_await(error: BaseException | None = None) -> bool:
    """
    Whether there is an asyncio loop to wait in: none runs in other frameworks, and in a coroutine that is closed.
    """
    return asyncio._get_running_loop() is not None and not isinstance(error, GeneratorExit)


def innermost() -> Block | None:
    """
    The block that code here runs in: that of its context, unless its own function stands in one that is inside of that.
    A generator's body keeps no context from one step to the next where each is taken in another one.
    """
    current, stacked = CURRENT.get(), OPEN.on_stack()
    if stacked is None or (current is not None and current.is_in(stacked)):
        return current
    return stacked


def carried(function: Callable[P, T]) -> Callable[P, T]:
    """
    The function, to be run elsewhere under the budget that is open here, or under none where none is.
    """
    found = innermost()

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        token = CURRENT.set(found)
        try:
            return function(*args, **kwargs)
        finally:
            CURRENT.reset(token)

    return run
