"""
Tokens, cost and latency of a pipeline: what users of such a system can do, in Solvent.
"""

import asyncio
from itertools import chain, combinations

import anthropic
import driven
import openai
import pytest
import tenacity
from fake_provider import Answer
from openai.types import CompletionUsage
from users import CENT

import solvent
from solvent import BudgetExceeded, DeadlinePassed, PriceUnknown

# Nanodollars a token, read and written.
PRICES = {"gpt-4-turbo": (10_000, 30_000), "gpt-4o": (2_500, 10_000), "gpt-4o-mini": (150, 600)}
MESSAGES = [{"role": "user", "content": "hi"}]


def cost(model, input_tokens, output_tokens):
    return input_tokens * PRICES[model][0] + output_tokens * PRICES[model][1]


def bill(fake):
    """
    What the provider's own bill comes to, in nanodollars.
    """
    return sum(cost(one.model, one.input_tokens, one.output_tokens) for one in fake.bill)


def ask(client, *, model="gpt-4o", output_tokens=992):
    return client.chat.completions.create(model=model, max_tokens=output_tokens, messages=MESSAGES)


# A call is 8 tokens read and 992 written, which is $0.00994: the most calls under each limit.
LIMITS = {"tokens": (4_100, 4), "usd": ("0.03", 3), "seconds": (60, 6)}
COMBINATIONS = list(chain.from_iterable(combinations(LIMITS, count) for count in range(4)))


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_s1_any_combination_of_tokens_cost_and_latency_holds_and_none_is_no_limit(user, fake_provider):
    fake = fake_provider(Answer(input_tokens=8, output_tokens=992))
    client = user.client(fake)

    def calls_made():
        made = 0
        try:
            for _ in range(6):
                ask(client)
                made += 1
        except BudgetExceeded as error:
            return made, error.meter
        return made, None

    for given in COMBINATIONS:
        limits = {name: LIMITS[name][0] if name in given else None for name in LIMITS}
        most = min([LIMITS[name][1] for name in given], default=6)
        decides = next((name for name in ("usd", "tokens") if name in given), None)
        with solvent.budget("pipeline", **limits, ledger=user.ledger) as budget:
            assert calls_made() == (most, decides), given
            assert (budget.deadline is None) == ("seconds" not in given)


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_s1_a_call_in_flight_is_ended_at_the_deadline(user, fake_provider):
    fake = fake_provider([Answer(), Answer(hangs=True)])
    client = user.client(fake)
    with solvent.budget("warm", ledger=user.ledger):
        ask(client)  # The connection is there, and no part of the second.
    with solvent.budget("pipeline", usd=1, tokens=10_000, seconds=1, ledger=user.ledger) as budget:
        with pytest.raises(DeadlinePassed) as ended:
            ask(client)
        with pytest.raises(DeadlinePassed) as refused:
            ask(client)
    assert (ended.value.ended, refused.value.ended) == (True, False)
    fake.wait_until(lambda: fake.left_count == 1)
    report = budget.report()
    assert (len(fake.seen), report.total.calls) == (2, 1)
    assert report.total.cost_nanodollars >= cost("gpt-4o", 1, 992)  # Nobody saw what it used: the most that it could.


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_s1_calls_in_flight_of_tasks_are_cancelled_at_the_deadline_together(user, fake_provider):
    fake = fake_provider(Answer(hangs=True))

    async def pipeline():
        async with user.async_client(fake) as client, solvent.budget("pipeline", seconds=1, ledger=user.ledger):
            return await asyncio.gather(*(ask(client) for _ in range(3)), return_exceptions=True)

    ends = asyncio.run(pipeline())
    assert [(type(end), end.ended) for end in ends] == [(DeadlinePassed, True)] * 3
    fake.wait_until(lambda: fake.left_count == 3)


def test_s1_so_is_a_call_of_ones_own():
    async def pipeline():
        async with solvent.budget("pipeline", usd=1, seconds=1, ledger="memory://") as budget:
            with pytest.raises(DeadlinePassed) as ended:
                async with solvent.call("slow", usd="0.10"):
                    await asyncio.sleep(3_600)
            return budget, ended.value, driven.now()

    budget, ended, seconds = driven.run(pipeline())
    assert (ended.ended, 0 < seconds <= 1) == (True, True)
    assert (budget.report().total.cost_nanodollars, budget.report().open.count) == (10 * CENT, 0)


