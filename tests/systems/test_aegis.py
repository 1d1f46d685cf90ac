"""
Limits in five dimensions, attribution along delegation, and what it costs: what users of such a system can do.
"""

import asyncio
import csv
import io
import json
import logging
import socket
import threading
from fractions import Fraction
from importlib import resources
from types import SimpleNamespace

import anthropic
import jsonschema
import openai
import pytest
from fake_provider import Answer, Rates
from google.genai import types
from users import CENT, DOLLAR

import solvent
from solvent.events import LimitPassed, ShareReached

MESSAGES = [{"role": "user", "content": "hi"}]
GPT_4O = Rates(input=2_500, output=10_000, cached=1_250)

# Python's clocks stand still, at noon of a day, UTC, until the program moves them.
BEGIN = """
import json, openai, solvent, time
seconds, uptime_ns = 1_772_366_400, time.clock_gettime_ns(time.CLOCK_MONOTONIC)
time.time_ns = lambda: seconds * 10**9
time.clock_gettime_ns = lambda clock: uptime_ns + (seconds - 1_772_366_400) * 10**9

def later(passed):
    global seconds
    seconds += passed

solvent.install()
client = openai.OpenAI(max_retries=0)

def ask(text="hi", output_tokens=5_000):
    messages = [{"role": "user", "content": text}]
    client.chat.completions.create(model="m", messages=messages, max_completion_tokens=output_tokens)
"""
PRICES = "prices: {m: {input: 0, output: 10.00}}\nwait: 0s\n"


FIVE = """
budgets:
  run:*: {usd: 0.10}
  user:ann: {usd: [0.40/day, 0.60], tokens: 25200/minute}
call: {usd: 0.06}
"""


@pytest.mark.slow
def test_a1_five_limits_of_one_file_hold_a_real_client(user, fake_provider):
    fake = fake_provider(Answer(output_tokens=5_000))
    user.policy(FIVE + PRICES)
    program = """
def session(most=9):
    made = 0
    try:
        with solvent.budget("session", scope="user:ann"):
            while made < most:
                ask()
                made += 1
    except solvent.BudgetExceeded as error:
        reset = str(error.resets_at) if error.window == "day@UTC" else None
        return [made, error.scope.rpartition("/")[2].partition("-")[0], error.meter, error.window, reset]

def call():
    try:
        ask(output_tokens=6_001)
    except solvent.BudgetExceeded as error:
        return [error.scope, error.meter, error.limit]

found = [call(), session(), session(), session()]
later(58)
found.append(session())
later(3)
found += [session(), session()]
later(12 * 3600 - 61 - 60)
found.append(session())
later(60)
found += [session(), session(), session()]
print(json.dumps(found))
"""
    found = user.runs(BEGIN + program, OPENAI_BASE_URL=f"{fake.url}/v1")
    midnight = "2026-03-02 00:00:00+00:00"
    assert found == [
        ["call", "usd", 6 * CENT],
        [2, "run:session", "usd", "", None],
        [2, "run:session", "usd", "", None],
        [1, "user:ann", "tokens", "minute", None],
        [0, "user:ann", "tokens", "minute", None],  # After 58 seconds of it.
        [2, "run:session", "usd", "", None],  # A minute after the first ones.
        [1, "user:ann", "usd", "day@UTC", midnight],  # 40 cents today.
        [0, "user:ann", "usd", "day@UTC", midnight],  # A minute before midnight.
        [2, "run:session", "usd", "", None],
        [2, "user:ann", "usd", "", None],  # 60 cents in all.
        [0, "user:ann", "usd", "", None],
    ]
    assert fake.billed(Rates(input=0, output=10_000)) == 60 * CENT


@pytest.mark.parametrize(
    ("on_exceed", "made", "level"), [("block", 2, None), ("warn", 4, "WARNING"), ("log", 4, "INFO")]
)
def test_a2_a_limit_blocks_or_warns_or_logs(on_exceed, made, level, caplog):
    caplog.set_level(logging.INFO, logger="solvent")
    heard, done = [], 0
    with (
        solvent.listen(heard.append),
        solvent.budget("triage", calls={"limit": 2, "on_exceed": on_exceed}, ledger="memory://"),
    ):
        for _ in range(4):
            try:
                with solvent.call("step", usd="0.01"):
                    done += 1
            except solvent.BudgetExceeded:
                break
    passed = [(event.on_exceed, event.error.meter) for event in heard if isinstance(event, LimitPassed)]
    assert done == made
    assert passed == [(on_exceed, "calls")] * (made - 2)
    assert [record.levelname for record in caplog.records if "2 calls" in record.message] == [level] * (made - 2)


