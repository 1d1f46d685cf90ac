"""
``solvent.yaml``: what is understood, and how it says what is not.
"""

from decimal import Decimal

import pytest

from solvent._amounts import nanodollars
from solvent._limits import Limit, Scope
from solvent.errors import SettingsError
from solvent.policy import LimitsInForce, Policy
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
    ("text", "message"),
    [
        ("", "solvent.yaml: expected settings such as `budgets:`, got an empty file"),
        ("# only a comment\n", "solvent.yaml: expected settings such as `budgets:`, got an empty file"),
        ("budgets", "solvent.yaml:1: the file: expected settings by name (`name: value`), got one value"),
        ("budgets:\n\trun:*: 1", "solvent.yaml:2: expected YAML, got found character '\\t' that cannot"),
        ("budget: {}", "solvent.yaml:1: budget: expected one of budgets, call, ledger, prices, shrink, time_zone, "
         "unpriced, wait, got budget"),
        ("wait: 1s\nwait: 2s", "solvent.yaml:2: wait: expected each name once, got it a second time"),
        ("wait: soon", "solvent.yaml:1: wait: expected a length of time such as 30s, 10m or 1h30m, got 'soon'"),
        ("? [a, b]\n: 1", "solvent.yaml:1: the file: expected a name, got a list"),
        ("wait: [1, 2]", "solvent.yaml:1: wait: expected one value, got a list"),
        ("x: &a 1\ny: *a", "solvent.yaml:2: expected no aliases (`*name`)"),
        ("time_zone: Mars/Base", "solvent.yaml:1: time_zone: expected a name such as UTC or Europe/Berlin, "
         "got 'Mars/Base'"),
        ("budgets:\n  team:*: {usd: 20/daily}", 'solvent.yaml:2: budgets."team:*".usd: expected an amount per minute, '
         'hour, day, week or month such as "20/day", got "20/daily"'),
        ("budgets:\n  triage: {usd: 1}", 'solvent.yaml:2: budgets."triage": expected a scope such as run:*, '
         "agent:researcher or org:acme/team:*, got triage"),
        ("budgets: {run:*: {dollars: 1}}", 'solvent.yaml:1: budgets."run:*".dollars: expected one of usd, tokens, '
         "input_tokens, output_tokens, calls, branches, parallel, tool_calls, retries, got dollars"),
        ("budgets: {run:*: {usd: -1}}", "expected an amount of dollars from 0 up, got '-1'"),
        ("budgets: {run:*: {usd: .nan}}", "expected an amount of dollars such as 2 or 0.50, got '.nan'"),
        ("budgets: {run:*: {usd: 1e}}", "expected an amount of dollars such as 2 or 0.50, got '1e'"),
        ("budgets: {run:*: {calls: 1.5}}", "expected a whole number, got '1.5'"),
        ("budgets: {run:*: {calls: yes}}", "expected a whole number such as 200, 500k or 2M, got 'yes'"),
        ("budgets: {run:*: {seconds: 900}}", "expected a meter that a policy can limit by now"),
        ("budgets: {run:*: {usd: {limit: 1, on_exceed: warn}}}", "expected block (warn and log come with a later"),
        ("budgets: {run:*: {usd: {on_exceed: block}}}", "expected `limit:` with an amount"),
        ("call: {usd: 1/day}", 'call.usd: expected an amount without a window, got "1/day"'),
        ("call: {calls: 1}", "call.calls: expected usd, tokens, input_tokens or output_tokens, got calls"),
        ("unpriced: allow", "unpriced: expected `refuse` or {price_as: MODEL}, got allow"),
        ("unpriced: {}", "unpriced: expected {price_as: MODEL}"),
        ("shrink: {explicit: 1}", "shrink.explicit: expected true or false, got '1'"),
        ("shrink: {output_tokens_min: -1}", "shrink.output_tokens_min: expected a whole number"),
        ("prices: {m: {input: 1}}", "prices.m: expected `input:` and `output:` in USD per million tokens"),
        ("prices: {m: {input: -1, output: 1}}", "got '-1'"),
        ("prices: {m: {input: 1, output: 1, per_call: 1}}", "prices.m.per_call: expected one of cache_read, "
         "cache_write, input, output, got per_call"),
        ("alert: {at: [50%]}", "alert: expected a setting that is in force by now; this one comes"),
        ("fallback: []", "fallback: expected a setting that is in force by now"),
        ("loops: {}", "loops: expected a setting that is in force by now"),
        ("store_down: refuse", "store_down: expected a setting that is in force by now"),
        ("ledger: [a]", "ledger: expected one value, got a list"),
        (b"\xff\xfe\x00", "expected YAML"),
        ("a: " + "x" * 1_000_000, "expected at most 1,000,000 bytes, got 1,000,003"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_told_with_its_line(read, tmp_path, text, message):
    with pytest.raises(SettingsError) as refused:
        read(text)
    assert message in str(refused.value).replace(f"{tmp_path}/", "")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match="expected a policy file that can be read, got No such file"):
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


def test_a_scope_that_is_opened_again_has_the_limits_of_its_last_opening():
    limits = LimitsInForce(Policy(budgets=(("run:*", Limit(meter="calls", amount=5)),)))
    scope = Scope.parse("run:a")
    for amount in (1, 3, 9):
        limits.open(scope, [Limit(meter="calls", amount=amount)])
        assert [limit.amount for _, limit in limits.of(scope)] == [min(amount, 5)]  # Never above the policy's.
