"""
What passes through the gateway: bytes, keys, headers, streams; and how the guard hears of it.
"""

import asyncio
import gzip

import pytest
from worlds import (
    ANOTHERS_STAND_IN,
    CHAT,
    CHAT_BODY,
    CHAT_REPLY,
    DONE,
    OTHER_TOKEN,
    REAL_KEY,
    STAND_IN,
    STREAM_BODY,
    STREAM_HEAD,
    TOKEN,
    USAGE_EVENT,
    chunked,
    delta,
    plain,
)

from solvent._amounts import Usage
from solvent._booking import Lost, NotSent, Replied
from solvent.errors import BudgetExceeded, OutcomeUnknown, PriceUnknown, StoreUnavailable, Unbounded


def test_plain_call_is_passed_on_byte_for_byte_and_settled_before_the_answer(play):
    async def scene(here):
        got = await here.call()

        assert (got.status, got.body) == (200, CHAT_REPLY)
        assert got.headers[b"x-solvent-cost"] == b"$0.01"
        assert got.headers[b"x-solvent-remaining"] == b"$0.99"
        [request] = here.upstream.received
        assert (request.method, request.target, request.body) == ("POST", b"/v1/chat/completions", CHAT_BODY)
        outcome = here.guard.outcome()
        assert isinstance(outcome, Replied)
        assert outcome.reading.usage == Usage(input_tokens=5, output_tokens=2)
        assert [(event.kind, event.scope) for event in here.events] == [("answered", "run:one")]

    play(scene)


def test_answer_waits_for_the_books(play):
    async def scene(here):
        here.guard.settle_waits_for = asyncio.Event()
        client = await here.connect()
        client.send(here.request())
        await here.upstream.got.wait()
        early = asyncio.create_task(client.answer())
        done, _ = await asyncio.wait([early], timeout=0.05)
        assert not done

        here.guard.settle_waits_for.set()
        assert (await early).status == 200

    play(scene)


def test_stand_in_key_is_swapped_in_key_headers_and_nowhere_else(play):
    async def scene(here):
        body = CHAT_BODY.replace(b"Hi", STAND_IN.encode())
        await here.call(
            body=body,
            headers=(
                f"Authorization: Bearer {STAND_IN}",
                f"x-api-key: {STAND_IN}",
                f"x-goog-api-key: {STAND_IN}",
                f"api-key: {STAND_IN}",
                f"x-other: {STAND_IN}",
            ),
        )
        [request] = here.upstream.received
        assert request.header(b"authorization") == [f"Bearer {REAL_KEY}".encode()]
        for name in (b"x-api-key", b"x-goog-api-key", b"api-key"):
            assert request.header(name) == [REAL_KEY.encode()]
        assert request.header(b"x-other") == [STAND_IN.encode()]
        assert request.body == body

    play(scene)


def test_a_stand_in_of_another_provider_is_not_swapped(play):
    async def scene(here):
        await here.call(headers=(f"Authorization: Bearer {ANOTHERS_STAND_IN}",))
        [request] = here.upstream.received
        assert request.header(b"authorization") == [f"Bearer {ANOTHERS_STAND_IN}".encode()]

    play(scene)


def test_other_keys_pass(play):
    async def scene(here):
        await here.call(headers=("Authorization: Bearer sk-of-my-own", "x-api-key: mine"))
        [request] = here.upstream.received
        assert request.header(b"authorization") == [b"Bearer sk-of-my-own"]
        assert request.header(b"x-api-key") == [b"mine"]

    play(scene)


def test_headers_of_the_connection_and_of_solvent_stay_here(play):
    async def scene(here):
        await here.call(
            path=CHAT + "?beta=true",
            headers=(
                "Accept-Encoding: gzip, br",
                "Connection: keep-alive, x-drop-me",
                "X-Drop-Me: 1",
                "X-Solvent-Parent: 7",
                "Keep-Alive: timeout=5",
                "TE: trailers",
                "User-Agent: agent/1",
                "x-stainless-retry-count: 2",
            ),
        )
        [request] = here.upstream.received
        names = sorted(name.lower() for name, _ in request.headers)
        assert names == [
            b"accept-encoding", b"content-length", b"content-type", b"host", b"user-agent", b"x-stainless-retry-count",
        ]  # fmt: skip
        assert request.header(b"accept-encoding") == [b"identity"]
        assert request.header(b"host") == [f"127.0.0.1:{here.upstream.port}".encode()]
        assert request.target == b"/v1/chat/completions?beta=true"

    play(scene)


def test_reply_loses_headers_that_only_solvent_may_say(play):
    async def scene(here):
        here.upstream.script = plain(headers=b"X-Solvent-Cost: 0\r\nX-Request-Id: r1\r\nKeep-Alive: timeout=9\r\n")
        got = await here.call()
        assert got.raw.lower().count(b"x-solvent-cost") == 1
        assert got.headers[b"x-solvent-cost"] == b"$0.01"
        assert got.headers[b"x-request-id"] == b"r1"
        assert b"keep-alive" not in got.headers

    play(scene)


