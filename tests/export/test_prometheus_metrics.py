"""
A ledger as Prometheus metrics, read back by Prometheus's own parser.
"""

import socket
import subprocess
import sys
import urllib.request
from decimal import Decimal

import golden_ledger
import pytest
from clocks import ManualClock
from golden_ledger import BANNER_COST, COST, DOLLAR, TRIAGE_COST, golden
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from solvent._digest import Facts, Sums
from solvent._operations import Reserve, SetLimit, Settle
from solvent._records import BRANCHES, Account, Balance, CallRecord, Terms
from solvent.cli import app
from solvent.errors import SettingsError, StoreUnavailable
from solvent.export import _bounded, _series, prometheus
from solvent.stores.memory import MemoryStore

MODEL = CallRecord(provider="openai", format="openai-chat", model_asked="m", bound_nanodollars=DOLLAR)

# By the clock on the wall the call that is open in that ledger has expired.
COST_NOW = COST + golden_ledger.OPEN_RESERVED


@pytest.fixture
def clock():
    return ManualClock("2026-03-01T09:00:00")


@pytest.fixture
def made(tmp_path):
    return golden(tmp_path / "golden.db")


def samples(text):
    """
    By name, and by the values of the labels in the order of their names.
    """
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            assert found.setdefault(sample.name, {}).setdefault(labels, sample.value) == sample.value
    return found


def nanodollars(value):
    """
    Exact, for the shortest text of such a sample has no more digits than the amount.
    """
    return int(Decimal(repr(value)) * DOLLAR)


def total(text):
    return sum(map(nanodollars, samples(text)["solvent_spend_usd_total"].values()))


def call(store, cost, *, id, scope="run:a", asked="m", expires=None, limits=None):
    terms = Terms.of(limits or {Account(scope, "usd"): None, Account(scope, "calls"): None})
    amounts = {"usd": 10 * DOLLAR, "calls": 1}
    record = CallRecord(provider="openai", format="openai-chat", model_asked=asked, bound_nanodollars=10 * DOLLAR)
    store.apply([Reserve(id=id, scope=scope, terms=terms, amounts=amounts, call=record)])
    if expires is not None:
        expires.advance(seconds=121)
        store.expire()
        return
    told = CallRecord(**{**record_fields(record), "cost_nanodollars": cost, "status": "200"})
    store.apply([Settle(id=id, actual={"usd": cost, "calls": 1}, call=told)])


def record_fields(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}


def test_the_metrics_of_the_golden_ledger_add_up_to_what_is_written_down(made):
    found = samples(prometheus.text(made.open()))
    spent, calls = found["solvent_spend_usd_total"], found["solvent_calls_total"]
    assert sum(map(nanodollars, spent.values())) == COST == TRIAGE_COST + BANNER_COST
    assert sum(calls.values()) == golden_ledger.CALLS
    for (estimated, model, _), value in spent.items():
        own = [one for one in made.calls if (one.model or "", one.estimated or "no") == (model, estimated)]
        assert nanodollars(value) == sum(one.cost or 0 for one in own)
        assert calls[estimated, model, _] == len(own)
    assert sum(map(nanodollars, found["solvent_overrun_usd_total"].values())) == golden_ledger.OVERRUN
    assert sum(found["solvent_refusals_total"].values()) == golden_ledger.REFUSALS
    assert found["solvent_refusals_total"] == {("budget_exceeded",): 2, ("loop_detected",): 1, ("price_unknown",): 1}
    assert sum(found["solvent_unpriced_calls_total"].values()) == 1
    for kind in ("input", "output", "cache_read", "reasoning"):
        counted = [value for labels, value in found["solvent_tokens_total"].items() if labels[3] == kind]
        assert sum(counted) == sum(one.tokens.get(f"{kind}_tokens", 0) for one in made.calls)
    assert found["solvent_open_reservations"] == {(): 1}
    assert nanodollars(found["solvent_reserved_usd"][()]) == golden_ledger.OPEN_RESERVED
    assert found["solvent_up"] == {(): 1}


