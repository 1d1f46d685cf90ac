"""
A budget that is gone on with elsewhere: what it spent, its limits and its time are there, and nothing that a carrier
says makes them wider.
"""

import pickle
import re
import threading
import time
from wsgiref.headers import Headers

import pytest

import solvent
from solvent._carrier import Carrier
from solvent._clock import SystemClock
from solvent._limits import SECOND_NS
from solvent._runtime import PROCESS
from solvent.errors import UnknownBudget

DOLLAR = 1_000_000_000


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """
    Nothing but a ledger and a folder.
    """
    for name in ("SOLVENT_GATEWAY", "SOLVENT_POLICY", "SOLVENT_SCOPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOLVENT_LEDGER", f"sqlite:///{tmp_path}/ledger.db")
    PROCESS.close()
    yield tmp_path
    PROCESS.close()


def spend(usd="0.10"):
    with solvent.call("work", usd=usd):
        pass


def spend_all(usd="0.10"):
    """
    How many calls pass.
    """
    for count in range(100):
        try:
            spend(usd)
        except solvent.BudgetExceeded:
            return count
    raise AssertionError("nothing was refused")


def later_process():
    """
    As the same program finds the world when it is started again.
    """
    PROCESS.close()


def test_a_later_process_goes_on_with_what_was_spent_and_what_is_allowed():
    with solvent.budget("job", usd=1, calls=40) as budget:
        spend("0.75")
        id = str(budget.scope)
    later_process()
    with solvent.resume(id) as again:
        assert (str(again.scope), again.remaining(), again.remaining("calls")) == (id, DOLLAR // 4, 39)
        assert spend_all() == 2


def test_it_can_be_paused_and_resumed_any_number_of_times():
    with solvent.budget("job", usd="0.50") as budget:
        id = str(budget.scope)
    for _ in range(5):
        later_process()
        with solvent.resume(id):
            spend()
    later_process()
    with solvent.resume(id), pytest.raises(solvent.BudgetExceeded):
        spend()


def test_the_report_has_every_opening():
    with solvent.budget("job", usd=1) as budget:
        spend()
    for _ in range(2):
        with solvent.resume(str(budget.scope)) as again:
            spend()
    kinds = [entry.kind for entry in PROCESS.runtime().ledger.store.entries(scope=str(budget.scope))]
    assert (kinds.count("open"), kinds.count("close")) == (3, 3)
    assert again.report().total.cost_nanodollars == 3 * DOLLAR // 10


def test_a_policy_that_changed_meanwhile_holds_as_well(tmp_path):
    with solvent.budget("job", usd=1) as budget:
        spend()
    later_process()
    (tmp_path / "solvent.yaml").write_text("budgets: {'run:job-*': {usd: 0.30}}")
    with solvent.resume(str(budget.scope)) as again:
        assert again.remaining() == DOLLAR // 5
        assert spend_all() == 2
    later_process()
    (tmp_path / "solvent.yaml").write_text("budgets: {'run:job-*': {usd: 30}}")
    with solvent.resume(str(budget.scope)) as again:
        assert again.remaining() == 7 * DOLLAR // 10


def test_resumed_twice_at_once_it_is_one_budget():
    with solvent.budget("job", usd=1) as budget:
        pass
    passed = []

    def work():
        with solvent.resume(str(budget.scope)):
            barrier.wait(30)
            passed.append(spend_all("0.03"))

    barrier = threading.Barrier(8)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 33


def test_beside_another_opening_of_its_run_the_limits_of_both_hold():
    with solvent.budget(run="job", usd=1):
        spend("0.20")
    later_process()
    with solvent.resume("run:job") as again:
        beside = threading.Thread(target=open_beside, args=(is_open := threading.Event(), over := threading.Event()))
        beside.start()
        assert is_open.wait(30)
        assert (again.remaining(), again.remaining("calls")) == (8 * DOLLAR // 10, 2)
        over.set()
        beside.join()
    later_process()
    with solvent.resume("run:job") as last:  # What its last opening said.
        assert (last.remaining(), last.remaining("calls")) == (None, 2)


def open_beside(is_open, over):
    with solvent.budget(run="job", calls=3):
        is_open.set()
        over.wait(30)


def test_its_limits_can_be_topped_up():
    with solvent.budget("job", usd="0.10") as budget:
        spend()
    with solvent.resume(str(budget.scope)) as again:
        assert again.limits == budget.limits
        again.top_up(usd="0.10")
        assert spend_all() == 1


def test_a_worker_goes_on_with_what_a_queue_brings_in_the_budgets_time():
    with solvent.budget("job", usd=1, seconds=60) as budget:
        job = {"work": "...", "budget": budget.carry()}
        ends = budget.deadline
    later_process()
    with solvent.resume(str(job["budget"])) as again:
        assert abs((again.deadline - ends).total_seconds()) < 1
    kinds = [entry.kind for entry in PROCESS.runtime().ledger.store.entries()]
    assert kinds == ["open", "close"]  # One part of the job is no run of its own.


def long_ago(carrier, seconds):
    """
    The carrier, of a budget that was opened so long before.
    """
    return Carrier.of(carrier.scope, {depth: at - seconds * SECOND_NS for depth, at in carrier.began_ns.items()})


def test_its_time_goes_on_over_any_number_of_hops():
    with solvent.budget("job", seconds=60) as budget:
        first = long_ago(budget.carry(), 50)
    later_process()
    with solvent.resume(first), solvent.step("one", seconds=40), solvent.agent("two"):
        second = solvent.current_budget().carry()
    later_process()
    with solvent.resume(second.headers) as again:
        assert 8 < again.remaining("seconds") < 10
        third = again.carry()
    assert (third, third.began_ns[1]) == (second, first.began_ns[1])
    later_process()
    with pytest.raises(solvent.DeadlinePassed), solvent.resume(str(long_ago(third, 11))):
        pass


def test_the_time_of_a_scope_alone_begins_anew_and_goes_on_from_there():
    with solvent.budget("job", seconds=60) as budget:
        pass
    with solvent.resume(str(long_ago(budget.carry(), 61)).partition(";")[0]) as again:
        assert again.remaining("seconds") >= 59
        assert again.carry().began_ns[1] > budget.carry().began_ns[1]


def test_no_carrier_says_that_a_budget_began_later_than_the_ledger_knows(monkeypatch):
    with solvent.budget("job", seconds=60), solvent.step("inner", seconds=60) as step:
        forged = Carrier.of(step.scope, {1: time.time_ns() + 10**12, 2: time.time_ns() + 10**12})
        left_out = Carrier.of(step.scope, {2: time.time_ns()})
    now_ns = SystemClock.now_ns
    monkeypatch.setattr(SystemClock, "now_ns", lambda clock: now_ns(clock) + 30 * SECOND_NS)
    for each in (forged, left_out):
        later_process()
        with solvent.resume(str(each)) as again:
            assert again.remaining("seconds") <= 30
    with solvent.resume(str(step.scope)) as again:
        assert again.remaining("seconds") > 30


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "no budget is carried in it: expected the header x-solvent-budget or the variable SOLVENT_SCOPE"),
        ({"x-solvent-budget": ""}, "a scope"),
        ({"x-solvent-budget": "garbage"}, "a scope"),
        ({"x-solvent-budget": "run:job"}, "has what carry() gives, got 'run:job'"),
        ({"x-solvent-budget": "run:job;"}, "a carrier is what carry() gives"),
        ({"x-solvent-budget": "run:job;1@x"}, "a carrier is what carry() gives"),
        ({"x-solvent-budget": "run:job;1@17720000000000"}, "a carrier is what carry() gives"),  # Cut on its way.
        ({"x-solvent-budget": "run:job;1@-5"}, "a carrier is what carry() gives"),
        ({"x-solvent-budget": "run:job;1@1, run:job;1@1"}, "a carrier is what carry() gives"),
        ({"x-solvent-budget": "run:job\r\nx: y;1@1"}, "a carrier has no control characters"),
        ({"x-solvent-budget": "run:job;1@1\n"}, "a carrier has no control characters"),
        ({"x-solvent-budget": "run:job;1@" + "9" * 4_000}, "a carrier is what carry() gives"),
        ({"x-solvent-budget": "run:" + "j" * 300 + ";1@1772000000000000000"}, "bytes"),
        ({"x-solvent-budget": "/".join(["run:j", *["step:s"] * 16]) + ";1@1772000000000000000"}, "1 to 16 segments"),
        ({"x-solvent-budget": "run:" + "j" * 100_000 + ";1@1"}, "at most 16,384 characters, got 100,008"),
        (
            {"x-solvent-budget": "run:job;1@1", "X-Solvent-Budget": "run:job;1@1"},
            "got the header x-solvent-budget 2 times",
        ),
    ],
)
def test_what_carries_nothing_good_is_a_value_error(headers, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        solvent.resume(headers)


@pytest.mark.parametrize(
    "scope", ["run:other", "org:acme/run:job", "run:job2", "run:jo", "agent:x", "org:acme", "run:*"]
)
def test_a_budget_that_the_ledger_does_not_know_is_refused(scope):
    with solvent.budget(run="job"):
        pass
    budget = solvent.resume({"x-solvent-budget": f"{scope};1@{time.time_ns()}"})
    with pytest.raises(ValueError, match="expected a budget that was opened in the ledger sqlite:") as raised, budget:
        pass
    assert isinstance(raised.value, solvent.SettingsError)
    again = pickle.loads(pickle.dumps(raised.value))
    assert (type(again), str(again)) == (UnknownBudget, str(raised.value))


def test_a_carrier_names_no_ledger(tmp_path):
    with solvent.budget("job", ledger=f"sqlite:///{tmp_path}/other.db") as budget:
        environ = budget.carry().environ
    assert environ["SOLVENT_LEDGER"].endswith("/other.db")
    with pytest.raises(ValueError, match=r"expected a budget that was opened in the ledger .*ledger\.db"):
        solvent.resume(environ).__enter__()
    with solvent.resume(environ, ledger=environ["SOLVENT_LEDGER"]) as again:
        assert again.scope == budget.scope


def test_below_a_known_budget_a_carrier_can_only_go_deeper():
    with solvent.budget(run="job", usd="0.10"):
        pass
    with solvent.resume(f"run:job/step:made-up;1@{time.time_ns()}") as again:
        assert spend_all() == 1
    assert str(again.scope) == "run:job/step:made-up"


class Multiple:
    """
    Headers as werkzeug has them, no mapping.
    """

    def __init__(self, *pairs):
        self._pairs = pairs

    def items(self):
        return iter(self._pairs)


@pytest.mark.parametrize(
    "put",
    [
        str,
        lambda text: {"X-Solvent-Budget": text},
        lambda text: {"SOLVENT_SCOPE": "run:of-the-server", "HTTP_X_SOLVENT_BUDGET": text, "wsgi.input": None},
        lambda text: Headers([("Host", "x"), ("X-Solvent-Budget", text)]),
        lambda text: Multiple(("Accept", "*/*"), ("X-SOLVENT-BUDGET", text)),
        lambda text: {"SOLVENT_SCOPE": text},
    ],
    ids=["text", "mapping", "WSGI", "wsgiref", "werkzeug", "environment"],
)
def test_it_is_found_in_whatever_it_came(put):
    with solvent.budget("job", usd=1) as budget:
        spend()
        found = solvent.resume(put(str(budget.carry())))
    with found as again:
        assert (again.scope, again.remaining()) == (budget.scope, 9 * DOLLAR // 10)


def test_two_headers_are_one_too_many():
    with solvent.budget("job") as budget:
        text = str(budget.carry())
    with pytest.raises(ValueError, match="one budget is carried at a time"):
        solvent.resume(Multiple(("x-solvent-budget", text), ("x-solvent-budget", text)))


@pytest.mark.parametrize("name", ["naïve", "a b", "a,b;c", "line\nbreak", "日本", "%2F/"])
def test_every_name_that_a_budget_can_have_travels_in_a_header(name):
    with solvent.budget(name) as budget, solvent.step(name):
        (value,) = solvent.current_budget().carry().headers.values()
        assert value.isascii()
        assert value.isprintable()
        assert " " not in value
        scope = solvent.current_budget().scope
    with solvent.resume({"x-solvent-budget": value}) as again:
        assert again.scope == scope
    assert budget.scope.parts[0][1].startswith(name)


def test_an_agent_without_limits_travels_within_a_budget_and_without_one():
    with solvent.budget("job", usd="0.10"), solvent.agent("x"):
        inside = solvent.current_budget().carry()
    with solvent.agent("x"):
        outside = solvent.current_budget().carry()
    later_process()
    with solvent.resume(inside.headers):
        assert spend_all() == 1
    with solvent.resume(outside.headers) as again:
        spend()
    assert again.scope == outside.scope


def test_a_ledger_in_memory_is_in_nobody_elses_reach():
    with (
        solvent.budget("job", ledger="memory://") as budget,
        pytest.raises(solvent.SettingsError, match="expected a ledger that other processes can reach, got memory://"),
    ):
        budget.carry()


def inherit(monkeypatch, carrier):
    later_process()
    for name, value in carrier.environ.items():
        monkeypatch.setenv(name, value)


def test_the_environment_makes_it_the_processs_own(monkeypatch):
    with solvent.budget("job", usd="0.50", seconds=60, alert=["50%"]) as budget:
        carrier = budget.carry()
    inherit(monkeypatch, Carrier.of(carrier.scope, {1: carrier.began_ns[1] - 50 * SECOND_NS}, carrier.ledger))
    assert PROCESS.runtime().scope == budget.scope
    assert len(PROCESS.runtime().guard.limits.rules(budget.scope).shares) == 1
    spend("0.20")
    with solvent.budget("inner", usd=5) as inner:
        assert str(inner.scope).startswith(f"{budget.scope}/step:inner-")
        assert (inner.remaining("seconds"), inner.carry().began_ns[1]) == (9, PROCESS.runtime().began_ns[1])
        assert spend_all() == 3
    with solvent.budget("named", ledger=carrier.ledger) as named:
        assert str(named.scope).startswith(f"{budget.scope}/step:named-")
        assert spend_all() == 0


def test_the_ledger_named_first_inherits_it_too(monkeypatch):
    with solvent.budget("job", usd="0.50") as budget:
        carrier = budget.carry()
    inherit(monkeypatch, carrier)
    with solvent.budget("first", ledger=carrier.ledger, usd=5):
        assert spend_all() == 5


def test_a_ledger_that_does_not_know_the_inherited_budget_is_told(monkeypatch, tmp_path):
    with solvent.budget("job", usd="0.50") as budget:
        carrier = budget.carry()
    inherit(monkeypatch, Carrier.of(carrier.scope, carrier.began_ns, f"sqlite:///{tmp_path}/other.db"))
    with pytest.raises(solvent.SettingsError, match="expected a budget that was opened in the ledger"):
        spend()
    monkeypatch.setenv("SOLVENT_SCOPE", str(carrier.scope))  # A name that somebody gave need not be known.
    spend()
