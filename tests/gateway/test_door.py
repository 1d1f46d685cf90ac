"""
Abuse at the door: refused, the guard untouched, nothing sent on, and no secret in any answer or log.
"""

import asyncio
import json
import logging

import pytest
from worlds import CHAT, CHAT_BODY, REAL_KEY, STAND_IN, TOKEN, plain

KEYED = (f"Authorization: Bearer {STAND_IN}",)


@pytest.fixture
def nothing_happens(play, caplog, capfd):
    """
    Plays an abuse given as raw bytes, and checks that it is refused with one of the statuses, and leaves no trace.
    """

    def check(raw, *statuses):
        async def scene(here):
            port = str(here.port).encode()
            got = await here.call(raw=raw.replace(b"PORT", port))
            assert got.status in statuses, got.raw[:300]
            assert here.guard.untouched
            assert here.upstream.received == []
            for secret in (TOKEN, STAND_IN, REAL_KEY):
                assert secret.encode() not in got.raw
                assert secret not in caplog.text

            # The door still opens to others.
            assert (await here.call()).status == 200

        with caplog.at_level(logging.DEBUG):
            play(scene)
        assert capfd.readouterr() == ("", "")

    return check


def head(target, *lines, method="POST", host="127.0.0.1:PORT"):
    start = [f"{method} {target} HTTP/1.1", f"Host: {host}", *KEYED]
    return "\r\n".join((*start, *lines, "", "")).encode("latin-1")


def whole(target, *lines, body=CHAT_BODY, **named):
    return head(target, f"Content-Length: {len(body)}", "Content-Type: application/json", *lines, **named) + body


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "%00", "é".encode().hex()])
def test_wrong_secret(nothing_happens, token):
    nothing_happens(whole(f"/{token}/openai/v1/chat/completions"), 400, 403)


def test_no_secret(nothing_happens):
    nothing_happens(whole("/openai/v1/chat/completions"), 403)
    nothing_happens(whole("/v1/chat/completions"), 403)
    nothing_happens(whole("/"), 400)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:PORT", "127.0.0.1", "127.0.0.1:1", "127.0.0.2:PORT", "", "localhost.:PORT"]
)
def test_wrong_host(nothing_happens, host):
    nothing_happens(whole(CHAT, host=host), 400, 421)


def test_two_hosts(nothing_happens):
    nothing_happens(whole(CHAT, "Host: 127.0.0.1:PORT"), 400)


def test_no_host(nothing_happens):
    raw = whole(CHAT).replace(b"Host: 127.0.0.1:PORT\r\n", b"")
    nothing_happens(raw, 400, 421)


@pytest.mark.parametrize(
    "target",
    [
        f"http://127.0.0.1:PORT{CHAT}",
        f"http://evil.example{CHAT}",
        f"https://api.openai.com{CHAT}",
        f"//evil.example{CHAT}",
        f"/{CHAT}",
        "api.openai.com:443",
        "*",
        CHAT[1:],
        CHAT + "#fragment",
    ],
)
def test_targets_that_are_no_plain_path(nothing_happens, target):
    nothing_happens(whole(target), 400)


def test_connect(nothing_happens):
    nothing_happens(head("api.openai.com:443", method="CONNECT"), 400)
    nothing_happens(head(CHAT, method="CONNECT"), 400, 403)


@pytest.mark.parametrize(
    "path",
    [
        "../chat/completions",
        "v1/../chat/completions",
        "v1/./chat/completions",
        "v1//chat/completions",
        "v1/chat/completions/",
        "v1/%2e%2e/chat/completions",
        "v1/%2E./chat/completions",
        "v1/models/..%2fchat%2fcompletions",
        "v1/%252e%252e/chat/completions",
        "v1/chat%252fcompletions",
        "v1\\chat\\completions",
        "v1/..\\chat",
        "v1/..%5cchat/completions",
        "v1/..;/chat/completions",
        "v1/chat/completions;x=1",
        "v1/chat/completions%3fx",
        "v1/chat/completions%23",
        "v1/chat/completions%00",
        "v1/chat/completions%0d%0aX-Injected:%201",
        "v1/chat/completions%0a",
        "v1/chat/completions%7f",
        "v1/chat/completions%c2%85",
        "v1/chat/completions%ff",
        "v1/chat/completions%20",
        "v1/chat%2",
    ],
)
def test_paths_with_two_meanings(nothing_happens, path):
    nothing_happens(whole(f"/{TOKEN}/openai/{path}"), 400)


