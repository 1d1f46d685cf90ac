"""
The dearest call of a workflow, and its dearest token.
"""

from collections.abc import Iterable, Iterator

from solvent.forecast._limited import most_of
from solvent.forecast._model import Block, Branch, Call, Loop, Model, Retry, Tool, Workflow, every, parts_of

_PICODOLLARS = 1e12  # In one dollar.


def dearest_token(workflow: Workflow) -> float:
    """
    Dollars.
    """
    models = [block.model for block in every(workflow.graph) if isinstance(block, Call)]
    return max([max(_reading(model), _writing(model)) for model in models], default=0.0)


def dearest_call(workflow: Workflow) -> float | None:
    """
    Dollars, with all of the history that it can read, and with what further calls pay to read its answer where it is
    one that is made again; ``None`` where nothing bounds it.
    """
    found = list(_calls(workflow.graph, 0, 0))
    return None if None in found else max([one for one in found if one is not None], default=0.0)


def _calls(blocks: Iterable[Block], history: int | None, rounds: int | None) -> Iterator[float | None]:
    """
    Args:
        history: The most tokens of it in the growing loop around.
        rounds: Of that loop.
    """
    for block in blocks:
        if isinstance(block, Call):
            yield _cost(block, history if block.history else 0, rounds if block.history else 0)
        elif isinstance(block, Loop) and block.grows:
            yield from _calls(block.do, _history(block), block.most)
        else:
            for part in parts_of(block):
                yield from _calls(part, history, rounds)


def _cost(call: Call, history: int | None, rounds: int | None) -> float | None:
    prompt, output, window = most_of(call.prompt), most_of(call.output), call.model.window
    read = window if prompt is None or history is None else prompt + history
    if read is None or output is None or rounds is None:
        return None
    read = read if window is None else min(read, window)
    return (read + output * rounds) * _reading(call.model) + output * _writing(call.model)


def _history(loop: Loop) -> int | None:
    added = added_by_round(loop.do)
    if added is None or loop.most is None:
        return None if added is None or loop.compaction is None else loop.compaction.at + added
    most = added * loop.most
    return most if loop.compaction is None else min(most, loop.compaction.at + added)


def added_by_round(blocks: Iterable[Block]) -> int | None:
    """
    Tokens that one round of a growing loop adds to its history at most; ``None`` where nothing caps them.
    """
    found = [_added_by(block) for block in blocks]
    return None if None in found else sum(one for one in found if one is not None)


def _added_by(block: Block) -> int | None:
    match block:
        case Call():
            return most_of(block.output) if block.history else 0
        case Tool():
            return 0 if block.result is None else most_of(block.result)
        case Branch():
            found = [added_by_round(option.do) for option in block.options]
            return None if None in found else max(one for one in found if one is not None)
        case Retry():
            each = added_by_round(block.do)
            return each if not each else None if block.most is None else each * block.most
        case _:
            return 0  # Of its own, if it grows.


def _reading(model: Model) -> float:
    return max(max(rate.input, rate.cache_write, rate.cache_read) for rate in model.rates) / _PICODOLLARS


def _writing(model: Model) -> float:
    return max(rate.output for rate in model.rates) / _PICODOLLARS
