"""
How long things take of which some are at work at the same time.
"""

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._simulate._draws import Ints, Value
from solvent.forecast._simulate._spent import Groups


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
    free = seconds[first[:, None] + np.arange(workers)]
    rows = np.arange(len(queued))
    left = np.searchsorted(-counts, -np.arange(workers, counts[0]), side="left")
    for item, number in enumerate(left.tolist(), start=workers):
        soonest = free[:number].argmin(axis=1)
        free[rows[:number], soonest] += seconds[first[:number] + item]
    found: Floats = free.max(axis=1)
    return found
