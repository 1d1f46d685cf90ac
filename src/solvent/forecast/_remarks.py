"""
What a person should know of a workflow before they trust its forecast.
"""

from collections.abc import Iterator

from solvent.forecast._dearest import added_by_round
from solvent.forecast._history import members
from solvent.forecast._limited import most_of
from solvent.forecast._model import Call, Loop, Tool, Workflow, every


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
        added = added_by_round(loop.do)
        for call in [one for one in members(loop.do) if isinstance(one, Call) and one.history]:
            window, prompt = call.model.window, most_of(call.prompt)
            if window is None or prompt is None or added is None:
                continue
            reads = prompt + (loop.most - 1) * added
            if reads > window:
                yield (
                    f"{call.name} in {loop.name} could read {reads:,} tokens, and the window of {call.model.name} is "
                    f"{window:,}: lower a max, or say with `compact:` how its history is summed up"
                )


def _seconds(workflow: Workflow) -> Iterator[str]:
    leaves = [block for block in every(workflow.graph) if isinstance(block, Call | Tool)]
    silent = [block.name for block in leaves if isinstance(block, Call) and block.seconds is None]
    if not any(block.seconds is not None for block in leaves):
        yield "no block says with `seconds:` how long it takes, so a run takes none"
    elif silent:
        yield f"calls that do not say how long they take count as taking no time: {', '.join(dict.fromkeys(silent))}"
