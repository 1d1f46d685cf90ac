"""
A run that is opened again: its budget goes on.
"""

import pytest

from solvent._limits import Limit, Scope
from solvent.policy import Policy
from solvent.run._session import continued, write_open
from solvent.run._settings import RunSettings
from solvent.stores import open_store
from solvent.stores._batcher import Ledger

RUN = Scope.parse("run:nightly")


def settings(*limits, policy=None):
    return RunSettings(command=["true"], scope=RUN, limits=limits, ledger="memory://", policy=policy or Policy())


def limit(meter, amount):
    return Limit(meter=meter, amount=amount, source="--flag")


@pytest.fixture
def ledger():
    return Ledger(open_store("memory://"))


def amounts(found):
    return {(limit.meter, limit.window): limit.amount for limit in found.limits}


def test_a_run_that_was_never_opened_has_the_limits_of_its_command(ledger):
    assert continued(settings(limit("calls", 3)), ledger).limits == (limit("calls", 3),)


def test_limits_of_the_last_opening_go_on_where_the_command_sets_none(ledger):
    write_open(ledger, settings(limit("usd", 5), limit("calls", 3)))
    assert amounts(continued(settings(limit("calls", 9)), ledger)) == {("calls", ""): 9, ("usd", ""): 5}
    assert amounts(continued(settings(), ledger)) == {("calls", ""): 3, ("usd", ""): 5}


def test_a_policy_that_limits_an_account_now_decides_about_it(ledger):
    write_open(ledger, settings(limit("usd", 5)))
    policy = Policy(budgets=(("run:*", limit("usd", 8)),))
    assert continued(settings(policy=policy), ledger).limits == ()


def test_windows_go_on_in_their_time_zone(ledger):
    daily = Limit(meter="usd", amount=5, window="day", time_zone="Europe/Berlin", source="--flag")
    write_open(ledger, settings(daily))
    (kept,) = continued(settings(), ledger).limits
    assert (kept.window_key, kept.amount) == ("day@Europe/Berlin", 5)
