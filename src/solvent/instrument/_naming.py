"""
Frameworks lend names: what one of them runs as an agent or a tool is a scope of that name, without a line of code.

Calls are held to budgets below, where they leave the process. A refusal that a framework swallows or wraps ends its run
all the same, and comes out of it as itself: once a tool met it no further call of the agent is asked for.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal

from solvent._block import Block, innermost
from solvent._budget import Budget
from solvent._ladder import CALL
from solvent._limits import SEGMENT_BYTES_MAX, SEGMENTS_MAX, Scope
from solvent._opened import Wanted
from solvent._place import around_here, may_be_elsewhere
from solvent._wrapping import FunctionKind, kind_of, wrapped
from solvent.errors import BudgetExceeded, SolventError
from solvent.instrument._hooks import Wrapper

Kind = Literal["agent", "step", "tool"]
# From what owns the function, its arguments by place and by name: a name, or nothing where it has none.
NameOf = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], object]

_log = logging.getLogger("solvent")


NAMED_MAX = SEGMENTS_MAX - 4  # Segments of a scope; the rest is left to the program's own budgets and steps.


def runs(
    kind: Kind,
    name_of: NameOf,
    *,
    like: FunctionKind | None = None,
    signals: tuple[type[BaseException], ...] = (),
) -> Wrapper:
    """
    A wrapper for a function of a framework that runs an agent, a step or a tool.

    What is run again by the same object inside itself, such as by a synchronous face of an asynchronous function, is
    one run.

    Args:
        like: How it is called, where its definition does not tell: a plain function may return a coroutine.
        signals: What it raises without that anything failed, such as a pause or a handover.
    """

    def call(function: Callable[..., Any], owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        found = around_here()
        name = None if _is_run_by(found, owner) else _name(name_of, function, owner, args, kwargs)
        if name is None or (len(found.scope.parts) >= NAMED_MAX if found is not None else may_be_elsewhere()):
            return function(*args, **kwargs)  # Its calls are in what is around it, or in what is open.
        wanted = Wanted(
            name=name,
            kind="agent" if kind == "agent" else "step",
            begins="tool" if kind == "tool" else "code",
            runs=owner if owner is not None else function,
        )
        if (like or kind_of(function)) == "plain":
            with _Running(wanted, kind, signals):
                return function(*args, **kwargs)
        return wrapped(function, lambda: _Running(wanted, kind, signals), like)(*args, **kwargs)

    return call


def tell(block: Block | None, refusal: SolventError | None) -> None:
    """
    The last call that was made in a block was refused, or was not: those around it that its limit is for know it too.
    """
    is_limit = isinstance(refusal, BudgetExceeded) and refusal.scope != CALL
    while block is not None:
        if refusal is None or not is_limit or _is_of(refusal, block):
            block.refusal = refusal
        if refusal is not None and not is_limit and block.is_agent:
            return  # It is of that call alone, and of the agent that made it.
        block = block.outer


def refusal_behind(error: BaseException | None) -> SolventError | None:
    """
    The refusal that a framework says an error was caused by.
    """
    seen: set[int] = set()
    while error is not None and not isinstance(error, SolventError) and id(error) not in seen:
        seen.add(id(error))
        error = error.__cause__
    return error if isinstance(error, SolventError) else None


def refusal_in(error: BaseException | None, others: Sequence[BaseException | None] = ()) -> SolventError | None:
    """
    The refusal that an error was made of, in a group or one after the other.

    Args:
        others: What these were made of is none of it: errors of a program's own, and what went on before.
    """
    seen = {id(other) for other in others if other is not None}
    left = [] if error is None else [error]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        if isinstance(each, SolventError):
            return each
        seen.add(id(each))
        left += [other for other in (each.__context__, each.__cause__) if other is not None]
        left += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
    return None


def check_runs(block: Block | None) -> None:
    """
    Raises:
        BudgetExceeded: What a framework runs here was ended by it before.
    """
    while block is not None:
        if block.stopped is not None:
            raise block.stopped
        block = block.outer


class _Running:
    """
    While a framework runs something that has a name.
    """

    def __init__(self, wanted: Wanted, kind: Kind, signals: tuple[type[BaseException], ...]) -> None:
        self._budget = Budget(wanted)
        self._kind = kind
        self._signals = signals
        self._outer: Block | None = None
        self._handled: BaseException | None = None  # What went on when it began.
        self._block: Block | None = None

    def __enter__(self) -> None:
        with self._beginning():
            self._budget.__enter__()

    async def __aenter__(self) -> None:
        with self._beginning():
            await self._budget.__aenter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._block is not None:
            self._budget.__exit__(kind, error, traceback)
            self._end(self._block, error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._block is not None:
            await self._budget.__aexit__(kind, error, traceback)
            self._end(self._block, error)

    @contextmanager
    def _beginning(self) -> Iterator[None]:
        self._outer, self._handled = around_here(), sys.exc_info()[1]
        check_runs(self._outer)
        try:
            yield
        except BudgetExceeded as refusal:
            tell(self._outer, refusal)
            self._stop(refusal)
            raise
        except SolventError as error:  # The calls in it are refused for that, if it makes any.
            _log.warning("what runs as %s has no scope of its own: %s", self._budget.scope, error)
            return
        self._block = innermost()

    def _end(self, block: Block, error: BaseException | None) -> None:
        """
        Raises:
            SolventError: That which ended it, where something else comes out of it.
        """
        outer, refusal = self._outer, error if isinstance(error, SolventError) else None
        if self._kind == "agent" and refusal is None:
            refusal = self._hidden(block, error)
        elif isinstance(error, Exception) and refusal is None and outer is not None and outer.is_agent:
            outer.raised.append(error)  # A tool's own error, whatever it made that of.
        if refusal is None:
            return
        self._stop(refusal)
        if refusal is not error:
            raise refusal from None

    def _hidden(self, block: Block, error: BaseException | None) -> SolventError | None:
        """
        The refusal that ended it, or that a framework made an error of; or nothing.
        """
        if error is not None and not isinstance(error, Exception):  # It was cancelled, or its generator closed.
            return None
        if error is None or block.stopped is not None or isinstance(error, self._signals):
            return block.stopped
        return refusal_in(error, [*block.raised, self._handled])

    def _stop(self, refusal: SolventError) -> None:
        """
        Let the agent that called a tool make no more calls, where the limit is for that one as well: what stands
        between the two is the framework's own code, which may make a message for the model of any error.
        """
        outer = self._outer
        if self._kind != "tool" or outer is None or not outer.is_agent:
            return
        if isinstance(refusal, BudgetExceeded) and not refusal.held and _is_of(refusal, outer):
            outer.stopped = refusal


def _is_of(refusal: SolventError, block: Block) -> bool:
    """
    Whether it is for a limit of the block's scope or of one around it.
    """
    return (
        isinstance(refusal, BudgetExceeded) and refusal.scope != CALL and block.scope.is_in(Scope.parse(refusal.scope))
    )


def _is_run_by(block: Block | None, owner: object) -> bool:
    return block is not None and owner is not None and block.runs is owner


def _name(
    name_of: NameOf, function: Callable[..., Any], owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str | None:
    """
    A name that a scope can have; ``None`` where there is none to be had.
    """
    try:
        found = name_of(owner, args, kwargs)
        text = " ".join(str(found).split()) if found is not None else ""
        return _fitting(text) or None
    except Exception as error:  # Whatever the framework changed: its run goes on.
        _log.warning("%s runs without a name: %r", getattr(function, "__qualname__", function), error)
        return None


def _fitting(text: str) -> str:
    """
    As much of a text as a scope's name can hold.
    """
    text = text.encode("utf-8", "replace").decode()[:SEGMENT_BYTES_MAX]
    while text:
        try:
            Scope((("step", text),))
        except ValueError:
            text = text[:-1]
        else:
            break
    return text