def test_a2_an_alert_that_asks_the_budget_and_makes_a_call_itself_comes_to_its_end():
    told = []

    def hear(event):
        if isinstance(event, ShareReached):
            left = budget.remaining()
            with budget.call("tell somebody", usd="0.01"):
                told.append((event.share, event.scope == str(budget.scope), left is not None and left > 0))

    with solvent.budget("triage", usd="1.00", alert=["50%", "80%"], ledger="memory://") as budget:
        with solvent.listen(hear):
            for _ in range(9):
                with solvent.call("step", usd="0.10"):
                    pass
        assert told == [(Fraction(1, 2), True, True), (Fraction(4, 5), True, True)]  # Once each.
        assert budget.remaining() == DOLLAR - 9 * 10 * CENT - 2 * CENT


def test_a2_a_callback_that_hangs_holds_up_no_call():
    gate = threading.Event()
    with solvent.listen(lambda _: gate.wait(30)), solvent.budget("triage", calls=100, ledger="memory://") as budget:
        for _ in range(100):
            with solvent.call("step", usd="0.01"):
                pass
        assert budget.remaining("calls") == 0
        gate.set()


class Door:
    """
    A server that reads and answers nothing.

    Attributes:
        url: Its address.
        received: Bytes of all clients.
        callers: Connections.
    """

    def __init__(self, listening):
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.received = self.callers = 0

    def serve(self, listening):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                self.callers += 1
                self.received += len(connection.recv(65_536))


@pytest.fixture
def door():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        door = Door(listening)
        thread = threading.Thread(target=door.serve, args=(listening,))
        thread.start()
        yield door
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def by_openai(url, **more):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0) as client:
        client.responses.create(
            model="o1-pro", input="hi", max_output_tokens=20_834, **more
        )  # $12.50 at $600 a million.


def by_async_openai(url):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0) as client:
            await client.responses.create(model="o1-pro", input="hi", max_output_tokens=20_834)

    asyncio.run(ask())


def by_anthropic(url):
    with anthropic.Anthropic(base_url=url, api_key="sk-test", max_retries=0) as client:
        client.messages.create(model="claude-opus-4-1", max_tokens=8_000, messages=MESSAGES)


WAYS = {
    "openai": by_openai,
    "openai, async": by_async_openai,
    "openai, streamed": lambda url: by_openai(url, stream=True),
    "anthropic": by_anthropic,
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_a3_one_line_stops_a_real_client_before_the_first_byte(way, door):
    solvent.install()
    try:
        with solvent.budget("triage", usd="0.01", ledger="memory://") as budget:
            for _ in range(5):
                with pytest.raises(solvent.BudgetExceeded):
                    way(door.url)
            assert budget.remaining() == CENT
        assert (door.callers, door.received) == (0, 0)
    finally:
        solvent.uninstall()
    # The door does count: this is what comes without it.
    with pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError)):
        way(door.url)
    assert door.callers == 1
    assert door.received > 200


