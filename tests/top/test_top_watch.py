"""
A ledger that is looked at again and again, whatever becomes of it meanwhile.
"""

import contextlib
import fcntl
import io
import time
from collections.abc import Callable, Iterator

import pytest
from run_journal import CENT
from top_world import World, scopes

from solvent.errors import StoreUnavailable
from solvent.stores import _sqlite_file
from solvent.stores.sqlite import SQLiteStore
from solvent.top import Watch, _watch, watch


class _Recorded:
    """
    Keys that are never pressed, but for the one that quits after the first wait; and how long was waited.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Callable[[float], str]]:
        yield self.pressed

    def pressed(self, seconds: float) -> str:
        self.seconds.append(seconds)
        return "q"


GONE = "the ledger does not answer: its file is gone; trying again"


@pytest.fixture
def watched(world: World) -> Iterator[Watch]:
    world.run().call(2 * CENT)
    watch = Watch(lambda: SQLiteStore(world.path, clock=world.clock), world.path, clock=world.clock)
    yield watch
    watch.close()


def test_what_was_seen_last_stays_while_the_file_is_gone(world: World, watched: Watch) -> None:
    seen = watched.glance()
    away = world.path.rename(world.path.with_name("away"))
    assert (watched.glance(), watched.trouble) == (seen, GONE)
    with pytest.raises(StoreUnavailable, match="its file is gone"):
        watched.look()
    away.rename(world.path)
    assert (scopes(watched.glance()), watched.trouble) == (["run:triage"], "")


def test_another_file_in_its_place_is_read_from_its_beginning(world: World, watched: Watch) -> None:
    assert scopes(watched.glance()) == ["run:triage"]
    (world.path.parent / "new").mkdir()
    other = World(world.path.parent / "new")
    other.run("run:other")
    other.store.close()
    world.store.close()
    for end in ("-wal", "-shm"):
        world.path.with_name(f"{world.path.name}{end}").unlink(missing_ok=True)
    other.path.rename(world.path)
    assert (scopes(watched.glance()), watched.trouble) == (["run:other"], "")


def test_a_ledger_that_is_locked_is_tried_again(world: World, watched: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sqlite_file, "BUSY_MILLISECONDS", 50)
    with open(f"{world.path}-gate") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        assert watched.glance().budgets == ()
        assert watched.trouble == (
            "the ledger does not answer: another program has it locked for over 0.05 s; trying again"
        )
    assert (scopes(watched.glance()), watched.trouble) == (["run:triage"], "")


def test_a_ledger_that_is_damaged_meanwhile_is_told(world: World, watched: Watch) -> None:
    seen = watched.glance()
    watched.close()
    world.store.close()
    whole = world.path.read_bytes()
    world.path.write_bytes(b"no ledger any more".ljust(len(whole)))
    assert watched.glance() == seen
    assert watched.trouble.endswith("; trying again")
    world.path.write_bytes(whole)
    assert (scopes(watched.glance()), watched.trouble) == (["run:triage"], "")


@pytest.mark.parametrize(("took", "pause"), [(0.25, 5.0), (0.0, 1.0)])
def test_a_look_that_took_long_is_followed_by_a_longer_pause(
    took: float, pause: float, watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited, times = _Recorded(), iter((7.0, 7.0 + took))
    monkeypatch.setattr(_watch, "_keys", waited)
    monkeypatch.setattr(time, "process_time", lambda: next(times))
    watch(watched, io.StringIO(), environment={}, ledger="ledger.db", every_seconds=1.0)
    assert waited.seconds == [pause]