@pytest.mark.parametrize("path", ["v1/no/such", "v1/Chat/Completions", "v2/chat/completions", "v1/chat", "admin"])
def test_paths_that_nobody_knows_are_denied_in_the_providers_shape(play, path):
    async def scene(here):
        got = await here.call(f"/{TOKEN}/openai/{path}")
        assert got.status == 403
        told = json.loads(got.body)["error"]
        assert told["code"] == "denied"
        assert "To go on:" in told["message"]
        assert here.guard.untouched
        assert here.upstream.received == []
        assert [event.kind for event in here.events] == ["denied"]

    play(scene)


def test_unknown_provider(nothing_happens):
    nothing_happens(whole(f"/{TOKEN}/evil/v1/chat/completions"), 404)
    nothing_happens(whole(f"/{TOKEN}"), 404)


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x"),
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        ("Upgrade: h2c",),
        ("Connection: keep-alive, upgrade",),
    ],
)
def test_upgrades(nothing_happens, lines):
    nothing_happens(whole(CHAT, *lines), 400, 426)
    nothing_happens(head(f"/{TOKEN}/openai/v1/realtime", *lines, method="GET"), 400, 426)


@pytest.mark.parametrize(
    "raw",
    [
        head(CHAT, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
        head(CHAT, "Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n",
        head(CHAT, "Content-Length: 5", "Content-Length: 6") + b"aaaaaa",
        head(CHAT, "Content-Length: 5", "Content-Length: 5") + b"aaaaa",
        head(CHAT, "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
        head(CHAT, "Transfer-Encoding: identity") + b"",
        head(CHAT, "Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
        head(CHAT, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        head(CHAT, "Content-Length: -1"),
        head(CHAT, "Content-Length: +5") + b"aaaaa",
        head(CHAT, "Content-Length: 0x5") + b"aaaaa",
        head(CHAT, "Content-Length : 5") + b"aaaaa",
        head(CHAT, "X-A: 1", " folded: 2", "Content-Length: 0"),
        head(CHAT, "X-A: a\rContent-Length: 5") + b"aaaaa",
        head(CHAT, "X-A: a\nContent-Length: 5") + b"aaaaa",
        head(CHAT, "X-A: a\0b"),
        head(CHAT, "X A: b"),
        head(CHAT).replace(b"HTTP/1.1", b"HTTP/9.9"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_smuggling_and_broken_heads(nothing_happens, raw):
    nothing_happens(raw, 400)


def test_smuggled_request_after_a_broken_one_is_not_read(play):
    async def scene(here):
        client = await here.connect()
        client.send(here.request(CHAT, body=b"", headers=("Transfer-Encoding: xchunked",)) + here.request())
        got = await client.answer()
        assert got.status == 400
        assert await client.reader.read() == b""
        assert here.guard.untouched

    play(scene)


def test_trailers_do_not_become_headers(play):
    async def scene(here):
        body = b"%x\r\n%s\r\n0\r\nAuthorization: Bearer x\r\nX-Solvent-Scope: agent:evil\r\nX-Trailer: 1\r\n\r\n"
        raw = here.request(body=b"", headers=("Transfer-Encoding: chunked", "Content-Type: application/json"))
        got = await here.call(raw=raw + body % (len(CHAT_BODY), CHAT_BODY))
        assert got.status == 200
        [request] = here.upstream.received
        assert request.body == CHAT_BODY
        assert request.header(b"x-trailer") == request.header(b"authorization") == []
        assert str(here.guard.admitted[0].scope) == "run:one"

    play(scene)


def test_long_heads(nothing_happens):
    nothing_happens(whole(CHAT, "X-Long: " + "a" * 70_000), 400)
    nothing_happens(head(CHAT)[:-4] + b"\r\nX-Endless: " + b"a" * 200_000, 400)
    nothing_happens(whole(CHAT + "?" + "a" * 70_000), 400)
    nothing_happens(whole(CHAT, *(f"X-{number}: 1" for number in range(300))), 400)


def test_header_that_is_no_text(nothing_happens):
    nothing_happens(whole(CHAT, "X-A: \xff"), 400)


def test_scope_header_cannot_write_headers(play):
    async def scene(here):
        got = await here.call(headers=("x-solvent-scope: agent:a%0d%0aX-Injected:%201",))
        assert b"x-injected" not in got.headers
        [request] = here.upstream.received
        assert request.header(b"x-injected") == []

    play(scene)


def test_declared_gigabyte(nothing_happens):
    nothing_happens(head(CHAT, "Content-Length: 1073741824"), 413)
    nothing_happens(head(CHAT, "Content-Length: 99999999999999999999999"), 400, 413)


def test_declared_gigabyte_is_not_asked_for(play):
    async def scene(here):
        got = await here.call(
            raw=here.request(body=b"", headers=("Content-Length: 1073741824", "Expect: 100-continue"))
        )
        assert got.status == 413
        assert got.raw.startswith(b"HTTP/1.1 413")

    play(scene)


@pytest.mark.slow
def test_streamed_gigabyte_is_cut_at_the_cap(play):
    async def scene(here):
        client = await here.connect()
        client.send(here.request(body=b"", headers=("Transfer-Encoding: chunked", "Content-Type: application/json")))
        piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        answer = asyncio.create_task(client.answer())
        sent = 0
        while not answer.done() and sent < 1024:
            client.send(piece)
            try:
                await client.writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(0)
            sent += 1
        got = await answer
        assert got.status == 413
        assert 64 <= sent < 200
        assert here.guard.untouched
        assert here.upstream.received == []

    play(scene)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "GZIP"])
def test_encoded_body(nothing_happens, encoding):
    nothing_happens(whole(CHAT, f"Content-Encoding: {encoding}"), 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model":"gpt-4o","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"\xff"}',
        b'{"model":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        '{"model":"x"}'.encode("utf-16"),
        b'{"temperature":1e400}',
        b'{"temperature":NaN}',
        b'{"messages":[]}',
        b'{"model":7,"messages":[]}',
        b'{"model":"gpt-4o","max_tokens":"many","messages":[]}',
        CHAT_BODY + b"x",
    ],
    ids=range(18),
)
def test_bodies_that_say_nothing(nothing_happens, body):
    nothing_happens(whole(CHAT, body=body), 400)


def test_deep_bodies_within_json_s_own_limit_are_no_error_of_ours(play):
    async def scene(here):
        for depth in (200, 400, 600, 800, 950):
            deep = b'{"a":' * depth + b"1" + b"}" * depth
            body = b'{"model":"gpt-4o","max_tokens":9,"messages":[],"tools":[%s],"x":%s}' % (deep, deep)
            got = await here.call(body=body)
            assert got.status in (200, 400)

    play(scene)


def test_client_that_leaves_in_the_middle_of_its_request_is_forgotten(play):
    async def scene(here):
        client = await here.connect()
        client.send(head(CHAT, "Content-Length: 100").replace(b"PORT", str(here.port).encode()) + b"{")
        while not here.gateway._running:
            await asyncio.sleep(0)
        client.close()
        while here.gateway._running:
            await asyncio.sleep(0)
        assert here.guard.untouched

    play(scene)


def test_answer_to_a_request_in_a_row_is_not_mixed_with_a_broken_one(play):
    async def scene(here):
        go_on = asyncio.Event()

        async def script(request, writer):
            await go_on.wait()
            await plain()(request, writer)

        here.upstream.script = script
        client = await here.connect()
        client.send(here.request() + b"BROKEN\r\n\r\n")
        await asyncio.sleep(0)
        raw = await client.reader.read()
        assert raw.count(b"HTTP/1.1") <= 1
        assert b"200" not in raw

    play(scene)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"gpt-4o","max_tokens":5,"max_tokens":9999,"messages":[]}',
        b'{"model": "gpt-4o", "max_tokens": 5, "messages": [], "max_tokens": 9999}',
        b'{"model":"gpt-4o","max_tokens":5,"messages":[],"max\\u005ftokens":9999}',
        b'{"model":"gpt-4o","max_tokens":5,"messages":[], "max\\u005ftokens":9999}',
        b'{"model":"gpt-4o","model":"o1-pro","max_tokens":5,"messages":[]}',
        b'{"model":"gpt-4o","max_tokens":5,"messages":[],"messages":[{"role":"user","content":"more"}]}',
        b'{"n":9,"model":"gpt-4o","max_tokens":5,"messages":[],"n":1}',
        b'{"stream":true,\n"model":"gpt-4o","max_tokens":5,"messages":[],"stream":false}',
        b'{"model":"gpt-4o","max_tokens":5,"messages":[],"service_tier":"flex","service_tier":"priority"}',
    ],
)
def test_keys_that_stand_twice_are_refused(play, body):
    async def scene(here):
        got = await here.call(body=body)
        assert got.status == 400
        told = json.loads(got.body)["error"]
        assert (told["code"], told["type"]) == ("invalid_request", "invalid_request_error")
        assert "stands twice" in told["message"]
        assert here.guard.untouched
        assert here.upstream.received == []

    play(scene)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"gpt-4o","max_tokens":9,"messages":[{"role":"user","content":"\\"model\\": x","name":"model"}]}',
        b'{"model":"gpt-4o","max_tokens":9,"messages":[],"tools":[{"type":"function","model":{"model":1,"n":2}}]}',
        b' { "model" : "gpt-4o" ,\r\n\t"max_tokens" : 9 , "messages" : [ ] } \n',
        '{"model":"gpt-4o","max_tokens":9,"messages":[],"größe":1}'.encode(),
        b'{"model":"gpt-4o","max_tokens":9,"messages":[],"":{},"user":"caf\\u00e9"}',
    ],
)
def test_keys_that_stand_once_pass_however_they_are_spaced(play, body):
    async def scene(here):
        assert (await here.call(body=body)).status == 200
        [request] = here.upstream.received
        assert request.body == body

    play(scene)


