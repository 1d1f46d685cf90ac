"""
Where a limit comes from: every limit of a scope with its line, and what is said of each is so.
"""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_outranked import Books, calls, limits

from solvent._limits import Limit, Scope
from solvent.policy import LimitsInForce, LoopRule, Policy
from solvent.policy._alert import Alert
from solvent.policy._explain import close_scope, explain
from solvent.policy._fallback import Fallback
from solvent.policy._outranked import CALL
from solvent.policy._read import read_policy

TEXT = """\
budgets:
  org:acme: {usd: [500/month, 50/day]}
  team:*: {usd: 20/day, parallel: 32}
  run:*: {usd: 2.00, calls: 200, depth: 5}
  run:nightly-*: {usd: 9.00}
  agent:researcher:
    usd: 1.00
    calls: {limit: 50, on_exceed: warn}
  agent:writer: {usd: 9.00}
call: {usd: 0.25}
"""


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "solvent.yaml"
    path.write_text(TEXT)
    return read_policy(path)


def told(policy, scope):
    return [
        (one.place, one.pattern, one.limit.meter, one.limit.window, one.limit.source, one.state)
        for one in explain(policy, Scope.parse(scope)).limits
    ]


def depth(amount, pattern):
    return pattern, Limit(meter="depth", amount=amount)


def test_every_limit_on_the_path_is_told_with_its_entry_and_its_line(policy):
    assert told(policy, "org:acme/team:search/run:triage-1/agent:researcher") == [
        ("org:acme", "org:acme", "usd", "month", "solvent.yaml:2", "decides"),
        ("org:acme", "org:acme", "usd", "day", "solvent.yaml:2", "holds"),
        ("org:acme/team:search", "team:*", "usd", "day", "solvent.yaml:3", "decides"),
        ("org:acme/team:search", "team:*", "parallel", "", "solvent.yaml:3", "decides"),
        ("org:acme/team:search/run:triage-1", "run:*", "usd", "", "solvent.yaml:4", "holds"),
        ("org:acme/team:search/run:triage-1", "run:*", "calls", "", "solvent.yaml:4", "decides"),
        ("org:acme/team:search/run:triage-1", "run:*", "depth", "", "solvent.yaml:4", "decides"),
        (
            "org:acme/team:search/run:triage-1/agent:researcher",
            "agent:researcher",
            "usd",
            "",
            "solvent.yaml:7",
            "decides",
        ),
        (
            "org:acme/team:search/run:triage-1/agent:researcher",
            "agent:researcher",
            "calls",
            "",
            "solvent.yaml:8",
            "tells",
        ),
        ("call", "call", "usd", "", "solvent.yaml:10", "decides"),
    ]


def test_what_a_smaller_one_refuses_before_says_which(policy):
    same, below = (explain(policy, Scope.parse(scope)).limits for scope in ("run:nightly-1", "run:x/agent:writer"))

    assert [
        (one.pattern, one.state, one.instead and one.instead.source) for one in same if one.limit.meter == "usd"
    ] == [
        ("run:*", "decides", None),
        ("run:nightly-*", "never", "solvent.yaml:4"),
        ("call", "decides", None),
    ]
    assert [(one.state, one.instead and one.instead.source) for one in below if one.pattern == "agent:writer"] == [
        ("never", "solvent.yaml:4")
    ]


def test_of_two_limits_alike_the_wider_one_decides():
    usd = Limit(meter="usd", amount=5)
    found = told(Policy(budgets=(("agent:*", usd), ("run:*", usd))), "run:x/agent:y")

    assert [(pattern, state) for _, pattern, *_, state in found] == [("run:*", "decides"), ("agent:*", "never")]


@pytest.mark.parametrize(("of_run", "of_agent", "states"), [(5, 4, "dn"), (5, 3, "hd"), (4, 4, "dn")])
def test_depths_are_compared_from_the_beginning_of_the_path(of_run, of_agent, states):
    found = told(Policy(budgets=(depth(of_run, "run:*"), depth(of_agent, "agent:*"))), "run:x/agent:y")

    assert "".join(state[0] for *_, state in found) == states


