"""
Calls that are under way at a deadline: ended there, settled once, and told in the provider's own words.
"""

import asyncio
import json

import pytest
from worlds import CHAT_REPLY, DONE, STREAM_BODY, STREAM_HEAD, TOKEN, chunked, delta, plain

from solvent._booking import Lost, NotSent, Replied

OVER = "run:one had 1 min and they are over; the call was ended."
TEXT_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"


def silent(here, *beginning):
    """
    A provider that says no more than this, until the gateway leaves it.
    """

    async def script(_request, writer):
        for piece in beginning:
            writer.write(piece)
        await here.upstream.closed.wait()

    return script


@pytest.mark.parametrize("beginning", [(), (TEXT_HEAD,)], ids=["no reply", "half a reply"])
def test_a_call_that_has_no_whole_answer_by_then_is_ended_and_paid_for(play, beginning):
    async def scene(here):
        here.upstream.script, here.guard.seconds_left = silent(here, *beginning), 0.05
        got = await asyncio.wait_for(here.call(), 5)

        assert (got.status, got.headers[b"x-should-retry"]) == (402, b"false")
        error = json.loads(got.body)["error"]
        assert (error["code"], error["type"]) == ("deadline_passed", "insufficient_quota")
        assert error["message"] == f"{OVER}\nTo go on: allow more time (solvent.yaml:5)."
        assert here.guard.outcome() == Lost(reason="stopped", status=200 if beginning else None, reading=None)
        assert [event.kind for event in here.events] == ["lost"]

    play(scene)


def test_a_stream_is_ended_with_an_error_that_sdks_raise(play):
    async def scene(here):
        here.upstream.script = silent(here, STREAM_HEAD, chunked(delta("one") + delta("two")[:9]))
        here.guard.seconds_left = 0.05
        got = await asyncio.wait_for(here.call(body=STREAM_BODY), 5)

        assert (got.status, got.complete) == (200, True)
        first, last = got.body.strip().split(b"\n\n")
        assert first == delta("one").strip()
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "deadline_passed"
        outcome = here.guard.outcome()
        assert isinstance(outcome, Lost)
        assert (outcome.reason, outcome.reading.output_begun) == ("stopped", True)

    play(scene)


def test_a_call_that_was_not_sent_by_then_costs_nothing(play):
    async def scene(here):
        here.guard.seconds_left = 0
        assert (await here.call()).status == 402
        assert isinstance(here.guard.outcome(), NotSent | Lost)

    play(scene)


def test_what_ends_in_time_knows_no_deadline(play):
    async def scene(here):
        here.guard.seconds_left = 0.1
        client = await here.connect()
        client.send(here.request())
        assert (await client.answer()).body == CHAT_REPLY
        here.guard.seconds_left = None
        here.upstream.script = late(0.2, plain())
        client.send(here.request())  # Over the time of the first one.
        assert (await client.answer()).body == CHAT_REPLY
        assert all(isinstance(outcome, Replied) for outcome in here.guard.outcomes.values())

    play(scene)


def test_a_reply_that_was_paid_for_is_passed_on_though_its_books_take_longer(play):
    async def scene(here):
        here.guard.seconds_left, here.guard.settle_waits_for = 0.05, asyncio.Event()
        client = await here.connect()
        client.send(here.request())
        while not here.guard.asked_to_settle:
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.1, here.guard.settle_waits_for.set)
        assert (await client.answer()).body == CHAT_REPLY
        assert isinstance(here.guard.outcome(), Replied)

    play(scene)


def test_a_stream_that_runs_to_its_end_in_time_is_whole(play):
    async def scene(here):
        async def script(_request, writer):
            writer.write(STREAM_HEAD + chunked(delta("one")) + chunked(DONE) + b"0\r\n\r\n")

        here.upstream.script, here.guard.seconds_left = script, 60
        got = await here.call(body=STREAM_BODY)
        assert got.body == delta("one") + DONE

    play(scene)


def late(seconds, script):
    async def later(request, writer):
        await asyncio.sleep(seconds)
        await script(request, writer)

    return later


DEPLOYMENT = f"/{TOKEN}/azure/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01"


def test_a_call_for_another_model_is_sent_where_that_one_is(play):
    async def scene(here):
        here.guard.path = "openai/deployments/gpt-4o-mini/chat/completions"
        here.guard.body = b'{"messages":[],"model":"gpt-4o-mini"}'
        got = await here.call(DEPLOYMENT)
        assert got.status == 200
        (received,) = here.upstream.received
        assert received.target == b"/openai/deployments/gpt-4o-mini/chat/completions?api-version=2025-01-01"
        assert received.body == here.guard.body

    play(scene, provider="azure")
