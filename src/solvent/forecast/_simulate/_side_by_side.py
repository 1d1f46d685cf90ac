"""
How long things take of which some are at work at the same time.
"""

from heapq import heapreplace

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._simulate._draws import Ints, Value
from solvent.forecast._simulate._spent import Groups

FEW = 64  # So few groups are done one by one: an operation on all of them costs more.


def side_by_side(groups: Groups, seconds: Value, workers: int | None) -> Value:
    """
    When the last one of each group is done; each is begun, in their order, as soon as a worker is free.

    Args:
        workers: Of each group; ``None`` for as many as are needed.
    """
    if isinstance(seconds, float) and seconds == 0:
        return 0.0
    if workers is None or int(groups.counts.max(initial=0)) <= workers:
        return groups.most(seconds)
    if workers == 1:
        return groups.sum(seconds)
    each = np.full(groups.total, seconds) if isinstance(seconds, float) else seconds
    found = np.asarray(groups.most(each), dtype=np.float64)
    queued = np.flatnonzero(groups.counts > workers)
    # The longest first, so that those with items left are always the first ones.
    queued = queued[np.argsort(-groups.counts[queued], kind="stable")]
    found[queued] = _queued(groups, each, queued, workers)
    return found


def _queued(groups: Groups, seconds: Floats, queued: Ints, workers: int) -> Floats:
    counts = groups.counts[queued]
    first = (np.cumsum(groups.counts) - groups.counts)[queued]
    # When each worker is free, in ascending order, a column for each group.
    free = np.sort(seconds[first + np.arange(workers)[:, None]], axis=0)
    left = np.searchsorted(-counts, -np.arange(workers, counts[0]), side="left")
    many = int(np.searchsorted(-left, -FEW, side="right"))
    for item, number in enumerate(left[:many].tolist(), start=workers):
        some = free[:, :number]
        later = np.maximum(some, some[0] + seconds[first[:number] + item])
        np.minimum(later[:-1], some[1:], out=some[:-1])
        some[-1] = later[-1]
    found: Floats = free[-1]
    for row in range(left[many] if many < len(left) else 0):
        begin = first[row]
        found[row] = _last(free[:, row].tolist(), seconds[begin + workers + many : begin + counts[row]].tolist())
    return found


def _last(free: list[float], seconds: list[float]) -> float:
    """
    When the last item is done of those that are left to workers, who are free at these ascending times.
    """
    for took in seconds:
        heapreplace(free, free[0] + took)
    return max(free)