def test_rewritten_body_is_what_is_sent(play):
    async def scene(here):
        here.guard.body = b'{"model":"gpt-4o","max_tokens":5,"messages":[]}'
        await here.call()
        [request] = here.upstream.received
        assert request.body == here.guard.body
        assert request.header(b"content-length") == [str(len(here.guard.body)).encode()]

    play(scene)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 429, 500, 529])
def test_other_statuses_pass_with_their_bodies_and_redirects_are_not_followed(play, status):
    async def scene(here):
        body = b'{"error":{"message":"no"}}'
        here.upstream.script = plain(body, status=status, headers=b"Location: http://127.0.0.1:1/v1/steal\r\n")
        got = await here.call()
        assert (got.status, got.body) == (status, body)
        assert len(here.upstream.received) == 1
        outcome = here.guard.outcome()
        assert isinstance(outcome, Replied)
        assert outcome.status == status

    play(scene)


def test_compressed_reply_passes_as_it_is_and_is_read(play):
    async def scene(here):
        packed = gzip.compress(CHAT_REPLY)
        here.upstream.script = plain(packed, headers=b"Content-Encoding: gzip\r\n")
        got = await here.call()
        assert (got.body, got.headers[b"content-encoding"]) == (packed, b"gzip")
        outcome = here.guard.outcome()
        assert isinstance(outcome, Replied)
        assert outcome.reading.usage == Usage(input_tokens=5, output_tokens=2)

    play(scene)


@pytest.mark.slow
def test_zip_bomb_passes_unread_and_its_usage_is_unknown(play):
    async def scene(here):
        bomb = gzip.compress(b" " * (65 * 1024 * 1024) + CHAT_REPLY, 1)
        here.upstream.script = plain(bomb, headers=b"Content-Encoding: gzip\r\n")
        got = await here.call()
        assert got.body == bomb
        outcome = here.guard.outcome()
        assert isinstance(outcome, Replied)
        assert outcome.reading.usage is None
        assert outcome.reading.problem == "a decoded reply above the cap"

    play(scene)


def test_unknown_encoding_leaves_the_usage_unknown(play):
    async def scene(here):
        here.upstream.script = plain(b"?", headers=b"Content-Encoding: br\r\n")
        got = await here.call()
        assert got.body == b"?"
        outcome = here.guard.outcome()
        assert isinstance(outcome, Replied)
        assert outcome.reading.usage is None
        assert outcome.reading.problem is not None

    play(scene)


def test_events_pass_as_they_come_and_the_stream_is_settled_before_its_end(play):
    async def scene(here):
        go_on = asyncio.Event()

        async def script(_request, writer):
            writer.write(STREAM_HEAD + chunked(delta("one")))
            await go_on.wait()
            writer.write(chunked(delta("two")) + chunked(USAGE_EVENT) + chunked(DONE) + b"0\r\n\r\n")

        here.upstream.script = script
        here.guard.settle_waits_for = asyncio.Event()
        client = await here.connect()
        asked = STREAM_BODY.replace(b'"stream":true', b'"stream":true,"stream_options":{"include_usage":true}')
        client.send(here.request(body=asked))
        first = await client.answer(until=b"one")
        assert first.headers[b"x-solvent-remaining"] == b"$1.00"
        assert not first.complete
        go_on.set()
        rest = asyncio.create_task(client.reader.readuntil(b"0\r\n\r\n"))
        done, _ = await asyncio.wait([rest], timeout=0.05)
        assert not done, "the end was told before the books were done"
        here.guard.settle_waits_for.set()
        told = await rest
        assert b"two" in told
        assert USAGE_EVENT in told
        assert DONE in told
        outcome = here.guard.outcome()
        assert isinstance(outcome, Replied)
        assert outcome.reading.usage == Usage(input_tokens=5, output_tokens=2)

    play(scene)


def test_usage_that_only_solvent_asked_for_is_left_out(play):
    async def scene(here):
        async def script(_request, writer):
            for piece in (delta("one"), delta("two"), USAGE_EVENT[:40], USAGE_EVENT[40:], DONE):
                writer.write((STREAM_HEAD if piece == delta("one") else b"") + chunked(piece))
                await writer.drain()
            writer.write(b"0\r\n\r\n")

        here.upstream.script = script
        got = await here.call(body=STREAM_BODY)
        assert got.body == delta("one") + delta("two") + DONE
        outcome = here.guard.outcome()
        assert isinstance(outcome, Replied)
        assert outcome.reading.usage == Usage(input_tokens=5, output_tokens=2)

    play(scene)


def test_free_calls_pass_without_the_guard(play):
    async def scene(here):
        here.upstream.script = plain(b'{"data":[]}')
        got = await here.call(f"/{TOKEN}/openai/v1/models", method="GET", body=b"")
        assert (got.status, got.body) == (200, b'{"data":[]}')
        assert here.guard.untouched
        assert [event.kind for event in here.events] == ["passed"]

    play(scene)


