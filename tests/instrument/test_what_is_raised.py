"""
What a caller gets in the place of a reply: from each SDK the same error, from a bare HTTP client an answer.
"""

import pytest
from fake_provider import Answer
from inprocess import PRICE
from sdk_ways import WAYS, chat_streamed
from servers import Gate

import solvent
from solvent._runtime import PROCESS
from solvent.policy import Policy

pytestmark = pytest.mark.slow

CAP = 500
# By situation: what is raised, and what a bare httpx client is answered.
TABLE = {
    "the budget is spent": (solvent.BudgetExceeded, 402, "budget_exceeded"),
    "open calls hold the room": (solvent.BudgetExceeded, 429, "budget_held"),
    "the model has no price": (solvent.PriceUnknown, 402, "price_unknown"),
    "there is no ledger": (solvent.StoreUnavailable, 503, "ledger_unavailable"),
}
# One way of each kind: the rest differ in nothing that matters here.
NAMES = {
    "openai: chat", "openai: chat, streamed", "openai: chat over aiohttp", "openai: async chat, streamed",
    "anthropic: messages", "anthropic: async messages, streamed", "httpx2: post", "httpx: post", "aiohttp: post",
    "requests: lines",
}  # fmt: skip
SOME = [way for way in WAYS if str(way) in NAMES]


@pytest.fixture
def policy(request):
    unpriced = "the model has no price" in request.node.name
    return Policy(prices={"other": PRICE} if unpriced else {"m": PRICE}, wait_seconds=0)


def check(situation, way, url):
    kind, status, code = TABLE[situation]
    if way.sdk.startswith("httpx"):
        reply = way.take(url, CAP)[0]
        assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
        assert reply.headers["content-type"] == "application/json"
        assert reply.elapsed.total_seconds() == 0
        return
    with pytest.raises(kind) as raised:
        way.take(url, CAP)
    assert type(raised.value) is kind
    assert raised.value.code == code


@pytest.mark.parametrize("way", SOME, ids=str)
@pytest.mark.parametrize("situation", ["the budget is spent", "the model has no price"])
def test_a_final_refusal(situation, way, guarded, fake_provider):
    fake = fake_provider()
    with solvent.budget(usd="0.004"):
        check(situation, way, fake.url)
    assert fake.seen == []
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize("way", SOME, ids=str)
@pytest.mark.parametrize("situation", ["open calls hold the room"])
@pytest.mark.usefixtures("guarded")
def test_a_refusal_that_may_be_asked_again(situation, way, fake_provider):
    gate = Gate()
    fake = fake_provider(Answer(output_tokens=CAP, hold_after=(4, gate)))
    with solvent.budget(usd="0.006"):
        stream = chat_streamed(fake.url, max_tokens=CAP)
        next(stream)
        check(situation, way, fake.url)
        gate.open()
        list(stream)
    assert len(fake.seen) == 1


@pytest.mark.parametrize("way", SOME, ids=str)
@pytest.mark.parametrize("situation", ["there is no ledger"])
@pytest.mark.usefixtures("guarded")
def test_without_a_ledger_no_call_is_made(situation, way, fake_provider, monkeypatch):
    fake = fake_provider()
    monkeypatch.setattr(PROCESS, "ledger", "sqlite:////proc/no/such/folder/ledger.db")
    check(situation, way, fake.url)
    assert fake.seen == []
    monkeypatch.setattr(PROCESS, "ledger", "memory://")


@pytest.mark.usefixtures("guarded")
def test_what_is_raised_is_the_refusal_and_not_a_chain_of_what_the_sdk_made_of_it(fake_provider):
    fake = fake_provider()
    with solvent.budget(usd="0.004"), pytest.raises(solvent.BudgetExceeded) as refused:
        next(way for way in SOME if str(way) == "anthropic: messages").take(fake.url, CAP)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
