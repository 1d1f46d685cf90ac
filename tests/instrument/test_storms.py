"""
Storms: 64 callers at once that leave, run out of time and try again, at servers of others that fail in every way. What
is counted is what the servers' bytes say; where they say nothing, a whole reply.
"""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import cycle, islice

import anthropic
import openai
import pytest
from e2e.served import served, tells_usage
from fake_provider import Rates
from sdk_ways import MESSAGES

import solvent
from solvent.policy import Policy
from solvent.prices import UserPrice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CALLERS = 64
RATES = Rates(input=10_000, output=100_000)
CAP = 24
CENT = 10**7
HALVES = {"tasks": 0, "threads": CALLERS, "both": CALLERS // 2}  # How many of the callers are threads.
CALM, STORMY = ("whole", "streamed"), ("whole", "streamed", "left", "given up")
ERRORS = ("429=0.1", "500=0.1", "503=0.05")
BROKEN_STREAMS = ("disconnect=0.1", "truncate=0.1", "malformed=0.1", "stall=0.03")
FAULTY = [
    *(word for rate in ERRORS for word in ("--error-rate", rate)),
    *(word for fault in BROKEN_STREAMS for word in ("--stream-fault", fault)),
    *("--stream-stall-seconds", "30", "--latency-ms", "5"),
]
CREATE = {
    ("openai", False): lambda url, **more: openai.OpenAI(base_url=f"{url}/v1", **more).chat.completions.create,
    ("openai", True): lambda url, **more: openai.AsyncOpenAI(base_url=f"{url}/v1", **more).chat.completions.create,
    ("anthropic", False): lambda url, **more: anthropic.Anthropic(base_url=f"{url}/anthropic", **more).messages.create,
    ("anthropic", True): lambda url, **more: (
        anthropic.AsyncAnthropic(base_url=f"{url}/anthropic", **more).messages.create
    ),
}
BODY = {"model": "m", "messages": MESSAGES, "max_tokens": CAP}


@pytest.fixture
def policy():
    price = UserPrice.per_million_tokens(input="10", output="100", output_tokens_max=4_096, input_tokens_max=100_000)
    return Policy(prices={"m": price}, wait_seconds=60)


class Storm:
    """
    Callers that go on until the budget refuses them.

    Args:
        kinds: Of calls; each caller makes one after the other.
        patience: The clients' own time-out.
    """

    def __init__(self, sdk, url, kinds, patience):
        self._sdk, self._url, self._kinds = sdk, url, kinds
        self._options = {"api_key": "x", "max_retries": 1, "timeout": patience}
        self._outcomes = []

    def go(self, mode):
        """
        Go on until all are refused; how many calls came to which end.
        """
        threads = HALVES[mode]
        with ThreadPoolExecutor(CALLERS) as pool:
            create = CREATE[self._sdk, False](self._url, **self._options)
            callers = [pool.submit(self._thread, create, number) for number in range(threads)]
            asyncio.run(self._tasks(range(threads, CALLERS)))
            for caller in callers:
                caller.result()
        return Counter(self._outcomes)

    def _kinds_from(self, number):
        return islice(cycle(self._kinds), number % len(self._kinds), None)

    def _thread(self, create, number):
        for kind in self._kinds_from(number):
            try:
                self._outcomes.append(self._call(create, kind))
            except solvent.BudgetExceeded as refused:
                self._outcomes.append(refused.code)
                break
            except Exception:
                self._outcomes.append("failed")

    def _call(self, create, kind):
        if kind == "given up":
            return create(**BODY, timeout=0.005) and "whole"
        reply = create(**BODY, stream=kind != "whole")
        if kind != "whole":
            for _ in islice(reply, 3 if kind == "left" else None):
                pass
            reply.close()
        return kind

    async def _tasks(self, numbers):
        create = CREATE[self._sdk, True](self._url, **self._options)
        await asyncio.gather(*(self._task(create, number) for number in numbers))

    async def _task(self, create, number):
        for kind in self._kinds_from(number):
            try:
                self._outcomes.append(await self._acall(create, kind))
            except solvent.BudgetExceeded as refused:
                self._outcomes.append(refused.code)
                break
            except Exception:
                self._outcomes.append("failed")

    async def _acall(self, create, kind):
        if kind == "given up":
            async with asyncio.timeout(0.01):
                return await create(**BODY) and "whole"
        reply = await create(**BODY, stream=kind != "whole")
        if kind != "whole":
            pieces = 0
            async for _ in reply:
                pieces += 1
                if kind == "left" and pieces == 3:
                    break
            await reply.close()
        return kind


def cost(exchanges):
    """
    Of calls that are all alike: every one that the server did not turn away is a whole reply, whatever came of it.
    """
    answered = [exchange for exchange in exchanges if exchange.status not in (429, 503)]
    replies = [served(exchange) for exchange in answered if tells_usage(exchange)]
    # Of those that were cut some tell less.
    return len(answered) * max(each.input_tokens * RATES.input + each.output_tokens * RATES.output for each in replies)


MODES = pytest.mark.parametrize(
    ("mode", "cents"), [("both", 40), *(pytest.param(mode, 200, marks=pytest.mark.long) for mode in HALVES)]
)


@MODES
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_a_storm_never_passes_its_limit(sdk, mode, cents, guarded, llmock, recording_proxy):
    recorder = recording_proxy(llmock(*FAULTY))
    with solvent.budget(usd=Decimal(cents) / 100, calls=100_000):
        outcomes = Storm(sdk, recorder.url, STORMY, patience=1).go(mode)
    recorder.wait_until(lambda: all(exchange.end for exchange in recorder.exchanges), "the end of all")
    assert outcomes["budget_exceeded"] == CALLERS
    assert {"failed", "left", "streamed", "whole"} < set(outcomes)
    # A caller that left before its request was there in full has asked for nothing.
    asked = [exchange for exchange in recorder.exchanges if exchange.body]
    assert cost(asked) <= guarded.spent() <= cents * CENT
    assert guarded.spent() >= cents * CENT * 99 // 100
    assert len(asked) <= guarded.spent("calls")
    ends = {end for _, end in guarded.ends()}
    assert {"client_gone", "cut", "provider_error", None} <= ends


@MODES
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_callers_without_a_storm_get_all_that_the_budget_can_pay(sdk, mode, cents, guarded, llmock, recording_proxy):
    recorder = recording_proxy(llmock())
    with solvent.budget(usd=Decimal(cents) / 100):
        outcomes = Storm(sdk, recorder.url, CALM, patience=60).go(mode)
    assert outcomes.keys() == {"budget_exceeded", "streamed", "whole"}
    assert len(recorder.exchanges) == outcomes["streamed"] + outcomes["whole"]
    assert cents * CENT * 99 // 100 <= cost(recorder.exchanges) == guarded.spent() <= cents * CENT
