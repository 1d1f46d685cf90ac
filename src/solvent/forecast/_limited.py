"""
What of a run can be limited, and where in a policy: its figures, and the scopes that they are of.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from solvent._limits import Meter, Scope
from solvent.forecast._chances import Floats
from solvent.forecast._counts import ByClass
from solvent.forecast._model import (
    Block,
    Branch,
    Call,
    Loop,
    Map,
    Par,
    Retry,
    Spawn,
    Tool,
    Workflow,
    every,
    items_of,
    parts_of,
)
from solvent.forecast.simulate import Runs

Layer: TypeAlias = Literal["invocation", "agent loop", "orchestration", "platform"]
NANODOLLARS = 1e9  # In one dollar.
_WHOLE_RATE = 1_000  # Picodollars: of such rates each call costs whole nanodollars.


class Figure(Struct, frozen=True, kw_only=True, eq=False):
    """
    A figure of every run, in the whole numbers that a limit of its meter is in, rounded up.

    Attributes:
        path: The block whose scope it is of; empty for the whole run.
        what: In words.
    """

    layer: Layer
    pattern: str
    path: str
    meter: Meter
    of: Floats
    what: str


def figures(workflow: Workflow, runs: Runs) -> list[Figure]:
    """
    All figures that differ from run to run.
    """
    found = list(_of_run(workflow, runs))
    for block in every(workflow.graph):
        if isinstance(block, Loop | Map | Spawn):
            found += _of_scope(workflow, block, runs)
    return found


def run_pattern(workflow: Workflow) -> str:
    """
    The runs that ``budget(NAME)`` opens.
    """
    return f"{scope_name('run', workflow.name)}-*"


def scope_name(kind: str, name: str) -> str:
    """
    A scope as a policy names it, in which only the ``*`` at the end is none of the name.
    """
    return str(Scope(((kind, name),))).replace("*", "%2A")


def unbounded(workflow: Workflow, blocks: tuple[Block, ...] | None = None) -> list[str]:
    """
    The calls whose output nothing caps, so that nobody knows what one may cost.
    """
    found = every(workflow.graph if blocks is None else blocks)
    return list(
        dict.fromkeys(
            block.path for block in found if isinstance(block, Call) and any(one.most is None for one in block.output)
        )
    )


def untimed(workflow: Workflow) -> list[str]:
    """
    The calls of which nobody said how long they take.
    """
    return list(
        dict.fromkeys(one.path for one in every(workflow.graph) if isinstance(one, Call) and one.seconds is None)
    )


def pattern_of(workflow: Workflow, block: Block) -> str:
    """
    The shortest pattern that names the scope of this block, and of no other one, wherever the run itself stands.
    """
    paths = {one.path for one in every(workflow.graph) if not isinstance(one, Branch | Par)}
    segments = block.path.split("/")
    for length in range(1, len(segments) + 1):
        pattern = "/".join(segments[-length:])
        if sum(f"/{path}".endswith(f"/{pattern}") for path in paths) == 1:
            break
    return pattern.replace("*", "%2A")


def depth(workflow: Workflow) -> int | None:
    """
    How many agents and steps stand below one another at most; ``None`` where nothing caps it.
    """
    return _deepest(workflow.graph)


def _deepest(blocks: tuple[Block, ...]) -> int | None:
    most = 0
    for block in blocks:
        below = [_deepest(part) for part in parts_of(block)]
        levels = 0 if isinstance(block, Branch | Par) else block.most if isinstance(block, Spawn) else 1
        if levels is None or None in below:
            return None
        most = max(most, levels + max([one for one in below if one is not None], default=0))
    return most


def parallel(workflow: Workflow) -> int | None:
    """
    How many calls are under way at the same time at most; ``None`` where nothing caps it.
    """
    return _widest(workflow, workflow.graph)


def _widest(workflow: Workflow, blocks: tuple[Block, ...]) -> int | None:
    found = [_width(workflow, block) for block in blocks]
    return None if None in found else max([one for one in found if one is not None], default=0)


def _width(workflow: Workflow, block: Block) -> int | None:
    below = [_widest(workflow, part) for part in parts_of(block)]
    if None in below:
        return None
    inner = [one for one in below if one is not None]
    match block:
        case Call():
            return 1
        case Tool():
            return int(block.is_call)
        case Par():
            return sum(inner)
        case Map():
            items = most_items(workflow, block)
            width = block.concurrency if items is None else min(items, block.concurrency or items)
            return None if width is None else width * inner[0]
        case Spawn():
            return _agents_at_once(block, inner[0])
        case Branch() | Loop() | Retry():
            return max(inner, default=0)


def _agents_at_once(block: Spawn, each: int) -> int | None:
    """
    Of a tree in which every agent waits for its children: those of its lowest level, or of one above.
    """
    children = most_of(block.children)
    wide = block.concurrency if children is None else min(children, block.concurrency or children)
    if block.most is None or wide is None:
        return each if wide is not None and wide <= 1 else None
    return int(max(wide, 1) ** (block.most - 1)) * each


def most_items(workflow: Workflow, block: Map) -> int | None:
    """
    How many items a map has at most.
    """
    declared = most_of(items_of(workflow, block))
    if declared is None or block.most is None:
        return declared if block.most is None else block.most
    return min(declared, block.most)


def is_in(path: str, scope: str) -> bool:
    """
    Whether a block stands in the scope of another one, or is that one; all are in the run, which has no path.
    """
    return not scope or f"{path}/".startswith(f"{scope}/")


def most_of(count: ByClass) -> int | None:
    """
    The most that a count can be in any class.
    """
    found = [one.most for one in count]
    return None if None in found else max(one for one in found if one is not None)


def _of_run(workflow: Workflow, runs: Runs) -> Iterator[Figure]:
    pattern = run_pattern(workflow)

    def figure(meter: Meter, of: Floats, what: str) -> Figure:
        return Figure(layer="orchestration", pattern=pattern, path="", meter=meter, of=of, what=what)

    is_bounded = not unbounded(workflow)
    if is_bounded or workflow.wishes.usd_nanodollars is not None:
        yield figure("usd", nanodollars(workflow, runs.peak_usd, runs.calls), "peak of spent + bound")
    if is_bounded:
        yield figure("tokens", np.ceil(runs.peak_tokens), "peak of used + bound")
    yield figure("calls", np.asarray(runs.calls, np.float64), "calls, each attempt")
    if np.any(runs.retries):  # SDKs ask again by themselves, which a limit of 0 would forbid.
        yield figure("retries", np.asarray(runs.retries, np.float64), "calls that repeat a failed one")
    yield figure("branches", np.asarray(runs.branches, np.float64), "items, parts and children")
    if not untimed(workflow):
        yield figure("seconds", np.ceil(runs.seconds), "from its beginning to its end")


def _of_scope(workflow: Workflow, block: Loop | Map | Spawn, runs: Runs) -> Iterator[Figure]:
    pattern, scope = pattern_of(workflow, block), runs.scopes[block.path]

    def figure(meter: Meter, of: Floats, what: str) -> Figure:
        return Figure(layer="agent loop", pattern=pattern, path=block.path, meter=meter, of=of, what=what)

    if not np.any(scope.calls):
        return
    if not unbounded(workflow, (block,)):
        yield figure("usd", nanodollars(workflow, scope.usd_peak, scope.calls), "peak of spent + bound in it")
        yield figure("tokens", np.ceil(scope.tokens_peak), "peak of used + bound in it")
    yield figure("calls", np.asarray(scope.calls, np.float64), "calls in it, each attempt")
    if np.any(scope.retries):
        yield figure("retries", np.asarray(scope.retries, np.float64), "calls in it that repeat a failed one")
    if isinstance(block, Map):
        yield figure("branches", np.asarray(scope.rounds, np.float64), "items of it")


def nanodollars(workflow: Workflow, usd: Floats, calls: NDArray[np.int64] | int) -> Floats:
    """
    Dollars as whole nanodollars, rounded up as each call is.
    """
    rates = [rate for model in workflow.models.values() for rate in model.rates]
    is_whole = all(
        not price % _WHOLE_RATE
        for rate in rates
        for price in (rate.input, rate.output, rate.cache_read, rate.cache_write)
    )
    # What floats add by themselves is far below a thousandth of a nanodollar of anything that costs under $1,000.
    exact = np.ceil(np.asarray(usd, np.float64) * NANODOLLARS - 1e-3)
    return exact if is_whole else exact + np.asarray(calls, np.float64)
