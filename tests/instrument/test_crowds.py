"""
Many calls at once in one process, by tasks, by threads and by both; the provider's own bill says whether a budget held.
"""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
import pytest
from fake_provider import Answer, Rates
from inprocess import RATES
from sdk_ways import MESSAGES, chat
from servers import Gate

import solvent
from solvent.events import CallRefused
from solvent.policy import Policy
from solvent.prices import UserPrice

pytestmark = pytest.mark.slow

CALLS, AT_ONCE, DOLLAR = 64, 32, 10**9
MODES = ["one by one", "tasks", "threads", "both"]
MODES_AND_STORES = [*MODES, pytest.param("both", id="both, sqlite")]
GPT_4O = Rates(input=2_500, output=10_000)


RATES_OF = {"gpt-4o": GPT_4O, "unknown": RATES}


@pytest.fixture
def policy(policy):
    # Of which nobody knows the longest answer.
    unknown = UserPrice.per_million_tokens(input="0", output="10", input_tokens_max=100_000)
    return Policy(prices={**policy.prices, "unknown": unknown}, wait_seconds=30)


@pytest.fixture
def ledger(request, tmp_path):
    return f"sqlite:///{tmp_path}/ledger.db" if "sqlite" in request.node.name else "memory://"


class Crowd:
    """
    Calls of one kind, some of them streamed, made by so many tasks and threads; what became of each is counted.

    Args:
        leave_after: Streams are left after so many pieces.
        patience: How many seconds a caller waits for a provider.
        until_refused: Each caller goes on until it is refused.
    """

    def __init__(
        self, fake, *, calls=CALLS, at_once=AT_ONCE, leave_after=None, patience=60, until_refused=False, **body
    ):
        self.outcomes = Counter()
        self._settings = {"api_key": "x", "base_url": f"{fake.url}/v1", "max_retries": 0, "timeout": patience}
        self._calls = calls
        self._at_once = at_once
        self._leave_after = leave_after
        self._until_refused = until_refused
        self._body = {"model": "m", "messages": MESSAGES, **body}

    def go(self, mode):
        tasks = {"one by one": 0, "tasks": self._calls, "threads": 0, "both": self._calls // 2}[mode]
        threads = self._calls - tasks
        with ThreadPoolExecutor({"one by one": 1, "both": self._at_once // 2}.get(mode, self._at_once)) as pool:
            client = openai.OpenAI(**self._settings)
            futures = [pool.submit(self._call, client, number) for number in range(threads)]
            asyncio.run(self._atasks(tasks, self._at_once // (2 if threads else 1)))
            for future in futures:
                future.result()
        return self.outcomes

    async def _atasks(self, count, at_once):
        gate = asyncio.Semaphore(at_once)

        async def one(number):
            async with gate:
                await self._acall(client, number)

        async with openai.AsyncOpenAI(**self._settings) as client:
            await asyncio.gather(*(one(number) for number in range(count)))

    def _options(self, number):
        streams = self._leave_after is not None or number % 2
        return {**self._body, "stream": bool(streams), "seed": number}

    def _call(self, client, number):
        try:
            while True:
                reply = client.chat.completions.create(**self._options(number))
                if hasattr(reply, "response"):
                    self._read(reply)
                self.outcomes["passed"] += 1
                if not self._until_refused:
                    return
        except solvent.BudgetExceeded as refused:
            self.outcomes[refused.code] += 1
        except openai.APITimeoutError:
            self.outcomes["left"] += 1

    def _read(self, stream):
        for number, _ in enumerate(stream, 1):
            if number == self._leave_after:
                break
        stream.close()

    async def _acall(self, client, number):
        try:
            while True:
                reply = await client.chat.completions.create(**self._options(number))
                if hasattr(reply, "response"):
                    await self._aread(reply)
                self.outcomes["passed"] += 1
                if not self._until_refused:
                    return
        except solvent.BudgetExceeded as refused:
            self.outcomes[refused.code] += 1
        except openai.APITimeoutError:
            self.outcomes["left"] += 1

    async def _aread(self, stream):
        count = 0
        async for _ in stream:
            count += 1
            if count == self._leave_after:
                break
        await stream.close()


@pytest.mark.parametrize("mode", MODES_AND_STORES)
def test_of_64_calls_of_three_cents_exactly_33_pass_under_a_dollar(mode, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=3_000))
    with solvent.budget(usd="1.00"):
        outcomes = Crowd(fake, max_tokens=3_000).go(mode)
    assert outcomes == {"passed": 33, "budget_exceeded": 31}
    assert len(fake.seen) == 33
    assert guarded.spent() == fake.billed(RATES) == 99 * DOLLAR // 100


@pytest.mark.parametrize("mode", MODES)
def test_short_answers_under_long_caps_all_pass_because_calls_wait(mode, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=300))
    with solvent.budget(usd="1.00"):
        outcomes = Crowd(fake, at_once=CALLS, max_tokens=3_000).go(mode)
    assert outcomes == {"passed": CALLS}
    assert guarded.spent() == fake.billed(RATES) == CALLS * 300 * RATES.output


@pytest.mark.parametrize("mode", MODES_AND_STORES)
def test_64_callers_at_once_use_the_whole_budget_and_no_more(mode, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=13))
    limit = 20 * 10_000 * 150
    with solvent.budget(usd="0.03"):
        outcomes = Crowd(fake, at_once=CALLS, until_refused=True, max_tokens=20).go(mode)
    assert outcomes["budget_exceeded"] == CALLS
    assert limit == 30_000_000
    assert limit * 99 // 100 <= fake.billed(RATES) <= limit
    assert guarded.spent() == fake.billed(RATES)
    assert len(fake.seen) == outcomes["passed"]


@pytest.mark.parametrize("mode", ["both", *(pytest.param(mode, marks=pytest.mark.long) for mode in MODES[:-1])])
@pytest.mark.parametrize(
    ("body", "at_least_cents"),
    [
        pytest.param({"model": "gpt-4o"}, 75, id="no cap, answers of 16,384 tokens"),
        pytest.param({"model": "unknown"}, 90, id="no cap, and nobody knows the longest answer"),
        pytest.param({"model": "gpt-4o", "n": 4, "max_tokens": 3_000}, 75, id="four choices"),
        pytest.param({"model": "gpt-4o", "n": 4}, 25, id="four choices, no cap"),
        pytest.param({"model": "gpt-4o", "max_completion_tokens": 3_000}, 90, id="the newer cap"),
        pytest.param(
            {"model": "gpt-4o", "stream_options": {"include_usage": True}}, 75, id="streams that tell their usage"
        ),
    ],
)
def test_whatever_is_asked_for_the_bill_stays_below_the_limit(body, at_least_cents, mode, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=16_384))
    with solvent.budget(usd="1.00"):
        outcomes = Crowd(fake, **body).go(mode)
    assert at_least_cents * DOLLAR // 100 <= fake.billed(RATES_OF[body["model"]]) <= guarded.spent() <= DOLLAR
    assert len(fake.seen) == outcomes["passed"] == CALLS - outcomes["budget_exceeded"] - outcomes["budget_held"]


@pytest.mark.parametrize("mode", MODES)
def test_streams_that_callers_leave_after_four_pieces_are_paid_for_in_full(mode, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=3_000, hold_after=(6, Gate())))
    with solvent.budget(usd="1.00"):
        outcomes = Crowd(fake, leave_after=4, max_tokens=3_000).go(mode)
    assert outcomes == {"passed": 33, "budget_exceeded": 31}
    fake.wait_until(lambda: fake.left_count == 33, "33 streams that end early")
    assert guarded.spent() == fake.billed(RATES) == 99 * DOLLAR // 100


