"""
The failure patterns of a policy's coverage, each as what it makes of a workflow.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from solvent._limits import SEGMENTS_MAX
from solvent.forecast._counts import ByClass, Count, Fixed
from solvent.forecast._model import Block, Call, Loop, Map, Retry, Spawn, Workflow, rebuilt

ROUNDS = 1_000
ITEMS = 10_000
ATTEMPTS = 10
AT_ONCE = 10  # Requests for one answer, where each that is late is asked for again.
WINDOW = 200_000  # Tokens, of a model of which nobody said.


class Failure(Struct, frozen=True, kw_only=True):
    """
    A workflow in which something goes wrong.

    Attributes:
        what: In words.
        times: How often each of its calls is made at once.
    """

    pattern: str
    what: str
    workflow: Workflow
    times: int = 1


def failures(workflow: Workflow) -> Iterator[Failure]:
    """
    All that can happen to a workflow: where it has no fan-out, none can run away.
    """
    for pattern, (what, change) in _CHANGES.items():
        changed = replace(workflow, graph=rebuilt(workflow.graph, partial(change, workflow)))
        if changed.graph != workflow.graph:
            yield Failure(pattern=pattern, what=what, workflow=changed)
    yield Failure(
        pattern="cost-latency coupling",
        what=f"each call is made {AT_ONCE} times at once, for its answer is late",
        workflow=workflow,
        times=AT_ONCE,
    )


def _runaway(_: Workflow, block: Block) -> Block:
    if isinstance(block, Loop):
        return replace(block, again=((1.0,),) * len(block.again), most=max(block.most or 0, ROUNDS))
    return replace(block, most=SEGMENTS_MAX - 1) if isinstance(block, Spawn) else block


def _fan_out(workflow: Workflow, block: Block) -> Block:
    return replace(block, over=always(workflow, ITEMS), most=None) if isinstance(block, Map) else block


def _storm(_: Workflow, block: Block) -> Block:
    if isinstance(block, Retry):
        return replace(block, fail=((1.0,),) * len(block.fail), most=max(block.most or 0, ATTEMPTS))
    return block


def _bloat(workflow: Workflow, block: Block) -> Block:
    if isinstance(block, Call):
        window = always(workflow, block.model.window or WINDOW)
        return replace(block, prompt=window, output=window, history=False)
    return block


def _stuck(_: Workflow, block: Block) -> Block:
    if isinstance(block, Loop):
        return replace(block, again=((1.0,),) * len(block.again), most=None)
    return replace(block, fail=((1.0,),) * len(block.fail), most=None) if isinstance(block, Retry) else block


def always(workflow: Workflow, value: int) -> ByClass:
    """
    A count that is the same in every class.
    """
    return (Count(usual=Fixed(value)),) * len(workflow.shares)


_CHANGES: Mapping[str, tuple[str, Callable[[Workflow, Block], Block]]] = {
    "runaway recursion": (f"loops go on for {ROUNDS:,} rounds, agents spawn until no scope is left", _runaway),
    "silent fan-out": (f"each fan-out has {ITEMS:,} items", _fan_out),
    "retry storm": (f"each attempt fails, {ATTEMPTS} times a layer", _storm),
    "token bloat": ("each call reads as much as its model's window holds, and writes as much", _bloat),
    "stuck workflow": ("loops and retries never end", _stuck),
}
