"""
Other models, soft limits, loops and deadlines of a policy, as a program under ``solvent run`` meets them.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from fake_provider import Answer, Billed, Fake, Rates
from servers import Gate
from solvent_run import DOLLAR, SECONDS_TO_BEGIN, Desk, Ran, python

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

PRICES = """
prices:
  big:    {input: 0, output: 10.00}
  middle: {input: 0, output: 1.00}
  small:  {input: 0, output: 0.10}
"""
CHAIN = "fallback: [{at: 60%, from: big, to: middle}, {at: 80%, from: middle, to: small}]"
RATES = {name: Rates(input=0, output=rate) for name, rate in (("big", 10_000), ("middle", 1_000), ("small", 100))}
BODY: dict[str, Any] = {"model": "big", "max_tokens": 3_000, "stream": "some"}


def billed(fake: Fake) -> int:
    return sum(RATES[bill.model].cost(bill) for bill in fake.bill)


def run(desk: Desk, policy: str, *options: str, calls: int = 64, body: dict[str, Any] = BODY) -> Ran:
    path = desk.folder / "solvent.yaml"
    path.write_text(policy + PRICES)
    crowd = python("crowd.py", str(calls), "32", json.dumps(body))
    return desk.run("--policy", str(path), *options, command=crowd)


def models(bills: list[Billed]) -> Counter[str]:
    return Counter(bill.model for bill in bills)


def test_64_calls_of_three_cents_go_on_with_other_models_and_never_pass_half_a_dollar(
    desk: Desk, fake_provider: Fakes
) -> None:
    fake = fake_provider(Answer(output_tokens=3_000))
    desk.providers_at(fake.url)
    ran = run(desk, CHAIN, "--usd", "0.50")
    assert billed(fake) <= DOLLAR // 2
    assert ran.report["total"]["cost_nanodollars"] == str(billed(fake))
    used = models(fake.bill)
    assert used["big"] >= 10
    assert used["middle"] + used["small"] >= 10
    assert ran.report["rungs"]["degrade"] == used["middle"] + used["small"]
    told = {model["model"]: model["calls"] for model in ran.report["models"]}
    assert told == dict(used)
    assert sum(used.values()) + ran.refused == 64


def test_a_soft_limit_refuses_nothing_and_is_in_the_report(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=3_000))
    desk.providers_at(fake.url)
    ran = run(desk, "budgets: {run:*: {usd: {limit: 0.10, on_exceed: warn}}}", calls=8)
    assert (len(fake.bill), ran.refused) == (8, 0)
    assert ran.report["rungs"] == {"warn usd": 5}
    assert "5 passed the limit of usd (warn)" in desk.solvent("report").stdout
    assert ran.stderr.count("solvent: passed: ") == 1  # The first time, and the report counts them.
    assert billed(fake) == 24 * DOLLAR // 100


def test_a_program_that_goes_round_in_circles_is_stopped(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=10))
    desk.providers_at(fake.url)
    path = desk.folder / "solvent.yaml"
    path.write_text("loops: {same_call: 5, on_exceed: block}" + PRICES)
    ran = desk.run("--policy", str(path), command=python("again.py", "20", json.dumps(BODY | {"stream": False})))
    assert len(fake.bill) == 5
    assert ran.said == {"200": 5, "loop_detected": 15}
    assert ran.refusal_codes == {"loop_detected"}


def test_a_deadline_of_the_policy_ends_calls_that_are_under_way(desk: Desk, fake_provider: Fakes) -> None:
    for seconds in SECONDS_TO_BEGIN:
        fake = fake_provider(Answer(output_tokens=3_000, hold_after=(4, Gate())))
        desk.providers_at(fake.url)
        ran = run(desk, f"budgets: {{run:*: {{seconds: {seconds}}}}}", calls=8, body={**BODY, "stream": True})
        if len(fake.seen) == 8:
            break
    # A stream whose end is an error is no whole one.
    assert ran.said == {"cut": 8}
    fake.wait_until(lambda: fake.left_count == 8, "8 streams that end early")
    assert billed(fake) == 24 * DOLLAR // 100 == int(ran.report["total"]["cost_nanodollars"])