@pytest.mark.slow
def test_a4_what_agents_hand_on_adds_up_and_a_blocked_one_leaves_its_siblings_running(user):
    async def work(name, times, **limits):
        made = 0
        async with solvent.agent(name, **limits):
            for _ in range(times):
                async with solvent.call("step", usd="0.10"):
                    await asyncio.sleep(0)
                    made += 1
        return made

    async def delegate():
        async with solvent.agent("lead", usd="5.00"):
            workers = (work("writer", 9, usd="0.30"), work("reader", 7, usd="5.00"))
            return await asyncio.gather(*workers, return_exceptions=True)

    with solvent.budget("plan", usd="9.00", ledger=user.ledger) as budget:
        blocked, made = asyncio.run(delegate())
        assert asyncio.run(work("clerk", 2, usd="1.00")) == 2
    lead = f"{budget.scope}/agent:lead"
    assert (blocked.scope, made) == (f"{lead}/agent:writer", 7)

    accounts = json.loads(user.solvent("ledger", "show", "--json"))["accounts"]
    spent = {each["scope"]: int(each["spent"]) // CENT for each in accounts if each["meter"] == "usd"}
    writer, reader, clerk = (
        spent[f"{place}/agent:{name}"]
        for place, name in ((lead, "writer"), (lead, "reader"), (str(budget.scope), "clerk"))
    )
    assert (writer, reader, clerk) == (30, 70, 20)
    assert spent[lead] == writer + reader
    assert spent[str(budget.scope)] == spent[lead] + clerk

    tree = json.loads(user.solvent("report", "--tree", "--json"))["tree"]
    told = {node["scope"]: int(node["total"]["cost_nanodollars"]) // CENT for node in nodes(tree)}
    assert told == spent
    for node in nodes(tree):
        parts = [node["own"], *(child["total"] for child in node["children"])]
        assert sum(int(part["cost_nanodollars"]) for part in parts) == int(node["total"]["cost_nanodollars"])
    drawn = user.solvent("report", "--tree")
    assert [line for line in drawn.splitlines() if "agent:reader" in line and "$0.70" in line]


def nodes(tree):
    yield tree
    for child in tree["children"]:
        yield from nodes(child)


# 1,000 tokens read, 800 of them from a cache, and 200 written, in everybody's words.
GOOGLE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
    "modelVersion": "gemini-2.5-flash",
    "usageMetadata": {
        "promptTokenCount": 1_000,
        "cachedContentTokenCount": 800,
        "candidatesTokenCount": 150,
        "thoughtsTokenCount": 50,
        "totalTokenCount": 1_200,
    },
}
# What an AIMessage has. Source: langchain-core 1.7.0, ``messages/ai.py``, read 2026-11-22.
LANGCHAIN = {
    "content": "hi",
    "additional_kwargs": {},
    "response_metadata": {
        "model_name": "gpt-4o",
        "token_usage": {
            "prompt_tokens": 1_000,
            "completion_tokens": 200,
            "total_tokens": 1_200,
            "prompt_tokens_details": {"cached_tokens": 800},
        },
    },
    "type": "ai",
    "name": None,
    "id": None,
    "tool_calls": [],
    "invalid_tool_calls": [],
    "usage_metadata": {
        "input_tokens": 1_000,
        "output_tokens": 200,
        "total_tokens": 1_200,
        "input_token_details": {"cache_read": 800},
    },
}


def from_openai(fake, user):
    return user.client(fake).chat.completions.create(model="gpt-4o", messages=MESSAGES)


def from_openai_responses(fake, user):
    return user.client(fake).responses.create(model="gpt-4o", input="hi")


def from_anthropic(fake, _):
    with anthropic.Anthropic(base_url=fake.url, api_key="sk-test") as client:
        return client.messages.create(model="claude-haiku-4-5", max_tokens=500, messages=MESSAGES)


# How a reply is come by, for which model, and its nanodollars a token: fresh, read from a cache, written.
REPLIES = {
    "openai chat": (from_openai, "gpt-4o", (2_500, 1_250, 10_000)),
    "openai responses": (from_openai_responses, "gpt-4o", (2_500, 1_250, 10_000)),
    "anthropic": (from_anthropic, "claude-haiku-4-5", (1_000, 100, 5_000)),
    "google": (
        lambda *_: types.GenerateContentResponse.model_validate(GOOGLE),
        "gemini-2.5-flash",
        (300, 30, 2_500),
    ),
    "langchain": (lambda *_: SimpleNamespace(**LANGCHAIN), "gpt-4o", (2_500, 1_250, 10_000)),
}


@pytest.mark.parametrize(("come_by", "model", "rates"), REPLIES.values(), ids=list(REPLIES))
def test_a5_a_reply_is_handed_over_whole_and_booked_to_the_token(come_by, model, rates, user, fake_provider):
    fake = fake_provider(Answer(input_tokens=1_000, cached_tokens=800, output_tokens=200))
    reply = come_by(fake, user)
    fresh, cached, written = rates
    with solvent.budget("triage", usd="1.00", ledger="memory://") as budget:
        with budget.call("ask", model=model, input_tokens=2_000, output_tokens=500) as call:
            call.settle(reply)
        assert call.cost_nanodollars == 200 * fresh + 800 * cached + 200 * written
        tokens = budget.report().total.tokens
        assert (tokens["input_tokens"], tokens["cache_read_tokens"], tokens["output_tokens"]) == (1_000, 800, 200)


@pytest.mark.slow
def test_a6_models_of_47_providers_have_prices_with_date_and_source(user):
    cards = [json.loads(line) for line in user.solvent("prices", "show", "--json").splitlines()]
    assert len({card["provider"] for card in cards}) >= 47
    assert len(cards) > 2_000
    prices = [price for card in cards for price in card["unit_prices"]]
    assert all(price["source"] for price in prices)
    assert sum(price["unit"] == "cache_read" for price in prices) > 500


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-4o", 12_500_000),
        ("gpt-4o-2024-11-20", 12_500_000),
        ("gpt-4o-mini-2024-07-18", 750_000),  # A mini, though it begins as the other does.
        ("claude-sonnet-4-5-20250929", 18_000_000),
    ],
)
def test_a6_a_model_is_priced_by_its_whole_name(model, usd):
    with solvent.budget("triage", usd="1.00", ledger="memory://") as budget:
        assert budget.check(model=model, input_tokens=1_000, output_tokens=1_000).amounts["usd"] == usd
        guessed = budget.check(model="gpt-4o-mega", input_tokens=1_000, output_tokens=1_000)
        assert isinstance(guessed.error, solvent.PriceUnknown)  # Not at another one's price, without a word.


