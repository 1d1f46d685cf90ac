"""
``google-genai`` against a fake that others wrote: what its bytes say is what is booked.
"""

import asyncio
import gc
import json
from contextlib import ExitStack

import pytest
from google import genai
from google_ways import GOOGLE as WAYS
from inprocess import Rates
from servers import llmock as run_llmock

import solvent
from solvent.policy import Policy
from solvent.prices import UserPrice

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("llmock of gemini")]

RATES = Rates(input=100_000, output=400_000)  # Dear, so that a few calls are a budget.
CAP = 256
STREAMED = [way for way in WAYS if way.streamed]


@pytest.fixture
def policy():
    price = UserPrice.per_million_tokens(input="100", output="400", output_tokens_max=4_096, input_tokens_max=100_000)
    return Policy(prices={"m": price}, wait_seconds=0)


@pytest.fixture(scope="module")
def server():
    with run_llmock() as url:
        yield f"{url}/gemini"


@pytest.fixture(scope="module")
def slow_server():
    with run_llmock("--stream-chunk-delay-ms", "40") as url:
        yield f"{url}/gemini"


@pytest.fixture(scope="module")
def failing_servers():
    with ExitStack() as stack:
        urls = {status: stack.enter_context(run_llmock("--error-rate", f"{status}=1")) for status in (429, 500)}
        yield {status: f"{url}/gemini" for status, url in urls.items()}


def cost(recorder):
    """
    What the replies say that they used, by the bytes that passed.
    """
    total = 0
    for exchange in recorder.exchanges:
        lines = exchange.reply.splitlines() if b"data:" in exchange.reply else [exchange.reply]
        told = [json.loads(line.removeprefix(b"data:")) for line in lines if line.strip()]
        usage = [each["usageMetadata"] for each in told if "usageMetadata" in each][-1]
        total += usage["promptTokenCount"] * RATES.input + usage["candidatesTokenCount"] * RATES.output
    return total


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_the_reply_says_is_what_is_booked_until_the_limit(way, guarded, server, recording_proxy):
    recorder = recording_proxy(server)
    answered = 0
    with solvent.budget(usd="0.125") as budget:
        while budget.remaining() > 107_000_000:  # What one call may cost at most.
            assert way.take(recorder.url, CAP)
            answered += 1
        with pytest.raises(solvent.BudgetExceeded) as refused:
            way.take(recorder.url, CAP)
    assert not refused.value.held
    assert len(recorder.wait_for_ends(answered)) == answered > 1
    assert guarded.spent() == cost(recorder) <= 125_000_000
    assert guarded.ends() == [("200", None)] * answered
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_call_without_a_cap_gets_one_that_the_budget_can_pay(way, guarded, server, recording_proxy):
    recorder = recording_proxy(server)
    with solvent.budget(usd="0.60"):
        assert way.take(recorder.url)
    sent = json.loads(recorder.exchanges[0].body)
    assert 1_024 <= sent["generationConfig"]["maxOutputTokens"] < 4_096
    assert guarded.spent() == cost(recorder)


@pytest.mark.parametrize("way", STREAMED, ids=str)
def test_a_stream_that_is_closed_early_is_booked_at_the_bound(way, guarded, slow_server):
    async def begin():
        pieces = way.go(slow_server, max_tokens=CAP)
        await anext(pieces)
        await pieces.aclose()

    with solvent.budget(usd="1.00"):
        if way.asynchronous:
            asyncio.run(begin())
        else:
            pieces = way.go(slow_server, max_tokens=CAP)
            next(pieces)
            pieces.close()
        gc.collect()
    assert guarded.spent() > CAP * RATES.output
    assert guarded.ends() == [("client_gone", "client_gone")]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("status", [429, 500])
def test_errors_are_booked_by_their_status(way, status, guarded, failing_servers):
    url = failing_servers[status]
    with solvent.budget(usd="1.00", calls=5), pytest.raises(genai.errors.APIError):
        way.take(url, CAP)
    assert guarded.spent("calls") == 1
    assert (guarded.spent() == 0) is (status == 429)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_call_that_never_left_costs_nothing(way, guarded, monkeypatch):
    async def at_once(_):
        return None

    monkeypatch.setattr("google.genai._api_client.asyncio.sleep", at_once)  # It waits seconds before it tries again.
    with solvent.budget(usd="1.00", calls=5), pytest.raises(Exception, match=r"[Cc]onnect"):
        way.take("http://127.0.0.1:9", CAP)
    assert guarded.spent() == guarded.spent("calls") == 0