def test_paths_are_decided_and_sent_on_in_their_plain_form(play):
    async def scene(here):
        for written in (
            "v1/models/meta%2Dllama%2FLlama-3",
            "v1/models/meta-llama/Llama-3",
            "%761/models/meta-llama/Llama-3",
        ):
            got = await here.call(f"/{TOKEN}/openai/{written}", method="GET", body=b"")
            assert got.status == 200
        assert {request.target for request in here.upstream.received} == {b"/v1/models/meta-llama/Llama-3"}

    play(scene)


def test_unbounded_paths_are_the_guards_to_decide(play):
    async def scene(here):
        await here.call(f"/{TOKEN}/openai/v1/rerank", body=b'{"model":"rerank-1","input":"x"}')
        [admission] = here.guard.admitted
        assert admission.call.model == "rerank-1"
        assert admission.call.unbounded == ("rerank",)
        assert isinstance(here.guard.outcome(), Replied)

    play(scene)


def test_two_tokens_are_two_scopes_and_a_header_only_adds_below(play):
    async def scene(here):
        await here.call()
        await here.call(CHAT.replace(TOKEN, OTHER_TOKEN))
        await here.call(headers=("x-solvent-scope: agent:researcher/step:2",))
        scopes = [str(admission.scope) for admission in here.guard.admitted]
        assert scopes == ["run:one", "run:two", "run:one/agent:researcher/step:2"]

        for bad in ("run:two", "org:acme", "nonsense", "agent:"):
            got = await here.call(headers=(f"x-solvent-scope: {bad}",))
            assert got.status == 400
        assert len(here.guard.admitted) == 3

    play(scene)


def _exceeded(**changes):
    amounts = {"scope": "run:one", "meter": "usd", "limit": 100, "spent": 60, "reserved": 10, "requested": 50}
    return BudgetExceeded(**{**amounts, **changes})


REFUSALS = [
    (_exceeded(), 402, "budget_exceeded", {b"x-should-retry": b"false"}),
    (_exceeded(held=True), 429, "budget_held", {b"retry-after": b"1"}),
    (PriceUnknown(model="m"), 402, "price_unknown", {b"x-should-retry": b"false"}),
    (Unbounded(part="p", meter="usd", remedy="r"), 402, "unbounded", {b"x-should-retry": b"false"}),
    (StoreUnavailable(ledger="l", reason="r"), 503, "ledger_unavailable", {b"retry-after": b"1"}),
    (OutcomeUnknown(ledger="l", id="i", reason="r"), 503, "ledger_unavailable", {b"retry-after": b"1"}),
]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize(("error", "status", "code", "headers"), REFUSALS)
def test_refusals_speak_the_providers_language(play, provider, error, status, code, headers):
    import json

    async def scene(here):
        here.guard.refusal = error
        path = CHAT if provider == "openai" else f"/{TOKEN}/anthropic/v1/messages"
        got = await here.call(path)
        assert got.status == status
        told = json.loads(got.body)
        assert told["error"]["code"] == code
        assert told["error"]["message"] == str(error)
        assert (told.get("type") == "error") == (provider == "anthropic")
        for name, value in headers.items():
            assert got.headers[name] == value
        assert (b"x-should-retry" in got.headers) == (code != "budget_held")
        assert here.upstream.received == []
        assert here.guard.untouched

    play(scene, provider=provider)


def test_refusal_tells_its_amounts_as_text(play):
    import json

    async def scene(here):
        here.guard.refusal = _exceeded()
        told = json.loads((await here.call()).body)
        assert told["error"]["metadata"] == {
            "scope": "run:one", "meter": "usd", "unit": "nanodollars", "window": "", "limit": "100", "spent": "60",
            "reserved": "10", "requested": "50", "remaining": "30",
        }  # fmt: skip
        assert [event.code for event in here.events] == ["budget_exceeded"]

    play(scene)


def test_provider_that_cannot_be_reached_costs_nothing_and_may_be_tried_again(play):
    async def scene(here):
        here.gateway._routes._upstreams["openai"] = here.gateway._routes._upstreams["openai"].__class__(
            provider="openai", base="http://127.0.0.1:1/v1", prefix="v1", prefix_in_base=True
        )
        got = await here.call()
        assert (got.status, got.headers[b"x-should-retry"]) == (502, b"true")
        assert b"upstream_unreachable" in got.body
        assert isinstance(here.guard.outcome(), NotSent)

    play(scene)


def test_stream_that_stops_before_its_end_is_lost(play):
    async def scene(here):
        async def script(_request, writer):
            writer.write(STREAM_HEAD + chunked(delta("one")) + b"0\r\n\r\n")

        here.upstream.script = script
        got = await here.call(body=STREAM_BODY)
        assert got.body == delta("one")
        outcome = here.guard.outcome()
        assert isinstance(outcome, Lost)
        assert outcome.reason == "cut"

    play(scene)


def test_ledger_that_fails_at_the_end_does_not_cost_the_caller_the_answer(play):
    async def scene(here):
        here.guard.settle_error = StoreUnavailable(ledger="l", reason="gone")
        got = await here.call()
        assert (got.status, got.body) == (200, CHAT_REPLY)

    play(scene)
