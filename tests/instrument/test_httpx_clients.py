"""
What programs do with httpx clients beside sending: redirects, log-ins, event hooks, bodies in pieces, other transports.
"""

import asyncio
import json

import httpx2
import pytest
from fake_provider import Answer
from inprocess import RATES
from sdk_ways import MESSAGES

import solvent

pytestmark = pytest.mark.slow

CAP = 500
BODY = {"model": "m", "messages": MESSAGES, "max_tokens": CAP}
ONE = 120 * RATES.output


def post(client, fake, body=BODY, **more):
    return client.post(f"{fake.url}/v1/chat/completions", json=body, **more)


def test_a_redirect_is_followed_as_part_of_the_call(guarded, fake_provider):
    there = fake_provider(Answer(output_tokens=120))
    here = fake_provider(Answer(location=f"{there.url}/v1/chat/completions"))
    with solvent.budget(usd="1.00", calls=9), httpx2.Client(follow_redirects=True) as client:
        assert post(client, here).status_code == 200
    assert (len(here.seen), len(there.seen)) == (1, 1)
    assert guarded.ends() == [("200", None)]
    assert guarded.spent() == there.billed(RATES) == ONE


def test_a_redirect_that_is_not_followed_costs_nothing(guarded, fake_provider):
    there = fake_provider(Answer(output_tokens=120))
    here = fake_provider(Answer(location=f"{there.url}/v1/chat/completions"))
    with solvent.budget(usd="1.00"), httpx2.Client() as client:
        reply = post(client, here)
        assert guarded.spent() == 0
        assert client.send(reply.next_request).status_code == 200
    assert guarded.ends() == [("307", None), ("200", None)]
    assert guarded.spent() == there.billed(RATES) == ONE


def test_a_log_in_is_part_of_the_call(guarded, fake_provider):
    class LogIn(httpx2.Auth):
        def auth_flow(self, request):
            answer = yield request
            assert answer.status_code == 401
            request.headers["authorization"] = "Bearer token"
            yield request

    fake = fake_provider([Answer(status=401), Answer(output_tokens=120)])
    with solvent.budget(usd="1.00"), httpx2.Client(auth=LogIn()) as client:
        assert post(client, fake).status_code == 200
    assert [seen.headers.get("authorization") for seen in fake.seen] == [None, "Bearer token"]
    assert guarded.ends() == [("200", None)]
    assert guarded.spent() == fake.billed(RATES) == ONE


@pytest.mark.parametrize("stream", [False, True])
def test_an_event_hook_may_read_the_reply(stream, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    read = []
    hooks = {"response": [lambda response: read.append(response.read())]}
    with solvent.budget(usd="1.00"), httpx2.Client(event_hooks=hooks) as client:
        reply = post(client, fake, {**BODY, "stream": stream})
    assert reply.status_code == 200
    assert len(read) == 1
    assert (b'"usage"' in reply.content) is not stream
    assert guarded.spent() == fake.billed(RATES) == ONE


@pytest.mark.parametrize(("status", "spent"), [(429, 0), (500, CAP * RATES.output)])
def test_an_event_hook_may_raise_for_a_status(status, spent, guarded, fake_provider):
    fake = fake_provider(Answer(status=status))
    hooks = {"response": [httpx2.Response.raise_for_status]}
    with solvent.budget(usd="1.00"), httpx2.Client(event_hooks=hooks) as client, pytest.raises(httpx2.HTTPStatusError):
        post(client, fake)
    assert guarded.spent() == spent


def test_a_call_that_an_event_hook_makes_is_another_call(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))

    def ask_too(_request):
        with httpx2.Client() as other:
            post(other, fake, {**BODY, "max_tokens": CAP - 1})

    with solvent.budget(usd="1.00"), httpx2.Client(event_hooks={"request": [ask_too]}) as client:
        post(client, fake)
    assert guarded.ends() == [("200", None)] * 2
    assert guarded.spent() == fake.billed(RATES) == 2 * ONE


