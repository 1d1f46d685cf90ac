"""
Servers that others wrote, with and without faults: what their bytes say is never more than what is booked.
"""

import pytest
from e2e.served import paid_exchanges, served, tells_usage
from fake_provider import Rates
from sdk_ways import ANTHROPIC, OPENAI

import solvent
from solvent.policy import Policy
from solvent.prices import UserPrice

pytestmark = pytest.mark.slow

RATES = Rates(input=100_000, output=400_000)  # Dear, so that a few calls are a budget.
CAP = 64
FAULTS = ("429=0.1", "500=0.1"), ("disconnect=0.2", "truncate=0.2")
NAMES = {
    "async chat, streamed", "async messages, streamed", "chat", "chat over aiohttp, streamed", "chat, streamed",
    "messages", "messages, stream helper", "responses, streamed",
}  # fmt: skip
SDKS = {
    "openai": [way for way in OPENAI if way.name in NAMES],
    "anthropic": [way for way in ANTHROPIC if way.name in NAMES],
}


@pytest.fixture
def policy():
    price = UserPrice.per_million_tokens(input="100", output="400", output_tokens_max=4_096, input_tokens_max=100_000)
    return Policy(prices={"m": price}, wait_seconds=0)


def cost(exchanges):
    told = [served(exchange) for exchange in exchanges if tells_usage(exchange)]
    return sum(each.input_tokens * RATES.input + each.output_tokens * RATES.output for each in told)


def until_refused(ways, url):
    """
    Make calls in each of these ways until each is refused; how many were answered, and how many failed otherwise.
    """
    answered = failed = 0
    left = list(ways)
    while left:
        for way in list(left):
            try:
                way.take(url, CAP)
                answered += 1
            except solvent.BudgetExceeded:
                left.remove(way)
            except Exception:
                failed += 1
    return answered, failed


@pytest.mark.parametrize("sdk", SDKS)
def test_the_servers_own_words_add_up_to_what_is_booked(sdk, guarded, llmock, recording_proxy):
    recorder = recording_proxy(llmock())
    with solvent.budget(usd="0.25"):
        answered, failed = until_refused(SDKS[sdk], recorder.url + "/anthropic" * (sdk == "anthropic"))
    exchanges = paid_exchanges(recorder.wait_for_ends(answered))
    assert (len(exchanges), failed) == (answered, 0)
    assert 200_000_000 < cost(exchanges) == guarded.spent() <= 250_000_000


@pytest.mark.parametrize("sdk", SDKS)
def test_a_server_full_of_faults_cannot_overspend(sdk, guarded, llmock, recording_proxy):
    rates, streams = FAULTS
    options = [word for rate in rates for word in ("--error-rate", rate)]
    options += [word for fault in streams for word in ("--stream-fault", fault)]
    recorder = recording_proxy(llmock(*options))
    with solvent.budget(usd="0.50", calls=500):
        answered, failed = until_refused(SDKS[sdk], recorder.url + "/anthropic" * (sdk == "anthropic"))
    assert answered + failed == len(recorder.exchanges) == guarded.spent("calls")
    assert failed, "no fault came about"
    assert 0 < cost(recorder.exchanges) <= guarded.spent() <= 500_000_000
