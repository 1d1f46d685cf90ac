"""
Replies in pieces: passed on as they come, and booked however they end.
"""

import asyncio
import gc
import json

import aiohttp
import httpx2
import openai
import pytest
from fake_provider import Answer
from inprocess import RATES
from sdk_ways import MESSAGES, WAYS
from servers import Gate

import solvent

pytestmark = pytest.mark.slow

STREAMED = [way for way in WAYS if way.streamed]
CHATS = [way for way in STREAMED if way.sdk == "openai" and way.cap == "max_tokens"]
SHOW_THEIR_END = [
    way for way in STREAMED if way.name in {"stream", "lines", "responses, streamed", "messages, streamed"}
]
ASYNC = [way for way in WAYS if way.asynchronous]
CAP = 500
USAGE = {"include_usage": True}


class Pieces:
    """
    The pieces of a way's stream, one by one, whichever kind of way it is.
    """

    def __init__(self, way, url, **more):
        self._runner = asyncio.Runner()
        self._way = way
        self._pieces = way.go(url, **way.asked(CAP, more))

    def next(self):
        return self._runner.run(anext(self._pieces)) if self._way.asynchronous else next(self._pieces)

    def rest(self):
        async def taken():
            return [piece async for piece in self._pieces]

        return self._runner.run(taken()) if self._way.asynchronous else list(self._pieces)

    def close(self):
        if self._way.asynchronous:
            self._runner.run(self._pieces.aclose())
        else:
            self._pieces.close()
        self._runner.close()


@pytest.mark.parametrize("way", STREAMED, ids=str)
def test_pieces_come_while_the_reply_is_being_made(way, guarded, fake_provider):
    gate = Gate()
    fake = fake_provider(Answer(output_tokens=120, hold_after=(6, gate)))
    with solvent.budget(usd="1.00"):
        pieces = Pieces(way, fake.url)
        assert pieces.next()
        assert guarded.reserved() > 0  # The server waits, and the caller has its piece.
        gate.open()
        assert pieces.rest()
        pieces.close()
    assert guarded.spent() == fake.billed(RATES) == 120 * RATES.output


@pytest.mark.parametrize("gzips", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("way", CHATS, ids=str)
def test_the_usage_event_is_dropped_unless_the_caller_asked_for_it(way, gzips, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120, gzips=gzips))
    with solvent.budget(usd="1.00"):
        ours = [str(piece) for piece in way.take(fake.url, CAP)]
        theirs = [str(piece) for piece in way.take(fake.url, CAP, stream_options=USAGE)]
    assert [seen.body["stream_options"] for seen in fake.seen] == [USAGE, USAGE]
    assert not any('"usage"' in piece or "total_tokens" in piece for piece in ours)
    assert any('"usage"' in piece or "total_tokens" in piece for piece in theirs)
    assert guarded.spent() == fake.billed(RATES) == 240 * RATES.output


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_compressed_replies_are_read(way, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120, gzips=True))
    with solvent.budget(usd="1.00"):
        assert way.take(fake.url, CAP)
    assert guarded.spent() == fake.billed(RATES) == 120 * RATES.output


@pytest.mark.parametrize("asked", [{}, {"stream_options": USAGE}], ids=["not asked", "usage asked"])
@pytest.mark.usefixtures("guarded")
def test_not_a_byte_is_changed_but_for_the_event_that_solvent_asked_for(asked, fake_provider, recording_proxy):
    way = next(way for way in WAYS if str(way) == "httpx2: stream")
    recorder = recording_proxy(fake_provider(Answer(output_tokens=120)).url)
    with solvent.budget(usd="1.00"):
        got = b"".join(way.take(recorder.url, CAP, **asked))
    events = recorder.wait_for_ends(1)[0].reply.split(b"\n\n")
    told = [event for event in events if b'"usage"' in event]
    assert len(told) == 1
    assert got == b"\n\n".join(event for event in events if asked or event not in told)


