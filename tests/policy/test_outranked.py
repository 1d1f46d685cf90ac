"""
Limits that never decide: what is said of one must be so in every ledger, and what is plain is found.
"""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvent._limits import Limit, Scope, matches, span
from solvent.policy._outranked import CALL, outranking

METERS = ("usd", "tokens", "input_tokens", "output_tokens", "calls", "retries", "parallel")
WINDOWS = ("", "minute", "hour", "day", "week", "month")
PATTERNS = (
    *("org:acme", "org:beta", "org:*", "team:search", "team:*", "org:acme/team:*", "user:ann", "user:*"),
    *("run:*", "run:nightly-*", "run:nightly-1", "team:search/run:*"),
    *("agent:*", "agent:researcher", "agent:r*", "run:*/agent:researcher", "agent:a/agent:researcher", "step:*"),
)
NAMES = {
    "org": ("acme", "beta", "zeta"),
    "team": ("search", "other"),
    "user": ("ann", "bob"),
    "run": ("1", "nightly-1", "nightly-2"),
}
BELOW = ("", "/agent:researcher", "/agent:a", "/agent:a/agent:researcher", "/step:plan/agent:ray")
DAY_NS = 86_400 * 10**9


def limit(text, meter="usd", on_exceed="block", time_zone="UTC"):
    amount, _, window = str(text).partition("/")
    return Limit(meter=meter, amount=int(amount), window=window, on_exceed=on_exceed, time_zone=time_zone)


@st.composite
def limits(draw):
    found = []
    for _ in range(draw(st.integers(2, 6))):
        meter = draw(st.sampled_from(METERS))
        pattern = draw(st.sampled_from((*PATTERNS, CALL) if meter in METERS[:4] else PATTERNS))
        window = draw(st.sampled_from(WINDOWS if meter != "parallel" and pattern != CALL else WINDOWS[:1]))
        amount = draw(st.one_of(st.integers(0, 12), st.integers(13, 200)))
        on_exceed = draw(st.sampled_from(("block", "block", "block", "warn")))
        found.append((pattern, Limit(meter=meter, amount=amount, window=window, on_exceed=on_exceed)))
    return found


@st.composite
def calls(draw, found):
    """
    A scope as the rule takes scopes to be (whoever is below an organization is in one that the policy names, if it
    names some; agents are those of runs), the time since the last call, and what it uses.
    """
    named = {
        kind: {
            part.partition(":")[2] for pattern, _ in found for part in pattern.split("/") if part[: len(kind)] == kind
        }
        for kind in ("org", "team")
    }
    lowest = draw(st.sampled_from(("", "org", "team", "user")))
    path = []
    for kind in ("org", "team", "user"):
        if kind > lowest:  # By their letters, too, in this order.
            break
        wanted = named.get(kind, set())
        if kind == lowest or wanted or draw(st.booleans()):
            names = [name for name in NAMES[kind] if not wanted or "*" in wanted or name in wanted]
            path.append(f"{kind}:{draw(st.sampled_from(names))}")
    path.append(f"run:{draw(st.sampled_from(NAMES['run']))}")
    read, wrote = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    amounts = {
        "usd": draw(st.integers(0, 12)),
        "tokens": read + wrote,
        "input_tokens": read,
        "output_tokens": wrote,
        "calls": 1,
        "retries": draw(st.integers(0, 1)),
        "parallel": 1,
    }
    passes = draw(st.sampled_from((0, 1, 30, 61, 3_600, 43_200, 86_400, 7 * 86_400)))
    return Scope.parse("/".join(path) + draw(st.sampled_from(BELOW))), passes * 10**9, amounts, draw(st.booleans())


class Books:
    """
    What accounts hold, by the windows of the ledger; every call that is admitted is booked as it was bounded.
    """

    def __init__(self):
        self.used = Counter()
        self.open = []
        self.now_ns = 0

    def refusing(self, found, scope, amounts):
        return [
            (at, place)
            for at, (pattern, one) in enumerate(found)
            for place in places(pattern, scope)
            if self.held(place, one) + amounts[one.meter] > one.amount
        ]

    def held(self, place, one):
        if place == CALL:
            return 0
        first, _, _ = span(one.window_key, self.now_ns)
        accounts = self.used.items()
        return sum(
            amount
            for (at, meter, key, bucket), amount in accounts
            if (at, meter, key) == (place, one.meter, one.window_key) and bucket >= first
        )

    def book(self, found, scope, amounts, *, ends):
        if ends:
            while self.open:
                self.used[self.open.pop()] -= 1
        accounts = {
            (place, one.meter, one.window_key)
            for pattern, one in found
            for place in places(pattern, scope)
            if place != CALL
        }
        for place, meter, key in accounts:
            account = (place, meter, key, span(key, self.now_ns)[1])
            self.used[account] += amounts[meter]
            if meter == "parallel":
                self.open.append(account)


def places(pattern, scope):
    return [CALL] if pattern == CALL else [str(part) for part in scope.path() if matches(pattern, part)]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_said_never_to_decide_refuses_no_call_alone(data):
    found = data.draw(limits())
    idle = {at for at, placed in enumerate(found) if outranking(placed, found) is not None}
    books = Books()
    for _ in range(data.draw(st.integers(1, 25))):
        scope, passes_ns, amounts, ends = data.draw(calls(found))
        books.now_ns += passes_ns
        refusing = {at for at, _ in books.refusing(found, scope, amounts)}
        refusing = {at for at in refusing if found[at][1].on_exceed == "block"}
        assert not refusing or refusing - idle, (found, scope, amounts)
        if not refusing:
            books.book(found, scope, amounts, ends=ends)


