"""
A ``solvent run`` inside another one, and one that goes on under its name.
"""

from collections.abc import Callable

import pytest
from fake_provider import Answer, Fake, Rates
from solvent_run import DOLLAR, PROGRAMS, SOLVENT, Desk, python

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

CENT = DOLLAR // 100
# A call of 100 tokens is a cent.
PRICE, RATES = ("--price", "m=0/100"), Rates(input=0, output=100_000)


def nested(*options: str, command: list[str]) -> list[str]:
    return [*SOLVENT, "run", *options, "--quiet", "--", *command]


@pytest.fixture
def fake(desk: Desk, fake_provider: Fakes) -> Fake:
    fake = fake_provider(Answer(output_tokens=500))
    desk.providers_at(fake.url)
    return fake


def test_a_run_inside_a_run_has_a_limit_of_its_own_and_draws_on_the_outer_one(desk: Desk, fake: Fake) -> None:
    inner = nested("--usd", "0.03", "--name", "inner", command=python("agent.py"))
    outer = ("--usd", "0.10", *PRICE, "--name", "outer")
    ran = desk.run(*outer, command=["sh", "-c", f"{' '.join(inner)} && {' '.join(python('agent.py'))}"])
    first, second = ran.stdout.splitlines()
    assert '"scope": "run:outer/step:inner"' in first
    assert '"scope": "run:outer"' in second
    assert [first.count("200"), second.count("200")] == [3, 7]
    assert ran.refused == 2
    assert fake.billed(RATES) == 10 * CENT
    assert desk.spent("run:outer/step:inner", "usd") == 3 * CENT
    assert desk.spent("run:outer", "usd") == 10 * CENT


def test_an_outer_limit_holds_for_an_inner_run_with_a_wider_one(desk: Desk, fake: Fake) -> None:
    inner = nested("--usd", "5", "--name", "inner", command=python("agent.py"))
    ran = desk.run("--usd", "0.04", *PRICE, "--name", "outer", command=inner)
    assert ran.said["statuses"] == [200] * 4 + [402]
    assert ran.said["error"]["message"].startswith("run:outer has $0.00 left of $0.04; this call needs up to $0.01.")
    assert fake.billed(RATES) == 4 * CENT


def test_grandchildren_in_any_language_stay_in_the_inner_scope(desk: Desk, fake: Fake) -> None:
    script = f"sh {PROGRAMS / 'agent.sh'}; {' '.join(python('agent.py', '--calls', '1'))}"
    inner = nested("--usd", "0.03", "--name", "inner", command=["sh", "-c", script])
    ran = desk.run("--usd", "0.10", *PRICE, "--name", "outer", command=inner)
    by_shell, by_python = ran.stdout.splitlines()
    assert by_shell.startswith('{"answered": 3, ')
    assert '"statuses": [402]' in by_python
    assert '"scope": "run:outer/step:inner"' in by_python
    assert len(fake.seen) == 3


def test_a_run_in_a_run_in_a_run_goes_one_step_deeper(desk: Desk, fake: Fake) -> None:
    innermost = nested("--calls", "1", "--name", "c", command=python("agent.py"))
    ran = desk.run(
        "--usd", "0.10", *PRICE, "--name", "a", command=nested("--calls", "5", "--name", "b", command=innermost)
    )
    assert ran.said["scope"] == "run:a/step:b/step:c"
    assert ran.said["statuses"] == [200, 402]
    assert len(fake.seen) == 1


def test_a_named_run_goes_on_with_the_budget_that_is_left(desk: Desk, fake: Fake) -> None:
    options = ("--usd", "0.05", *PRICE, "--name", "weekly")
    first = desk.run(*options, command=python("agent.py", "--calls", "3"))
    second = desk.run(*options, command=python("agent.py"))
    assert first.said["statuses"] == [200] * 3
    assert second.said["statuses"] == [200] * 2 + [402]
    assert (first.report["openings"], second.report["openings"]) == (1, 2)
    assert fake.billed(RATES) == 5 * CENT
    told = desk.solvent("run", *options, "--", "true")
    assert told.returncode == 0
    assert "opened 3 times" in told.stderr
    assert "$0.05 of $0.05" in told.stderr


def test_a_wider_limit_lets_a_named_run_go_on(desk: Desk, fake: Fake) -> None:
    desk.run("--usd", "0.02", *PRICE, "--name", "weekly", command=python("agent.py"))
    ran = desk.run("--usd", "0.05", *PRICE, "--name", "weekly", command=python("agent.py"))
    assert ran.said["statuses"] == [200] * 3 + [402]
    assert fake.billed(RATES) == 5 * CENT
