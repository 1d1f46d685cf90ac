"""
Whose a call is: the budget of its context, the one that is open where the context was lost, or the process.
"""

from msgspec import Struct

from solvent._block import OPEN, Block, innermost
from solvent._limits import Scope
from solvent._runtime import PROCESS, Runtime


class Place(Struct, frozen=True, kw_only=True):
    """
    Whom a call is charged to, and by which guard.

    Attributes:
        lost_among: The budgets that are open where nobody can say to which of them it belongs.
        retry: Which attempt the code here is, 0 for the first.
        within: Open reservations that a call made here is part of.
        block: The innermost one of a budget, where that is known.
    """

    runtime: Runtime
    scope: Scope
    lost_among: tuple[str, ...] = ()
    retry: int = 0
    within: tuple[str, ...] = ()
    block: Block | None = None


class _Here(Struct, frozen=True):
    """
    Where code runs.

    Attributes:
        scope: That of the block, or what it has in common with others.
    """

    block: Block | None = None
    scope: Scope | None = None
    lost_among: tuple[str, ...] = ()


def current_place() -> Place:
    """
    Whom a call made here is charged to: the budget of this context; where the context was lost, the one that is open,
    or what several have in common; else the process.
    """
    here = _here()
    if here.block is None or here.scope is None:
        runtime = PROCESS.runtime()
        return Place(runtime=runtime, scope=runtime.scope, lost_among=here.lost_among)
    if here.lost_among:
        return Place(runtime=here.block.runtime, scope=here.scope, lost_among=here.lost_among)
    return place_of(here.block)


def place_of(block: Block) -> Place:
    """
    Whom a call is charged to that belongs to a block.
    """
    return Place(runtime=block.runtime, scope=block.scope, retry=block.retry, within=block.within, block=block)


def around_here() -> Block | None:
    """
    The block that an agent or a step which is opened here is in: that of this context; where it was lost, the run that
    all have in common which are open.
    """
    here = _here()
    if here.block is None or here.scope is None or here.block is innermost():
        return here.block
    return next((block for block in _of_programs() if block.scope == here.scope and _is_run(block)), None)


def may_be_elsewhere() -> bool:
    """
    Whether a budget is open that code here may belong to, which has none in its context.
    """
    return innermost() is None and bool(_of_programs())


def steps_below_run() -> tuple[str, ...] | None:
    """
    How a call made here names itself to the gateway of the run around this process; ``None`` where it belongs to a
    budget that was not opened there, which holds it as well.
    """
    here = _here()
    if here.block is None or here.scope is None:
        return ()
    if here.block.below is None:
        return None
    shorter = len(here.block.scope.parts) - len(here.scope.parts)  # By the steps that others do not share.
    return here.block.below[: max(len(here.block.below) - shorter, 0)]


def retry_here() -> int:
    """
    Which attempt the code here is, 0 for the first.
    """
    found = innermost()
    return 0 if found is None else found.retry


def lost_among() -> tuple[str, ...]:
    """
    The budgets that are open where nobody can say to which of them a call made here belongs.
    """
    return _here().lost_among


def _here() -> _Here:
    found = innermost()
    if found is not None:
        return _Here(found, found.scope)
    blocks = _of_programs()
    if len(blocks) < 2:
        return next((_Here(block, block.scope) for block in blocks), _Here())
    common = _in_common(blocks)
    return _Here(blocks[0] if common else None, common, tuple([str(each.scope) for each in blocks]))


def _of_programs() -> list[Block]:
    """
    What is open, but for what a framework runs: code that lost its context is no part of that.
    """
    return [block for block in OPEN.blocks() if block.runs is None]


def _is_run(block: Block) -> bool:
    return block.scope.parts[-1][0] == "run"


def _in_common(blocks: list[Block]) -> Scope | None:
    parts = []
    if all(each.is_kept_with(blocks[0]) for each in blocks):
        for level in zip(*(each.scope.parts for each in blocks), strict=False):
            if len(set(level)) > 1:
                break
            parts.append(level[0])
    return Scope(tuple(parts)) if parts else None
