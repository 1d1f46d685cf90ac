"""
The ladder below SDKs: calls that are made with another model, and calls that end at their deadline.
"""

import asyncio
import json
import socket
import socketserver
import ssl
import threading
import time
from contextlib import contextmanager

import aiohttp
import anthropic
import boto3
import httpx
import httpx2
import openai
import pytest
import requests
import trustme
from bedrock_fake import KEY, REGION, SECRET, bedrock
from fake_provider import Answer
from inprocess import PRICE
from sdk_ways import MESSAGES
from servers import Gate

import solvent
from solvent._checks import Deadline
from solvent._runtime import PROCESS
from solvent.errors import BudgetExceeded, DeadlinePassed
from solvent.instrument._above import calling
from solvent.instrument._deadlines import Watchdog
from solvent.policy import Policy
from solvent.prices import UserPrice

pytestmark = pytest.mark.slow

CAP = 500
BODY = {"model": "m", "messages": MESSAGES, "max_tokens": CAP}
MINI = UserPrice.per_million_tokens(input="0", output="1", output_tokens_max=16_384, input_tokens_max=100_000)
BOUND, BOUND_OF_MINI = CAP * 10_000, CAP * 1_000
LEFT_SECONDS = 0.3
FALLBACK = ["m", "mini"]


@pytest.fixture
def policy():
    return Policy(prices={"m": PRICE, "mini": MINI}, wait_seconds=0)


def sdk(url, kind=openai.OpenAI, **more):
    return kind(api_key="x", base_url=f"{url}/v1", **more)


# Another model.


def test_a_call_that_does_not_fit_asks_the_provider_for_the_other_model(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP))
    with solvent.budget(usd="0.001", fallback=FALLBACK) as budget, sdk(fake.url) as client:
        for _ in range(2):
            raw = client.chat.completions.with_raw_response.create(**BODY)
            assert (raw.parse().model, raw.headers["x-solvent-rungs"]) == ("mini", "degrade mini")
        with pytest.raises(BudgetExceeded):
            client.chat.completions.create(**BODY)
        assert budget.remaining() == 0
    assert [seen.body["model"] for seen in fake.seen] == ["mini", "mini"]
    assert guarded.spent() == 2 * BOUND_OF_MINI
    assert [(call.model_asked, call.model_used, call.rungs) for call in guarded.calls()] == [
        ("m", "mini", ("degrade mini",))
    ] * 2


PATHS = {
    "/openai/deployments/{}/chat/completions?api-version=2025-01-01": {"messages": MESSAGES, "max_tokens": CAP},
    "/v1beta/models/{}:generateContent": {
        "contents": [{"role": "user", "parts": [{"text": "Say something."}]}],
        "generationConfig": {"maxOutputTokens": CAP},
    },
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("library", ["httpx", "httpx2", "aiohttp", "requests"])
def test_it_is_asked_where_the_path_names_it(library, path, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP))
    url, body = fake.url + path.format("m"), PATHS[path]

    async def by_aiohttp():
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as reply:
            await reply.read()

    post = {
        "httpx": lambda: httpx.post(url, json=body),
        "httpx2": lambda: httpx2.post(url, json=body),
        "aiohttp": lambda: asyncio.run(by_aiohttp()),
        "requests": lambda: requests.post(url, json=body, timeout=30),
    }
    with solvent.budget(usd="0.001", fallback=FALLBACK):
        post[library]()
    assert [seen.path for seen in fake.seen] == [path.format("mini")]
    assert [call.rungs for call in guarded.calls()] == [("degrade mini",)]


def test_boto3_signs_what_is_sent_to_the_other_model(guarded):
    with bedrock(Answer(output_tokens=CAP)) as fake, solvent.budget(usd="0.001", fallback=FALLBACK):
        client = boto3.client(
            "bedrock-runtime",
            endpoint_url=fake.url,
            region_name=REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )
        asked = [{"role": "user", "content": [{"text": "Say something."}]}]
        client.converse(modelId="m", messages=asked, inferenceConfig={"maxTokens": CAP})
    (seen,) = fake.seen
    assert (seen.path, seen.is_signed) == ("/model/mini/converse", True)
    assert guarded.spent() == BOUND_OF_MINI