@pytest.mark.slow
def test_a6_prices_of_ones_own_hold_a_real_client_at_its_cached_rates(user, fake_provider):
    fake = fake_provider(Answer(input_tokens=1_000, cached_tokens=800, output_tokens=1_000))
    user.policy("prices: {m: {input: 3.00, output: 15.00, cache_read: 0.30}, gpt-4o: {input: 1.00, output: 1.00}}\n")
    program = """
text = "tok " * 500
with solvent.budget("triage", usd="0.10") as budget:
    ask(text, output_tokens=1_000)
    found = [budget.report().total.cost_nanodollars]
    found.append(budget.check(model="gpt-4o", input_tokens=1_000, output_tokens=1_000).amounts["usd"])
print(json.dumps(found))
"""
    found = user.runs(BEGIN + program, OPENAI_BASE_URL=f"{fake.url}/v1")
    assert found == [fake.billed(Rates(input=3_000, output=15_000, cached=300)), 2_000_000]


@pytest.mark.slow
def test_a7_the_sixth_same_request_is_refused_and_no_different_one_nor_a_retry(user, fake_provider):
    def answer(seen):
        failing = "fail" in str(seen.body)
        return Answer(status=500, headers={"retry-after-ms": "1"}) if failing else Answer()

    fake = fake_provider(answer)
    user.policy(f"loops: {{same_call: 5, within: 60s, on_exceed: block}}\n{PRICES}")
    program = """
def until_refused(*texts, run=None, most=40):
    made = 0
    try:
        with solvent.budget("agent", run=run):
            while made < most:
                ask(texts[made % len(texts)], output_tokens=10)
                made += 1
    except solvent.LoopDetected as error:
        return [made, error.cycle, error.limit, error.spent, error.within_seconds, len(error.fingerprint)]
    return made

found = [until_refused("a", run="one"), until_refused("b", "c"), until_refused("d", "e", "f")]
found.append(until_refused(*map(str, range(40))))  # Each differs from all before it.
later(58)
found.append(until_refused("a", run="one"))
later(3)
found.append(until_refused("a", run="one", most=5))
client = openai.OpenAI(max_retries=8)
try:
    with solvent.budget("retries"):
        ask("fail", output_tokens=10)
except openai.InternalServerError:
    found.append("the provider's own")
print(json.dumps(found))
"""
    found = user.runs(BEGIN + program, OPENAI_BASE_URL=f"{fake.url}/v1")
    same = [5, 1, 5, 5, 60.0, 32]
    pairs, triples = ([5, cycle, 5, 5, 60.0, 32] for cycle in (2, 3))
    assert found == [same, pairs, triples, 40, [0, *same[1:]], 5, "the provider's own"]
    assert sum("fail" in str(seen.body) for seen in fake.seen) == 1 + 8
    assert len(fake.seen) == 3 * 5 + 40 + 5 + 9


