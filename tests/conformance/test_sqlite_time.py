"""
The time an SQLite ledger goes by, over steps of the wall clock and starts of the machine.
"""

import pytest
from clocks import ManualClock

from solvent._operations import Charge, Refusal, Reserve, Reserved
from solvent._records import Account
from solvent.stores import open_store

DAYS = 86_400


@pytest.fixture
def ask(tmp_path):
    """
    Asks for 60 of 100 in a window, in a process of its own.
    """

    def ask(clock, window, id):
        store = open_store(f"sqlite:///{tmp_path}/ledger.db", clock=clock)
        charge = Charge(account=Account("team:a", "usd", window), amount=60, limit=100)
        (answer,) = store.apply([Reserve.of(id=id, scope="team:a", charges=[charge], ttl_seconds=1_000_000)])
        assert store.verify() is None
        store.close()
        return answer

    return ask


@pytest.mark.parametrize("window", ["minute", "hour@UTC", "day@UTC", "week@UTC", "month@Europe/Berlin"])
@pytest.mark.parametrize("seconds", [-40 * DAYS, -3_600, 3_600, 40 * DAYS])
def test_a_step_of_the_wall_clock_refills_no_window(ask, window, seconds):
    clock = ManualClock()
    assert isinstance(ask(clock, window, "a"), Reserved)
    clock.step(seconds=seconds)
    assert isinstance(ask(clock, window, "b"), Refusal)


def test_a_window_goes_on_with_the_uptime_after_a_step(ask):
    clock = ManualClock()
    ask(clock, "hour@UTC", "a")
    clock.step(seconds=-40 * DAYS)
    clock.advance(seconds=3_600)
    assert isinstance(ask(clock, "hour@UTC", "b"), Reserved)


@pytest.mark.parametrize("window", ["hour@UTC", "day@UTC", "month@UTC"])
def test_a_start_of_the_machine_with_its_clock_set_back_refills_no_window(ask, window):
    clock = ManualClock()
    ask(clock, window, "a")
    clock.reboot()
    clock.step(seconds=-40 * DAYS)
    assert isinstance(ask(clock, window, "b"), Refusal)


def test_after_a_start_of_the_machine_the_day_is_what_its_clock_says(ask):
    clock = ManualClock()
    ask(clock, "day@UTC", "a")
    clock.reboot()
    clock.step(seconds=DAYS)
    assert isinstance(ask(clock, "day@UTC", "b"), Reserved)


def test_after_a_start_of_the_machine_a_minute_is_full_until_it_is_surely_over(ask):
    clock = ManualClock()
    ask(clock, "minute", "a")
    clock.reboot()
    clock.step(seconds=40 * DAYS)  # Whatever its clock says by now.
    for id in ("b", "c"):
        refused = ask(clock, "minute", id)
        assert isinstance(refused, Refusal)
        assert (refused.balance.remaining, refused.would_fit_alone) == (0, True)
        clock.advance(seconds=30)
    clock.advance(seconds=1)
    assert isinstance(ask(clock, "minute", "d"), Reserved)


def test_a_new_ledger_is_not_full(ask):
    assert isinstance(ask(ManualClock(), "minute", "a"), Reserved)