@pytest.mark.parametrize(
    ("pattern", "amount", "other", "other_amount"),
    [
        ("agent:researcher", "5", "run:*", "2"),
        ("run:*/agent:x/step:y", "5", "run:*", "2"),
        ("run:nightly-*", "20/day", "run:*", "2"),
        ("run:nightly-1", "20", "run:nightly-*", "2"),
        ("org:acme", "100/day", "org:acme", "50/month"),
        ("org:acme", "2000/month", "org:acme", "50/day"),
        ("org:acme", "500/day", "org:acme", "10/hour"),
        ("org:acme/team:*", "60/day", "org:acme", "50/day"),
        ("team:*", "60/month", "org:acme", "50/month"),
        ("user:ann", "60/month", "team:search", "50/month"),
        ("user:ann", "60/month", "org:*", "50/month"),
        (CALL, "3", "run:*", "2/minute"),
        (CALL, "3", CALL, "2"),
    ],
)
def test_a_larger_limit_below_a_smaller_one_is_found(pattern, amount, other, other_amount):
    placed, around = (pattern, limit(amount)), (other, limit(other_amount))

    assert outranking(placed, [placed, around]) == around
    assert outranking(around, [placed, around]) is None


@pytest.mark.parametrize(
    ("pattern", "amount", "other", "other_amount"),
    [
        ("agent:researcher", "2", "run:*", "2"),  # Neither is larger.
        ("agent:researcher", "5", "run:*", "2/day"),  # A run may last for days.
        ("agent:researcher", "5", "run:triage", "2"),  # It may stand in another run.
        ("agent:researcher", "5", "run:*/agent:other", "2"),
        ("agent:researcher", "5", "run:*/agent:researcher", "2"),  # It may stand below another agent.
        ("agent:*", "5", "agent:researcher", "2"),
        ("run:*", "5", "team:*", "2"),  # A run may stand in no team.
        ("run:*", "5", "agent:*", "2"),
        ("org:acme", "1550/month", "org:acme", "50/day"),  # 31 days are 1550.
        ("org:acme", "100/month", "org:acme", "50/week"),
        ("org:acme", "60/week", "org:acme", "50/month"),  # A week may be of two months.
        ("org:acme", "60/minute", "org:acme", "50/day"),  # A minute may be of two days.
        ("org:beta/team:*", "60/month", "org:acme", "50/month"),
        ("run:*", "3", CALL, "2"),
    ],
)
def test_what_may_decide_is_not_said_never_to(pattern, amount, other, other_amount):
    placed, around = (pattern, limit(amount)), (other, limit(other_amount))

    assert outranking(placed, [placed, around]) is None


def test_a_team_may_be_in_the_organization_that_allows_more():
    team, acme, beta = ("team:*", limit("60/day")), ("org:acme", limit("50/day")), ("org:beta", limit("100/day"))

    assert outranking(team, [team, acme]) == acme
    assert outranking(team, [team, acme, beta]) is None
    assert outranking(team, [team, acme, ("org:beta/run:*", limit("1"))]) is None


@pytest.mark.parametrize(
    ("meter", "other"),
    [("input_tokens", "tokens"), ("output_tokens", "tokens"), ("retries", "calls"), ("parallel", "calls")],
)
def test_what_is_counted_in_another_meter_is_held_by_it(meter, other):
    placed, around = ("run:*", limit("9", meter)), ("run:*", limit("8", other))

    assert outranking(placed, [placed, around]) == around
    assert outranking(("run:*", limit("9", other)), [("run:*", limit("8", meter))]) is None


def test_calls_of_a_minute_may_be_fewer_than_are_open():
    placed, around = ("run:*", limit("9", "parallel")), ("run:*", limit("8/minute", "calls"))

    assert outranking(placed, [placed, around]) is None


def test_windows_of_two_time_zones_do_not_nest():
    day, month = ("org:acme", limit("100/day", time_zone="Asia/Tokyo")), ("org:acme", limit("50/month"))

    assert outranking(day, [day, month]) is None


def test_of_limits_that_only_tell_an_account_has_the_smallest():
    small, large = limit("1", on_exceed="log"), limit("2", on_exceed="warn")

    assert outranking(("run:*", large), [("run:*", small)]) == ("run:*", small)
    assert outranking(("agent:x", large), [("run:*", small)]) is None  # Of another account.
    assert outranking(("run:*", limit("2")), [("run:*", small)]) is None


@pytest.mark.parametrize(("meter", "pattern"), [*product(("depth", "seconds"), ("run:nightly", "agent:x"))])
def test_depth_and_time_of_a_run_hold_what_is_below_it(meter, pattern):
    placed, around = (pattern, limit("9", meter)), ("run:*", limit("8", meter))

    assert outranking(placed, [placed, around]) == around


def test_a_run_may_begin_before_the_time_of_its_team_does():
    run, team = ("team:search/run:*", limit("900", "seconds")), ("team:search", limit("600", "seconds"))

    assert outranking(run, [run, team]) is None