def test_a_time_of_whoever_opens_nothing_never_stands_before_that_of_a_run():
    budgets = (("team:*", Limit(meter="seconds", amount=5)), ("run:*", Limit(meter="seconds", amount=9)))

    assert [state for *_, state in told(Policy(budgets=budgets), "team:a/run:b")] == ["decides", "holds"]


def test_a_scope_without_limits_is_told_what_else_holds():
    found = explain(Policy(), Scope.parse("run:x"))

    assert (found.limits, found.ask_for) == ((), None)
    assert dict(found.rules) == {
        "tighten": "prefix, tokenizer",
        "wait": "up to 30 s for room that open calls hold",
        "shrink": "to no less than 1,024 output tokens, where a program names no cap",
        "unpriced": "refuse",
        "store_down": "refuse",
    }


def test_what_else_holds_is_told_as_it_is_set():
    steps = (Fallback(model="a", to="b", at=Fraction(4, 5)), Fallback(model="b", to="c"))
    rules = explain(
        Policy(
            fallback=steps,
            loops=LoopRule(same_call=5, source="solvent.yaml:9"),
            alert=Alert(
                at=(Fraction(1, 2), Fraction(1)), webhook="https://example.com/secret", source="solvent.yaml:8"
            ),
            tighten=(),
            shrink_tokens_min=0,
            price_as="gpt-4o",
            open_nanodollars=10**9,
        ),
        Scope.parse("run:x"),
    ).rules

    assert rules == (
        ("tighten", "off: no bound is tightened"),
        ("wait", "up to 30 s for room that open calls hold"),
        ("fallback", "a to b, from 80 % of any limit on"),
        ("fallback", "b to c, where a call does not fit"),
        ("shrink", "off: no output is cut"),
        ("loops", "warn where the same call comes more than 5 times in 1 min (solvent.yaml:9)"),
        ("alert", "at 50 %, 100 % of a limit (solvent.yaml:8)"),
        ("unpriced", "at the price of gpt-4o"),
        ("store_down", "go on up to $1.00 a process"),
    )


@pytest.mark.parametrize(
    ("scope", "ask_for"),
    [
        ("run:x", None),
        ("agent:x/step:y", "run:NAME/agent:x/step:y"),
        ("org:a/team:b", "org:a/team:b/run:NAME"),
        ("org:a/agent:x", "org:a/run:NAME/agent:x"),
    ],
)
def test_a_scope_of_no_run_is_told_of_which_to_ask(scope, ask_for):
    assert explain(Policy(), Scope.parse(scope)).ask_for == ask_for


@pytest.mark.parametrize(
    ("text", "close"),
    [
        ("triage", "run:triage"),
        ("rnu:4", "run:4"),
        ("Team:a/run:b", "team:a/run:b"),
        ("agent:x/run:y", "run:y/agent:x"),
        ("run:*", "run:NAME"),
        ("run:", None),
        ("", None),
    ],
)
def test_what_is_no_scope_is_told_what_it_may_be(text, close):
    assert close_scope(text) == close


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_explained_is_what_the_guard_holds_and_never_means_never(data):
    found = data.draw(limits())
    policy = Policy(
        budgets=tuple(each for each in found if each[0] != CALL),
        call=tuple(one for pattern, one in found if pattern == CALL),
    )
    scope, *_ = data.draw(calls(found))
    explained = explain(policy, scope).limits
    held = LimitsInForce(policy).rules(scope)
    assert {*held.blocking, *held.watched} <= {(one.place, one.limit) for one in explained}

    books = Books()
    for _ in range(data.draw(st.integers(1, 25))):
        other, passes_ns, amounts, ends = data.draw(calls(found))
        where = scope if data.draw(st.booleans()) else other
        books.now_ns += passes_ns
        refusing = [(found[at], place) for at, place in books.refusing(found, where, amounts)]
        refusing = [(place, one) for (_, one), place in refusing if one.on_exceed == "block"]
        if where == scope and refusing:
            states = {(one.place, one.limit, one.state) for one in explained}
            assert any((place, one, state) in states for place, one in refusing for state in ("decides", "holds"))
        if not refusing:
            books.book(found, where, amounts, ends=ends)
