"""
What a person should know of a workflow before they trust its forecast.
"""

from collections.abc import Iterator

from solvent.forecast._counts import ByClass
from solvent.forecast._model import Block, Branch, Call, Loop, Retry, Tool, Workflow, every, parts_of


def remarks(workflow: Workflow) -> tuple[str, ...]:
    """
    A sentence each.
    """
    return (*_windows(workflow), *_seconds(workflow))


def _windows(workflow: Workflow) -> Iterator[str]:
    """
    Histories that may grow beyond what their model reads.
    """
    for loop in every(workflow.graph):
        if not isinstance(loop, Loop) or not loop.grows or loop.compaction is not None or loop.most is None:
            continue
        added = _added(loop.do)
        for call in _history_calls(loop.do):
            window, prompt = call.model.window, _most(call.prompt)
            if window is None or prompt is None or added is None:
                continue
            reads = prompt + (loop.most - 1) * added
            if reads > window:
                yield (
                    f"{call.name} in {loop.name} could read {reads:,} tokens, and the window of {call.model.name} is "
                    f"{window:,}: lower a max, or say with `compact:` how its history is summed up"
                )


def _history_calls(blocks: tuple[Block, ...]) -> Iterator[Call]:
    return (block for block in every(blocks) if isinstance(block, Call) and block.history)


def _added(blocks: tuple[Block, ...]) -> int | None:
    """
    The most tokens that a round adds to the history of its loop; ``None`` where nothing caps them.
    """
    total = 0
    for block in blocks:
        if isinstance(block, Call):
            most = _most(block.output) if block.history else 0
        elif isinstance(block, Tool):
            most = 0 if block.result is None else _most(block.result)
        elif not isinstance(block, Branch | Retry):
            continue  # What is in it is no part of this history.
        else:
            parts = [_added(part) for part in parts_of(block)]
            times = block.most if isinstance(block, Retry) else 1
            most = None if None in parts or times is None else times * max((part or 0 for part in parts), default=0)
        if most is None:
            return None
        total += most
    return total


def _most(counts: ByClass) -> int | None:
    caps = [count.most for count in counts]
    return None if None in caps else max(cap for cap in caps if cap is not None)


def _seconds(workflow: Workflow) -> Iterator[str]:
    leaves = [block for block in every(workflow.graph) if isinstance(block, Call | Tool)]
    silent = [block.name for block in leaves if isinstance(block, Call) and block.seconds is None]
    if not any(block.seconds is not None for block in leaves):
        yield "no block says with `seconds:` how long it takes, so a run takes none"
    elif silent:
        yield f"calls that do not say how long they take count as taking no time: {', '.join(dict.fromkeys(silent))}"
