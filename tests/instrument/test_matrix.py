"""
Every way of calling a model, and all that may become of a call, at a server that others wrote: its journal and its
bytes say what reached it and what it used.
"""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from bedrock_ways import BOTO3, SIGNED
from google_ways import GOOGLE
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
from sdk_ways import ANTHROPIC, HTTP, OPENAI

import solvent

pytestmark = pytest.mark.slow

WAYS = [*OPENAI, *ANTHROPIC, *GOOGLE, *BOTO3, *SIGNED, *HTTP]
# The frames in which aimock 1.43.0 sends these streams are none that Amazon's own SDK can read.
UNREADABLE = [way for way in (*BOTO3, *SIGNED) if way.streamed]
READABLE = [way for way in WAYS if way not in UNREADABLE]
CHANGED = [way for way in READABLE if way not in SIGNED]  # Before they are sent, where a budget asks for it.
STREAMED = [way for way in READABLE if way.streamed]
WHOLE = [way for way in WAYS if not way.streamed]
# One of each kind, the plainest; the others have their turn in the long run.
KINDS = {
    (way.sdk, way.asynchronous, way.streamed, way.cap): way for way in sorted(WAYS, key=lambda way: -len(way.name))
}
CHIEF = list(KINDS.values())
CALLERS = 64


def each(ways):
    return pytest.mark.parametrize(
        "way", [way if way in CHIEF else pytest.param(way, marks=pytest.mark.long) for way in ways], ids=str
    )


@pytest.fixture
def _hasty(monkeypatch):
    """
    Without the seconds that google-genai waits before it tries again.
    """

    async def at_once(_):
        return None

    monkeypatch.setattr("google.genai._api_client.asyncio.sleep", at_once)


@each(READABLE)
def test_an_allowed_call_is_booked_as_its_server_tells(way, guarded, server, aimock):
    recorder = server()
    with solvent.budget(usd="1.00"):
        assert way.take(recorder.url, CAP)
    (exchange,) = recorder.wait_for_ends(1)
    assert [(heard.model, heard.status) for heard in aimock.heard()] == [("m", 200)]
    assert guarded.spent() == cost(exchange) == used()
    assert guarded.ends() == [("200", None)]


@each(WAYS)
def test_a_refused_call_reaches_no_server(way, guarded, server, aimock):
    recorder = server()
    with solvent.budget(usd=HALF_OF_IT):
        assert called(way, recorder.url) == "refused"
    assert recorder.exchanges == aimock.heard() == []
    assert guarded.kinds() == ["open", "refuse", "close"]


@each(CHANGED)
def test_a_call_is_shrunk_to_what_the_budget_can_pay(way, guarded, server, aimock):
    recorder = server()
    needs_a_cap = way.sdk == "anthropic" or "invoke" in way.name
    with solvent.budget(usd="1.00"):
        assert way.take(recorder.url, CAP_MAX if needs_a_cap else None)
    (exchange,) = recorder.wait_for_ends(1)
    assert 2_000 <= sent_cap(exchange) <= 10**9 // RATES.output
    assert len(aimock.heard()) == 1
    assert guarded.spent() == cost(exchange) == used()
    assert guarded.calls()[0].rungs[-1].startswith("shrink")


@each(CHANGED)
def test_a_call_is_made_with_the_model_that_the_budget_can_pay(way, guarded, server, aimock):
    recorder = server()
    with solvent.budget(usd=HALF_OF_IT, fallback=["m", "mini"]):
        assert way.take(recorder.url, CAP)
    (exchange,) = recorder.wait_for_ends(1)
    assert [heard.model for heard in aimock.heard()] == ["mini"]
    assert guarded.spent() == cost(exchange, RATES_OF_MINI) == used(RATES_OF_MINI)
    assert [(call.model_asked, call.model_used, call.rungs) for call in guarded.calls()] == [
        ("m", "mini", ("degrade mini",))
    ]


@each(SIGNED)
def test_a_signed_call_is_refused_where_another_one_would_be_changed(way, guarded, server, aimock):
    recorder = server()
    with solvent.budget(usd=HALF_OF_IT, fallback=["m", "mini"]):
        assert called(way, recorder.url, CAP_MAX) == "refused"
    assert recorder.exchanges == aimock.heard() == []
    assert guarded.count("refuse") == 1


