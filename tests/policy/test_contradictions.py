"""
What cannot be meant in a policy: each kind is found with its lines, and what may be meant is not.
"""

from fractions import Fraction

import pytest

from solvent._limits import Limit
from solvent.policy import LoopRule, Policy
from solvent.policy._alert import Alert
from solvent.policy._cheapest import Cheapest, cheapest
from solvent.policy._contradictions import CONTRADICTIONS, NOTES, contradictions
from solvent.policy._fallback import Fallback
from solvent.policy._find import policy_in_force
from solvent.policy._read import read_policy

LEAST = Cheapest(model="tiny", nanodollars=3)

# By kind: a policy that has one, the lines that it is about, and the same policy mended.
FOUND = {
    "never_decides": (
        "budgets:\n  run:*: {usd: 2.00}\n  agent:researcher: {usd: 5.00}\n",
        ("solvent.yaml:3", "solvent.yaml:2"),
        "budgets:\n  run:*: {usd: 2.00}\n  agent:researcher: {usd: 2.00}\n",
    ),
    "said_twice": (
        "budgets:\n  run:*:\n    usd:\n      - 2.00\n      - 2.00\n",
        ("solvent.yaml:4", "solvent.yaml:5"),
        "budgets:\n  run:*:\n    usd:\n      - 2.00\n      - {limit: 2.00, on_exceed: warn}\n",
    ),
    "forbids_every_call": (
        "budgets:\n  run:*: {calls: 0, usd: 2.00}\n",
        ("solvent.yaml:2",),
        "budgets:\n  run:*: {retries: 0, tool_calls: 0, branches: 0, depth: 0}\n",
    ),
    "below_any_price": (
        "budgets:\n  run:*: {usd: 0.000000002}\n",
        ("solvent.yaml:2",),
        "budgets:\n  run:*: {usd: 0.000000003}\n",
    ),
    "below_the_least_output": (
        "call: {output_tokens: 500}\n",
        ("solvent.yaml:1",),
        "call: {output_tokens: 500}\nshrink: {output_tokens_min: 500}\n",
    ),
    "each_run_anew": (
        "budgets:\n  run:*: {usd: 20/day}\n",
        ("solvent.yaml:2",),
        "budgets:\n  run:nightly: {usd: 20/day}\n",
    ),
    "time_never_begins_anew": (
        "budgets:\n  team:*: {seconds: 15m}\n",
        ("solvent.yaml:2",),
        "budgets:\n  run:*: {seconds: 15m}\n",
    ),
    "forbids": (
        "budgets:\n  run:*: {usd: 0}\n",
        ("solvent.yaml:2",),
        "budgets:\n  run:*: {usd: {limit: 0, on_exceed: log}}\n",
    ),
    "one_run": (
        "budgets:\n  run:triage: {usd: 0.50}\n",
        ("solvent.yaml:2",),
        "budgets:\n  run:triage-*: {usd: 0.50}\n  run:nightly: {usd: 20/day}\n",
    ),
    "fallback_idle": (
        "budgets:\n  run:*: {calls: 9}\nfallback: [{from: gpt-4o, to: gpt-4o-mini}]\n",
        (),
        "call: {usd: 9}\nfallback: [{from: gpt-4o, to: gpt-4o-mini}]\n",
    ),
    "loops_go_on": (
        "budgets:\n  run:*: {calls: {limit: 9, on_exceed: warn}}\nloops: {same_call: 5}\n",
        ("solvent.yaml:3",),
        "loops: {same_call: 5, on_exceed: block}\n",
    ),
    "needs_scope": (
        "budgets:\n  org:acme: {usd: 50/day}\n  team:*: {usd: 20/day}\n",
        ("solvent.yaml:2", "solvent.yaml:3"),
        "budgets:\n  run:*: {usd: 2.00}\n",
    ),
    "alert_idle": (
        "alert: {at: [80%]}\n",
        ("solvent.yaml:1",),
        "alert: {at: [80%]}\ncall: {usd: 1}\n",
    ),
}


@pytest.fixture
def read(tmp_path):
    def found(text, owners=False):
        path = tmp_path / "solvent.yaml"
        path.write_text(text)
        policy = read_policy(path)
        return contradictions(policy) if owners else but_owners(policy)

    return found


def but_owners(policy):
    """
    All that is found but the note on owners, which is there wherever a limit is of one.
    """
    found = contradictions(policy, find_cheapest=lambda _: LEAST)
    return [one for one in found if one.kind != "needs_scope"]


