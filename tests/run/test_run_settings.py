import pytest

from solvent._carrier import Carrier
from solvent._limits import Limit, Scope
from solvent.policy import Policy
from solvent.run._settings import RunSettings, notices, scope_of_run, unlimited


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "tools/agent.py", "--fast"], "agent.py"),
        (["python3", "-u", "agent.py"], "agent.py"),
        (["python", "-m", "agents.triage"], "agents.triage"),
        (["python", "-c", "print('a long text')"], "python"),
        (["uv", "run", "agent.py"], "agent.py"),
        (["node", "agent.mjs"], "agent.mjs"),
        (["/usr/local/bin/claude", "--continue"], "claude"),
        (["./a b$c"], "abc"),
    ],
)
def test_a_run_is_named_after_its_program(command, name):
    ((kind, found),) = scope_of_run(None, command).parts
    assert kind == "run"
    assert found.rpartition("-")[0] == name
    assert len(found.rpartition("-")[2]) == 26  # A new id each time.


def test_a_run_that_is_named_has_that_name():
    assert str(scope_of_run("nightly", ["python"])) == "run:nightly"


def test_a_run_may_belong_to_an_org_a_team_and_a_user():
    assert str(scope_of_run("x", ["python"], owner="org:acme/team:search")) == "org:acme/team:search/run:x"


@pytest.mark.parametrize(
    ("owner", "message"),
    [
        ("run:a", "a run can be in an org, a team and a user"),
        ("team:a/agent:b", "a run can be in an org, a team and a user"),
        ("acme", "a scope is written kind:name, such as run:42; got 'acme'$"),
        ("team:a/org:b", "org:b cannot stand below team"),
    ],
)
def test_a_run_belongs_to_nothing_else(owner, message):
    with pytest.raises(ValueError, match=message):
        scope_of_run("x", ["python"], owner=owner)


def settings(scope=None, *, name="x", limits=(), budgets=(), **more):
    policy = Policy(budgets=tuple((pattern, ONE) for pattern in budgets), call=more.pop("call", ()))
    run = scope_of_run(name, ["python"], owner=scope)
    return RunSettings(command=["python"], scope=run, limits=limits, ledger="memory://", policy=policy, **more)


ONE = Limit(meter="calls", amount=1, source="--calls")
BUDGETS = ("org:acme", "team:*", "team:a/run:*", "run:*", "agent:*")


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        (None, ["no limit of org:acme holds this run", "no limit of team:*, team:a/run:* holds this run"]),
        ("team:a", ["no limit of org:acme holds this run"]),
        ("org:other/team:a", []),
    ],
)
def test_limits_that_cannot_hold_a_run_are_told(scope, told):
    found = notices(settings(scope, budgets=BUDGETS), {})
    assert [notice.partition(", which")[0] for notice in found] == told


def test_what_leads_past_a_run_is_told_where_it_has_limits():
    environ = {"AZURE_OPENAI_API_KEY": "x", "HF_TOKEN": "", "CLAUDE_CODE_USE_BEDROCK": "1", "OPENAI_API_KEY": "x"}
    (told,) = notices(settings(limits=(ONE,)), environ)
    assert told.startswith("with AZURE_OPENAI_API_KEY, CLAUDE_CODE_USE_BEDROCK the program can call providers past")
    assert notices(settings(), environ) == []


ANY = "an entry such as run:*"


@pytest.mark.parametrize(
    ("budgets", "what", "entry"),
    [
        (("run:nightly", "org:acme"), "nothing", ANY),
        (("team:b/agent:*", "run:nightly-*/step:x"), "nothing", ANY),
        (("run:triage",), "nothing", "run:triage-* for run:triage"),
        (("run:tri", "run:x"), "nothing", "run:tri* for run:tri"),
        (("team:a/run:triage",), "nothing", "team:a/run:triage-* for team:a/run:triage"),
        (
            ("agent:*", "team:a/run:triage-1/step:x", "team:b/step:y"),
            "only agent:*, team:a/run:triage-1/step:x in it",
            ANY,
        ),
        (("run:triage", "step:x"), "only step:x in it", "run:triage-* for run:triage"),
    ],
)
def test_a_run_that_no_entry_of_the_policy_holds_is_told_the_one_that_was_meant(budgets, what, entry):
    assert unlimited(settings("team:a", name="triage-1", budgets=budgets)) == (
        f"{what} is limited: no entry of the policy is for team:a/run:triage-1; give --usd or --calls, or write {entry}"
    )


def test_a_run_without_a_policy_is_told_the_flags():
    assert unlimited(settings()) == "nothing is limited: give --usd, --calls or a policy"


@pytest.mark.parametrize(
    "given",
    [
        {"budgets": ("run:*",)},
        {"budgets": ("run:tri*",)},
        {"budgets": ("run:triage-1",)},
        {"budgets": ("team:a",)},
        {"budgets": ("agent:*", "team:a/run:*")},
        {"call": (ONE,)},
        {"limits": (ONE,)},
        {"time_seconds": 0.0},
        {"inside": Carrier.of(Scope.parse("run:a"), {})},
    ],
)
def test_a_run_that_something_limits_is_told_nothing(given):
    assert unlimited(settings("team:a", name="triage-1", **given)) is None
