"""
One SDK in an environment of its own, at a server that others wrote: allowed, refused, shrunk, with another model, left.
"""

import asyncio
import gc
import os

import pytest
from e2e.served import tells_usage
from matrix import (  # noqa: F401  # The policy is a fixture.
    BOUND,
    CAP,
    CAP_MAX,
    HALF_OF_IT,
    RATES,
    RATES_OF_MINI,
    called,
    cost,
    policy,
    sent_cap,
    used,
)
from sdks import BY_SDK

import solvent

SDK = os.environ.get("SOLVENT_SDK", "")
WAYS = BY_SDK.get(SDK, [])
STREAMED = [way for way in WAYS if way.streamed]


def is_booked(way, guarded, exchange, rates=RATES):
    """
    What the reply says is booked. Where aimock 1.43.0 says nothing, or zero, no less is booked than was used: in
    streams of Mistral's, which tell their usage unasked elsewhere, and in all replies of Ollama's.
    """
    if SDK == "ollama" or (SDK == "mistralai" and way.streamed):
        assert not tells_usage(exchange) or cost(exchange) == 0
        return guarded.spent() > used(rates)
    return guarded.spent() == cost(exchange, rates) == used(rates)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_allowed_call_is_booked_as_its_server_tells(way, guarded, server, aimock):
    recorder = server()
    with solvent.budget(usd="1.00"):
        assert way.take(recorder.url, CAP)
    (exchange,) = recorder.wait_for_ends(1)
    assert [(heard.model, heard.status) for heard in aimock.heard()] == [("m", 200)]
    assert is_booked(way, guarded, exchange)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_refused_call_reaches_no_server(way, guarded, server, aimock):
    recorder = server()
    with solvent.budget(usd=HALF_OF_IT):
        assert called(way, recorder.url) == "refused"
    assert recorder.exchanges == aimock.heard() == []
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_call_is_shrunk_to_what_the_budget_can_pay(way, guarded, server, aimock):
    recorder = server()
    needs_a_cap = SDK == "anthropic" or "Anthropic" in way.name
    with solvent.budget(usd="1.00"):
        assert way.take(recorder.url, CAP_MAX if needs_a_cap else None)
    (exchange,) = recorder.wait_for_ends(1)
    assert len(aimock.heard()) == 1
    assert 2_000 <= sent_cap(exchange) <= 2_500
    assert is_booked(way, guarded, exchange)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_call_is_made_with_the_model_that_the_budget_can_pay(way, guarded, server, aimock):
    recorder = server()
    with solvent.budget(usd=HALF_OF_IT, fallback=["m", "mini"]):
        assert way.take(recorder.url, CAP)
    (exchange,) = recorder.wait_for_ends(1)
    assert [heard.model for heard in aimock.heard()] == ["mini"]
    assert is_booked(way, guarded, exchange, RATES_OF_MINI)


@pytest.mark.parametrize("way", STREAMED, ids=str)
def test_a_stream_that_its_caller_leaves_is_booked_at_the_bound(way, guarded, server):
    recorder = server(between_ms=40)

    async def begin():
        pieces = way.go(recorder.url, **way.asked(CAP, {}))
        assert await anext(pieces)
        await pieces.aclose()

    with solvent.budget(usd="1.00"):
        if way.asynchronous:
            asyncio.run(begin())
        else:
            pieces = way.go(recorder.url, **way.asked(CAP, {}))
            assert next(pieces)
            pieces.close()
            del pieces
        gc.collect()
    assert [exchange.end for exchange in recorder.wait_for_ends(1)] == ["client left"]
    assert BOUND < guarded.spent() < 10**9


@pytest.mark.parametrize("way", [way for way in WAYS if way.asynchronous and not way.streamed], ids=str)
def test_a_call_that_is_cancelled_is_booked_at_the_bound(way, guarded, server):
    recorder = server(chaos={"latencyMs": 30_000})

    async def cancel():
        call = asyncio.create_task(way.atake(recorder.url, CAP))
        await asyncio.to_thread(recorder.wait_until, lambda: any(exchange.body for exchange in recorder.exchanges))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    with solvent.budget(usd="1.00"):
        asyncio.run(cancel())
    assert [exchange.end for exchange in recorder.wait_for_ends(1)] == ["client left"]
    assert BOUND < guarded.spent() < 10**9