class Bug(Exception):
    pass


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_bug_inside_the_guard_is_logged_and_told_without_its_text(play, caplog, provider):
    async def scene(here):
        here.guard.refusal = Bug("what only we may see")
        got = await here.call(CHAT if provider == "openai" else f"/{TOKEN}/anthropic/v1/messages")
        assert (got.status, got.headers[b"x-should-retry"]) == (500, b"false")
        told = json.loads(got.body)
        assert told["error"]["code"] == "internal_error"
        assert told["error"]["type"] == ("server_error" if provider == "openai" else "api_error")
        assert b"only we" not in got.raw
        assert b"Traceback" not in got.raw
        assert [(event.kind, event.code) for event in here.events] == [("rejected", "internal_error")]
        here.guard.refusal = None
        assert (await here.call(CHAT if provider == "openai" else f"/{TOKEN}/anthropic/v1/messages")).status == 200

    with caplog.at_level("ERROR", logger="solvent"):
        play(scene, provider=provider)
    [record] = caplog.records
    assert record.name == "solvent"
    assert record.exc_info[0] is Bug


def test_bug_in_the_books_is_logged_and_costs_nobody_the_answer(play, caplog):
    async def scene(here):
        here.guard.settle_error = Bug("in the books")
        assert (await here.call()).status == 200

    with caplog.at_level("ERROR", logger="solvent"):
        play(scene)
    assert [record.exc_info[0] for record in caplog.records] == [Bug]