def kinds(policy):
    return [one.kind for one in but_owners(policy)]


def budgets(**limits):
    return Policy(budgets=tuple((f"{kind}:*", limit) for kind, limit in limits.items()))


@pytest.mark.parametrize("kind", FOUND)
def test_each_kind_is_found_with_its_lines_and_is_gone_once_it_is_mended(read, kind):
    text, where, mended = FOUND[kind]

    (one,) = read(text, owners=kind == "needs_scope")
    assert (one.kind, one.where) == (kind, where)
    assert read(mended, owners=kind == "needs_scope") == []


def test_limits_of_owners_are_told_to_hold_only_who_says_where_they_belong(read):
    (one,) = read("budgets:\n  org:acme/team:*: {usd: 5/day}\n  user:*: {calls: 9/day}\n", owners=True)

    assert one.is_note
    assert one.what == (
        "No limit of org:acme/team:*, user:* holds a program that does not say which org and team and user it is in."
    )
    assert 'budget(scope="org:acme/team:NAME/user:NAME")' in one.mend


def test_every_kind_is_tried():
    assert set(FOUND) == {*CONTRADICTIONS, *NOTES}


def test_contradictions_come_before_notes(read):
    found = read("budgets:\n  agent:old: {calls: 0}\n  run:*: {usd: [2.00, 3.00]}\n")

    assert [one.kind for one in found] == ["never_decides", "forbids"]
    assert [one.is_note for one in found] == [False, True]


def test_a_narrower_entry_that_would_allow_more_is_told_why_it_does_not(read):
    (one,) = read("budgets:\n  run:*: {usd: 2.00}\n  run:nightly-*: {usd: 20.00}\n")

    assert one.what == (
        "run:nightly-*: the limit of $20.00 never decides: run:* refuses first, at $2.00. "
        "Every entry that matches a scope applies, so a narrower one allows no more."
    )
    assert one.mend == "set it lower than that, raise the other one (solvent.yaml:2), or leave it out"


def test_a_warning_above_what_refuses_is_told_of(read):
    (one,) = read("budgets:\n  run:*: {usd: [2.00, {limit: 3.00, on_exceed: warn}]}\n")

    assert one.what == "run:*: the limit of $3.00 tells of nothing: run:* refuses first, at $2.00."
    assert read("budgets:\n  run:*: {usd: [2.00, {limit: 1.00, on_exceed: warn}]}\n") == []


def test_of_two_that_only_tell_the_larger_is_told_of(read):
    (one,) = read(
        "budgets:\n  run:*: {usd: [{limit: 1.00, on_exceed: log}, {limit: 3.00, on_exceed: warn}], calls: 9}\n"
    )

    assert "of two that only tell of one account the smaller one does, $1.00" in one.what


def test_a_run_of_one_name_may_stand_beside_those_that_a_budget_opens(read):
    assert read("budgets:\n  run:triage: {usd: 0.50}\n  run:triage-*: {usd: 0.50}\n") == []


def test_two_spellings_of_a_scope_are_one(read):
    assert [one.kind for one in read("budgets:\n  team:a%2Fb: {usd: 2}\n  team:a%2fb: {usd: 2}\n")] == ["said_twice"]


@pytest.mark.parametrize(
    ("pattern", "meter", "kind"),
    [
        ("call", "tokens", "forbids_every_call"),
        ("call", "usd", "forbids"),
        ("run:*", "seconds", "forbids_every_call"),
        ("run:*", "output_tokens", "forbids"),
        ("agent:old", "calls", "forbids"),
        ("team:*", "parallel", "forbids"),
    ],
)
def test_an_amount_of_0_is_told_of_by_what_it_forbids(pattern, meter, kind):
    limit = Limit(meter=meter, amount=0)
    policy = Policy(call=(limit,)) if pattern == "call" else Policy(budgets=((pattern, limit),))

    assert kinds(policy) == [kind]


def test_what_is_larger_than_0_under_a_0_is_not_told_of_besides(read):
    assert [one.kind for one in read("budgets:\n  run:*: {calls: 0, retries: 5}\n")] == ["forbids_every_call"]


