"""
However a call ends, it is settled once, its connection is closed, and the client that is still there is told.
"""

import asyncio
import json

import pytest
from worlds import CHAT_BODY, CHAT_REPLY, DONE, STREAM_BODY, STREAM_HEAD, TOKEN, chunked, delta, plain

from solvent._booking import Lost, NotSent, Replied
from solvent.errors import StoreUnavailable

LONG_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"


async def silent(_request, _writer):
    await asyncio.Event().wait()


async def half_a_stream(_request, writer):
    writer.write(STREAM_HEAD + chunked(delta("one")))
    await asyncio.Event().wait()


async def cut_stream(_request, writer):
    writer.write(STREAM_HEAD + chunked(delta("one") + b'data: {"id":"x","cho'))
    await writer.drain()
    writer.transport.abort()


async def cut_plain(_request, writer):
    writer.write(LONG_REPLY)
    await writer.drain()
    writer.close()


async def no_reply(_request, writer):
    writer.close()


async def nonsense(_request, writer):
    writer.write(b"NOT HTTP AT ALL\r\n\r\n")
    writer.close()


async def settled(here):
    await here.guard.settled.wait()
    while here.gateway._running:
        await asyncio.sleep(0)


def test_client_that_leaves_a_stream_ends_it_upstream_and_it_is_settled_once(play):
    async def scene(here):
        here.upstream.script = half_a_stream_that_watches(here)
        client = await here.connect()
        client.send(here.request(body=STREAM_BODY))
        await client.answer(until=b"one")
        client.close()

        await settled(here)
        await here.upstream.closed.wait()
        outcome = here.guard.outcome()
        assert isinstance(outcome, Lost)
        assert (outcome.reason, outcome.status) == ("client_gone", 200)
        assert outcome.reading is not None
        assert outcome.reading.output_begun
        assert [event.kind for event in here.events] == ["lost"]

    play(scene)


def test_leaving_is_noticed_under_servers_that_only_tell_it_in_receive(play, monkeypatch):
    monkeypatch.setattr("solvent.gateway._app.DISCONNECT", "not offered")
    test_client_that_leaves_a_stream_ends_it_upstream_and_it_is_settled_once(play)
    test_client_that_leaves_before_the_answer_is_settled_as_lost(play)
    test_client_that_leaves_the_queue_leaves_nothing(play)


def test_leaving_is_noticed_after_a_large_body(play):
    async def scene(here):
        here.upstream.script = silent
        client = await here.connect()
        client.send(here.request(body=CHAT_BODY.replace(b"Hi", b"Hi" * 1_000_000)))
        await here.upstream.got.wait()
        client.close()
        await settled(here)
        assert isinstance(here.guard.outcome(), Lost)

    play(scene)


def half_a_stream_that_watches(here):
    async def script(_request, writer):
        writer.write(STREAM_HEAD + chunked(delta("one")))
        await writer.drain()
        while not writer.transport.is_closing():  # uvloop closes a transport whose peer is gone when it is written to.
            writer.write(chunked(b": still here\n\n"))
            await asyncio.sleep(0.005)
        here.upstream.closed.set()

    return script


def test_client_that_leaves_before_the_answer_is_settled_as_lost(play):
    async def scene(here):
        here.upstream.script = silent
        client = await here.connect()
        client.send(here.request())
        await here.upstream.got.wait()
        client.close()
        await settled(here)
        outcome = here.guard.outcome()
        assert isinstance(outcome, Lost)
        assert (outcome.reason, outcome.status) == ("client_gone", None)

    play(scene)


def test_client_that_leaves_the_queue_leaves_nothing(play):
    async def scene(here):
        here.guard.waiting = asyncio.Event()
        client = await here.connect()
        client.send(here.request())
        await here.guard.queued.wait()
        client.close()
        while here.gateway._running:
            await asyncio.sleep(0)
        assert here.guard.cancelled == 1
        assert here.guard.untouched
        assert here.upstream.received == []

    play(scene)


def test_stream_that_is_cut_ends_in_an_error_that_clients_can_read(play):
    async def scene(here):
        here.upstream.script = cut_stream
        got = await here.call(body=STREAM_BODY)
        assert got.complete
        whole, _, rest = got.body.partition(delta("one"))
        assert whole == b""
        error = json.loads(rest.removeprefix(b"data: "))
        assert (error["error"]["code"], error["error"]["type"]) == ("upstream_lost", "server_error")
        outcome = here.guard.outcome()
        assert isinstance(outcome, Lost)
        assert (outcome.reason, outcome.status) == ("cut", 200)

    play(scene)


