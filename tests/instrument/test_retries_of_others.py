"""
What stands above an SDK and tries again by itself: a final refusal is the last word, a held one may be asked again.
"""

import httpx2
import pytest
from fake_provider import Answer
from inprocess import PRICE, RATES
from sdk_ways import MESSAGES

import solvent
from solvent._booking import NotSent
from solvent.instrument._above import translated
from solvent.instrument._hooks import wrap
from solvent.policy import Policy
from solvent.prices import UserPrice
from solvent.wire import FORMATS

pytestmark = pytest.mark.slow

CAP = 500


@pytest.fixture
def policy():
    cheap = UserPrice.per_million_tokens(input="0", output="0.01", output_tokens_max=16_384, input_tokens_max=100_000)
    return Policy(prices={"m": PRICE, "cheap": cheap}, wait_seconds=0)


class Library:
    """
    Calls one model after the other until one answers, as routers do.
    """

    def __init__(self, url):
        self.url = url
        self.statuses = []

    def once(self, model):
        body = {"model": model, "messages": MESSAGES, "max_tokens": CAP}
        reply = httpx2.post(f"{self.url}/v1/chat/completions", json=body)
        self.statuses.append(reply.status_code)
        return reply.raise_for_status()

    def any_of(self, models):
        for model in models:
            try:
                return self.once(model)
            except Exception:
                continue
        raise RuntimeError("all failed")


@pytest.fixture
def library(fake_provider, guarded):  # It has to be there first.
    fake = fake_provider(Answer(output_tokens=120))
    put_on = [wrap(Library, "once", translated()), wrap(Library, "any_of", translated())]
    yield Library(fake.url), fake
    for unhook in put_on:
        unhook()


def test_after_a_final_refusal_no_other_model_is_tried(library, guarded):
    router, fake = library
    with solvent.budget(usd="0.004"), pytest.raises(solvent.BudgetExceeded) as refused:
        router.any_of(["m", "m", "cheap"])
    assert refused.value.requested == CAP * RATES.output
    assert router.statuses == [402, 402, 402]
    assert fake.seen == []
    assert guarded.count("refuse") == 1  # The rest were not even asked for.


@pytest.mark.usefixtures("guarded")
def test_the_next_call_is_asked_for_anew(library):
    router, fake = library
    with solvent.budget(usd="0.004"):
        with pytest.raises(solvent.BudgetExceeded):
            router.any_of(["m"])
        assert router.any_of(["cheap"])
    assert [seen.body["model"] for seen in fake.seen] == ["cheap"]


@pytest.mark.usefixtures("guarded")
def test_after_a_held_call_another_model_may_be_tried(library):
    router, fake = library
    request = {"model": "m", "messages": [], "max_tokens": CAP}
    call = FORMATS["openai-chat"].describe(request, provider="openai", path="chat/completions", headers={})
    with solvent.budget(usd="0.006") as budget:
        guard = budget.runtime.guard
        other = guard.admit(call, scope=budget.scope, fingerprint=b"", began=0.0)
        assert router.any_of(["m", "cheap"])
        guard.settle(other, NotSent(reason="test"))
    assert router.statuses == [429, 200]
    assert [seen.body["model"] for seen in fake.seen] == ["cheap"]


def test_an_error_that_is_no_refusal_stays_what_it_is(library):
    router, _ = library
    router.url = "http://127.0.0.1:9"
    with solvent.budget(usd="1.00"), pytest.raises(RuntimeError, match="all failed"):
        router.any_of(["m", "cheap"])
