import math

import numpy as np
import pytest

from solvent.forecast._chances import Chances
from solvent.forecast._grid import Grid

CELLS = 64
DENSE = Chances(3, np.arange(1, 2_001) / np.arange(1, 2_001).sum())


def on_grid(table, price, side):
    grid = Grid(step=1.0, cells=CELLS, side=side)
    return grid.chances(grid.leaf(table, (("step:call", price),)))


@pytest.mark.parametrize("price", [0.0071, 0.01, 0.025, 1 / 64])
@pytest.mark.parametrize(("side", "put"), [("down", math.floor), ("up", math.ceil)])
def test_a_long_table_is_rounded_value_by_value(side, put, price):
    expected = np.zeros(CELLS)
    for value, chance in zip(DENSE.values, DENSE.of, strict=True):
        exactly = round(value * price, 9)  # A value on a point stays there, whatever floats make of it.
        expected[put(exactly)] += chance

    assert on_grid(DENSE, price, side) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("price", [0.0071, 0.01, 0.025, 1 / 64])
def test_a_long_table_is_split_so_that_the_mean_of_each_value_stays(price):
    expected = np.zeros(CELLS)
    for value, chance in zip(DENSE.values, DENSE.of, strict=True):
        cell, above = int(value * price), value * price % 1
        expected[cell] += chance * (1 - above)
        expected[cell + 1] += chance * above

    assert on_grid(DENSE, price, "mean") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("side", ["down", "mean", "up"])
def test_what_is_above_a_grid_begins_again_at_its_beginning(side):
    table = Chances(1, np.full(2 * CELLS, 1 / (2 * CELLS)))

    assert on_grid(table, 1.0, side) == pytest.approx(np.full(CELLS, 1 / CELLS), abs=1e-13)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50, 801])
def test_so_many_of_one_thing_are_a_polynomial_of_it(count):
    grid = Grid(step=1.0, cells=4_096, side="mean")
    table = Chances(200, np.arange(1, count + 1) / np.arange(1, count + 1).sum())
    one = grid.leaf(Chances(0, np.array([0.25, 0.5, 0.25])), (("step:call", 1.0),))

    expected = sum(chance * one**number for number, chance in zip(range(200, 200 + count), table.of, strict=True))

    assert grid.compound(table, one) == pytest.approx(expected, abs=1e-12)
