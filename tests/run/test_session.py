"""
A run that is opened again: its budget goes on.
"""

import pytest
from msgspec.structs import replace

from solvent._limits import Limit, Scope
from solvent.policy import Policy
from solvent.report import summarize
from solvent.run._session import Ended, continued, write_close, write_open
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


def test_an_opening_tells_every_limit_in_force_and_who_opened_it(ledger):
    warn = Limit(meter="usd", amount=5, on_exceed="warn")
    policy = Policy(budgets=(("run:*", warn), ("run:*", limit("depth", 2))), call=(limit("usd", 3),))
    write_open(ledger, replace(settings(limit("calls", 9), policy=policy), time_seconds=90.0))

    report = summarize(ledger.store, "run:nightly")

    assert [(balance.account.meter, balance.limit) for balance in report.limits] == [("calls", 9)]
    assert [(other.scope, other.meter, other.limit, other.on_exceed) for other in report.others] == [
        ("run:nightly", "usd", "5", "warn"),
        ("run:nightly", "depth", "2", "block"),
        ("call", "usd", "3", "block"),
        ("run:nightly", "seconds", "90", "block"),
    ]
    assert report.state == "running"


def test_what_was_turned_away_is_written_when_a_run_is_closed(ledger):
    write_open(ledger, settings())
    write_close(ledger, settings(), Ended(code=0, reason="exited", turned_away={"denied": 2}))

    assert summarize(ledger.store, "run:nightly").turned_away == {"denied": 2}