# What a call of at most 2,000 tokens read and 1,000 written is told to have used, and what it then cost.
RESERVED = cost("gpt-4o", 2_000, 1_000)
KNOWN = cost("gpt-4o", 1_200, 300)
SHAPES = {
    "an OpenAI usage object": (
        lambda call: call.settle(CompletionUsage(prompt_tokens=1_200, completion_tokens=300, total_tokens=1_500)),
        KNOWN,
    ),
    "an Anthropic usage object": (
        lambda call: call.settle(anthropic.types.Usage(input_tokens=1_200, output_tokens=300)),
        KNOWN,
    ),
    "a dict": (lambda call: call.settle({"prompt_tokens": 1_200, "completion_tokens": 300}), KNOWN),
    "a whole reply as a dict": (
        lambda call: call.settle({"model": "gpt-4o", "usage": {"input_tokens": 1_200, "output_tokens": 300}}),
        KNOWN,
    ),
    "input, output and model": (
        lambda call: call.settle(input_tokens=1_200, output_tokens=300, model="gpt-4o-mini"),
        cost("gpt-4o-mini", 1_200, 300),
    ),
    "input and model": (
        lambda call: call.settle(input_tokens=1_200, model="gpt-4o-mini"),
        cost("gpt-4o-mini", 1_200, 1_000),
    ),
    "output alone": (lambda call: call.settle(output_tokens=300), cost("gpt-4o", 2_000, 300)),
    "a total": (lambda call: call.settle(tokens=1_500), cost("gpt-4o", 500, 1_000)),
    "a total in a dict": (lambda call: call.settle({"total_tokens": 1_500}), cost("gpt-4o", 500, 1_000)),
    "a number": (lambda call: call.settle(1_500), cost("gpt-4o", 500, 1_000)),
    "dollars": (lambda call: call.settle(usd="0.0042"), 4_200_000),
    "nothing in particular": (lambda call: call.settle(), RESERVED),
    "nothing at all": (lambda _: None, RESERVED),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_s2_usage_is_told_in_whatever_detail_there_is_and_never_booked_at_nothing(user, shape):
    say, booked = SHAPES[shape]
    with solvent.budget("pipeline", usd=1, ledger=user.ledger) as budget:
        with solvent.call(model="gpt-4o", input_tokens=2_000, output_tokens=1_000) as call:
            say(call)
        assert call.cost_nanodollars == booked > 0
        assert budget.report().total.cost_nanodollars == booked


def test_s2_a_model_without_a_price_costs_not_nothing_but_is_refused_or_recorded_as_unpriced(user):
    def step():
        with solvent.call(model="nobody-knows", input_tokens=100, output_tokens=100) as call:
            pass
        return call.cost_nanodollars

    with solvent.budget("limited", usd=1, ledger=user.ledger), pytest.raises(PriceUnknown):
        step()
    with solvent.budget("observed", ledger=user.ledger) as budget:
        assert step() is None
        assert budget.report().total.unpriced == 1


def test_s3_a_retry_never_repeats_a_refusal(user):
    attempts = []

    @solvent.retry("fetch", times=5, wait=0)
    def fetch():
        attempts.append("asked")
        with solvent.call("fetch", usd="5.00"):
            raise ConnectionError

    with solvent.budget("job", usd="1.00", ledger=user.ledger) as budget:
        with pytest.raises(BudgetExceeded):
            fetch()
        assert (attempts, budget.report().refusals, budget.remaining()) == (["asked"], 1, 100 * CENT)

    attempts.clear()
    with solvent.budget("job", usd="12.00", ledger=user.ledger) as budget:
        with pytest.raises(BudgetExceeded):
            fetch()  # Two are made and fail; there is no room for a third.
        assert (len(attempts), budget.remaining(), budget.remaining("retries")) == (3, 200 * CENT, None)


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_s3_neither_do_an_sdks_own_retries_nor_those_of_a_library(user, fake_provider):
    fake, attempts = fake_provider(), []
    client = user.client(fake, max_retries=5)
    on_errors = tenacity.retry_if_exception_type((openai.OpenAIError, OSError))

    @tenacity.retry(retry=on_errors, stop=tenacity.stop_after_attempt(5), wait=tenacity.wait_none(), reraise=True)
    def asked():
        attempts.append("asked")
        return ask(client, output_tokens=10_000)

    with solvent.budget("job", usd="0.05", ledger=user.ledger) as budget, pytest.raises(BudgetExceeded):
        asked()
    assert (attempts, fake.seen) == (["asked"], [])
    assert (budget.report().refusals, budget.remaining()) == (1, 5 * CENT)


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_s3_a_retry_of_everything_sends_and_spends_nothing(user, fake_provider):
    fake = fake_provider()
    client = user.client(fake, max_retries=5)
    everything = tenacity.retry(stop=tenacity.stop_after_attempt(5), wait=tenacity.wait_none(), reraise=True)
    with solvent.budget("job", usd="0.05", ledger=user.ledger) as budget, pytest.raises(BudgetExceeded):
        everything(ask)(client, output_tokens=10_000)
    assert (fake.seen, budget.remaining()) == ([], 5 * CENT)


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_s3_fallback_is_the_cheaper_retry(user, fake_provider):
    fake = fake_provider(Answer(input_tokens=8, output_tokens=10_000))
    fallback = ["gpt-4o", "gpt-4o-mini"]
    with solvent.budget("job", usd="0.05", fallback=fallback, ledger=user.ledger) as budget:
        reply = ask(user.client(fake), output_tokens=10_000)
    assert reply.model == "gpt-4o-mini"
    assert budget.report().total.cost_nanodollars == bill(fake) == cost("gpt-4o-mini", 8, 10_000)


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_s4_models_switch_at_60_and_80_percent_in_the_request_itself_and_are_booked_as_they_answer(user, fake_provider):
    fake = fake_provider(Answer(input_tokens=10, output_tokens=3_330))
    client = user.client(fake)
    dear, middle, cheap = PRICES
    fallback = [{"from": dear, "to": middle, "at": "60%"}, {"from": middle, "to": cheap, "at": "80%"}]
    with solvent.budget("pipeline", usd="1.00", fallback=fallback, ledger=user.ledger) as budget:
        for _ in range(16):
            ask(client, model=dear, output_tokens=3_330)

    # $0.10 each up to $0.60; $0.033325 each up to above $0.80; then less than a cent.
    asked = [dear] * 6 + [middle] * 7 + [cheap] * 3
    assert [seen.body["model"] for seen in fake.seen] == asked
    report = budget.report()
    assert {one.model: (one.use.calls, one.use.cost_nanodollars) for one in report.models} == {
        model: (asked.count(model), asked.count(model) * cost(model, 10, 3_330)) for model in PRICES
    }
    assert report.total.cost_nanodollars == bill(fake) == 60 * CENT + 7 * 33_325_000 + 3 * 1_999_500


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_s5_totals_and_every_attempt_are_there_after_a_run_timed_out_ones_too(user, fake_provider):
    error = Answer(status=500, headers={"retry-after-ms": "1"})
    fake = fake_provider([Answer(hangs=True), error, Answer(input_tokens=8, output_tokens=100)])
    client = user.client(fake, max_retries=2, timeout=1)
    with solvent.budget("run", usd=1, ledger=user.ledger) as budget:
        ask(client, output_tokens=200)
    settled = [entry for entry in user.entries() if entry["kind"] == "settle"]
    assert [(entry["attempt"], entry["status"], entry["estimated"]) for entry in settled] == [
        (0, "cut", "cut"),
        (1, "500", "provider_error"),
        (2, "200", None),
    ]
    costs = [int(entry["cost_nanodollars"]) for entry in settled]
    assert costs[2] == cost("gpt-4o", 8, 100)
    assert costs[0] == costs[1] >= cost("gpt-4o", 8, 200)  # All that was set aside.
    report = budget.report()
    assert (report.total.calls, report.total.cost_nanodollars) == (3, sum(costs))
    assert int(settled[-1]["run_total_nanodollars"]) == sum(costs)


@pytest.mark.slow
def test_s5_so_are_the_attempts_of_ones_own_calls(user):
    with solvent.budget("run", usd=1, ledger=user.ledger) as budget:
        for attempt in solvent.retry("fetch", times=3, wait=0):
            with attempt, solvent.call("fetch", usd="0.10") as call:
                if attempt.number < 2:
                    raise TimeoutError
                call.settle(usd="0.04")
    report = budget.report()
    assert (report.total.calls, report.total.cost_nanodollars) == (3, 24 * CENT)
    settled = [entry for entry in user.entries() if entry["kind"] == "settle"]
    assert [(entry["attempt"], entry["status"], entry["cost_nanodollars"]) for entry in settled] == [
        (0, "failed", str(10 * CENT)),
        (1, "failed", str(10 * CENT)),
        (2, "done", str(4 * CENT)),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_s6_every_parallel_branch_is_in_the_books(user, fake_provider):
    fake = fake_provider(Answer(input_tokens=8, output_tokens=992))

    async def pipeline():
        async with user.async_client(fake) as client:

            async def branch(number):
                await ask(client)
                return number

            async with solvent.budget("pipeline", usd="1.00", branches=8, ledger=user.ledger) as budget:
                assert await solvent.fan_out(branch, range(8)) == list(range(8))
                return budget

    budget = asyncio.run(pipeline())
    report = budget.report()
    assert (report.total.calls, len(fake.bill)) == (8, 8)
    assert report.total.cost_nanodollars == bill(fake) == 8 * cost("gpt-4o", 8, 992)
    assert budget.remaining("branches") == 0