def test_64_threads_with_another_model_at_hand_never_pass_the_limit(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP))
    with solvent.budget(usd="0.02", fallback=[{"from": "m", "to": "mini", "at": "50%"}]), sdk(fake.url) as client:

        def call():
            try:
                client.chat.completions.create(**BODY)
            except BudgetExceeded:
                return

        for _ in range(2):  # Half of it; what many at once do before that is known to any of them is their luck.
            call()
        threads = [threading.Thread(target=call) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    used = [bill.model for bill in fake.bill]
    billed = used.count("m") * BOUND + used.count("mini") * BOUND_OF_MINI
    assert guarded.spent() == billed <= 20_000_000
    assert used.count("m") == 2
    assert used.count("mini") >= 10


# Deadlines.


@contextmanager
def nearly_over():
    """
    A budget whose time is over in a moment.
    """
    with solvent.budget(usd="1.00", seconds=1) as budget:
        PROCESS.runtime().guard.open(budget.scope, budget.limits, seconds=1 - LEFT_SECONDS)
        began = time.monotonic()
        yield budget
        assert time.monotonic() - began < LEFT_SECONDS + 1


def read_plain(client):
    return client.chat.completions.create(**BODY)


def read_stream(client):
    for _ in client.chat.completions.create(**BODY, stream=True):
        pass


HANGS = {
    "no reply": Answer(output_tokens=CAP, hold=Gate()),
    "half a stream": Answer(output_tokens=CAP, hold_after=(4, Gate())),
}


@pytest.mark.parametrize("hangs", HANGS)
@pytest.mark.parametrize("tries", [0, 2])
def test_a_plain_call_and_a_stream_are_ended_at_their_deadline(hangs, tries, guarded, fake_provider):
    fake = fake_provider(HANGS[hangs])
    read = read_plain if hangs == "no reply" else read_stream
    with nearly_over() as budget, sdk(fake.url, max_retries=tries) as client:
        with pytest.raises(DeadlinePassed, match="the call was ended") as ended:
            read(client)
        assert ended.value.scope == str(budget.scope)
        with pytest.raises(DeadlinePassed, match="no call is started"):
            read(client)
    assert len(fake.seen) == 1
    fake.wait_until(lambda: fake.left_count == 1, "that the client leaves")
    assert guarded.spent() == BOUND
    assert guarded.ends() == [("stopped", "stopped")]


@pytest.mark.parametrize("hangs", HANGS)
def test_an_async_call_and_its_stream_are_ended_at_their_deadline(hangs, guarded, fake_provider):
    fake = fake_provider(HANGS[hangs])

    async def main():
        async with sdk(fake.url, openai.AsyncOpenAI) as client:
            if hangs == "no reply":
                await client.chat.completions.create(**BODY)
            async for _ in await client.chat.completions.create(**BODY, stream=True):
                pass

    with nearly_over(), pytest.raises(DeadlinePassed, match="the call was ended"):
        asyncio.run(main())
    fake.wait_until(lambda: fake.left_count == 1, "that the client leaves")
    assert (len(fake.seen), guarded.spent()) == (1, BOUND)


PLAIN_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@contextmanager
def dripping(head, *waits):
    """
    A provider that begins a reply, says a little after each of these waits, and then no more.
    """

    class Drips(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65_536)
            self.request.sendall(head)
            try:
                for seconds in waits:
                    if over.wait(seconds):
                        return
                    self.request.sendall(b": \n\n")
            except OSError:
                return
            over.wait()

    over = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drips) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def test_a_plain_reply_that_never_comes_to_its_end_is_ended_too(guarded):
    with dripping(PLAIN_HEAD, *[0.1] * 100) as url, nearly_over(), httpx2.Client() as client:
        reply = client.post(url, json=BODY, timeout=None)
        assert (reply.status_code, reply.json()["error"]["code"]) == (402, "deadline_passed")
    assert guarded.ends() == [("stopped", "stopped")]


