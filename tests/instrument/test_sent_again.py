"""
What is sent again below a hook, by the library's own transport or a middleware, is a call of its own each time.
"""

import asyncio
import contextlib

import aiohttp
import httpx2
import pytest
import requests
from fake_provider import Answer
from inprocess import PRICE, RATES
from requests.adapters import HTTPAdapter
from sdk_ways import MESSAGES
from urllib3.util import Retry

import solvent
from solvent._answers import error_in
from solvent.policy import Policy
from solvent.prices import UserPrice

pytestmark = pytest.mark.slow

CAP = 500
BODY = {"model": "m", "messages": MESSAGES, "max_tokens": CAP}
ONE = 120 * RATES.output
BOUND = CAP * RATES.output


class Again(httpx2.BaseTransport):
    """
    Sends a request until it is answered as it should be.
    """

    def __init__(self, times):
        self._inner = httpx2.HTTPTransport()
        self._times = times

    def handle_request(self, request):
        for _ in range(self._times):
            response = self._inner.handle_request(request)
            if response.status_code == 200:
                break
            response.close()
        return response

    def close(self):
        self._inner.close()


class AsyncAgain(httpx2.AsyncBaseTransport):
    def __init__(self, times):
        self._inner = httpx2.AsyncHTTPTransport()
        self._times = times

    async def handle_async_request(self, request):
        for _ in range(self._times):
            response = await self._inner.handle_async_request(request)
            if response.status_code == 200:
                break
            await response.aclose()
        return response

    async def aclose(self):
        await self._inner.aclose()


def by_requests(url, times, body=BODY):
    retries = Retry(total=times - 1, status_forcelist=[429, 502], allowed_methods=None, backoff_factor=0)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retries))
        return session.post(f"{url}/v1/chat/completions", json=body, timeout=30).status_code


def by_transport(url, times, body=BODY):
    with httpx2.Client(transport=Again(times)) as client:
        reply = client.post(f"{url}/v1/chat/completions", json=body)
    return told(reply)


def by_async_transport(url, times, body=BODY):
    async def post():
        async with httpx2.AsyncClient(transport=AsyncAgain(times)) as client:
            return await client.post(f"{url}/v1/chat/completions", json=body)

    return told(asyncio.run(post()))


def by_middleware(url, times, body=BODY):
    async def again(request, handler):
        left = times
        while (reply := await handler(request)).status != 200 and (left := left - 1):
            reply.close()
        return reply

    async def post():
        async with aiohttp.ClientSession(middlewares=[again]) as session:
            async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
                await reply.read()
                return reply.status

    return asyncio.run(post())


def told(reply):
    if reply.status_code == 402:
        raise error_in(reply.headers["x-solvent-error"])
    return reply.status_code


@pytest.fixture
def policy():
    cheap = UserPrice.per_million_tokens(input="0", output="0.01", output_tokens_max=16_384, input_tokens_max=100_000)
    return Policy(prices={"m": PRICE, "cheap": cheap}, wait_seconds=0)


WAYS = pytest.mark.parametrize("way", [by_requests, by_transport, by_async_transport, by_middleware])


@WAYS
def test_each_time_is_booked_by_how_it_ended(way, guarded, fake_provider):
    fake = fake_provider([Answer(status=502), Answer(status=429), Answer(output_tokens=120)])
    with solvent.budget(usd="1.00", calls=9) as budget:
        assert way(fake.url, 3) == 200
        assert budget.remaining("calls") == 6
    assert len(fake.seen) == 3
    assert [status for status, _ in guarded.ends()] == ["cut", "429", "200"]
    assert guarded.spent() == BOUND + ONE


@WAYS
@pytest.mark.parametrize("limits", [{"calls": 2}, {"retries": 1}, {"usd": "0.011"}], ids=str)
def test_no_limit_is_passed_by_sending_again(way, limits, guarded, fake_provider):
    fake = fake_provider(Answer(status=502))
    with solvent.budget(**limits), pytest.raises(solvent.BudgetExceeded):
        way(fake.url, 5)
    assert len(fake.seen) == 2
    assert guarded.count("refuse") == 1


@WAYS
def test_what_a_call_was_made_into_is_what_is_paid_for_again(way, guarded, fake_provider):
    fake = fake_provider([Answer(status=502), Answer(output_tokens=120)])
    with solvent.budget(usd="1.00"):
        assert way(fake.url, 2, {**BODY, "stream": True}) == 200
    assert [seen.body["stream_options"] for seen in fake.seen] == [{"include_usage": True}] * 2
    assert guarded.spent() == BOUND + ONE


@WAYS
def test_what_cannot_be_made_another_call_any_more_is_not_paid_as_one(way, guarded, fake_provider):
    fake = fake_provider(Answer(status=502))
    with solvent.budget(usd="0.0075", fallback=["m", "cheap"]), pytest.raises(solvent.BudgetExceeded):
        way(fake.url, 2)
    assert [seen.body["model"] for seen in fake.seen] == ["m"]
    assert guarded.spent() == BOUND


def test_a_transport_that_takes_a_refusal_for_a_failure_gets_no_further(guarded, fake_provider):
    class Stubborn(httpx2.BaseTransport):
        def handle_request(self, request):
            for _ in range(4):
                try:
                    with httpx2.HTTPTransport() as inner:
                        last = inner.handle_request(request)
                        last.read()
                except Exception:
                    continue
            return last

    fake = fake_provider(Answer(status=502))
    with solvent.budget(calls=2), httpx2.Client(transport=Stubborn()) as client:
        client.post(f"{fake.url}/v1/chat/completions", json=BODY)
    assert len(fake.seen) == 2
    assert guarded.ends() == [("cut", "cut")] * 2


def stubborn_middleware(url):
    async def again(request, handler):
        with contextlib.suppress(aiohttp.ClientConnectionError):
            return await handler(request)
        return await handler(request)

    async def post():
        async with aiohttp.ClientSession(middlewares=[again]) as session:
            await session.post(f"{url}/v1/chat/completions", json=BODY)

    asyncio.run(post())


@pytest.mark.parametrize(
    ("way", "error"),
    [(lambda url: by_requests(url, 3), requests.ConnectionError), (stubborn_middleware, aiohttp.ClientConnectorError)],
    ids=["requests", "aiohttp"],
)
def test_a_connection_that_never_came_to_be_is_no_attempt(way, error, guarded):
    with solvent.budget(usd="1.00", retries=0), pytest.raises(error):
        way("http://127.0.0.1:9")
    assert guarded.kinds().count("release") == 1
    assert guarded.ends() == [("not_sent", None)]


def test_what_is_answered_otherwise_in_the_end_raises_as_ever(guarded, fake_provider):
    fake = fake_provider(Answer(status=502))
    with solvent.budget(usd="1.00", calls=9), pytest.raises(requests.exceptions.RetryError):
        by_requests(fake.url, 3)
    assert len(fake.seen) == 3
    assert guarded.spent() == 3 * BOUND
