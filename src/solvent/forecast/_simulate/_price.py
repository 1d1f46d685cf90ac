"""
What calls of one model cost, and what is set aside for them.
"""

import numpy as np

from solvent.forecast._model import Model
from solvent.forecast._simulate._draws import Ints, Value
from solvent.forecast._weights import weights


class Price:
    """
    A model's rates, in dollars for a token, by size of input.
    """

    def __init__(self, model: Model, input_bound: float) -> None:
        """
        Args:
            input_bound: Tokens that are set aside for one that nobody has seen billed.
        """
        rates = weights(model, "usd")
        self.cached = model.cached
        self._above = np.array([rate.above for rate in rates[1:]], dtype=np.float64)
        self._input = _rates([rate.input for rate in rates])
        self._output = _rates([rate.output for rate in rates])
        self._read = _rates([rate.cache_read for rate in rates])
        self._write = _rates([rate.cache_write for rate in rates])
        self._dearest = _rates([max(rate.input, rate.cache_write) for rate in rates])
        self._input_bound = input_bound

    def usd(self, reads: Value, output: Value) -> Value:
        """
        The cost of calls that pay the price of input for all that they read.
        """
        size = self._size(reads)
        usd = reads * _at(self._input, size)
        usd += output * _at(self._output, size)
        return usd

    def usd_of_history(self, reads: Value, again: Value, output: Value, found: Value) -> Value:
        """
        The cost of calls of a growing loop.

        Args:
            again: How much of what they read was sent before.
            found: 1 for calls that find that in the cache.
        """
        if self.cached == 0:
            return self.usd(reads, output)
        size = self._size(reads)
        write = _at(self._write, size)
        saved = again * found * (write - _at(self._read, size))
        return reads * write + output * _at(self._output, size) - saved

    def bound_tokens(self, reads: Value, again: Value) -> Value:
        """
        Tokens of input that are set aside.
        """
        factor = self._input_bound
        if isinstance(again, float) and again == 0:
            return reads * factor
        return reads * factor - again * (factor - 1)

    def bound_usd(self, bound: Value, output_most: Value) -> Value:
        """
        Dollars that are set aside.

        Args:
            bound: Tokens of input that are set aside.
        """
        size = self._size(bound)
        usd = bound * _at(self._dearest, size)
        usd += output_most * _at(self._output, size)
        return usd

    def _size(self, reads: Value) -> Ints | None:
        """
        Which rate calls pay that read so much; ``None`` where there is one for all.
        """
        if not len(self._above):
            return None
        return np.searchsorted(self._above, reads, side="left")


def _rates(values: list[float]) -> Value:
    return values[0] if len(values) == 1 else np.array(values)


def _at(rates: Value, size: Ints | None) -> Value:
    return rates if size is None or isinstance(rates, float) else rates[size]
