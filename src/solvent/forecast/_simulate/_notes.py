"""
What is kept of each run beside its totals.
"""

import numpy as np

from solvent.forecast._simulate._draws import Ints, Lanes, Value
from solvent.forecast._simulate._sites import Plan


class Notes:
    """
    Attributes:
        nodes: Dollars by the path of the call or tool.
        rounds, rounds_most: By the path of the scope: rounds of a loop, items of a map, agents of a spawn; and the most
            of one entry, or children of one agent.
        largest_bound_usd, largest_input_tokens: Of any call.
    """

    def __init__(self, plan: Plan, runs: int) -> None:
        self._runs = runs
        self.nodes = {path: np.zeros(runs) for path in plan.paths}
        self.rounds = {path: np.zeros(runs) for path in plan.scopes}
        self.rounds_most = {path: np.zeros(runs) for path in plan.scopes}
        self.largest_bound_usd = self.largest_input_tokens = 0.0

    def cost(self, path: str, lanes: Lanes, usd: Value) -> None:
        if lanes.whole:
            self.nodes[path] += usd
        elif isinstance(usd, np.ndarray):
            self.nodes[path] += np.bincount(lanes.run, usd, self._runs)
        elif usd:
            self.nodes[path] += np.bincount(lanes.run, minlength=self._runs) * usd

    def call(self, bound_usd: Value, reads: Value) -> None:
        self.largest_bound_usd = max(self.largest_bound_usd, float(np.max(bound_usd)))
        self.largest_input_tokens = max(self.largest_input_tokens, float(np.max(reads)))

    def turns(self, path: str, lanes: Lanes, counts: Ints, most: Ints) -> None:
        rounds, highest = self.rounds[path], self.rounds_most[path]
        if lanes.once:
            rounds[lanes.run] += counts
            highest[lanes.run] = np.maximum(highest[lanes.run], most)
        else:
            rounds += np.bincount(lanes.run, counts, self._runs)
            # Of one type with the array, without which each number is cast by itself.
            np.maximum.at(highest, lanes.run, most.astype(np.float64))
