"""
The real SDKs under ``solvent run``. What was spent is computed from the bytes that the server sent.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from served import paid_exchanges, served, tells_usage
from servers import Exchange, RealModel, Recorder
from solvent_run import DOLLAR, PROGRAMS, Desk, Ran, python

pytestmark = pytest.mark.slow

Proxies = Callable[[str], Recorder]

# Nanodollars a token; dear, so that a few calls are a budget.
INPUT, OUTPUT = 100_000, 400_000
PRICE = "m=100/400"
SDKS = {
    "openai": {"class": "APIStatusError", "type": "insufficient_quota"},
    "anthropic": {"class": "PaymentRequiredError", "type": "billing_error"},
}


def ways(sdk: str) -> list[str]:
    """
    The names of the ways that a program calls its SDK in.
    """
    return re.findall(r'^    "(.+)": ', (PROGRAMS / f"sdk_{sdk}.py").read_text().partition("WAYS")[2], re.MULTILINE)


def cost_of(exchange: Exchange) -> int:
    tokens = served(exchange)
    return INPUT * tokens.input_tokens + OUTPUT * tokens.output_tokens


def cost(recorder: Recorder) -> int:
    return sum(map(cost_of, paid_exchanges(recorder.exchanges)))


def refused_once_each(ran: Ran, sdk: str) -> None:
    """
    Every way of calling ended in one error that says all, and nothing tried again.
    """
    assert ran.code == 0, ran.stderr
    errors: list[dict[str, Any]] = [end["error"] for end in ran.said.values()]
    assert ran.refused == len(errors)
    for error in errors:
        told = {name: error[name] for name in ("class", "status", "code", "type", "retry")}
        assert told == {**SDKS[sdk], "status": 402, "code": "budget_exceeded", "retry": "false"}
        assert "left of $" in error["message"]
        assert "this call needs up to $" in error["message"]
        assert "\nTo go on: " in error["message"]


def only_the_answered_passed(ran: Ran, recorder: Recorder) -> None:
    """
    No call after the limit reached the server, and the report says what the server's own words add up to.
    """
    answered = [end["answered"] for end in ran.said.values()]
    assert all(answered)
    assert len(paid_exchanges(recorder.exchanges)) == len(recorder.exchanges) == sum(answered)
    assert ran.report["total"]["cost_nanodollars"] == str(cost(recorder))


@pytest.mark.parametrize("sdk", SDKS)
def test_every_way_of_calling_stops_at_the_limit(
    sdk: str, desk: Desk, llmock: Callable[..., str], recording_proxy: Proxies
) -> None:
    recorder = recording_proxy(llmock())
    desk.providers_at(recorder.url, anthropic="/anthropic")
    ran = desk.run("--usd", "0.25", "--price", PRICE, command=python(f"sdk_{sdk}.py", "m", "64"))
    refused_once_each(ran, sdk)
    only_the_answered_passed(ran, recorder)
    assert DOLLAR // 5 < cost(recorder) <= DOLLAR // 4


@pytest.mark.xdist_group("real_model")
@pytest.mark.parametrize("sdk", SDKS)
def test_a_real_model_counts_no_more_than_the_limit(
    sdk: str, desk: Desk, real_model: RealModel, recording_proxy: Proxies
) -> None:
    recorder = recording_proxy(real_model.url)
    desk.providers_at(recorder.url)
    before = real_model.counted()
    command = python(f"sdk_{sdk}.py", real_model.model, "8")
    ran = desk.run("--usd", "0.10", "--price", f"{real_model.model}=100/400", command=command)
    counted = real_model.counted().since(before)
    refused_once_each(ran, sdk)
    only_the_answered_passed(ran, recorder)
    by_the_servers_count = INPUT * counted.input_tokens + OUTPUT * counted.output_tokens
    assert DOLLAR // 20 < by_the_servers_count <= cost(recorder) <= DOLLAR // 10


WAYS = [(sdk, way) for sdk in SDKS for way in ways(sdk)]


@pytest.mark.long
@pytest.mark.parametrize(("sdk", "way"), WAYS, ids=[f"{sdk}: {way}" for sdk, way in WAYS])
def test_each_way_of_calling_alone_stops_at_the_limit(
    sdk: str, way: str, desk: Desk, llmock: Callable[..., str], recording_proxy: Proxies
) -> None:
    recorder = recording_proxy(llmock())
    desk.providers_at(recorder.url, anthropic="/anthropic")
    ran = desk.run("--usd", "0.05", "--price", PRICE, command=python(f"sdk_{sdk}.py", "m", "64", way))
    refused_once_each(ran, sdk)
    only_the_answered_passed(ran, recorder)
    assert cost(recorder) <= DOLLAR // 20


@pytest.mark.long
@pytest.mark.parametrize("sdk", SDKS)
def test_a_server_full_of_faults_cannot_overspend(
    sdk: str, desk: Desk, llmock: Callable[..., str], recording_proxy: Proxies
) -> None:
    faults = ("--error-rate", "429=0.1", "--error-rate", "500=0.1", "--stream-fault", "disconnect=0.2")
    recorder = recording_proxy(llmock(*faults, "--stream-fault", "truncate=0.2"))
    desk.providers_at(recorder.url, anthropic="/anthropic")
    ran = desk.run("--usd", "0.50", "--price", PRICE, command=python(f"sdk_{sdk}.py", "m", "64"))
    refused_once_each(ran, sdk)
    told = sum(map(cost_of, filter(tells_usage, recorder.exchanges)))
    assert 0 < told <= int(ran.report["total"]["cost_nanodollars"]) <= DOLLAR // 2
    assert ran.report["estimated"], "no fault came about"
