"""
The checker of concurrent histories: it takes what one order explains, and rejects what none does.
"""

import pytest
from mutants import CheckThenAdd, NoLock

from solvent._operations import Release, Settle
from solvent.stores import open_store as open_by_url
from solvent.stores.memory import MemoryStore
from solvent.testing import History, ManualClock, Recorded, StoreFace, is_linearizable
from solvent.testing._asking import reserve
from solvent.testing._together import some_work


def answers_to(*operations):
    return MemoryStore(clock=ManualClock()).apply(operations)


def recorded(*lines):
    """
    Lines of operation, answer, began, ended.
    """
    names = ("operation", "answer", "began", "ended")
    return [Recorded(**dict(zip(names, line, strict=True))) for line in lines]


A, B, SETTLE_A = reserve("a", 60), reserve("b", 60), Settle(id="a", actual={"usd": 5})
HELD_A, NO_B, SETTLED_A, HELD_B = answers_to(A, B, SETTLE_A, B)
(FIRST_B,) = answers_to(B)


def test_one_call_after_the_other_is_an_order():
    assert is_linearizable(recorded((A, HELD_A, 0, 1), (B, NO_B, 2, 3), (SETTLE_A, SETTLED_A, 4, 5), (B, HELD_B, 6, 7)))


def test_calls_that_overlap_may_have_come_in_any_order():
    assert is_linearizable(recorded((B, NO_B, 0, 3), (A, HELD_A, 1, 2)))
    assert is_linearizable(recorded((B, HELD_B, 0, 5), (A, HELD_A, 1, 2), (SETTLE_A, SETTLED_A, 3, 4)))


def test_a_call_cannot_have_come_before_one_that_had_ended():
    assert not is_linearizable(recorded((B, NO_B, 0, 1), (A, HELD_A, 2, 3)))


def test_both_of_two_that_do_not_fit_together_are_no_order():
    assert not is_linearizable(recorded((A, HELD_A, 0, 3), (B, FIRST_B, 1, 2)))


def test_a_balance_that_nobody_could_see_is_no_order():
    (other,) = answers_to(reserve("a", 50))
    assert not is_linearizable(recorded((A, other, 0, 1)))


def test_a_call_without_an_answer_was_made_or_was_not():
    assert is_linearizable(recorded((A, None, 0, 9), (B, NO_B, 1, 2)))
    assert is_linearizable(recorded((A, None, 0, 9), (B, FIRST_B, 1, 2)))
    assert is_linearizable(recorded((A, None, 0, 9), (B, NO_B, 1, 2), (SETTLE_A, SETTLED_A, 3, 4)))
    assert not is_linearizable(recorded((B, NO_B, 1, 2), (A, None, 3, 9)))


def test_what_closed_in_two_ways_is_no_order():
    release = Release(id="a", reason="not_sent")
    _, released = answers_to(A, release)
    assert not is_linearizable(recorded((A, HELD_A, 0, 1), (release, released, 2, 5), (SETTLE_A, SETTLED_A, 3, 4)))


def is_rejected(store, seed):
    try:
        calls = History().run(StoreFace(store(clock=ManualClock())), some_work(seed))
    except (AssertionError, RuntimeError):  # Balances that change while somebody looks at them, and dictionaries.
        return False
    return not is_linearizable(calls)


@pytest.mark.usefixtures("eager_switching")
@pytest.mark.parametrize("store", [CheckThenAdd, NoLock], ids=lambda store: store.__name__)
def test_histories_of_a_store_without_its_lock_are_rejected(store):
    assert any(is_rejected(store, seed) for seed in range(3_000))  # Mostly one of the first ten.


@pytest.mark.slow
@pytest.mark.usefixtures("eager_switching")
def test_two_stores_on_one_file_answer_in_one_order(tmp_path):
    for seed in range(10):
        url = f"sqlite:///{tmp_path}/{seed}.db"
        faces = [StoreFace(open_by_url(url, clock=ManualClock())) for _ in range(2)]
        history = History()
        work = some_work(seed)
        shared = _InTurn(faces)
        assert is_linearizable(history.run(shared, work)), f"some_work({seed})"
        for face in faces:
            assert face.store.verify() is None
            face.close()


class _InTurn:
    """
    A face on several stores: each call goes to the next one.
    """

    def __init__(self, faces):
        self._faces = faces
        self._count = 0

    def do_all(self, operations):
        self._count += 1
        return self._faces[self._count % len(self._faces)].do_all(operations)


@pytest.mark.long
@pytest.mark.usefixtures("eager_switching")
def test_histories_of_every_store_are_those_of_one_order(open_store):
    for seed in range(90):
        assert is_linearizable(History().run(StoreFace(open_store(ManualClock())), some_work(seed)))
