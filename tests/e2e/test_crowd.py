"""
Many calls at once under one budget; the provider's own bill decides whether it held.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from fake_provider import Answer, Fake, Rates
from servers import Gate
from solvent_run import DOLLAR, Desk, Ran, Running, python

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

CALLS, AT_ONCE = 64, 32
# Only output costs, so that 3,000 tokens are three cents to the nanodollar.
PRICE, RATES = "m=0/10", Rates(input=0, output=10_000)
PRICES = {"gpt-4o": "gpt-4o=2.50/10", "m": PRICE}
RATES_OF = {"gpt-4o": Rates(input=2_500, output=10_000), "m": RATES}
BODY: dict[str, Any] = {"model": "m", "max_tokens": 3_000, "stream": "some"}
USAGE = {"include_usage": True}


def crowd(body: dict[str, Any], *, leave_after: int | None = None, calls: int = CALLS) -> list[str]:
    more = [] if leave_after is None else [str(leave_after)]
    return python("crowd.py", str(calls), str(AT_ONCE), json.dumps(body), *more)


def passed(ran: Ran) -> int:
    return sum(ran.said.get(way, 0) for way in ("answered", "streamed", "left"))


@pytest.mark.parametrize(
    ("model", "input_tokens", "output_tokens"), [("m", None, 3_000), ("gpt-4o", 8, 2_998)], ids=["m", "gpt-4o"]
)
def test_of_64_calls_of_three_cents_exactly_33_pass_under_a_dollar(
    model: str, input_tokens: int | None, output_tokens: int, desk: Desk, fake_provider: Fakes
) -> None:
    fake = fake_provider(Answer(input_tokens=input_tokens, output_tokens=output_tokens))
    desk.providers_at(fake.url)
    body = {**BODY, "model": model, "max_tokens": output_tokens}
    ran = desk.run("--usd", "1.00", "--price", PRICES[model], command=crowd(body))
    assert fake.billed(RATES_OF[model]) == 99 * DOLLAR // 100
    assert (len(fake.seen), passed(ran)) == (33, 33)
    assert ran.said["budget_exceeded"] == ran.refused == 31
    assert ran.report["total"]["cost_nanodollars"] == str(fake.billed(RATES_OF[model]))


def test_short_answers_under_long_caps_all_pass_because_calls_wait(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=300))
    desk.providers_at(fake.url)
    ran = desk.run("--usd", "1.00", "--price", PRICE, "--wait", "30s", command=crowd(BODY))
    assert (len(fake.seen), passed(ran), ran.refused) == (CALLS, CALLS, 0)
    assert fake.billed(RATES) == CALLS * 300 * 10_000


@pytest.mark.parametrize(
    ("body", "at_least_cents"),
    [
        pytest.param({"model": "gpt-4o", "stream": "some"}, 75, id="no cap, answers of 16,384 tokens"),
        pytest.param({"model": "m", "stream": "some"}, 90, id="no cap, and nobody knows the largest answer"),
        pytest.param({"model": "gpt-4o", "n": 4, "max_tokens": 3_000}, 75, id="four choices"),
        pytest.param({"model": "gpt-4o", "n": 4, "stream": "some"}, 25, id="four choices, no cap"),
        pytest.param({"model": "gpt-4o", "max_completion_tokens": 3_000, "stream": "some"}, 90, id="the newer cap"),
        pytest.param({"model": "gpt-4o", "stream": "some", "stream_options": USAGE}, 75, id="streams that tell usage"),
    ],
)
def test_whatever_is_asked_for_the_bill_stays_below_the_limit(
    body: dict[str, Any], at_least_cents: int, desk: Desk, fake_provider: Fakes
) -> None:
    fake = fake_provider(Answer(output_tokens=16_384))
    desk.providers_at(fake.url)
    ran = desk.run("--usd", "1.00", "--price", PRICES[body["model"]], command=crowd(body))
    assert at_least_cents * DOLLAR // 100 <= fake.billed(RATES_OF[body["model"]]) <= DOLLAR
    assert len(fake.seen) == passed(ran)
    assert passed(ran) + ran.refused == CALLS


def test_streams_that_clients_leave_are_paid_for_in_full(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=3_000, hold_after=(4, Gate())))
    desk.providers_at(fake.url)
    ran = desk.run("--usd", "1.00", "--price", PRICE, command=crowd({**BODY, "stream": True}, leave_after=4))
    assert ran.said["left"] == len(fake.seen) == 33
    # The gateway leaves the provider as well, else each stream would have been generated to its end.
    fake.wait_until(lambda: fake.left_count == 33, "33 streams that end early")
    assert fake.billed(RATES) == 99 * DOLLAR // 100


def test_callers_that_leave_before_an_answer_cannot_overspend(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=3_000, hangs=True))
    desk.providers_at(fake.url)
    ran = desk.run("--usd", "1.00", "--price", PRICE, command=crowd(BODY, leave_after=0))
    assert ran.said["left"] + ran.said.get("budget_exceeded", 0) == CALLS
    fake.wait_until(lambda: fake.left_count == len(fake.seen), "the end of every call")
    # What was sent is owed in full; who left before that, as may happen on a busy machine, owes nothing.
    assert fake.billed(RATES) <= int(ran.report["total"]["cost_nanodollars"]) <= 99 * DOLLAR // 100


@contextmanager
def running_together(desk: Desk, count: int, options: list[str], command: list[str]) -> Iterator[list[Running]]:
    with ExitStack() as stack:
        yield [stack.enter_context(desk.running(options, command)) for _ in range(count)]


@pytest.mark.parametrize(
    ("runs", "calls"), [(4, 16), pytest.param(8, 64, marks=pytest.mark.long)], ids=["4 runs", "8 runs"]
)
def test_runs_of_one_name_share_one_budget(runs: int, calls: int, desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=3_000))
    desk.providers_at(fake.url)
    options = ["--usd", "1.00", "--price", PRICE, "--name", "together"]
    with running_together(desk, runs, options, crowd(BODY, calls=calls)) as running:
        ended = [run.wait() for run in running]
    desk.balanced()
    outcomes = sum((Counter(ran.said) for ran in ended), Counter[str]())
    assert fake.billed(RATES) == 99 * DOLLAR // 100
    assert (len(fake.seen), outcomes["answered"] + outcomes["streamed"]) == (33, 33)
    assert outcomes["budget_exceeded"] == runs * calls - 33
    assert desk.spent("run:together", "usd") == fake.billed(RATES)
