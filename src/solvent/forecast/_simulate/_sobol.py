"""
Sobol's points, scrambled: numbers between 0 and 1 that cover all of a range more evenly than plain draws.
"""

import numpy as np
from numpy.typing import NDArray

from solvent.forecast._chances import Floats

# Of each dimension after the first: its polynomial's inner coefficients, and its first direction numbers.
# Source: S. Joe and F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci.
# Comput. 30 (2008), table new-joe-kuo-6.21201, dimensions 2 to 21, read 2026-11-22.
_DIRECTIONS = (
    (0, (1,)),
    (1, (1, 3)),
    (1, (1, 3, 1)),
    (2, (1, 1, 1)),
    (1, (1, 1, 3, 3)),
    (4, (1, 3, 5, 13)),
    (2, (1, 1, 5, 5, 17)),
    (4, (1, 1, 5, 5, 5)),
    (7, (1, 1, 7, 11, 19)),
    (11, (1, 1, 5, 1, 1)),
    (13, (1, 1, 1, 3, 11)),
    (14, (1, 3, 5, 5, 31)),
    (1, (1, 3, 3, 9, 7, 49)),
    (13, (1, 1, 1, 15, 21, 21)),
    (16, (1, 3, 1, 13, 27, 49)),
    (19, (1, 1, 1, 15, 7, 5)),
    (22, (1, 3, 1, 15, 13, 25)),
    (25, (1, 1, 5, 5, 19, 61)),
    (1, (1, 3, 7, 11, 23, 15, 103)),
    (4, (1, 3, 7, 13, 13, 15, 69)),
)
DIMENSIONS = len(_DIRECTIONS) + 1
_BITS = 32

Words = NDArray[np.uint32]


class Sobol:
    """
    One sequence of points.

    The same seed has the same points; each one alone lies anywhere in the unit cube alike.
    """

    def __init__(self, dimensions: int, seed: np.random.SeedSequence) -> None:
        """
        Args:
            dimensions: At most ``DIMENSIONS``.
        """
        chance = np.random.Generator(np.random.SFC64(seed))
        # A random triangular matrix on the digits and a shift: every digit then depends on chance and on those before.
        self._columns = np.array(
            [_scrambled(_columns(dimension), chance) for dimension in range(dimensions)], np.uint32
        )
        self._shift = chance.integers(0, 2**_BITS, dimensions, dtype=np.uint32)

    def points(self, first: int, count: int) -> Floats:
        """
        Some of the sequence: a row for each dimension, a column for each point.
        """
        width = max(1, (count - 1).bit_length())
        if first % 2**width:
            width = max(width, (first + count - 1).bit_length())
        start = first >> width << width
        found = self._shift[:, None].copy()
        for bit in range(width, _BITS):
            if start >> bit & 1:
                found ^= self._columns[:, bit, None]
        for bit in range(width):
            found = np.concatenate((found, found ^ self._columns[:, bit, None]), axis=1)
        found = found[:, first - start : first - start + count]
        return np.ascontiguousarray((found + 0.5) / 2.0**_BITS)


def _columns(dimension: int) -> list[int]:
    """
    What each binary digit of a point's number adds, as binary digits after the point.
    """
    if dimension == 0:
        return [1 << (_BITS - 1 - bit) for bit in range(_BITS)]
    inner, numbers = _DIRECTIONS[dimension - 1]
    degree, found = len(numbers), list(numbers)
    for bit in range(degree, _BITS):
        number = found[bit - degree] ^ (found[bit - degree] << degree)
        for back in range(1, degree):
            if inner >> (degree - 1 - back) & 1:
                number ^= found[bit - back] << back
        found.append(number)
    return [number << (_BITS - 1 - bit) for bit, number in enumerate(found)]


def _scrambled(columns: list[int], chance: np.random.Generator) -> list[int]:
    """
    The columns times a lower triangular matrix with ones on its diagonal.
    """
    rows = [
        (int(chance.integers(0, 2**_BITS)) | 1 << (_BITS - 1 - digit)) >> (_BITS - 1 - digit) << (_BITS - 1 - digit)
        for digit in range(_BITS)
    ]
    return [
        sum(((row & column).bit_count() & 1) << (_BITS - 1 - digit) for digit, row in enumerate(rows))
        for column in columns
    ]