@pytest.mark.parametrize(
    "text",
    [
        "run:*: {usd: [2.00, 1/day]}",  # A limit of the run, and how fast it may be spent.
        "run:*: {usd: 20/day}\n  org:acme: {usd: 50/day}",
        "run:*: {tokens: 2M/minute, calls: 99/hour}",
        "run:nightly/agent:x: {usd: 20/day}",
        "org:acme/agent:x: {usd: 20/day}",
        "org:acme: {usd: 20/day}",
    ],
)
def test_windows_that_may_be_meant_are_not_told_of(read, text):
    assert read(f"budgets:\n  {text}\n") == []


@pytest.mark.parametrize("pattern", ["run:nightly-*", "org:acme/run:*", "agent:x", "run:*/step:plan"])
def test_a_day_of_a_scope_that_every_run_has_anew_is_told_of(read, pattern):
    (one,) = read(f"budgets:\n  {pattern}: {{usd: 20/day}}\n")

    assert one.what == (
        f"{pattern}: the limit of $20.00 per day is of each run alone, for every run has an account of its own: all "
        "runs of a day together may use any amount."
    )


def test_a_day_that_never_decides_is_told_of_once(read):
    found = read("budgets:\n  run:*: {usd: 2.00}\n  agent:x: {usd: 20/day}\n")

    assert [one.kind for one in found] == ["never_decides"]


def test_a_day_of_another_meter_over_all_runs_is_another_matter(read):
    found = read("budgets:\n  run:*: {usd: 20/day}\n  org:acme: {tokens: 5M/day}\n")

    assert [one.kind for one in found] == ["each_run_anew"]


@pytest.mark.parametrize("shrink", ["", "shrink: off\n"])
def test_tokens_below_the_least_output_are_told_of_only_where_outputs_are_cut(read, shrink):
    found = read(f"budgets:\n  run:*: {{tokens: 1023}}\ncall: {{output_tokens: 1024}}\n{shrink}")

    assert [one.kind for one in found] == (["never_decides"] if shrink else ["never_decides", "below_the_least_output"])


def test_of_two_files_each_contradicts_itself_alone(tmp_path, monkeypatch):
    own, folder = tmp_path / "config" / "solvent", tmp_path / "project"
    own.mkdir(parents=True)
    folder.mkdir()
    monkeypatch.setattr("platformdirs.user_config_path", lambda _: own)
    (own / "solvent.yaml").write_text("budgets:\n  run:*: {usd: 5.00, calls: 9}\ncall: {tokens: 5k}\n")
    for usd in ("2.00", "7.00"):
        (folder / "solvent.yaml").write_text(f"budgets:\n  run:*: {{usd: {usd}, calls: 9}}\ncall: {{tokens: 4k}}\n")
        assert contradictions(policy_in_force(environ={}, folder=folder)) == []

    (folder / "solvent.yaml").write_text("budgets:\n  run:*: {usd: [1.00, 7.00]}\n")
    (one,) = contradictions(policy_in_force(environ={}, folder=folder))
    assert one.what == "run:*: the limit of $7.00 never decides: run:* refuses first, at $1.00."


def test_the_rate_card_is_looked_at_only_for_amounts_that_need_it():
    policy = budgets(run=Limit(meter="usd", amount=1_000_000))

    assert contradictions(policy, find_cheapest=lambda _: pytest.fail("it was")) == []


@pytest.mark.slow
def test_the_cheapest_token_is_that_of_the_rate_card_or_of_the_policys_own_prices(tmp_path):
    card = cheapest(Policy())
    assert card is not None
    assert 0 < card.nanodollars < 100

    path = tmp_path / "solvent.yaml"
    path.write_text("prices:\n  free: {input: 0, output: 0}\n  nearly-free: {input: 0.0001, output: 0}\n")
    assert cheapest(read_policy(path)) == Cheapest(model="nearly-free", nanodollars=1)


def test_a_policy_without_anything_contradicts_nothing():
    assert contradictions(Policy()) == []


def test_what_has_nothing_to_do_has_something_to_do_with_a_limit():
    idle = Policy(
        fallback=(Fallback(model="a", to="b"),),
        loops=LoopRule(same_call=5),
        alert=Alert(at=(Fraction(1, 2),)),
    )
    assert kinds(idle) == ["fallback_idle", "loops_go_on", "alert_idle"]
    assert (
        kinds(
            Policy(
                **{
                    **{f: getattr(idle, f) for f in ("fallback", "loops", "alert")},
                    "call": (Limit(meter="usd", amount=10**9),),
                }
            )
        )
        == []
    )
