"""
Mean and variance of what a run spends, in closed form, and the mean of each of its calls and tools.
"""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from solvent.forecast._algebras import Jet, Jets
from solvent.forecast._compose import Composer
from solvent.forecast._history import NotExact
from solvent.forecast._model import Call, Tool, Workflow, every
from solvent.forecast._remembered import remembered
from solvent.forecast._shared_inputs import joined
from solvent.forecast._weights import Measure

__all__ = ["Moments", "NotExact", "moments", "moments_by_class"]


class Moments(Struct, frozen=True, kw_only=True):
    """
    Attributes:
        nodes: Means by the path of the call or tool that spends; they add up to ``mean``.
    """

    mean: float
    variance: float
    nodes: Mapping[str, float]

    @property
    def sd(self) -> float:
        return float(self.variance**0.5)


def moments(workflow: Workflow, measure: Measure = "usd") -> Moments:
    """
    Those of a run, whatever its class.

    Raises:
        NotExact: There is no closed form; says why.
    """
    of_classes = moments_by_class(workflow, measure)
    shares = workflow.shares
    mean = sum(share * found.mean for share, found in zip(shares, of_classes, strict=True))
    variance = sum(
        share * (found.variance + (found.mean - mean) ** 2) for share, found in zip(shares, of_classes, strict=True)
    )
    nodes = {
        path: sum(share * found.nodes[path] for share, found in zip(shares, of_classes, strict=True))
        for path in of_classes[0].nodes
    }
    return Moments(mean=mean, variance=variance, nodes=nodes)


@remembered
def moments_by_class(workflow: Workflow, measure: Measure) -> tuple[Moments, ...]:
    """
    Those of the runs of each class.

    Raises:
        NotExact: There is no closed form; says why.
    """
    workflow = joined(workflow)
    paths = list(dict.fromkeys(block.path for block in every(workflow.graph) if isinstance(block, Call | Tool)))
    algebra = Jets(paths)
    return tuple(
        [_read(paths, Composer(algebra, workflow, measure, index).run()) for index in range(len(workflow.shares))]
    )


def _read(paths: list[str], jet: Jet) -> Moments:
    mean = float(np.sum(jet.means))
    return Moments(
        mean=mean, variance=max(jet.square - mean**2, 0.0), nodes=dict(zip(paths, jet.means.tolist(), strict=True))
    )
