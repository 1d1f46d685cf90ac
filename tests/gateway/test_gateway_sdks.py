"""
What the providers' own SDKs make of the gateway's answers: one clear error, raised once.
"""

from importlib import import_module

import pytest
from worlds import STREAM_HEAD, TOKEN, chunked, delta

from solvent._booking import Lost
from solvent.errors import BudgetExceeded

pytestmark = pytest.mark.slow  # The SDKs take a second to import.

EXCEEDED = BudgetExceeded(scope="run:one", meter="usd", limit=100, spent=60, reserved=10, requested=50)
MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    """
    Have the SDKs before a scene begins: on a busy machine their import takes longer than a scene may.
    """
    for name in ("anthropic.resources.messages", "openai.resources.chat", "openai.resources.responses"):
        import_module(name)


def _openai(here):
    import openai

    return openai, openai.AsyncOpenAI(api_key="sk-solvent", base_url=f"http://127.0.0.1:{here.port}/{TOKEN}/openai/v1")


def _anthropic(here):
    import anthropic

    return anthropic, anthropic.AsyncAnthropic(api_key="x", base_url=f"http://127.0.0.1:{here.port}/{TOKEN}/anthropic")


def test_openai_raises_a_refusal_once(play):
    async def scene(here):
        here.guard.refusal = EXCEEDED
        openai, client = _openai(here)
        async with client:
            for call in (
                client.chat.completions.create(model="gpt-4o", messages=MESSAGES),
                client.responses.create(model="gpt-4o", input="Hi"),
            ):
                here.events.clear()
                with pytest.raises(openai.APIStatusError) as raised:
                    await call
                assert raised.value.status_code == 402
                assert raised.value.code == "budget_exceeded"
                assert str(EXCEEDED).splitlines()[0] in raised.value.message
                assert len(here.events) == 1

    play(scene)


def test_anthropic_raises_a_refusal_once(play):
    async def scene(here):
        here.guard.refusal = EXCEEDED
        anthropic, client = _anthropic(here)
        async with client:
            with pytest.raises(anthropic.APIStatusError) as raised:
                await client.messages.create(model="claude-of-tests", max_tokens=9, messages=MESSAGES)
        assert raised.value.status_code == 402
        assert str(EXCEEDED).splitlines()[0] in str(raised.value)
        assert len(here.events) == 1

    play(scene, provider="anthropic")


def test_openai_raises_when_a_chat_stream_is_cut(play):
    async def scene(here):
        async def script(_request, writer):
            writer.write(STREAM_HEAD + chunked(delta("one") + b'data: {"id":"x"'))
            await writer.drain()
            writer.transport.abort()

        here.upstream.script = script
        openai, client = _openai(here)
        async with client:
            stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            first = await anext(stream)
            assert first.choices[0].delta.content == "one"
            with pytest.raises(openai.APIError) as raised:
                await anext(stream)
        assert raised.value.code == "upstream_lost"
        assert isinstance(here.guard.outcome(), Lost)

    play(scene)


def test_openai_raises_when_a_responses_stream_is_cut(play):
    async def scene(here):
        async def script(_request, writer):
            event = (
                b'event: response.in_progress\ndata: {"type":"response.in_progress","response":{},"sequence_number":1}'
            )
            writer.write(STREAM_HEAD + chunked(event + b"\n\nevent: resp"))
            await writer.drain()
            writer.transport.abort()

        here.upstream.script = script
        openai, client = _openai(here)
        async with client:
            stream = await client.responses.create(model="gpt-4o", input="Hi", stream=True)
            await anext(stream)
            with pytest.raises(openai.APIError) as raised:
                await anext(stream)
        assert raised.value.code == "upstream_lost"

    play(scene)


def test_anthropic_raises_when_a_stream_is_cut(play):
    async def scene(here):
        async def script(_request, writer):
            writer.write(STREAM_HEAD + chunked(b'event: ping\ndata: {"type":"ping"}\n\nevent: message_st'))
            await writer.drain()
            writer.transport.abort()

        here.upstream.script = script
        anthropic, client = _anthropic(here)
        async with client:
            stream = await client.messages.create(model="claude-of-tests", max_tokens=9, messages=MESSAGES, stream=True)
            with pytest.raises(anthropic.APIStatusError) as raised:
                await anext(stream)
        assert "did not answer to the end" in str(raised.value)

    play(scene, provider="anthropic")