def test_the_budgets_of_the_golden_ledger_are_those_above_runs_in_their_windows(made):
    found = samples(prometheus.text(made.open()))
    month, day = ("org:acme", "month@UTC"), ("org:acme/team:search", "day@UTC")
    assert found["solvent_budget_limit_usd"] == {month: 500, day: 20}
    assert {place: nanodollars(value) for place, value in found["solvent_budget_spent_usd"].items()} == {
        month: COST,  # Of the user's run there is no limit above.
        day: 0,  # A week later.
    }
    ratios = found["solvent_budget_remaining_ratio"]
    assert ratios["usd", *day] == 1
    assert ratios["usd", *month] == pytest.approx(1 - COST / (500 * DOLLAR), abs=1e-15)


def test_no_label_names_a_run_an_agent_a_reason_or_an_id(made):
    text = prometheus.text(made.open())
    assert "org:acme/team:search" in text
    for word in ("run:", "agent:", "step:", "triage", "banner", "researcher", "01GOLDEN", "more files", "needs up to"):
        assert word not in text


def test_what_is_exact_in_the_ledger_is_exact_until_it_becomes_a_sample(made):
    (spend,) = (each for each in prometheus.Collector(made.open()).read() if each.name == "solvent_spend_usd")
    assert sum(spend.values.values()) == COST
    assert all(type(value) is int for value in spend.values.values())


def test_no_counter_falls_when_the_truth_about_an_expired_call_comes(clock):
    store = MemoryStore(clock=clock)
    call(store, DOLLAR, id="a")
    call(store, None, id="b", expires=clock)
    before = samples(prometheus.text(store))["solvent_spend_usd_total"]
    assert before == {("no", "m", "openai"): 1, ("expired", "m", "openai"): 10}
    told = CallRecord(**{**record_fields(MODEL), "cost_nanodollars": 2 * DOLLAR, "status": "200"})
    store.apply([Settle(id="b", actual={"usd": 2 * DOLLAR, "calls": 1}, call=told)])
    after = samples(prometheus.text(store))["solvent_spend_usd_total"]
    assert after == {("no", "m", "openai"): 3, ("expired", "m", "openai"): 0}


def test_reservations_count_once_however_many_limits_hold_them(clock):
    store = MemoryStore(clock=clock)
    limits = {Account(scope, "usd"): 100 * DOLLAR for scope in ("org:a", "org:a/team:b", "org:a/team:b/run:c")}
    for number, path in enumerate(("org:a/team:b/run:c", "org:a/run:d", "run:e")):
        above = {account: limit for account, limit in limits.items() if f"{path}/".startswith(f"{account.scope}/")}
        terms = Terms.of({**above, Account(path, "usd"): None, Account(path, "calls"): None})
        reserve = Reserve(id=str(number), scope=path, terms=terms, amounts={"usd": 2 * DOLLAR, "calls": 1}, call=MODEL)
        store.apply([reserve])
    found = samples(prometheus.text(store))
    assert found["solvent_reserved_usd"] == {(): 6}
    assert found["solvent_open_reservations"] == {(): 3}


def test_models_beyond_a_hundred_are_one_and_the_first_hundred_stay():
    def sums(hours):
        return {
            Facts(scope="run:a", hour=hour, kind="settle", provider="openai", model_asked=f"m{1_000 - hour}"): Sums(
                count=1, cost=hour
            )
            for hour in reversed(range(hours))
        }

    def shown(groups):
        (calls,) = (each for each in _series.of_calls(groups) if each.name == "solvent_calls")
        return calls.values

    before, after = shown(sums(100)), shown(sums(150))
    assert len(before) == 100
    assert set(after) == {*before, ("other", "other", "no")}
    assert after["other", "other", "no"] == 50
    assert sum(after.values()) == 150


def test_scopes_beyond_a_thousand_are_left_out():
    balances = [Balance(account=Account(f"user:u{number}", "usd"), spent=number) for number in range(1_200)]
    (spent,) = (each for each in _series.of_budgets(balances, {}) if each.name == "solvent_budget_spent_usd")
    assert len(spent.values) == _bounded.SCOPES_MAX
    assert min(spent.values.values()) == 200


def test_a_ledger_that_does_not_answer_is_told_and_ends_no_scrape():
    class Away(MemoryStore):
        def groups(self, **_):
            raise StoreUnavailable(ledger="memory://", reason="it is away")

    registry = CollectorRegistry()
    registry.register(prometheus.Collector(Away()))
    assert [(metric.name, metric.samples[0].value) for metric in registry.collect()] == [("solvent_up", 0)]


