"""
What a Python program in a run gets when the gateway refuses a call: after ``solvent.install()`` the error that a
refusal in its own process is, from every SDK; and from a bare HTTP client the gateway's answer.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fake_provider import Answer, Fake
from servers import Gate
from solvent_run import PROGRAMS, Desk, Ran

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

WAYS = Path(__file__).parents[1] / "instrument"
PRICE = ("--price", "m=0/100")  # A call of 100 tokens is a cent.
BEGIN = """
import os, solvent
from calls import begun, call, say
from sdk_ways import WAYS

SDKS = {
    "openai: chat", "openai: chat, streamed", "openai: responses", "openai: async chat, streamed",
    "openai: chat over aiohttp", "anthropic: messages", "anthropic: async messages, streamed",
}
BARE = {"httpx2: post", "httpx: post", "aiohttp: post", "requests: post"}

def ends(names):
    found = {}
    for way in WAYS:
        if str(way) in names:
            maker = "ANTHROPIC" if way.sdk == "anthropic" else "OPENAI"
            try:
                [taken] = way.take(os.environ[maker + "_BASE_URL"].removesuffix("/v1"), 100)
                found[str(way)] = [str(getattr(taken, "status_code", "")), str(getattr(taken, "text", taken))]
            except Exception as error:
                found[str(way)] = [type(error).__name__, str(error)]
    assert found.keys() == names, names - found.keys()
    return found
"""


def run(desk: Desk, *options: str, text: str, url: str) -> Ran:
    desk.providers_at(url)
    desk.env |= {"PAST_THE_GATEWAY": url, "PYTHONPATH": f"{PROGRAMS}:{WAYS}"}
    command = [sys.executable, "-c", BEGIN + text]
    return desk.run("--name", "outer", "--wait", "0s", *options, command=command)


def kinds(ends: dict[str, Sequence[str]]) -> set[str]:
    return {kind for kind, _ in ends.values()}


def test_a_spent_budget_is_its_error_from_every_sdk_and_an_answer_without_one(desk: Desk, fake_provider: Fakes) -> None:
    text = """
solvent.install()
with solvent.budget("triage", usd="0.004"):
    by_sdk, bare = ends(SDKS), ends(BARE)
solvent.uninstall()
with solvent.budget("triage", usd="0.004"):
    say([by_sdk, bare, ends(SDKS)])
"""
    fake = fake_provider()
    by_sdk, bare, after = run(desk, *PRICE, text=text, url=fake.url).said
    assert kinds(by_sdk) == {"BudgetExceeded"}
    assert {told.partition("-")[0] for _, told in by_sdk.values()} == {"run:outer/step:triage"}
    assert kinds(bare) <= {"402", ""}
    assert all("budget_exceeded" in told for _, told in bare.values())
    assert kinds(after) == {"APIStatusError", "PaymentRequiredError"}  # OpenAI's and Anthropic's.
    assert fake.seen == []


def test_a_model_without_a_price_is_its_error_too(desk: Desk, fake_provider: Fakes) -> None:
    text = "solvent.install(); say(ends(SDKS))"
    fake = fake_provider()
    by_sdk = run(desk, "--usd", "1", text=text, url=fake.url).said
    assert kinds(by_sdk) == {"PriceUnknown"}
    assert {told.partition("\n")[0] for _, told in by_sdk.values()} == {
        "'m' has no price, and a limit in dollars is in force."
    }
    assert fake.seen == []


def test_a_refusal_by_the_gateway_has_the_fields_of_one_in_process(desk: Desk, fake_provider: Fakes) -> None:
    text = """
import asyncio
solvent.install()

def error(past):
    import openai
    address = {"base_url": os.environ["PAST_THE_GATEWAY"] + "/v1"} if past else {}
    try:
        openai.OpenAI(max_retries=0, **address).chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], max_tokens=100
        )
    except solvent.BudgetExceeded as refused:
        fields = {name: str(value) for name, value in vars(refused).items() if name != "now" and name[0] != "_"}
        return [str(refused), fields, refused.held, type(refused.now).__name__, type(refused.resets_at).__name__]

async def main():
    async with solvent.budget("held", usd="0.015"):
        stream = await begun(past=False)
        held = [error(past) for past in (True, False)]
        await stream.close()
    with solvent.budget("spent", usd="0.015"):
        call(past=True)
        say([held, [error(past) for past in (True, False)]])

asyncio.run(main())
"""

    def answer(seen: object) -> Answer:
        return Answer(output_tokens=500, hold_after=(4, Gate()) if seen.body["stream"] else None)  # type: ignore[attr-defined]

    fake = fake_provider(answer)
    held, spent = run(desk, *PRICE, text=text, url=fake.url).said
    for (by_process, by_gateway), is_held in ((held, True), (spent, False)):
        assert by_process == by_gateway
        assert by_process[2:] == [is_held, "datetime", "NoneType"]
        assert "budget('" in by_process[1]["source"]


def test_a_final_refusal_holds_for_whatever_an_sdk_tries_next(desk: Desk, fake_provider: Fakes) -> None:
    text = """
import httpx
from solvent.instrument._above import calling  # As the hook of an SDK does.
solvent.install()
url, body = os.environ["OPENAI_BASE_URL"] + "/chat/completions", {"model": "m", "messages": [], "max_tokens": 100}
with solvent.budget("triage", usd="0.004"), calling():
    say([httpx.post(url, json=body).status_code for _ in range(3)])
"""
    ran = run(desk, *PRICE, text=text, url=fake_provider().url)
    assert (ran.said, ran.refused) == ([402] * 3, 1)
