"""
``solvent.yaml``: what is understood, and how it says what is not.
"""

from decimal import Decimal
from fractions import Fraction
from functools import partial

import pytest

from solvent._amounts import nanodollars
from solvent._limits import Limit, Scope
from solvent.errors import SettingsError
from solvent.policy import LimitsInForce, LoopRule, Policy
from solvent.policy._fallback import Fallback, chain
from solvent.policy._read import read_policy

GOOD = """\
ledger: sqlite:///ledger.db
time_zone: Europe/Berlin
budgets:
  org:acme: {usd: [500/month, 50/day]}
  run:*:
    usd: {limit: 2.00, on_exceed: block}
    calls: 200
    tokens: 2M/minute
call: {usd: 0.25, output_tokens: 8k}
shrink: {output_tokens_min: 512, explicit: true}
wait: 10s
unpriced: {price_as: gpt-4o}
prices: {my-model: {input: 3.00, output: 15.00, cache_read: 0.30}}
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "solvent.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_policy(path)

    return read


def test_a_policy_is_read_with_its_lines(read, tmp_path):
    policy = read(GOOD)
    assert policy.ledger == f"sqlite:///{tmp_path}/ledger.db"
    assert dict(policy.budgets[:1]) == {
        "org:acme": Limit(
            meter="usd", amount=nanodollars(500), window="month", time_zone="Europe/Berlin", source="solvent.yaml:4"
        )
    }
    assert [(limit.meter, limit.amount, limit.window) for _, limit in policy.budgets[2:]] == [
        ("usd", nanodollars(2), ""),
        ("calls", 200, ""),
        ("tokens", 2_000_000, "minute"),
    ]
    assert [(limit.meter, limit.amount) for limit in policy.call] == [
        ("usd", nanodollars("0.25")),
        ("output_tokens", 8_000),
    ]
    assert (policy.shrink_tokens_min, policy.shrink_explicit, policy.wait_seconds) == (512, True, 10)
    assert policy.price_as == "gpt-4o"
    assert policy.prices["my-model"].input == 3_000_000  # Picodollars per token.


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        ("wait: 1s", ("prefix", "tokenizer")),
        ("tighten: []", ()),
        ("tighten: [count, prefix]", ("prefix", "count")),
    ],
)
def test_a_bound_is_tightened_in_one_order_and_only_as_the_policy_says(read, text, ways):
    assert read(text).tighten == ways


def test_limits_may_only_tell_and_may_be_of_depth_and_time(read):
    policy = read("budgets: {run:*: {usd: {limit: 2.00, on_exceed: warn}, depth: 5, seconds: 15m}}\ncall: {usd: 1}")
    assert [(limit.meter, limit.amount, limit.on_exceed) for _, limit in policy.budgets] == [
        ("usd", nanodollars(2), "warn"),
        ("depth", 5, "block"),
        ("seconds", 900, "block"),
    ]


def test_a_chain_of_models_is_read(read):
    policy = read(
        "fallback: [{at: 62.5%, from: gpt-4-turbo, to: gpt-4o}, {from: gpt-4o, to: mine}]\nprices: {mine: gpt-4o}"
    )
    assert policy.fallback == (
        Fallback(model="gpt-4-turbo", to="gpt-4o", at=Fraction(5, 8)),
        Fallback(model="gpt-4o", to="mine"),
    )


@pytest.mark.parametrize(
    "step",
    [
        "{from: gpt-4o, to: my-gpt}\nprices: {my-gpt: {input: 1, output: 1}}",
        "{from: mine, to: claude-sonnet-4-5}",
        "{from: gpt-4o, to: claude-sonnet-4-5}\nprices: {gpt-4o: {input: 1, output: 1}}",
        "{from: mine, to: claude-sonnet-4-5}\nprices: {mine: gpt-4o}",
        "{from: llama-3.3-70b-versatile, to: gpt-4o}",
        "{from: deepseek-chat, to: gpt-4o}",
    ],
)
def test_a_step_between_models_that_one_provider_may_serve_is_taken(read, step):
    [steps, *more] = step.splitlines()
    assert len(read("\n".join([f"fallback: [{steps}]", *more])).fallback) == 1


def test_no_call_is_shrunk_where_the_policy_says_so(read):
    assert read("shrink: off").shrink_tokens_min == 0


def test_a_ledger_file_is_relative_to_the_policy(read, tmp_path):
    assert read("ledger: books.db").ledger == f"sqlite:///{tmp_path}/books.db"
    assert read("ledger: memory://").ledger == "memory://"


def test_a_time_without_a_unit_is_in_seconds(read):
    assert read("wait: 30\nloops: {same_call: 2, within: 60}").wait_seconds == 30


def test_what_is_a_loop_is_read_and_only_tells_unless_it_is_said(read):
    assert read("loops: {same_call: 5}").loops == LoopRule(same_call=5, source="solvent.yaml:1")
    policy = read("wait: 1s\nloops: {same_call: 2, within: 5m, on_exceed: block}")
    assert policy.loops == LoopRule(same_call=2, within_seconds=300, on_exceed="block", source="solvent.yaml:2")
    assert read("wait: 1s").loops is None


def test_what_may_be_spent_while_the_ledger_is_away_is_read(read):
    assert read("store_down: {open: $1}").open_nanodollars == nanodollars(1)
    assert read("store_down: refuse").open_nanodollars == 0


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match="expected a policy file that can be read, got an error: No such file"):
        read_policy(tmp_path / "solvent.yaml")


def test_all_matching_limits_apply_and_the_smallest_of_one_account_wins():
    def usd(amount, window=""):
        return Limit(meter="usd", amount=nanodollars(Decimal(amount)), window=window)

    budgets = (("run:*", usd(5)), ("run:*", usd(3, "day")), ("run:a", usd(9)), ("agent:*", usd(1)))
    limits = LimitsInForce(Policy(budgets=budgets))
    scope = Scope.parse("run:a/agent:x")
    limits.open(Scope.parse("run:a"), [usd(2)])
    found = {(place, limit.window): limit.amount for place, limit in limits.of(scope)}
    assert found == {
        ("run:a", ""): nanodollars(2),
        ("run:a", "day"): nanodollars(3),
        ("run:a/agent:x", ""): nanodollars(1),
    }
    assert limits.of(Scope.parse("user:u")) == ()


def test_all_openings_of_a_scope_are_in_force_until_each_is_closed():
    limits = LimitsInForce(Policy(budgets=(("run:*", Limit(meter="calls", amount=5)),)))
    scope = Scope.parse("run:a")

    def allowed():
        return [limit.amount for _, limit in limits.of(scope)]

    first, same, wide = [limits.open(scope, [Limit(meter="calls", amount=amount)]) for amount in (2, 2, 9)]
    assert allowed() == [2]
    for opening, left in ((wide, 2), (wide, 2), (first, 2), (same, 5)):
        limits.close(scope, opening)
        assert allowed() == [left]  # Never above the policy's.
    assert limits.openings(scope) == ()


def test_of_openings_at_once_the_last_ones_word_on_models_and_waiting_counts():
    limits, scope = LimitsInForce(Policy()), Scope.parse("run:a")
    limits.open(scope, [], [Fallback(model="a", to="b"), Fallback(model="m", to="n")], 1)
    last = limits.open(scope, [], [Fallback(model="a", to="c")], 2)
    limits.open(scope, [])
    rules = limits.rules(scope)
    assert {model: step.to for model, step in rules.fallback.items()} == {"a": "c", "m": "n"}
    assert rules.wait_seconds == 2
    limits.close(scope, last)
    assert (limits.rules(scope).fallback["a"].to, limits.rules(scope).wait_seconds) == ("b", 1)


@pytest.mark.parametrize("change", ["open", "close"])
def test_limits_that_change_while_they_are_looked_up_are_never_kept_as_they_were(change):
    scope, few = Scope.parse("run:a"), [Limit(meter="calls", amount=1)]
    changes = []

    class Budgets:  # Read in the midst of every look.
        def __iter__(self):
            if changes:
                changes.pop()()
            return iter(())

    limits = LimitsInForce(Policy(budgets=Budgets()))
    if change == "open":
        changes.append(lambda: limits.open(scope, few))
    else:
        changes.append(partial(limits.close, scope, limits.open(scope, few)))
    limits.rules(scope)
    assert [limit.amount for _, limit in limits.of(scope)] == ([1] if change == "open" else [])


def test_a_finalizer_may_close_a_scope_while_one_is_opened():
    limits, scope = LimitsInForce(Policy()), Scope.parse("run:a")
    opening = limits.open(scope, [Limit(meter="calls", amount=1)])
    with limits._lock:
        limits.close(scope, opening)
    assert limits.of(scope) == ()


def test_a_forked_child_waits_for_no_thread_of_its_parent():
    limits, scope = LimitsInForce(Policy()), Scope.parse("run:a")
    limits.open(scope, [Limit(meter="calls", amount=1)])
    limits._lock.acquire()
    limits.forget()
    limits.open(scope, [Limit(meter="calls", amount=2)])
    assert [limit.amount for _, limit in limits.of(scope)] == [1]


@pytest.mark.parametrize("more", [{"at": 0.8}, {"at": None}, {"to": 1}, {"from": 1}, {"other": "x"}])
def test_a_step_down_from_code_is_told_in_texts(more):
    with pytest.raises(ValueError, match="fallback must be names of models, or steps with from, to and at, all texts"):
        chain([{"from": "a", "to": "b", **more}])


@pytest.mark.parametrize("at", [Fraction(-3), Fraction(0), Fraction(5, 4)])
def test_a_step_down_begins_at_a_share_of_a_limit(at):
    with pytest.raises(ValueError, match="at must be above 0 and at most 1"):
        Fallback(model="a", to="b", at=at)


def test_limits_that_tell_stand_beside_those_that_refuse_and_hide_none():
    def usd(amount, **more):
        return Limit(meter="usd", amount=amount, **more)

    scope = Scope.parse("run:a")
    limits = LimitsInForce(Policy(budgets=(("run:*", usd(5)), ("run:*", usd(1, on_exceed="warn")))))
    limits.open(scope, [Limit(meter="seconds", amount=60), Limit(meter="depth", amount=2)])
    rules = limits.rules(scope)
    assert [limit.amount for _, limit in rules.blocking] == [5]
    assert [limit.amount for _, limit in rules.watched] == [1]
    assert [limit.meter for _, limit in rules.checked] == ["seconds", "depth"]


def test_the_innermost_scopes_word_on_a_model_counts():
    limits = LimitsInForce(Policy(fallback=(Fallback(model="a", to="b"), Fallback(model="b", to="c"))))
    limits.open(Scope.parse("run:x"), [], [Fallback(model="a", to="z")])
    assert {model: step.to for model, step in limits.rules(Scope.parse("run:x")).fallback.items()} == {
        "a": "z",
        "b": "c",
    }
    assert limits.rules(Scope.parse("run:y")).fallback["a"].to == "b"