@pytest.mark.slow
def test_a8_the_report_is_structured_and_its_schema_has_a_version(user, fake_provider):
    solvent.install()
    try:
        fake = fake_provider(Answer(output_tokens=1_000))
        client = user.client(fake)
        with solvent.budget("triage", usd="1.00", tokens="200k/day", calls="10/minute", ledger=user.ledger) as budget:
            for model, times in (("gpt-4o", 3), ("gpt-4o-mini", 1)):
                with solvent.agent(f"on-{model}", usd="0.04"):
                    for _ in range(times):
                        client.chat.completions.create(model=model, messages=MESSAGES, max_completion_tokens=1_000)
    finally:
        solvent.uninstall()
    report = json.loads(user.solvent("report", "--run", str(budget.scope), "--json"))
    jsonschema.validate(report, json.loads(resources.files("solvent.report").joinpath("schema.json").read_text()))

    assert (report["schema_version"], report["scope"]) == (1, str(budget.scope))
    dear, cheap = 3 * (6 * 2_500 + CENT), 6 * 150 + 1_000 * 600
    models = {each["model"]: (each["calls"], each["cost_nanodollars"]) for each in report["models"]}
    assert models == {"gpt-4o": (3, str(dear)), "gpt-4o-mini": (1, str(cheap))}
    found = {}
    for each in report["limits"]:
        place = each["scope"].removeprefix(str(budget.scope)).lstrip("/")
        found[place, each["meter"], each["window"]] = (int(each["spent"]), int(each["limit"]))
    assert found == {
        ("", "usd", ""): (dear + cheap, DOLLAR),
        ("", "tokens", "day@UTC"): (4 * 1_006, 200_000),  # Today.
        ("", "calls", "minute"): (4, 10),  # In the last minute.
        ("agent:on-gpt-4o", "usd", ""): (dear, 4 * CENT),
        ("agent:on-gpt-4o-mini", "usd", ""): (cheap, 4 * CENT),
    }
    assert report["total"]["cost_nanodollars"] == str(dear + cheap)


# Calls of one process, a ledger in memory and five limits; how many MiB the process has after each part of them.
MANY = """
import json, psutil, solvent, sys
process, sizes = psutil.Process(), []
limits = {"usd": 900_000, "tokens": "9M/day", "calls": ["9M", "9M/minute"], "retries": 9}
with solvent.budget("many", ledger="memory://", **limits) as budget, solvent.agent("worker", calls="9M"):
    for part in range(10):
        for _ in range(int(sys.argv[1]) // 10):
            with solvent.call("step", usd="0.01") as call:
                call.settle(0.001)
        sizes.append(process.memory_info().rss // 2**20)
    assert budget.remaining() == 900_000 * 10**9 - int(sys.argv[1]) * 10**6
print(json.dumps(sizes))
"""


@pytest.mark.slow
def test_a10_a_call_leaves_little_behind(user):
    sizes = user.runs(MANY, "10000")
    assert sizes[-1] - sizes[0] < 40  # 3 KiB a call, while the journal fills.


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_a10_memory_is_bounded_over_a_million_calls(user):
    with user.starts(MANY, "1000000") as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    sizes = json.loads(out)
    assert sizes[-1] - sizes[1] < 12  # What is remembered of calls is full before 200,000 of them.


@pytest.mark.slow
def test_a9_every_decision_is_in_the_journal_and_every_charge_in_the_export(user):
    with solvent.budget("triage", usd="0.25", ledger=user.ledger):
        for _ in range(2):
            with solvent.call("step", usd="0.10"):
                pass
        with pytest.raises(solvent.BudgetExceeded), solvent.call("step", usd="0.10"):
            pass

    decisions = [(entry["kind"], entry["decision"]) for entry in user.entries() if entry["decision"]]
    admitted = [("reserve", "admitted"), ("settle", "admitted")]
    assert decisions == [*admitted, *admitted, ("refuse", "refused")]
    charges = list(csv.DictReader(io.StringIO(user.solvent("export", "focus"))))
    assert [(row["BilledCost"], row["ChargeCategory"], row["BillingCurrency"]) for row in charges] == [
        ("0.1", "Usage", "USD")
    ] * 2
    told = [json.loads(line)["kind"] for line in user.solvent("export", "jsonl").splitlines()]
    assert told == ["settle", "settle", "refuse"]
