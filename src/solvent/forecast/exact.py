"""
The whole distribution of what a run spends, by generating functions on a grid; nothing is drawn.

It goes over each class of inputs a few times, each time on a grid that ends where the one before found that hardly
anything is above; and at last on the grid that was asked for.
"""

import math

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from solvent.forecast._algebras import Extent, Extents, step_of
from solvent.forecast._chances import Floats
from solvent.forecast._compose import Composer
from solvent.forecast._distribution import Distribution, OnGrid, together
from solvent.forecast._grid import Grid, RoundedMeans, Side
from solvent.forecast._history import NotExact
from solvent.forecast._model import Workflow
from solvent.forecast._shared_inputs import joined
from solvent.forecast._weights import Measure
from solvent.forecast.moments import Moments, moments_by_class

__all__ = ["Distribution", "NotExact", "exact", "why_not"]

ABOVE = 1e-9  # So much may lie above the grid; it comes out at its beginning.
CELLS = 2**13
CELLS_CERTIFIED = 2**16
_COARSE = 2**11
_PASSES = 8
_NARROWER = 8  # Worth another coarse pass.
_ROOM = 16 / 15  # Of the grid, what is above most of it is to be empty.
_WIDER = 1.25  # Where it is not.


def why_not(workflow: Workflow, measure: Measure = "usd") -> str | None:
    """
    What the exact engine cannot do in this workflow, in words; ``None`` where it can do all.
    """
    try:
        _extents(joined(workflow), measure)
    except ValueError as error:  # A count that cannot be listed, too.
        return str(error)
    return None


def exact(
    workflow: Workflow, measure: Measure = "usd", *, cells: int | None = None, side: Side = "mean"
) -> Distribution:
    """
    The distribution of what a run spends.

    Args:
        cells: Of the grid of each class, a power of two; more are more exact. 2**13, and 2**16 for a side.
        side: ``mean`` for the best that the grid can say. ``down`` and ``up`` for what is certified: no quantile of
            the run is below that of the one or above that of the other, but for rounding.

    Raises:
        NotExact: It cannot, see ``why_not``; or the cells are too few.
    """
    cells = cells or (CELLS if side == "mean" else CELLS_CERTIFIED)
    workflow = joined(workflow)
    extents = _extents(workflow, measure)
    spread = moments_by_class(workflow, measure)
    classes = [
        _of_class(_Class(workflow, measure, index, share, extents[index], spread[index]), cells, side)
        for index, share in enumerate(workflow.shares)
        if share > 0
    ]
    possible = [extent for extent, share in zip(extents, workflow.shares, strict=True) if share > 0]
    least, most = min(extent.least for extent in possible), max(extent.most for extent in possible)
    return together(classes, least=least, most=most)


class _Class(Struct, frozen=True):
    """
    The runs of one class of inputs.
    """

    workflow: Workflow
    measure: Measure
    index: int
    share: float
    extent: Extent
    moments: Moments

    def chances(self, grid: Grid) -> Floats:
        return grid.chances(Composer(grid, self.workflow, self.measure, self.index).run())

    def rounded_mean(self, grid: Grid) -> float:
        return float(Composer(RoundedMeans(grid), self.workflow, self.measure, self.index).run().means.sum())


def _extents(workflow: Workflow, measure: Measure) -> tuple[Extent, ...]:
    return tuple([Composer(Extents(), workflow, measure, index).run() for index in range(len(workflow.shares))])


def _of_class(of: _Class, cells: int, side: Side) -> OnGrid:
    step = step_of(of.extent) or 1.0
    if of.extent.most / step < cells:
        # All that it can be lies on points of such a grid, and nothing is above: what is found is no approximation.
        needed = 2 ** max(1, math.ceil(math.log2(of.extent.most / step + 1.5)))
        return OnGrid(
            share=of.share, step=step, chances=of.chances(Grid(step=step, cells=needed, side="mean")), jumps=True
        )
    return _rounded(of, _top(of), cells, side)


def _top(of: _Class) -> float:
    """
    An amount above which hardly anything is.

    To begin with, by Cantelli's inequality: ``P(X ≥ mean + k sd) ≤ 1 / (1 + k²)``.
    """
    top = min(of.extent.most, of.moments.mean + of.moments.sd / math.sqrt(ABOVE))
    for _ in range(_PASSES):
        step = top * _ROOM / _COARSE
        above = np.cumsum(of.chances(Grid(step=step, cells=_COARSE, side="mean"))[::-1])[::-1]
        found = min(top, (int(np.searchsorted(-above, -ABOVE)) + 1) * step)
        narrower, top = top / found, found
        if narrower < _NARROWER:
            break
    return top


def _rounded(of: _Class, top: float, cells: int, side: Side) -> OnGrid:
    """
    On a grid with room for what is put on a higher point, and with more for as long as that does not do.

    What is above the grid comes out at its beginning, and so each time the whole grid is missing in the mean.
    """
    for _ in range(_PASSES):
        grid = Grid(step=top * _ROOM / cells, cells=cells, side=side)
        found = OnGrid(share=of.share, step=grid.step, chances=of.chances(grid), jumps=side != "mean")
        mean = of.moments.mean if side == "mean" else of.rounded_mean(grid)
        if mean - float(found.chances @ found.at) < 2 * ABOVE * top:
            return _with_what_is_above(found) if side == "up" else found
        top *= _WIDER
    raise NotExact(f"{cells:,} cells are too few to round so many calls")


def _with_what_is_above(found: OnGrid) -> OnGrid:
    reached = np.maximum(np.cumsum(found.chances) - 2 * ABOVE, 0.0)
    chances = np.diff(reached, prepend=0.0)
    chances[-1] += 1 - reached[-1]
    return replace(found, chances=chances)