def test_callers_that_leave_before_an_answer_cannot_overspend(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=3_000, hangs=True))
    with solvent.budget(usd="1.00"):
        outcomes = Crowd(fake, patience=1, max_tokens=3_000).go("both")
    assert outcomes["left"] + outcomes["budget_exceeded"] == CALLS
    fake.wait_until(lambda: fake.left_count == len(fake.seen), "the end of every call")
    # What was sent is owed in full, whether or not a busy provider came to read it.
    assert fake.billed(RATES) <= guarded.spent() == 99 * DOLLAR // 100


@pytest.mark.usefixtures("guarded")
def test_calls_at_once_count_as_calls_at_once(fake_provider):
    open_at_once = []
    fake = fake_provider(lambda _: open_at_once.append(fake.open_count) or Answer(output_tokens=300))
    with solvent.budget(parallel=3, wait="30s"):
        outcomes = Crowd(fake, calls=24, max_tokens=3_000).go("both")
    assert outcomes == {"passed": 24}
    assert max(open_at_once) <= 3


def test_a_call_that_was_held_passes_when_the_sdk_asks_again(guarded, fake_provider):
    gate = Gate()
    fake = fake_provider([Answer(output_tokens=300, hold=gate), Answer(output_tokens=300)])
    done = []

    def first():
        with anthropic.Anthropic(api_key="x", base_url=fake.url, max_retries=0) as client:
            done.append(client.messages.create(model="m", messages=MESSAGES, max_tokens=3_000))

    with solvent.budget(usd="0.03", wait=0):
        thread = threading.Thread(target=first)
        thread.start()
        fake.wait_until(lambda: fake.open_count == 1)
        with anthropic.Anthropic(api_key="x", base_url=fake.url, max_retries=0) as client:
            with pytest.raises(solvent.BudgetExceeded) as refused:
                client.messages.create(model="m", messages=MESSAGES, max_tokens=2_900)
        assert refused.value.held
        assert len(fake.seen) == 1
        with anthropic.Anthropic(api_key="x", base_url=fake.url, max_retries=4) as client:
            guarded.when_refused(2, gate.open)
            done.append(client.messages.create(model="m", messages=MESSAGES, max_tokens=2_700))
        thread.join()
    assert len(done) == len(fake.seen) == 2
    assert guarded.spent() == fake.billed(RATES) == 600 * RATES.output


