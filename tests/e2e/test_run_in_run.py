"""
A ``solvent run`` inside another one, and one that goes on under its name.
"""

import json
import shlex
from collections.abc import Callable

import pytest
from fake_provider import Answer, Fake, Rates
from solvent_run import DOLLAR, PROGRAMS, SECONDS_TO_BEGIN, SOLVENT, Desk, python

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

CENT = DOLLAR // 100
HANGING = 7  # A call for so many tokens is never answered.
# A call of 100 tokens is a cent.
PRICE, RATES = ("--price", "m=0/100"), Rates(input=0, output=100_000)


AGENT = python("agent.py")


def nested(*options: str, command: list[str]) -> list[str]:
    return [*SOLVENT, "run", *options, "--quiet", "--", *command]


def one_after_the_other(*commands: list[str]) -> list[str]:
    return ["sh", "-c", "; ".join(map(shlex.join, commands))]


@pytest.fixture
def fake(desk: Desk, fake_provider: Fakes) -> Fake:
    fake = fake_provider(Answer(output_tokens=500))
    desk.providers_at(fake.url)
    return fake


def test_a_run_inside_a_run_has_a_limit_of_its_own_and_draws_on_the_outer_one(desk: Desk, fake: Fake) -> None:
    inner = nested("--usd", "0.03", "--name", "inner", command=AGENT)
    ran = desk.run("--usd", "0.10", *PRICE, "--name", "outer", command=one_after_the_other(inner, AGENT))
    first, second = map(json.loads, ran.stdout.splitlines())
    assert (first["scope"], first["statuses"]) == ("run:outer/step:inner", [200] * 3 + [402])
    assert (second["scope"], second["statuses"]) == ("run:outer", [200] * 7 + [402])
    assert first["error"]["message"].startswith("run:outer/step:inner has $0.00 left of $0.03")
    assert fake.billed(RATES) == 10 * CENT
    assert desk.spent("run:outer/step:inner", "usd") == 3 * CENT
    assert desk.spent("run:outer", "usd") == 10 * CENT
    assert ran.refused == 2


def test_an_outer_limit_holds_for_an_inner_run_with_a_wider_one(desk: Desk, fake: Fake) -> None:
    inner = nested("--usd", "5", "--name", "inner", command=AGENT)
    ran = desk.run("--usd", "0.04", *PRICE, "--name", "outer", command=inner)
    assert ran.said["statuses"] == [200] * 4 + [402]
    assert ran.said["error"]["message"].startswith("run:outer has $0.00 left of $0.04; this call needs up to $0.01.")
    assert fake.billed(RATES) == 4 * CENT


def test_grandchildren_in_any_language_stay_in_the_inner_scope(desk: Desk, fake: Fake) -> None:
    shell, again = ["sh", str(PROGRAMS / "agent.sh")], python("agent.py", "--calls", "1")
    inner = nested("--usd", "0.03", "--name", "inner", command=one_after_the_other(shell, again))
    ran = desk.run("--usd", "0.10", *PRICE, "--name", "outer", command=inner)
    by_shell, by_python = map(json.loads, ran.stdout.splitlines())
    assert by_shell["answered"] == 3
    assert (by_python["scope"], by_python["statuses"]) == ("run:outer/step:inner", [402])
    assert len(fake.seen) == 3


def test_a_run_in_a_run_in_a_run_goes_one_step_deeper(desk: Desk, fake: Fake) -> None:
    innermost = nested("--calls", "1", "--name", "c", command=AGENT)
    ran = desk.run(
        "--usd", "0.10", *PRICE, "--name", "a", command=nested("--calls", "5", "--name", "b", command=innermost)
    )
    assert ran.said["scope"] == "run:a/step:b/step:c"
    assert ran.said["statuses"] == [200, 402]
    assert len(fake.seen) == 1


def test_an_inner_run_that_is_started_again_goes_on_with_its_budget(desk: Desk, fake: Fake) -> None:
    inner = nested("--calls", "2", "--name", "inner", command=AGENT)
    ran = desk.run("--usd", "0.10", *PRICE, "--name", "outer", command=one_after_the_other(inner, inner))
    assert [json.loads(line)["statuses"] for line in ran.stdout.splitlines()] == [[200, 200, 402], [402]]
    assert len(fake.seen) == 2