def test_a_task_that_an_event_hook_starts_is_guarded_when_the_call_is_long_over(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    later = []

    async def scene():
        async with httpx2.AsyncClient() as other:
            told = asyncio.Event()

            async def ask_later():
                await told.wait()
                await post(other, fake)

            async def start(_request):
                later.append(asyncio.create_task(ask_later()))

            async with httpx2.AsyncClient(event_hooks={"request": [start]}) as client:
                await post(client, fake)
            told.set()
            await asyncio.gather(*later)

    with solvent.budget(usd="1.00"):
        asyncio.run(scene())
    assert len(fake.seen) == len(guarded.ends()) == 2
    assert guarded.spent() == fake.billed(RATES) == 2 * ONE


def test_a_body_in_pieces_is_read_before_it_is_sent(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=16_384))
    raw = json.dumps({"model": "m", "messages": MESSAGES}).encode()
    url = f"{fake.url}/v1/chat/completions"

    async def pieces():
        yield raw[:9]
        yield raw[9:]

    async def scene():
        async with httpx2.AsyncClient() as client:
            return await client.post(url, content=pieces())

    with solvent.budget(usd="0.05"), httpx2.Client() as client:
        assert client.post(url, content=iter([raw[:9], raw[9:]])).status_code == 200
    with solvent.budget(usd="0.05"):
        assert asyncio.run(scene()).status_code == 200
    assert [seen.body["max_tokens"] for seen in fake.seen] == [5_000, 5_000]
    assert guarded.spent() == fake.billed(RATES) == 100_000_000


def test_a_transport_that_answers_by_itself_leaves_nothing_open(guarded):
    usage = {"prompt_tokens": 5, "completion_tokens": 120, "total_tokens": 125}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json={"choices": [choice], "usage": usage}))
    with solvent.budget(usd="1.00"), httpx2.Client(transport=transport) as client:
        assert client.post("https://api.openai.com/v1/chat/completions", json=BODY).json()["usage"] == usage
        assert guarded.spent() == ONE


@pytest.mark.parametrize(("error", "status"), [(httpx2.ConnectError, "not_sent"), (httpx2.ReadError, "cut")])
def test_what_a_transport_of_ones_own_says_is_believed(error, status, guarded):
    def fail(request):
        raise error("as told", request=request)

    with solvent.budget(usd="1.00"), httpx2.Client(transport=httpx2.MockTransport(fail)) as client:
        with pytest.raises(error):
            client.post("https://api.openai.com/v1/chat/completions", json=BODY)
    assert [end[0] for end in guarded.ends()] == [status]


def test_the_callers_request_is_not_touched(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    told = []
    with solvent.budget(usd="1.00"), httpx2.Client() as client:
        body = {"model": "m", "messages": MESSAGES, "stream": True}
        request = client.build_request("POST", f"{fake.url}/v1/chat/completions", json=body)
        request.extensions["trace"] = lambda event, _: told.append(event)
        before = (dict(request.headers), request.content, dict(request.extensions))
        for _ in range(2):
            client.send(request)
        assert (dict(request.headers), request.content, dict(request.extensions)) == before
    assert told.count("http11.send_request_headers.started") == 2
    assert [seen.body["max_completion_tokens"] for seen in fake.seen if "max_completion_tokens" in seen.body] == []
    assert guarded.spent() == fake.billed(RATES) == 2 * ONE


def test_a_closed_client_is_asked_for_nothing(guarded, fake_provider):
    fake = fake_provider()
    client = httpx2.Client()
    client.close()
    with solvent.budget(usd="1.00"), pytest.raises(RuntimeError, match="closed"):
        post(client, fake)
    assert guarded.kinds() == ["open", "close"]


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "https://api.openai.com/v1/models"),
        ("POST", "https://api.anthropic.com/v1/messages/count_tokens"),
        ("GET", "https://api.openai.com/v1/a/path/nobody/knows"),
        ("POST", "https://example.com/api/items"),
        ("POST", "https://example.com/v1/messages"),  # Whose body is none that a model could read.
    ],
)
def test_what_costs_nothing_passes_as_it_is(method, url, guarded):
    sent = []

    def answer(request):
        sent.append(request)
        return httpx2.Response(200, json={})

    with solvent.budget(usd="0"), httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        request = client.build_request(method, url, json={"text": "hello"})
        client.send(request)
    assert sent == [request]
    assert sent[0] is request
    assert guarded.kinds() == ["open", "close"]


def test_what_a_provider_may_bill_and_nobody_knows_is_refused(guarded):
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json={}))
    with solvent.budget(usd="1.00"), httpx2.Client(transport=transport) as client:
        for path in ("v1/a/path/nobody/knows", "v1/images/generations", "v1/batches"):
            reply = client.post(f"https://api.openai.com/{path}", json={"model": "m"})
            assert (reply.status_code, reply.json()["error"]["code"]) == (402, "unbounded")
    assert guarded.kinds() == ["open", *["refuse"] * 3, "close"]