def test_cut_stream_of_anthropic_ends_in_its_own_error_event(play):
    async def scene(here):
        async def script(_request, writer):
            writer.write(STREAM_HEAD + chunked(b'event: ping\ndata: {"type":"ping"}\n\nevent: message_sta'))
            await writer.drain()
            writer.transport.abort()

        here.upstream.script = script
        got = await here.call(f"/{TOKEN}/anthropic/v1/messages", body=STREAM_BODY)
        assert got.body.startswith(b'event: ping\ndata: {"type":"ping"}\n\nevent: error\ndata: {"type":"error",')
        assert got.complete

    play(scene, provider="anthropic")


@pytest.mark.parametrize("script", [cut_plain, no_reply, nonsense])
def test_reply_that_does_not_come_is_lost_and_told(play, script):
    async def scene(here):
        here.upstream.script = script
        got = await here.call()
        assert got.status == 502
        assert json.loads(got.body)["error"]["code"] == "upstream_lost"
        assert b"x-should-retry" not in got.headers
        assert str(here.upstream.port).encode() not in got.body
        outcome = here.guard.outcome()
        assert isinstance(outcome, Lost)
        assert outcome.reason == "cut"
        assert len(here.upstream.received) == 1

    play(scene)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_nothing_is_sent_twice_when_a_kept_connection_turns_out_closed(play, method):
    async def scene(here):
        async def script(request, writer):
            if len(here.upstream.received) == 1:
                await plain()(request, writer)
            else:
                writer.close()  # Read, and then closed without a reply, on the connection that was kept.

        here.upstream.script = script
        assert (await here.call()).status == 200
        path = (
            here.request() if method == "POST" else here.request(f"/{TOKEN}/openai/v1/models", method="GET", body=b"")
        )
        got = await here.call(raw=path)

        assert got.status == 502
        assert len(here.upstream.received) == 2
        assert here.upstream.received[0].connection == here.upstream.received[1].connection

    play(scene)


def test_closing_ends_calls_in_flight_and_settles_them(play):
    async def scene(here):
        here.upstream.script = half_a_stream
        stream, waiting = await here.connect(), await here.connect()
        stream.send(here.request(body=STREAM_BODY))
        begun = await stream.answer(until=b"one")
        here.upstream.script = silent
        here.upstream.got.clear()
        waiting.send(here.request())
        await here.upstream.got.wait()

        await here.gateway.close("the run's time is over")

        assert len(here.guard.outcomes) == 2
        assert [(type(outcome), outcome.reason) for outcome in here.guard.outcomes.values()] == [(Lost, "stopped")] * 2
        assert not begun.complete
        rest = await stream.reader.readuntil(b"0\r\n\r\n")
        assert b"the run's time is over" in rest
        got = await waiting.answer()
        assert (got.status, got.headers[b"x-should-retry"]) == (503, b"false")
        late = await here.call()
        assert late.status == 503
        assert len(here.guard.admitted) == 2

    play(scene)


def test_closing_ends_those_who_wait_for_room(play):
    async def scene(here):
        here.guard.waiting = asyncio.Event()
        client = await here.connect()
        client.send(here.request())
        await here.guard.queued.wait()
        await here.gateway.close("over")
        assert (await client.answer()).status == 503
        assert here.guard.untouched

    play(scene)


@pytest.mark.slow
def test_closing_does_not_wait_for_requests_that_are_still_being_sent(play):
    async def scene(here):
        client = await here.connect()
        client.send(here.request()[:-5])
        while not here.gateway._running:
            await asyncio.sleep(0)
        await here.gateway.close("over")
        got = await client.answer()
        assert (got.status, got.headers[b"connection"]) == (503, b"close")
        assert here.guard.untouched

    play(scene)


def test_closing_waits_for_the_books(play):
    async def scene(here):
        here.guard.settle_waits_for = asyncio.Event()
        client = await here.connect()
        client.send(here.request())
        await here.upstream.got.wait()
        closing = asyncio.create_task(here.gateway.close("over"))
        await asyncio.sleep(0.02)
        assert not closing.done()
        here.guard.settle_waits_for.set()
        await closing
        assert len(here.guard.outcomes) == 1

    play(scene)


def test_cancelled_request_is_settled_all_the_same(play):
    async def scene(here):
        here.upstream.script = silent
        client = await here.connect()
        client.send(here.request())
        await here.upstream.got.wait()
        [task] = here.gateway._running.values()
        task.cancel()
        await here.guard.settled.wait()
        outcome = here.guard.outcome()
        assert isinstance(outcome, Lost)
        assert outcome.reason == "stopped"

    play(scene)