def test_an_sdk_that_asks_again_for_a_held_call_does_not_wait_anew(guarded, fake_provider):
    gate = Gate()
    fake = fake_provider(Answer(output_tokens=300, hold=gate))
    with solvent.budget(usd="0.03", wait=0.5):
        thread = threading.Thread(target=lambda: chat(fake.url, max_tokens=3_000))
        thread.start()
        fake.wait_until(lambda: fake.open_count == 1)
        with openai.OpenAI(api_key="x", base_url=f"{fake.url}/v1", max_retries=1) as client:
            with pytest.raises(solvent.BudgetExceeded) as refused:
                client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=3_000)
        gate.open()
        thread.join()
    assert refused.value.held
    took = [event.answered - event.began for event in guarded.events if isinstance(event, CallRefused)]
    assert len(took) == 2
    assert took[1] < took[0] / 2


def test_a_call_that_was_held_and_then_failed_raises_what_failed(guarded, fake_provider):
    gate = Gate()
    fake = fake_provider([Answer(output_tokens=300, hold=gate), Answer(status=400)])
    body = {"model": "m", "messages": MESSAGES, "max_tokens": 3_000}

    def first():
        with openai.OpenAI(api_key="x", base_url=f"{fake.url}/v1", max_retries=0) as client:
            client.chat.completions.create(**body)

    with solvent.budget(usd="0.05", wait=0):
        thread = threading.Thread(target=first)
        thread.start()
        fake.wait_until(lambda: fake.open_count == 1)
        guarded.when_refused(1, gate.open)
        with openai.OpenAI(api_key="x", base_url=f"{fake.url}/v1", max_retries=3) as client:
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(**body)
        thread.join()
    assert guarded.count("refuse") >= 1
    assert guarded.spent() == 300 * RATES.output
