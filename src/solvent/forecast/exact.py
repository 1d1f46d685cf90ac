"""
The whole distribution of what a run spends, by generating functions on a grid; nothing is drawn.

First on a coarse grid, again and again, each time on one that ends where the one before found that hardly anything is
above; then on a grid of as many cells as are asked for. Where dear runs are rare, the others are within a few cells of
it. So it goes on with finer grids, that leave out what is above, until each quantile is many cells away from 0.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from solvent.forecast._algebras import Extent, Extents, step_of
from solvent.forecast._compose import Algebra, Composer, T
from solvent.forecast._distribution import Distribution, OnGrid, together
from solvent.forecast._grid import Grid, RoundedMeans, Side
from solvent.forecast._history import NotExact
from solvent.forecast._model import Workflow
from solvent.forecast._remembered import remembered
from solvent.forecast._shared_inputs import joined
from solvent.forecast._weights import Measure
from solvent.forecast.moments import Moments, moments

__all__ = ["Distribution", "NotExact", "exact", "why_not"]

ABOVE = 1e-9  # So much may lie above the grid; it comes out at its beginning.
SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
CELLS = 2**13
CELLS_CERTIFIED = 2**16
_COARSE = 2**11
_PASSES = 8
_NARROWER = 32  # Worth another coarse pass.
_ROOM = 16 / 15  # Of the grid, what is above most of it is to be empty.
_WIDER = 1.25  # Where it is not.
_GRIDS = 8
_NEAR = 16  # Cells: a coarse grid may put as far from it what is found on it.


def why_not(workflow: Workflow, measure: Measure = "usd") -> str | None:
    """
    What the exact engine cannot do in this workflow, in words; ``None`` where it can do all.
    """
    try:
        _extent(workflow, measure)
    except NotExact as error:
        return str(error)
    return None


def exact(
    workflow: Workflow,
    measure: Measure = "usd",
    *,
    cells: int | None = None,
    side: Side = "mean",
    shares: Sequence[float] = SHARES,
) -> Distribution:
    """
    The distribution of what a run spends.

    Args:
        cells: Of each grid, a power of two; more are more exact. 2**13, and 2**16 for a side.
        side: ``mean`` for the best that the grid can say. ``down`` and ``up`` for what is certified: no quantile of
            the run is below that of the one or above that of the other, but for rounding.
        shares: The quantiles that are to be told well, as ``Distribution.quantile_is_sure`` says whether one is. Not
            those of a side.

    Raises:
        NotExact: It cannot, see ``why_not``; or the cells are too few.
    """
    cells = cells or (CELLS if side == "mean" else CELLS_CERTIFIED)
    extent = _extent(workflow, measure)
    runs = _Runs(joined(workflow), measure, extent, moments(workflow, measure))
    step = runs.least_step
    if extent.most / step < cells:
        # Nothing is above such a grid: what is found is no approximation.
        needed = 2 ** max(1, math.ceil(math.log2(extent.most / step + 1.5)))
        grids = [runs.on(Grid(step=step, cells=needed, side="mean"), jumps=True)]
    else:
        grids = [_rounded(runs, _top(runs), cells, side)]
    found = together(grids, least=extent.least, most=extent.most)
    while side == "mean" and len(grids) < _GRIDS and (finer := _finer(runs, found, cells, shares)):
        grids.append(finer)
        found = together(grids, least=extent.least, most=extent.most)
    return found


class _Runs(Struct, frozen=True):
    """
    Those of all classes of inputs.
    """

    workflow: Workflow
    measure: Measure
    extent: Extent
    moments: Moments

    @property
    def least_step(self) -> float:
        """
        Of a grid, on whose points lies all that it can be.
        """
        return step_of(self.extent) or 1.0

    def on(self, grid: Grid, *, jumps: bool) -> OnGrid:
        chances = grid.chances(_sum(grid, self.workflow, self.measure))
        return OnGrid(step=grid.step, chances=chances, jumps=jumps)

    def rounded_mean(self, grid: Grid) -> float:
        return float(_sum(RoundedMeans(grid), self.workflow, self.measure).means.sum())


@remembered
def _extent(workflow: Workflow, measure: Measure) -> Extent:
    return _sum(Extents(), joined(workflow), measure)


def _sum(algebra: Algebra[T], workflow: Workflow, measure: Measure) -> T:
    """
    Over all classes that come at all.
    """
    shares = [(index, share) for index, share in enumerate(workflow.shares) if share > 0]
    return algebra.mix([(share, Composer(algebra, workflow, measure, index).run()) for index, share in shares])


def _top(runs: _Runs) -> float:
    """
    An amount above which hardly anything is.

    To begin with, by Cantelli's inequality: ``P(X ≥ mean + k sd) ≤ 1 / (1 + k²)``.
    """
    top = min(runs.extent.most, runs.moments.mean + runs.moments.sd / math.sqrt(ABOVE))
    for _ in range(_PASSES):
        step = top * _ROOM / _COARSE
        found = runs.on(Grid(step=step, cells=_COARSE, side="mean"), jumps=False)
        above = np.cumsum(found.chances[::-1])[::-1]
        narrower = min(top, (int(np.searchsorted(-above, -ABOVE)) + 1) * step)
        is_enough, top = top < _NARROWER * narrower, narrower
        if is_enough:
            break
    return top


def _rounded(runs: _Runs, top: float, cells: int, side: Side) -> OnGrid:
    """
    On a grid with room for what is put on a higher point, and with more for as long as that does not do.

    What is above the grid comes out at its beginning, and so each time the whole grid is missing in the mean.
    """
    for _ in range(_PASSES):
        step = max(top * _ROOM / cells, runs.least_step)
        grid = Grid(step=step, cells=cells, side=side)
        found = runs.on(grid, jumps=side != "mean" or step == runs.least_step)
        mean = runs.moments.mean if side == "mean" else runs.rounded_mean(grid)
        if mean - float(found.chances @ found.at) < 2 * ABOVE * top:
            return _with_what_is_above(found) if side == "up" else found
        top *= _WIDER
    raise NotExact(f"{cells:,} cells are too few to round so many calls")


def _finer(runs: _Runs, found: Distribution, cells: int, shares: Sequence[float]) -> OnGrid | None:
    """
    A grid for the largest quantile that is not told well; none where there is none, or none that is finer.
    """
    amount = max([found.quantile(share) for share in shares if not found.quantile_is_sure(share)], default=None)
    if amount is None:
        return None
    end = amount + _NEAR * found.grid_at(amount).step
    if end > found.grids[-1].end / 2:
        return None
    step = max(end / (cells - 1), runs.least_step)
    return runs.on(Grid(step=step, cells=cells, side="mean", damped=True), jumps=step == runs.least_step)


def _with_what_is_above(found: OnGrid) -> OnGrid:
    reached = np.maximum(np.cumsum(found.chances) - 2 * ABOVE, 0.0)
    chances = np.diff(reached, prepend=0.0)
    chances[-1] += 1 - reached[-1]
    return replace(found, chances=chances)
