"""
What was found of a workflow, kept for when it is asked for again: by the same object, which nobody changes.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import TypeAlias, TypeVar

from solvent.forecast._model import Workflow
from solvent.forecast._weights import Measure

T = TypeVar("T")
_Of: TypeAlias = Callable[[Workflow, Measure], T]

_KEPT = 16


def remembered(function: _Of[T]) -> _Of[T]:
    kept: OrderedDict[tuple[int, Measure], tuple[Workflow, T]] = OrderedDict()

    @wraps(function)
    def found(workflow: Workflow, measure: Measure) -> T:
        key = (id(workflow), measure)  # Of a workflow that is kept, no other can have the same.
        if key in kept:
            return kept[key][1]
        result = function(workflow, measure)
        kept[key] = workflow, result
        if len(kept) > _KEPT:
            kept.popitem(last=False)
        return result

    return found