@pytest.mark.parametrize("way", STREAMED, ids=str)
def test_a_stream_that_is_closed_early_is_booked_at_the_bound(way, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP, hold_after=(6, Gate())))
    with solvent.budget(usd="1.00"):
        pieces = Pieces(way, fake.url)
        pieces.next()
        pieces.close()
    fake.wait_until(lambda: fake.left_count == 1, "that the client leaves")
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output
    assert guarded.ends() == [("client_gone", "client_gone")]


def test_a_stream_that_nobody_holds_any_more_is_booked_at_the_bound(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP, hold_after=(4, Gate())))
    with solvent.budget(usd="1.00"), httpx2.Client() as client:
        body = {"model": "m", "messages": MESSAGES, "max_tokens": CAP, "stream": True}
        request = client.build_request("POST", f"{fake.url}/v1/chat/completions", json=body)
        client.send(request, stream=True)  # Whose reply goes nowhere.
        gc.collect()
        assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output
    assert guarded.ends() == [("client_gone", "client_gone")]


def test_an_async_stream_that_nobody_holds_any_more_is_booked_at_the_bound(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP, hold_after=(4, Gate())))

    async def drop():
        client = openai.AsyncOpenAI(api_key="x", base_url=f"{fake.url}/v1")
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=CAP, stream=True)
        await anext(aiter(stream))
        del stream
        gc.collect()

    with solvent.budget(usd="1.00"):
        asyncio.run(drop())
    gc.collect()
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output


@pytest.mark.parametrize("way", SHOW_THEIR_END, ids=str)
def test_a_stream_that_said_all_is_booked_though_its_end_was_not_read(way, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    with solvent.budget(usd="1.00"):
        pieces = Pieces(way, fake.url)
        while not guarded.ends():
            pieces.next()
        assert guarded.ends() == [("200", None)]
        assert guarded.spent() == fake.billed(RATES) == 120 * RATES.output
        pieces.close()
    assert guarded.ends() == [("200", None)]


def test_a_reply_of_which_all_was_read_but_its_end_is_booked_by_its_usage(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))

    async def read():
        body = {"model": "m", "messages": MESSAGES, "max_tokens": CAP}
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{fake.url}/v1/chat/completions", json=body) as response:
                return await response.content.readexactly(int(response.headers["content-length"]))

    with solvent.budget(usd="1.00"):
        assert json.loads(asyncio.run(read()))["usage"]["completion_tokens"] == 120
    assert guarded.ends() == [("200", None)]
    assert guarded.spent() == fake.billed(RATES) == 120 * RATES.output


@pytest.mark.parametrize("way", ASYNC, ids=str)
def test_a_call_that_is_cancelled_is_booked_at_the_bound(way, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP, hangs=True))

    async def cancel():
        call = asyncio.create_task(way.atake(fake.url, CAP))
        await asyncio.to_thread(fake.wait_until, lambda: fake.bill)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    with solvent.budget(usd="1.00"):
        asyncio.run(cancel())
    fake.wait_until(lambda: fake.left_count == 1, "that the client leaves")
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output


def test_a_call_that_is_cancelled_before_it_was_sent_costs_nothing(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP, hangs=True))

    async def cancel():
        async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=1), timeout=30) as client:
            body = {"model": "m", "messages": MESSAGES, "max_tokens": CAP}
            calls = [
                asyncio.create_task(client.post(f"{fake.url}/v1/chat/completions", json={**body, "seed": seed}))
                for seed in range(5)
            ]
            await asyncio.to_thread(fake.wait_until, lambda: fake.bill)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    with solvent.budget(usd="1.00"):
        asyncio.run(cancel())
    assert len(fake.seen) == 1  # The others waited for its connection.
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output
    assert sorted(status for status, _ in guarded.ends()) == ["client_gone", *["not_sent"] * 4]


@pytest.mark.usefixtures("guarded")
def test_what_a_caller_is_told_besides(fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    with solvent.budget(usd="1.00"), openai.OpenAI(api_key="x", base_url=f"{fake.url}/v1") as client:
        reply = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, max_tokens=CAP)
    assert reply.headers["x-solvent-remaining-usd"] == "0.995000000"
    assert json.loads(reply.text)["usage"]["completion_tokens"] == 120