def test_an_inner_run_that_is_started_again_without_its_limits_keeps_them(desk: Desk, fake: Fake) -> None:
    inner = nested("--calls", "2", "--name", "inner", command=AGENT)
    without = nested("--name", "inner", command=AGENT)
    ran = desk.run("--usd", "0.10", *PRICE, "--name", "outer", command=one_after_the_other(inner, without))
    assert [json.loads(line)["statuses"] for line in ran.stdout.splitlines()] == [[200, 200, 402], [402]]
    assert len(fake.seen) == 2


def test_an_inner_run_that_is_started_again_with_more_has_more(desk: Desk, fake: Fake) -> None:
    few, more = (nested("--calls", str(calls), "--name", "inner", command=AGENT) for calls in (2, 5))
    ran = desk.run("--usd", "0.10", *PRICE, "--name", "outer", command=one_after_the_other(few, more))
    assert [json.loads(line)["statuses"] for line in ran.stdout.splitlines()] == [[200] * 2 + [402], [200] * 3 + [402]]
    assert len(fake.seen) == 5


def test_an_inner_run_that_is_opened_a_second_time_widens_nothing_for_the_first(desk: Desk, fake: Fake) -> None:
    other = shlex.join(nested("--calls", "40", "--name", "inner", command=["true"]))
    # Of the outer run again, and so the same scope; the first one's program is in it meanwhile.
    outer = "SOLVENT_GATEWAY=$0 SOLVENT_SCOPE=$1"
    script = ["sh", "-c", f"{outer} {other}; {shlex.join(AGENT)}"]
    first = shlex.join(nested("--calls", "2", "--name", "inner", command=script))
    command = ["sh", "-c", f'{first} "$SOLVENT_GATEWAY" "$SOLVENT_SCOPE"']
    ran = desk.run("--usd", "0.10", *PRICE, "--name", "outer", command=command)
    assert (ran.said["scope"], ran.said["statuses"]) == ("run:outer/step:inner", [200] * 2 + [402])
    assert len(fake.seen) == 2


def test_the_way_in_of_an_inner_run_is_closed_when_it_is_over(desk: Desk) -> None:
    ask = "curl -s -o answer -w '%{http_code} ' $(cat way)/solvent/state"
    inner = nested("--name", "inner", command=["sh", "-c", f"echo $SOLVENT_GATEWAY > way; {ask}"])
    script = f"{shlex.join(inner)}; {ask}"
    ran = desk.run(*PRICE, "--name", "outer", command=["sh", "-c", script])
    assert ran.stdout.split() == ["200", "403"]


def test_the_time_of_an_inner_run_ends_it_alone(desk: Desk, fake_provider: Fakes) -> None:
    hanging, after = python("agent.py", "--output", str(HANGING)), python("agent.py", "--calls", "1")
    for seconds in SECONDS_TO_BEGIN:
        fake = fake_provider(lambda seen: Answer(hangs=seen.body["max_tokens"] == HANGING))
        desk.providers_at(fake.url)
        inner = nested("--time", f"{seconds}s", "--name", "inner", command=hanging)
        script = f"{shlex.join(inner)}; echo $?; {shlex.join(after)}"
        ran = desk.run(*PRICE, "--name", "outer", command=["sh", "-c", script])
        if len(fake.seen) == 2:
            break
    code, said = ran.stdout.splitlines()
    assert (code, json.loads(said)["statuses"], ran.code) == ("3", [200], 0)
    fake.wait_until(lambda: fake.left_count == len(fake.seen) - 1 == 1, "the end of the call in flight")


def test_a_named_run_goes_on_with_the_budget_that_is_left(desk: Desk, fake: Fake) -> None:
    options = ("--usd", "0.05", *PRICE, "--name", "weekly")
    first = desk.run(*options, command=python("agent.py", "--calls", "3"))
    second = desk.run(*options, command=AGENT)
    assert first.said["statuses"] == [200] * 3
    assert second.said["statuses"] == [200] * 2 + [402]
    assert first.report["before"]["cost_nanodollars"] == "0"
    assert second.report["before"]["cost_nanodollars"] == str(3 * CENT)
    assert fake.billed(RATES) == 5 * CENT
    told = desk.solvent("run", *options, "--", "true")
    assert told.returncode == 0
    assert "opened 3 times" in told.stderr
    assert "$0.05 of $0.05" in told.stderr


def test_a_wider_limit_lets_a_named_run_go_on(desk: Desk, fake: Fake) -> None:
    desk.run("--usd", "0.02", *PRICE, "--name", "weekly", command=AGENT)
    ran = desk.run("--usd", "0.05", *PRICE, "--name", "weekly", command=AGENT)
    assert ran.said["statuses"] == [200] * 3 + [402]
    assert fake.billed(RATES) == 5 * CENT
