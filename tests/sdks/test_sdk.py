"""
One SDK in an environment of its own: what is billed is booked, what is refused reaches no server and is not retried.
"""

import asyncio
import gc
import os
from contextlib import ExitStack
from dataclasses import replace

import pytest
from example_runs import TINY, check_call, check_refusal, run_example
from fake_provider import Answer
from inprocess import PRICE, RATES
from other_fakes import other_fake
from sdks import AGAIN_BY_SDK, BY_SDK
from servers import Gate

import solvent
from solvent._booking import NotSent
from solvent.policy import Policy
from solvent.prices import UserPrice
from solvent.wire import FORMATS

SDK = os.environ.get("SOLVENT_SDK", "")
WAYS = BY_SDK.get(SDK, [])
AGAIN = AGAIN_BY_SDK.get(SDK, [])
STREAMED = [way for way in WAYS if way.streamed]
CAP = 500
# What leads the SDK of an example to a server.
LED = {
    "litellm": {"OPENAI_BASE_URL": "{}/v1", "OPENAI_API_KEY": "sk-test", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    "ollama": {"OLLAMA_HOST": "{}"},
}


@pytest.fixture
def policy(request):
    if "without_a_price" in request.node.name:
        return Policy(wait_seconds=0)
    cheap = UserPrice.per_million_tokens(input="0", output="0.01", output_tokens_max=16_384, input_tokens_max=100_000)
    return Policy(prices={"m": PRICE, "m-2024": PRICE, "cheap": cheap}, wait_seconds=0)


@pytest.fixture
def provider(fake_provider):
    """
    Starts a fake that speaks the SDK's format.
    """
    with ExitStack() as stack:

        def start(answer):
            if SDK in ("cohere", "ollama"):
                return stack.enter_context(other_fake(answer))
            return fake_provider(replace(answer, tells_usage=SDK == "mistralai"))

        yield start


def fails(way, url):
    with pytest.raises(Exception) as failed:  # noqa: PT011  # What its SDK makes of it.
        way.take(url, CAP)
    assert not isinstance(failed.value, solvent.SolventError)


@pytest.mark.parametrize("way", [*WAYS, *AGAIN], ids=str)
def test_what_the_provider_bills_is_what_is_booked(way, guarded, provider):
    fake = provider(Answer(output_tokens=120))
    with solvent.budget(usd="1.00"):
        assert way.take(fake.url, CAP)
        assert way.take(fake.url, CAP + 1)
    assert len(fake.seen) == 2
    assert guarded.spent() == fake.billed(RATES) == 240 * RATES.output
    assert guarded.ends() == [("200", None)] * 2


@pytest.mark.parametrize("way", [*WAYS, *AGAIN], ids=str)
def test_a_refusal_is_solvents_own_error_and_reaches_no_server(way, guarded, provider):
    fake = provider(Answer())
    with solvent.budget(usd="0.004"), pytest.raises(solvent.BudgetExceeded) as refused:
        way.take(fake.url, CAP)
    assert not refused.value.held
    assert fake.seen == []
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_model_without_a_price_is_solvents_own_error(way, guarded, provider):
    fake = provider(Answer())
    with solvent.budget(usd="1.00"), pytest.raises(solvent.PriceUnknown):
        way.take(fake.url, CAP)
    assert fake.seen == []
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.usefixtures("guarded")
def test_a_refusal_that_may_be_asked_again_says_so_in_the_end(way, provider):
    fake = provider(Answer())
    request = {"model": "m", "messages": [], "max_tokens": CAP}
    call = FORMATS["openai-chat"].describe(request, provider="openai", path="chat/completions", headers={})
    with solvent.budget(usd="0.006") as budget:
        guard = budget.runtime.guard
        other = guard.admit(call, scope=budget.scope, fingerprint=b"", began=0.0)
        with pytest.raises(solvent.BudgetExceeded) as refused:
            way.take(fake.url, CAP)
        guard.settle(other, NotSent(reason="test"))
    assert refused.value.held
    assert fake.seen == []


@pytest.mark.parametrize("way", STREAMED, ids=str)
def test_a_stream_that_is_closed_early_is_booked_at_the_bound(way, guarded, provider):
    fake = provider(Answer(output_tokens=CAP, hold_after=(5, Gate())))

    async def begin():
        pieces = way.go(fake.url, **way.asked(CAP, {}))
        await anext(pieces)
        await pieces.aclose()

    with solvent.budget(usd="1.00"):
        if way.asynchronous:
            asyncio.run(begin())
        else:
            pieces = way.go(fake.url, **way.asked(CAP, {}))
            next(pieces)
            pieces.close()
            del pieces
        gc.collect()
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_connection_that_is_cut_is_booked_at_the_bound_for_each_attempt(way, guarded, provider):
    fake = provider(Answer(cut_after=0, output_tokens=CAP))
    with solvent.budget(usd="1.00", calls=50):
        fails(way, fake.url)
    assert guarded.spent("calls") == len(fake.seen)
    assert guarded.spent() == fake.billed(RATES) >= CAP * RATES.output


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_call_that_never_left_costs_nothing(way, guarded):
    with solvent.budget(usd="1.00", calls=50):
        fails(way, "http://127.0.0.1:9")
    assert guarded.spent() == guarded.spent("calls") == 0


@pytest.mark.skipif(SDK not in LED, reason="there is no example of it")
@pytest.mark.parametrize("policy", [None, TINY], ids=["made", "refused"])
def test_its_example_runs_as_it_is(policy, provider, tmp_path):
    fake = provider(Answer(output_tokens=120))
    environment = {name: value.format(fake.url) for name, value in LED[SDK].items()}
    ran = run_example(SDK, tmp_path, environment, policy=policy)
    if policy is None:
        (bill,) = fake.bill
        check_call(ran, billed=(bill.input_tokens, bill.output_tokens))
    else:
        assert fake.seen == []
        check_refusal(ran)
