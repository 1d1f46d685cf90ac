"""
A real model that counts its own tokens: what is spent by its count is never above the limit, nor above what is booked.
"""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import anthropic
import openai
import pytest
from e2e.served import served
from fake_provider import Rates

import solvent
from solvent.policy import Policy
from solvent.prices import UserPrice

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("real_model")]

RATES = Rates(input=100_000, output=400_000)  # Dear, so that a few calls are a budget.
CAP = 8
LIMIT_USD, LIMIT = "0.05", 50_000_000
BODY = {"messages": [{"role": "user", "content": "Name a river."}], "max_tokens": CAP}


CLIENTS = {
    "openai": ({"sync": openai.OpenAI, "async": openai.AsyncOpenAI}, "/v1"),
    "anthropic": ({"sync": anthropic.Anthropic, "async": anthropic.AsyncAnthropic}, ""),
}


@pytest.fixture
def policy(real_model):
    price = UserPrice.per_million_tokens(input="100", output="400", output_tokens_max=2_048, input_tokens_max=2_048)
    return Policy(prices={real_model.model: price}, wait_seconds=60)


def cost(tokens):
    return tokens.input_tokens * RATES.input + tokens.output_tokens * RATES.output


class Agent:
    """
    Calls the model until it is refused.

    Attributes:
        answered: How many calls were, by the way in which they were made.
    """

    def __init__(self, sdk, url, model):
        self._sdk, self._url = sdk, url
        self._body = {**BODY, "model": model}
        self.answered = Counter()

    def create(self, kind):
        clients, path = CLIENTS[self._sdk]
        client = clients[kind](base_url=self._url + path, api_key="x")
        return (client.chat.completions if self._sdk == "openai" else client.messages).create

    def whole(self):
        create = self.create("sync")
        while create(**self._body):
            self.answered["whole"] += 1

    def streamed(self):
        create = self.create("sync")
        while list(create(**self._body, stream=True)):
            self.answered["streamed"] += 1

    async def async_whole(self):
        create = self.create("async")
        while await create(**self._body):
            self.answered["async_whole"] += 1

    async def async_streamed(self):
        create = self.create("async")
        while [piece async for piece in await create(**self._body, stream=True)]:
            self.answered["async_streamed"] += 1

    def until_refused(self, way):
        """
        Make calls in this way; the refusal that ended it.
        """
        go_on = getattr(self, way)
        with pytest.raises(solvent.BudgetExceeded) as refused:
            if asyncio.iscoroutinefunction(go_on):
                asyncio.run(go_on())
            else:
                go_on()
        return refused.value


@pytest.mark.parametrize("way", ["whole", "streamed", "async_whole", "async_streamed"])
@pytest.mark.parametrize("sdk", ["openai", pytest.param("anthropic", marks=pytest.mark.long)])
def test_what_the_model_counted_is_what_is_booked_and_the_refused_call_does_not_reach_it(
    sdk, way, guarded, real_model, recording_proxy
):
    recorder = recording_proxy(real_model.url)
    agent = Agent(sdk, recorder.url, real_model.model)
    before = real_model.at_rest()
    with solvent.budget(usd=LIMIT_USD):
        assert not agent.until_refused(way).held
    counted = real_model.at_rest().since(before)
    assert len(recorder.exchanges) == agent.answered[way] > 1
    assert cost(counted) == guarded.spent() == sum(cost(served(exchange)) for exchange in recorder.exchanges) <= LIMIT
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize(
    "mode", ["both", *(pytest.param(mode, marks=pytest.mark.long) for mode in ("tasks", "threads"))]
)
def test_calls_at_once_never_count_up_to_more_than_the_limit(mode, guarded, real_model, recording_proxy):
    recorder = recording_proxy(real_model.url)
    agent = Agent("openai", recorder.url, real_model.model)
    copies = 1 if mode == "both" else 3
    threads = [] if mode == "tasks" else [agent.whole, agent.streamed] * copies
    tasks = [] if mode == "threads" else [agent.async_whole, agent.async_streamed] * copies

    async def main():
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(8) as pool:
            in_threads = [loop.run_in_executor(pool, go_on) for go_on in threads]
            return await asyncio.gather(*in_threads, *(go_on() for go_on in tasks), return_exceptions=True)

    before = real_model.at_rest()
    with solvent.budget(usd=LIMIT_USD):
        ends = asyncio.run(main())
    counted = real_model.at_rest().since(before)
    assert [type(end) for end in ends] == [solvent.BudgetExceeded] * len(ends)
    assert len(recorder.exchanges) == sum(agent.answered.values())
    assert cost(counted) == guarded.spent() <= LIMIT


@pytest.mark.parametrize("way", ["three choices", "left early"])
def test_no_less_is_booked_than_the_model_counted_where_it_tells_less(way, guarded, real_model):
    create = Agent("openai", real_model.url, real_model.model).create("sync")
    body = {**BODY, "model": real_model.model, "extra_body": {"ignore_eos": True}}
    before = real_model.at_rest()
    with solvent.budget(usd="1.00"):
        if way == "three choices":
            told = create(**body, n=3).usage.completion_tokens
        else:
            stream, told = create(**{**body, "max_tokens": 200}, stream=True), 0
            assert len(list(islice(stream, 2))) == 2
            stream.close()
    counted = real_model.at_rest().since(before)
    assert told < counted.output_tokens
    assert cost(counted) <= guarded.spent() < 10**9