def test_settling_survives_the_cancellation_of_its_request(play):
    async def scene(here):
        here.guard.settle_waits_for = asyncio.Event()
        client = await here.connect()
        client.send(here.request())
        while not here.guard.asked_to_settle:
            await asyncio.sleep(0)
        [task] = here.gateway._running.values()
        task.cancel()
        closing = asyncio.create_task(here.gateway.close("over"))
        await asyncio.sleep(0.01)
        assert not closing.done()
        here.guard.settle_waits_for.set()
        await closing
        assert isinstance(here.guard.outcome(), Replied)

    play(scene)


@pytest.mark.slow
def test_slow_client_holds_the_stream_back_and_loses_nothing(play):
    async def scene(here):
        events = [delta("x" * 10_000) for _ in range(4_000)]
        written = []

        async def script(_request, writer):
            writer.write(STREAM_HEAD)
            for event in events:
                writer.write(chunked(event))
                await writer.drain()
                written.append(len(event))
            writer.write(chunked(DONE) + b"0\r\n\r\n")

        here.upstream.script = script
        client = await here.connect()
        client.writer.transport.pause_reading()
        client.send(here.request(body=STREAM_BODY))
        await here.upstream.got.wait()
        before = -1
        while len(written) != before:  # Until nobody takes any more.
            before = len(written)
            await asyncio.sleep(0.05)
        assert len(written) < len(events)
        client.writer.transport.resume_reading()
        got = await client.answer()
        assert got.complete
        assert got.body == b"".join(events) + DONE
        assert isinstance(here.guard.outcome(), Replied)

    play(scene)


@pytest.mark.slow
def test_client_that_never_reads_does_not_hold_up_the_end(play):
    async def scene(here):
        async def script(_request, writer):
            writer.write(STREAM_HEAD)
            while True:
                writer.write(chunked(delta("x" * 10_000)))
                await writer.drain()

        here.upstream.script = script
        client = await here.connect()
        client.writer.transport.pause_reading()
        client.send(here.request(body=STREAM_BODY))
        await here.upstream.got.wait()
        await asyncio.sleep(0.1)
        await here.gateway.close("over")
        assert isinstance(here.guard.outcome(), Lost)

    play(scene)


ENDINGS = {
    "plain": plain(),
    "error": plain(b"{}", status=500),
    "bad request": plain(b"{}", status=400),
    "redirect": plain(b"", status=302),
    "nothing": plain(b"", status=204),
    "silent": silent,
    "half": half_a_stream,
    "cut stream": cut_stream,
    "cut plain": cut_plain,
    "no reply": no_reply,
    "nonsense": nonsense,
    "empty stream": plain(b"", kind="text/event-stream"),
    "broken gzip": plain(b"?", headers=b"Content-Encoding: gzip\r\n"),
    "broken gzip stream": plain(b"?", kind="text/event-stream", headers=b"Content-Encoding: gzip\r\n"),
    "unknown stream": plain(b"?", kind="text/event-stream", headers=b"Content-Encoding: br\r\n"),
    "odd header": plain(CHAT_REPLY, headers=b"X-Odd: a\x01b\r\nX-High: \xff\r\n"),
}


@pytest.mark.parametrize("leaves", ["stays", "leaves at once", "leaves later", "closing", "cancelled"])
@pytest.mark.parametrize("broken_books", [False, True])
@pytest.mark.parametrize("script", ENDINGS.values(), ids=ENDINGS)
def test_no_path_leaves_an_admission_unsettled(play, script, broken_books, leaves):
    async def scene(here):
        here.upstream.script = script
        if broken_books:
            here.guard.settle_error = StoreUnavailable(ledger="l", reason="gone")
        client = await here.connect()
        client.send(here.request(body=STREAM_BODY))
        if leaves == "stays" and script not in (silent, half_a_stream):
            got = await client.answer()
            assert got.complete
        elif leaves == "leaves at once":
            client.close()
            while here.gateway._running:
                await asyncio.sleep(0)
        else:
            await here.upstream.got.wait()
            if leaves == "leaves later":
                client.close()
            elif leaves == "cancelled":
                for task in list(here.gateway._running.values()):
                    task.cancel()
            await here.gateway.close("over")
        while here.gateway._running or here.gateway._settling:
            await asyncio.sleep(0)
        assert set(here.guard.outcomes) == {admission.id for admission in here.guard.admitted}
        assert not any(isinstance(outcome, NotSent) for outcome in here.guard.outcomes.values()) or leaves != "stays"

    play(scene)
