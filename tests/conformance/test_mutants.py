"""
Every safety test fails on the store that breaks what it guards.
"""

import contextlib
import inspect
import sys

import pytest
from mutants import MUTANTS

from solvent.stores.memory import MemoryStore
from solvent.testing import ManualClock, StoreFace, StorePromises

ROWS = [(row.mutant, promise) for row in MUTANTS for promise in row.promises]


def check(promise, store):
    """
    Run one test of the suite on new stores of a class, with each of its parameters.
    """
    test = getattr(StorePromises, promise)
    for arguments in rows_of(test):
        clock = ManualClock()
        opened = []

        def open(clock, opened=opened):
            opened.append(StoreFace(store(clock=clock)))
            return opened[-1]

        fixtures = {"clock": clock, "opened": open}
        wanted = inspect.signature(test).parameters
        if "ledger" in wanted:
            fixtures["ledger"] = open(clock)
        with eager_switching():
            test(StorePromises(), **{name: value for name, value in fixtures.items() if name in wanted}, **arguments)
        for face in opened:
            assert face.store.verify() is None


def rows_of(test):
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        return [{}]
    names, values = marks[0].args
    names = [names] if isinstance(names, str) else names
    return [dict(zip(names, row if len(names) > 1 else (row,), strict=True)) for row in values]


@contextlib.contextmanager
def eager_switching():
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@pytest.mark.parametrize(("mutant", "promise"), ROWS, ids=lambda value: getattr(value, "__name__", "by"))
def test_a_promise_notices_the_store_that_breaks_it(mutant, promise):
    with pytest.raises(AssertionError):
        check(promise, mutant)


@pytest.mark.parametrize("promise", sorted({promise for _, promise in ROWS}))
def test_a_promise_has_nothing_against_the_store_that_keeps_it(promise):
    check(promise, MemoryStore)