def test_limits_that_come_with_later_runs_are_seen_by_the_next_scrape(made):
    store = made.open()
    collector = prometheus.Collector(store)
    collector.read()
    writer = golden_ledger._Writer(store, made.clock)
    writer.id = lambda: "later"
    writer.open("org:acme/run:later", {Account("org:acme", "usd", "month@UTC"): 600 * DOLLAR})
    (limits,) = (each for each in collector.read() if each.name == "solvent_budget_limit_usd")
    assert limits.values["org:acme", "month@UTC"] == 600 * DOLLAR


def test_the_command_prints_what_the_parser_reads(made):
    ran = CliRunner().invoke(app, ["export", "prometheus", "--ledger", made.url])
    assert ran.exit_code == 0, ran.output
    assert total(ran.stdout) == COST_NOW


def test_without_its_package_the_error_names_the_extra(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(SettingsError, match=r"pip install 'solvent\[prometheus\]'"):
        prometheus.Collector(made.open())
    ran = CliRunner().invoke(app, ["export", "prometheus", "--ledger", made.url])
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "pip install 'solvent[prometheus]'" in ran.stderr


@pytest.mark.slow
def test_the_command_serves_this_machine_until_it_is_interrupted(made):
    port = free_port()
    command = [sys.executable, "-m", "solvent", "export", "prometheus", "--serve", str(port), "--ledger", made.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline() == f"http://127.0.0.1:{port}/metrics\n"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                assert total(answer.read().decode()) == COST_NOW
        finally:
            server.send_signal(2)
        assert server.wait(30) == 0


@pytest.mark.slow
def test_an_address_that_is_taken_is_said(made):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = CliRunner().invoke(app, ["export", "prometheus", "--serve", str(port), "--ledger", made.url])
    assert ran.exit_code == 1
    assert f"127.0.0.1:{port} cannot be served" in ran.stderr


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def test_what_is_held_counts_when_its_window_is_over_and_branches_are_no_calls(clock):
    store = MemoryStore(clock=clock)
    terms = Terms.of({Account("org:a", "usd", "minute"): 9 * DOLLAR, Account("org:a/run:x", "calls"): None})
    fan_out = Terms.of({Account("org:a/run:x", "branches"): 9})
    branches = CallRecord(format=BRANCHES)
    store.apply(
        [
            Reserve(id="a", scope="org:a/run:x", terms=terms, amounts={"usd": 7 * DOLLAR, "calls": 1}, call=MODEL),
            Reserve(id="b", scope="org:a/run:x", terms=fan_out, amounts={"branches": 5}, call=branches),
        ]
    )
    clock.advance(seconds=90)

    found = samples(prometheus.text(store))

    assert found["solvent_reserved_usd"] == {(): 7}
    assert found["solvent_open_reservations"] == {(): 1}


def test_a_limit_that_was_set_where_nothing_was_spent_is_shown(clock):
    store = MemoryStore(clock=clock)
    account = Account("team:t", "usd", "day@UTC")
    store.apply([SetLimit(id="a", account=account, limit=3 * DOLLAR)])

    assert samples(prometheus.text(store))["solvent_budget_limit_usd"] == {("team:t", "day@UTC"): 3}


def test_a_scrape_reads_no_balance_of_a_run(made, monkeypatch):
    store, asked = made.open(), []
    read = store.balances
    monkeypatch.setattr(store, "balances", lambda *scope, **how: asked.append((scope, how)) or read(*scope, **how))

    prometheus.Collector(store).read()

    assert asked == [((scope,), {"below": False}) for scope in sorted({scope for (scope,), _ in asked})]
    assert {"org:acme", "org:acme/team:search"} <= {scope for (scope,), _ in asked}
    assert not [scope for (scope,), _ in asked if "run:" in scope]


def test_a_name_that_is_very_long_is_told_as_one_of_the_others():
    names = ["m" * 256, "m" * 257]
    groups = {
        Facts(scope="run:a", hour=0, kind="settle", provider="openai", model_asked=name): Sums(count=1)
        for name in names
    }

    (calls,) = (each for each in _series.of_calls(groups) if each.name == "solvent_calls")

    assert set(calls.values) == {("openai", names[0], "no"), ("other", "other", "no")}
