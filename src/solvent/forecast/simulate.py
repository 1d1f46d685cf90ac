"""
Runs of a workflow, simulated: many at once, and each with what it spent, used and took.
"""

from collections.abc import Callable

import numpy as np

from solvent.forecast._model import Workflow
from solvent.forecast._simulate._draws import Chunk, Lanes
from solvent.forecast._simulate._flat import Flat
from solvent.forecast._simulate._notes import Notes
from solvent.forecast._simulate._results import results
from solvent.forecast._simulate._runs import Rules, Runs, ScopeRuns, joined
from solvent.forecast._simulate._sites import Plan, plan
from solvent.forecast._simulate._sobol import Sobol
from solvent.forecast._simulate._walk import Walk

__all__ = ["Rules", "Runs", "ScopeRuns", "simulate"]

CHUNK = 2**12  # Runs at once: their numbers fit into the processor's cache.
CHUNK_BY_STEP = 2**14  # Few of them are left after many rounds, and each step costs something for itself.


def simulate(
    workflow: Workflow,
    *,
    runs: int = 2**16,
    seed: int = 0,
    rules: Rules | None = None,
    told: Callable[[int], None] | None = None,
) -> Runs:
    """
    Simulate runs.

    Classes, inputs, and how often the loops and maps of a run go on that it comes to once, are drawn evenly rather than
    each by itself: together they have the distribution sooner. So the error of a figure is less than that of as many
    plain draws.

    Args:
        runs: How many; powers of 2 are drawn most evenly.
        seed: The same seed has the same runs.
        rules: Limits that may end a run.
        told: Called with how many runs were simulated since.

    Raises:
        ValueError: A block never ends.
    """
    if runs < 1:
        raise ValueError(f"runs must be at least 1, got {runs}")
    made = plan(workflow)
    sobol = Sobol(made.rows, np.random.SeedSequence(seed, spawn_key=(0,)))
    rules = rules if rules is not None and rules.act else None
    size, parts = CHUNK if rules is None else CHUNK_BY_STEP, []
    for first in range(0, runs, size):
        count = min(size, runs - first)
        random = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(1, first))))
        parts.append(_simulated(made, Chunk(random, sobol.points(first, count)), count, rules))
        if told is not None:
            told(count)
    return joined(parts)


def _simulated(made: Plan, chunk: Chunk, count: int, rules: Rules | None) -> Runs:
    classes = np.searchsorted(np.cumsum(made.shares)[:-1], chunk.points[0], side="right")
    lanes = Lanes(np.arange(count), classes if len(made.shares) > 1 else None, whole=True, once=True)
    for name, (number, row) in made.inputs.items():
        chunk.inputs[name] = np.array(np.broadcast_to(number.draw(chunk, lanes, row), count))
    if rules is None:
        flat = Flat(made, chunk, count)
        return results(flat.notes, flat.all_of(made.sites, lanes), classes)
    notes = Notes(made, count)
    walk = Walk(made, chunk, lanes, notes, rules)
    walk.all_of(made.sites, lanes.run)
    return results(notes, walk.spent(), classes, walk.blocked, walk.degraded)