@each(UNREADABLE)
def test_a_stream_that_its_sdk_cannot_read_is_booked_at_no_less_than_it_used(way, guarded, server, aimock):
    recorder = server()
    with solvent.budget(usd="1.00"):
        called(way, recorder.url)
    recorder.wait_for_ends(1)
    assert [(heard.model, heard.status) for heard in aimock.heard()] == [("m", 200)]
    assert used() <= guarded.spent() < 10**9


@each(STREAMED)
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
    assert [exchange.end for exchange in recorder.wait_for_ends(1)] == ["client left"]
    assert BOUND < guarded.spent() < 10**9
    assert guarded.ends() == [("client_gone", "client_gone")]


@each([way for way in WHOLE if way.asynchronous])
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
    assert guarded.ends() == [("client_gone", "client_gone")]


@each([way for way in WHOLE if not way.asynchronous])
def test_a_call_whose_time_is_out_is_booked_at_the_bound(way, guarded, server):
    recorder = server(chaos={"latencyMs": 30_000})
    with solvent.budget(usd="1.00"), pytest.raises(Exception, match=r"[Tt]ime"):
        way.take(recorder.url, CAP, timeout=0.5)
    assert [exchange.end for exchange in recorder.wait_for_ends(1)] == ["client left"]
    assert BOUND < guarded.spent() < 10**9
    assert guarded.ends() == [("cut", "cut")]


# Whether it may have cost something.
FAULTS = {"rateLimitRate": False, "dropRate": True, "malformedRate": True}


@each(WAYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_server_is_booked_as_the_table_says(fault, way, guarded, server, aimock):
    recorder = server(chaos={fault: 1})
    with solvent.budget(usd="1.00", calls=5):
        called(way, recorder.url)
    recorder.wait_for_ends(1)
    assert [heard.fault for heard in aimock.heard()] == [fault.removesuffix("Rate")]
    assert len(recorder.exchanges) == guarded.spent("calls") == 1
    assert (guarded.spent() > BOUND) if FAULTS[fault] else (guarded.spent() == 0)


@each(WAYS)
@pytest.mark.usefixtures("_hasty")
def test_a_connection_that_its_server_cuts_is_booked_at_the_bound_for_each_attempt(way, guarded, server, aimock):
    recorder = server(chaos={"disconnectRate": 1})
    with solvent.budget(usd="1.00", calls=5):
        called(way, recorder.url)
    attempts = len(aimock.heard())  # google-genai makes two over aiohttp.
    assert len(recorder.wait_for_ends(attempts)) == guarded.spent("calls") == attempts > 0
    assert attempts * BOUND < guarded.spent() < 10**9


@each(STREAMED)
@pytest.mark.usefixtures("_hasty")
def test_a_stream_that_its_server_cuts_is_booked_at_the_bound(way, guarded, server):
    recorder = server(breaks_after=3)
    with solvent.budget(usd="1.00"):
        called(way, recorder.url)
    recorder.wait_for_ends(1)
    assert guarded.spent() > BOUND


@pytest.mark.timeout(300)
@pytest.mark.parametrize("dollars", [7, pytest.param(35, marks=pytest.mark.long)])
def test_every_library_at_once_keeps_one_budget_at_a_server_full_of_faults(dollars, guarded, server, aimock):
    chaos = {"rateLimitRate": 0.1, "dropRate": 0.05, "malformedRate": 0.05, "disconnectRate": 0.05, "latencyMs": 5}
    recorder = server(chaos=chaos)
    outcomes = Counter()

    def go_on(number):
        way = WAYS[number % len(WAYS)]
        while (outcome := called(way, recorder.url, cap=150)) != "refused":
            outcomes[outcome] += 1

    with solvent.budget(usd=dollars, calls=100_000, wait="60s"), ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(go_on, range(CALLERS)))
    recorder.wait_until(lambda: all(exchange.end for exchange in recorder.exchanges), "the end of all")
    limit, heard = dollars * 10**9, aimock.heard()
    assert outcomes.keys() == {"answered", "failed"}
    assert {one.fault for one in heard} > {None, "rateLimit"}
    assert len(heard) == len(recorder.exchanges) == guarded.spent("calls")
    assert used() * sum(one.status != 429 for one in heard) <= guarded.spent() <= limit
    assert guarded.spent() >= limit * 99 // 100
