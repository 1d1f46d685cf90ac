"""
When things begin and end of which some are at work at the same time.
"""

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._simulate._draws import Ints


class Workers:
    """
    The clocks of some places, while items are done one after the other that take their time side by side.
    """

    def __init__(self, clock: Floats, at: Ints, workers: int | None, items: Ints) -> None:
        """
        Args:
            clock: Of all places; stands where an item begins, and is left where it ends.
            workers: Of each place; ``None`` for as many as there are items.
            items: How many each place has.
        """
        if workers is not None and workers >= items.max(initial=0):
            workers = None
        self._clock, self._at, self._workers = clock, at, workers
        self._begun = clock[at]
        self._free = np.repeat(self._begun[:, None], workers or 1, axis=1)
        self._chosen = np.zeros(0, np.intp)

    def begin(self, some: Ints) -> None:
        """
        The next item of some of the places, by their number among them.
        """
        if self._workers is None:
            self._clock[self._at[some]] = self._begun[some]
            return
        self._chosen = self._free[some].argmin(axis=1)
        self._clock[self._at[some]] = self._free[some, self._chosen]

    def end(self, some: Ints) -> None:
        """
        That item is done.
        """
        ended = self._clock[self._at[some]]
        if self._workers is None:
            self._free[some, 0] = np.maximum(self._free[some, 0], ended)
        else:
            self._free[some, self._chosen] = ended

    def join(self) -> None:
        """
        All is done.
        """
        if len(self._at):
            self._clock[self._at] = self._free.max(axis=1)