def test_a_stream_that_never_comes_to_its_end_is_ended_in_any_library(guarded):
    with dripping(STREAM_HEAD, *[0.1] * 100) as url, nearly_over(), calling() as above:
        with pytest.raises(DeadlinePassed), requests.post(url, json=BODY, timeout=60, stream=True) as reply:
            for _ in reply.iter_content(1):
                pass
        assert isinstance(above.refusal, DeadlinePassed)  # Which keeps an SDK above it from trying again.
    assert guarded.ends() == [("stopped", "stopped")]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stream_that_stalls_late_is_ended_at_the_deadline_and_not_after_another_wait(kind, guarded):
    async def read(url):
        async with httpx2.AsyncClient(timeout=None) as client, client.stream("POST", url, json=BODY) as reply:
            async for _ in reply.aiter_raw():
                pass

    with solvent.budget(usd="1.00", seconds=1), dripping(STREAM_HEAD, 0.8) as url:
        began = time.monotonic()
        with pytest.raises(DeadlinePassed):
            if kind == "async":
                asyncio.run(read(url))
            else:
                with httpx2.stream("POST", url, json=BODY, timeout=None) as reply:
                    reply.read()
        assert time.monotonic() - began < 1.5
    assert guarded.ends() == [("stopped", "stopped")]


@pytest.mark.timeout(20)
def test_the_socket_of_an_encrypted_reply_that_stalls_is_shut_too():
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def stall(listening):
        with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            connection.recv(1)  # Until the client leaves.

    with socket.create_server(("127.0.0.1", 0)) as listening, httpx.Client(verify=trusting) as client:
        thread = threading.Thread(target=stall, args=(listening,))
        thread.start()
        with client.stream("GET", f"https://localhost:{listening.getsockname()[1]}/", timeout=None) as reply:
            at = time.monotonic() + 0.1
            Watchdog(Deadline(at=at, error=DeadlinePassed(scope="run:a", seconds=1)), reply.extensions)
            with pytest.raises(httpx.RemoteProtocolError):
                reply.read()
            assert time.monotonic() >= at
        thread.join()


@pytest.mark.parametrize("hangs", HANGS)
def test_requests_and_aiohttp_end_at_the_deadline_too(hangs, guarded, fake_provider):
    fake = fake_provider(HANGS[hangs])
    url, body = f"{fake.url}/v1/chat/completions", {**BODY, "stream": hangs != "no reply"}

    async def by_aiohttp():
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as reply:
            await reply.read()

    with nearly_over(), pytest.raises(DeadlinePassed, match="the call was ended"):
        asyncio.run(by_aiohttp())
    with nearly_over(), pytest.raises(DeadlinePassed, match="the call was ended"):
        requests.post(url, json=body, timeout=60)
    assert guarded.ends() == [("stopped", "stopped")] * 2


def test_what_ends_in_time_is_untouched_and_its_connection_serves_the_next_call(guarded, fake_provider):
    gate = Gate()
    fake = fake_provider([Answer(output_tokens=CAP)] * 2 + [Answer(output_tokens=CAP, hold=gate)])
    with httpx2.Client() as client:
        url = f"{fake.url}/v1/chat/completions"
        with nearly_over():
            for stream in (True, False):
                reply = client.post(url, json={**BODY, "stream": stream})
                assert reply.status_code == 200
                assert (b"[DONE]" in reply.content) is stream
        # The watchdogs of the first two would shut its socket while it is waited for.
        threading.Timer(LEFT_SECONDS + 0.1, gate.open).start()
        with solvent.budget(usd="1.00"):
            assert client.post(url, json=BODY).status_code == 200
    assert guarded.ends() == [("200", None)] * 3


def test_the_refusal_of_a_deadline_is_no_other_error_in_anthropics_sdk_either(guarded, fake_provider):
    fake = fake_provider(HANGS["no reply"])
    client = anthropic.Anthropic(api_key="x", base_url=fake.url)
    with nearly_over(), client, pytest.raises(DeadlinePassed):
        client.messages.create(**BODY)
    assert json.dumps(guarded.ends()) == '[["stopped", "stopped"]]'
