"""
A ``solvent run`` in a budget of a Python program that no ``solvent run`` is around: a step of that budget.
"""

from collections.abc import Iterator

import pytest
from fake_provider import Answer, Fake, Rates
from solvent_run import DOLLAR, Desk, python

import solvent
from solvent._carrier import Carrier
from solvent._limits import SECOND_NS
from solvent._runtime import PROCESS

pytestmark = pytest.mark.slow

CENT = DOLLAR // 100
# A call of 100 tokens is a cent.
PRICE, RATES = ("--price", "m=0/100"), Rates(input=0, output=100_000)
AGENT = python("agent.py")


@pytest.fixture
def fake(desk: Desk, fake_provider) -> Fake:
    fake = fake_provider(Answer(output_tokens=500))
    desk.providers_at(fake.url)
    return fake


@pytest.fixture(autouse=True)
def ours(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOLVENT_LEDGER", desk.ledger)
    PROCESS.close()
    yield
    PROCESS.close()


def older(carrier: Carrier, seconds: int) -> Carrier:
    began_ns = {depth: at - seconds * SECOND_NS for depth, at in carrier.began_ns.items()}
    return Carrier.of(carrier.scope, began_ns, carrier.ledger)


def test_it_is_a_step_that_is_held_to_the_budget_and_to_its_own_limits(desk: Desk, fake: Fake) -> None:
    with solvent.budget("job", usd="0.05") as budget, solvent.agent("worker"):
        env = budget.carry().environ
        few = desk.run("--calls", "2", *PRICE, "--name", "few", command=AGENT, env=env)
        many = desk.run(
            "--usd", "5", *PRICE, "--name", "many", command=AGENT, env=solvent.current_budget().carry().environ
        )
    assert (few.said["scope"], few.said["statuses"]) == (f"{budget.scope}/step:few", [200, 200, 402])
    assert (many.said["scope"], many.said["statuses"]) == (f"{budget.scope}/agent:worker/step:many", [200] * 3 + [402])
    assert many.said["error"]["message"].startswith(f"{budget.scope} has $0.00 left of $0.05")
    assert many.report["scope"] == many.said["scope"]
    assert {limit["scope"] for limit in many.report["limits"]} == {str(budget.scope), many.said["scope"]}
    assert fake.billed(RATES) == desk.spent(str(budget.scope), "usd") == 5 * CENT


def test_the_report_for_people_says_whose_step_it_is(desk: Desk, fake: Fake) -> None:
    with solvent.budget("job", calls=1) as budget:
        desk.env |= budget.carry().environ
        said = desk.solvent("run", *PRICE, "--name", "few", "--", *AGENT).stderr
    assert said.startswith(f"\nSolvent · {budget.scope}/step:few · exited with 0 · ")
    assert f"\n\n  {str(budget.scope)[:20]}" in said  # And its limit, which is that budget's.
    assert len(fake.seen) == 1


def test_its_time_is_that_of_the_budget(desk: Desk, fake: Fake) -> None:
    with solvent.budget("job", seconds=3_600) as budget:
        carrier = budget.carry()
    assert desk.run(*PRICE, command=python("agent.py", "--calls", "1"), env=carrier.environ).said["statuses"] == [200]
    ran = desk.run(*PRICE, command=AGENT, env=older(carrier, 3_601).environ)
    assert (ran.said["statuses"], ran.said["error"]["code"]) == ([402], "deadline_passed")
    assert len(fake.seen) == 1


def test_a_later_run_of_its_name_goes_on(desk: Desk, fake: Fake) -> None:
    with solvent.budget("job", usd=1) as budget:
        env = budget.carry().environ
        first = desk.run("--calls", "3", *PRICE, "--name", "x", command=python("agent.py", "--calls", "2"), env=env)
        second = desk.run(*PRICE, "--name", "x", command=AGENT, env=env)
    assert (first.said["statuses"], second.said["statuses"]) == ([200, 200], [200, 402])
    assert len(fake.seen) == 3


def test_an_org_of_the_environment_has_the_run_in_it(desk: Desk, fake: Fake) -> None:
    ran = desk.run("--calls", "1", *PRICE, "--name", "x", command=AGENT, env={"SOLVENT_SCOPE": "org:acme/team:search"})
    assert ran.said["scope"] == "org:acme/team:search/run:x"
    assert len(fake.seen) == 1


@pytest.mark.parametrize(
    ("options", "more", "said"),
    [
        (("--scope", "org:acme"), {}, "--scope: expected that of run:job"),
        (("--ledger", "other.db"), {}, "--ledger: expected that of run:job"),
        ((), {"SOLVENT_LEDGER": "other.db"}, "expected a budget that was opened in the ledger"),
        ((), {"SOLVENT_SCOPE": "nonsense"}, "SOLVENT_SCOPE: expected a scope such as run:42"),
    ],
)
def test_what_would_lead_past_the_budget_starts_nothing(options, more, said, desk: Desk) -> None:
    with solvent.budget(run="job") as budget:
        desk.env |= {**budget.carry().environ, **more}
    done = desk.solvent("run", *options, "--", "touch", "begun")
    assert (done.returncode, said in done.stderr) == (4, True), done.stderr
    assert not (desk.folder / "begun").exists()


def test_a_run_that_is_resumed_in_python_has_its_limits(desk: Desk, fake: Fake) -> None:
    desk.run("--calls", "3", *PRICE, "--name", "x", command=python("agent.py", "--calls", "1"))
    with solvent.resume("run:x") as again:
        assert again.remaining("calls") == 2
    assert len(fake.seen) == 1
