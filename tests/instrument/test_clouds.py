"""
The SDKs' clients for clouds: whose prices apply, and what is signed goes out byte for byte.
"""

import asyncio
import json

import anthropic
import httpx2
import openai
import pytest
from anthropic.lib.aws import AnthropicAWS
from inprocess import PRICE, RATES
from sdk_ways import MESSAGES

import solvent
from solvent.policy import Policy

pytestmark = pytest.mark.slow

KEYS = {"aws_access_key": "AKIDTEST", "aws_secret_key": "secret", "aws_region": "us-east-1"}
CHAT = {
    "id": "x",
    "object": "chat.completion",
    "created": 1_780_000_000,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 120, "total_tokens": 132},
}
MESSAGE = {
    "id": "x",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 120},
}


@pytest.fixture
def policy():
    return Policy(prices={"m": PRICE}, wait_seconds=0)


class Cloud:
    """
    Answers in a provider's place, without a network.
    """

    def __init__(self):
        self.sent = []

    def __call__(self, request):
        self.sent.append(request)
        return httpx2.Response(200, json=CHAT if request.url.path.endswith("/completions") else MESSAGE)

    def client(self):
        return httpx2.Client(transport=httpx2.MockTransport(self))

    def async_client(self):
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self))


def azure(cloud):
    client = openai.AzureOpenAI(
        api_key="x", azure_endpoint="https://r.openai.azure.com", api_version="1", http_client=cloud.client()
    )
    return client.chat.completions.create(model="m", messages=MESSAGES)


def azure_at_a_proxy(cloud):
    class Ours(openai.AzureOpenAI):
        pass

    client = Ours(api_key="x", azure_endpoint="http://proxy.example", api_version="1", http_client=cloud.client())
    return client.chat.completions.create(model="m", messages=MESSAGES)


def vertex(cloud):
    client = anthropic.AnthropicVertex(
        region="europe-west1", project_id="p", access_token="x", http_client=cloud.client()
    )
    return client.messages.create(model="m", max_tokens=10_000, messages=MESSAGES)


def vertex_async(cloud):
    async def call():
        client = anthropic.AsyncAnthropicVertex(
            region="europe-west1", project_id="p", access_token="x", http_client=cloud.async_client()
        )
        return await client.messages.create(model="m", max_tokens=10_000, messages=MESSAGES)

    return asyncio.run(call())


def foundry(cloud):
    client = anthropic.AnthropicFoundry(api_key="x", resource="r", http_client=cloud.client())
    return client.messages.create(model="m", max_tokens=10_000, messages=MESSAGES)


def bedrock(cloud, cap=5_000):
    client = anthropic.AnthropicBedrock(**KEYS, http_client=cloud.client())
    return client.messages.create(model="m", max_tokens=cap, messages=MESSAGES)


def bedrock_mantle(cloud, cap=5_000):
    client = anthropic.AnthropicBedrockMantle(**KEYS, http_client=cloud.client())
    return client.messages.create(model="m", max_tokens=cap, messages=MESSAGES)


def aws(cloud, cap=5_000):
    client = AnthropicAWS(**KEYS, workspace_id="w", http_client=cloud.client())
    return client.messages.create(model="m", max_tokens=cap, messages=MESSAGES)


def bedrock_openai(cloud, cap=5_000):
    client = openai.BedrockOpenAI(
        aws_access_key_id="AKIDTEST", aws_secret_access_key="s", aws_region="us-east-1", http_client=cloud.client()
    )
    return client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=cap)


@pytest.mark.parametrize(
    ("call", "provider", "format"),
    [
        (azure, "azure", "openai-chat"),
        (azure_at_a_proxy, "azure", "openai-chat"),
        (vertex, "vertex", "anthropic-messages"),
        (vertex_async, "vertex", "anthropic-messages"),
        (foundry, "anthropic", "anthropic-messages"),
    ],
)
def test_what_is_not_signed_is_shrunk_to_fit(call, provider, format, guarded):
    cloud = Cloud()
    with solvent.budget(usd="0.05"):
        assert call(cloud)
    body = json.loads(cloud.sent[0].content)
    assert 5_000 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert int(cloud.sent[0].headers["content-length"]) == len(cloud.sent[0].content)
    record = guarded.calls()[0]
    assert (record.provider, record.format) == (provider, format)
    assert guarded.spent() == 120 * RATES.output


@pytest.mark.parametrize(
    ("call", "provider", "format"),
    [
        (bedrock, "bedrock", "bedrock-invoke"),
        (bedrock_mantle, "bedrock", "anthropic-messages"),
        (aws, "anthropic", "anthropic-messages"),
        (bedrock_openai, "bedrock", "openai-chat"),
    ],
)
def test_what_is_signed_is_held_to_the_budget_as_it_is(call, provider, format, guarded):
    cloud = Cloud()
    with solvent.budget(usd="0.05"):
        with pytest.raises(solvent.BudgetExceeded):
            call(cloud, cap=5_001)
        assert cloud.sent == []
        assert call(cloud)
    assert json.loads(cloud.sent[0].content)["max_tokens"] == 5_000
    assert cloud.sent[0].headers["authorization"].startswith("AWS4-HMAC-SHA256")
    record = guarded.calls()[0]
    assert (record.provider, record.format) == (provider, format)
    assert guarded.spent() == 120 * RATES.output


def test_a_signed_stream_that_cannot_be_asked_for_its_usage_is_booked_at_the_bound(guarded):
    def answer(request):
        assert "stream_options" not in json.loads(request.content)
        chunk = {**CHAT, "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}], "usage": None}
        body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    client = openai.BedrockOpenAI(
        aws_access_key_id="AKIDTEST",
        aws_secret_access_key="s",
        aws_region="us-east-1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    with solvent.budget(usd="1.00"):
        assert list(client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=500, stream=True))
    assert guarded.ends() == [("200", "usage_missing")]
    assert guarded.spent() == 500 * RATES.output


def test_an_event_loop_of_another_kind_is_served_too(guarded):
    cloud = Cloud()

    async def call():
        body = {"model": "m", "messages": MESSAGES, "max_tokens": 500}
        return await cloud.async_client().post("https://api.openai.com/v1/chat/completions", json=body)

    with solvent.budget(usd="1.00"), pytest.raises(StopIteration) as ended:
        call().send(None)  # Without a loop of asyncio, as under trio.
    assert ended.value.value.status_code == 200
    assert guarded.spent() == 120 * RATES.output
