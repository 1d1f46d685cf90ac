"""
What a loop with a growing history has said until now.
"""

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._simulate._draws import Chunk, Ints, Lanes
from solvent.forecast._simulate._sites import CallSite, LoopSite


class Talk:
    """
    Attributes:
        history: Tokens that the next call sends again, at each place.
        model: Which one was asked last, by its number; -1 before the first call.
    """

    def __init__(self, site: LoopSite, count: int) -> None:
        self._at_most, self.compact_to = site.compact_at, site.compact_to
        self.history, self._sent = np.zeros(count), np.zeros(count)
        self.model = np.full(count, -1)
        self._prompts: dict[str, Floats] = {}
        self._called: dict[str, Floats] = {}

    def prompt(self, site: CallSite, at: Ints, chunk: Chunk, lanes: Lanes) -> Floats:
        """
        The prompts of a call, which stay the same.
        """
        prompts = self._prompts.setdefault(site.path, np.full(len(self.history), np.nan))
        new = at[np.isnan(prompts[at])]
        if len(new):
            prompts[new] = site.prompt.draw(chunk, lanes.at(new))
        return prompts[at]

    def too_long(self, at: Ints, prompt: Floats) -> Ints:
        """
        Which calls come after one that sums the history up.
        """
        if self._at_most is None:
            return np.zeros(0, np.intp)
        history = self.history[at]
        return np.flatnonzero((history > 0) & (prompt + history > self._at_most))

    def again(self, site: CallSite, at: Ints, prompt: Floats) -> Floats:
        """
        How much of what a call sends was sent before.
        """
        called = self._called.setdefault(site.path, np.zeros(len(self.history)))
        again: Floats = prompt * called[at] + self._sent[at]
        return again

    def was_sent(self, site: CallSite, at: Ints) -> None:
        self._called[site.path][at] = 1
        self._sent[at] = self.history[at]

    def add(self, at: Ints, tokens: Floats) -> None:
        self.history[at] += tokens

    def sum_up(self, at: Ints, tokens: Floats) -> None:
        self.history[at], self._sent[at] = tokens, 0
