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
            reply = client.chat.completions.create(**BODY)
            assert reply.model == "mini"
        with pytest.raises(BudgetExceeded):
            client.chat.completions.create(**BODY)
        assert budget.remaining() == 0
    assert [seen.body["model"] for seen in fake.seen] == ["mini", "mini"]
    assert guarded.spent() == 2 * BOUND_OF_MINI
    assert [(call.model_asked, call.model_used, call.rungs) for call in guarded.calls()] == [
        ("m", "mini", ("degrade mini",))
    ] * 2


@pytest.mark.parametrize("library", ["httpx", "httpx2", "aiohttp", "requests"])
def test_it_is_asked_where_the_path_names_it(library, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP))
    url = f"{fake.url}/openai/deployments/m/chat/completions?api-version=2025-01-01"
    body = {"messages": MESSAGES, "max_tokens": CAP}

    async def by_aiohttp():
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as reply:
            return reply.status

    post = {
        "httpx": lambda: httpx.post(url, json=body).status_code,
        "httpx2": lambda: httpx2.post(url, json=body).status_code,
        "aiohttp": lambda: asyncio.run(by_aiohttp()),
        "requests": lambda: requests.post(url, json=body, timeout=30).status_code,
    }
    with solvent.budget(usd="0.001", fallback=FALLBACK):
        assert post[library]() == 200
    (seen,) = fake.seen
    assert seen.path == "/openai/deployments/mini/chat/completions?api-version=2025-01-01"
    assert guarded.spent() == BOUND_OF_MINI


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

        threads = [threading.Thread(target=call) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    used = [bill.model for bill in fake.bill]
    billed = used.count("m") * BOUND + used.count("mini") * BOUND_OF_MINI
    assert guarded.spent() == billed <= 20_000_000
    assert used.count("m") >= 2
    assert used.count("mini") >= 10


# Deadlines.


@contextmanager
def nearly_over():
    """
    A budget whose time is over in a moment.
    """
    with solvent.budget(usd="1.00", seconds=1) as budget:
        opened = PROCESS.runtime().guard._checks._opened
        opened[str(budget.scope)] -= int((1 - LEFT_SECONDS) * 1e9)
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


def test_a_plain_reply_that_stalls_after_its_head_is_ended_too(guarded, raw_provider):
    with nearly_over(), httpx2.Client() as client:
        reply = client.post(f"{raw_provider}/v1/chat/completions", json=BODY, timeout=None)
        assert (reply.status_code, reply.json()["error"]["code"]) == (402, "deadline_passed")
    assert guarded.ends() == [("stopped", "stopped")]


@pytest.fixture
def raw_provider():
    """
    Says that a reply comes, and then a byte every tenth of a second, for ever.
    """

    class Drips(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65_536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
            try:
                while not over.wait(0.1):
                    self.request.sendall(b" ")
            except OSError:
                return

    over = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drips) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        over.set()
        server.shutdown()
        thread.join()


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
    fake = fake_provider(Answer(output_tokens=CAP))
    with httpx2.Client() as client:
        url = f"{fake.url}/v1/chat/completions"
        with nearly_over():
            for stream in (False, True):
                reply = client.post(url, json={**BODY, "stream": stream})
                assert reply.status_code == 200
                assert (b"[DONE]" in reply.content) is stream
        threading.Event().wait(LEFT_SECONDS)  # The watchdogs of the first two would have shut its socket by now.
        with solvent.budget(usd="1.00"):
            assert client.post(url, json=BODY).status_code == 200
    assert guarded.ends() == [("200", None)] * 3


def test_the_refusal_of_a_deadline_is_no_other_error_in_anthropics_sdk_either(guarded, fake_provider):
    fake = fake_provider(HANGS["no reply"])
    client = anthropic.Anthropic(api_key="x", base_url=fake.url)
    with nearly_over(), client, pytest.raises(DeadlinePassed):
        client.messages.create(**BODY)
    assert json.dumps(guarded.ends()) == '[["stopped", "stopped"]]'
