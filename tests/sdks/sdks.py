"""
The ways of calling a model that the SDKs have which are tested each in an environment of its own.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

from sdk_ways import ANTHROPIC, MESSAGES, OPENAI, Way


def groq(url: str, **more: Any) -> Any:
    from groq import Groq

    with Groq(api_key="x", base_url=url, max_retries=2) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES, **more)


def groq_streamed(url: str, **more: Any) -> Iterator[Any]:
    from groq import Groq

    with Groq(api_key="x", base_url=url, max_retries=2) as client:
        with client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **more) as stream:
            yield from stream


async def async_groq(url: str, **more: Any) -> Any:
    from groq import AsyncGroq

    async with AsyncGroq(api_key="x", base_url=url, max_retries=2) as client:
        return await client.chat.completions.create(model="m", messages=MESSAGES, **more)


async def async_groq_streamed(url: str, **more: Any) -> AsyncIterator[Any]:
    from groq import AsyncGroq

    async with AsyncGroq(api_key="x", base_url=url, max_retries=2) as client:
        async with await client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **more) as stream:
            async for piece in stream:
                yield piece


def together(url: str, **more: Any) -> Any:
    from together import Together

    with Together(api_key="x", base_url=url) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES, **more)


def together_streamed(url: str, **more: Any) -> Iterator[Any]:
    from together import Together

    with Together(api_key="x", base_url=url) as client:
        with client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **more) as stream:
            yield from stream


async def async_together_streamed(url: str, **more: Any) -> AsyncIterator[Any]:
    from together import AsyncTogether

    async with AsyncTogether(api_key="x", base_url=url) as client:
        async with await client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **more) as stream:
            async for piece in stream:
                yield piece


def _mistral(url: str) -> Any:
    try:
        from mistralai.client import Mistral
    except ImportError:  # 1.x.
        from mistralai import Mistral

    return Mistral(api_key="x", server_url=url)


def mistral(url: str, **more: Any) -> Any:
    with _mistral(url) as client:
        return client.chat.complete(model="m", messages=MESSAGES, **more)


def mistral_streamed(url: str, **more: Any) -> Iterator[Any]:
    with _mistral(url) as client, client.chat.stream(model="m", messages=MESSAGES, **more) as stream:
        yield from stream


async def async_mistral(url: str, **more: Any) -> Any:
    async with _mistral(url) as client:
        return await client.chat.complete_async(model="m", messages=MESSAGES, **more)


async def async_mistral_streamed(url: str, **more: Any) -> AsyncIterator[Any]:
    async with _mistral(url) as client:
        async with await client.chat.stream_async(model="m", messages=MESSAGES, **more) as stream:
            async for piece in stream:
                yield piece


def cohere(url: str, **more: Any) -> Any:
    from cohere import ClientV2

    with ClientV2(api_key="x", base_url=url) as client:
        return client.chat(model="m", messages=MESSAGES, **more)


def cohere_streamed(url: str, **more: Any) -> Iterator[Any]:
    from cohere import ClientV2

    with ClientV2(api_key="x", base_url=url) as client:
        yield from client.chat_stream(model="m", messages=MESSAGES, **more)


async def async_cohere(url: str, **more: Any) -> Any:
    from cohere import AsyncClientV2

    async with AsyncClientV2(api_key="x", base_url=url) as client:
        return await client.chat(model="m", messages=MESSAGES, **more)


async def async_cohere_streamed(url: str, **more: Any) -> AsyncIterator[Any]:
    from cohere import AsyncClientV2

    async with AsyncClientV2(api_key="x", base_url=url) as client:
        async for piece in client.chat_stream(model="m", messages=MESSAGES, **more):
            yield piece


def _options(more: dict[str, Any]) -> dict[str, Any]:
    return {"options": {"num_predict": more["max_tokens"]}} if "max_tokens" in more else {}


def ollama(url: str, **more: Any) -> Any:
    from ollama import Client

    return Client(host=url).chat(model="m", messages=MESSAGES, **_options(more))


def ollama_streamed(url: str, **more: Any) -> Iterator[Any]:
    from ollama import Client

    yield from Client(host=url).chat(model="m", messages=MESSAGES, stream=True, **_options(more))


async def async_ollama(url: str, **more: Any) -> Any:
    from ollama import AsyncClient

    return await AsyncClient(host=url).chat(model="m", messages=MESSAGES, **_options(more))


async def async_ollama_streamed(url: str, **more: Any) -> AsyncIterator[Any]:
    from ollama import AsyncClient

    pieces = await AsyncClient(host=url).chat(model="m", messages=MESSAGES, stream=True, **_options(more))
    try:
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()


def litellm_openai(url: str, **more: Any) -> Any:
    import litellm

    return litellm.completion("openai/m", messages=MESSAGES, api_base=f"{url}/v1", api_key="x", **more)


def litellm_streamed(url: str, **more: Any) -> Iterator[Any]:
    import litellm

    stream = litellm.completion("openai/m", messages=MESSAGES, api_base=f"{url}/v1", api_key="x", stream=True, **more)
    try:
        yield from stream
    finally:
        stream.completion_stream.close()  # It has no way of its own, and others hold it.


async def async_litellm(url: str, **more: Any) -> Any:
    import litellm

    return await litellm.acompletion("openai/m", messages=MESSAGES, api_base=f"{url}/v1", api_key="x", **more)


def litellm_anthropic(url: str, **more: Any) -> Any:
    import litellm

    return litellm.completion("anthropic/m", messages=MESSAGES, api_base=url, api_key="x", **more)


async def async_litellm_anthropic(url: str, **more: Any) -> Any:
    import litellm

    return await litellm.acompletion("anthropic/m", messages=MESSAGES, api_base=url, api_key="x", **more)


async def async_litellm_anthropic_streamed(url: str, **more: Any) -> AsyncIterator[Any]:
    import litellm

    stream = await litellm.acompletion("anthropic/m", messages=MESSAGES, api_base=url, api_key="x", stream=True, **more)
    try:
        async for piece in stream:
            yield piece
    finally:
        await stream.aclose()


def litellm_responses(url: str, **more: Any) -> Any:
    import litellm

    return litellm.responses(model="openai/m", input="Hi", api_base=f"{url}/v1", api_key="x", **more)


def litellm_retried(url: str, **more: Any) -> Any:
    return litellm_openai(url, num_retries=3, **more)


def litellm_with_fallbacks(url: str, **more: Any) -> Any:
    return litellm_openai(url, fallbacks=["openai/cheap"], **more)


def _router(url: str) -> Any:
    import litellm

    at = {"api_base": f"{url}/v1", "api_key": "x"}
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{model}", **at}}
        for name, model in (("one", "m"), ("one", "m-2024"), ("two", "cheap"))
    ]
    return litellm.Router(model_list=models, fallbacks=[{"one": ["two"]}], num_retries=2)


def litellm_router(url: str, **more: Any) -> Any:
    return _router(url).completion("one", messages=MESSAGES, **more)


async def async_litellm_router(url: str, **more: Any) -> Any:
    return await _router(url).acompletion("one", messages=MESSAGES, **more)


def _dspy(url: str, model: str = "openai/m", **settings: Any) -> Any:
    import dspy

    at = {"api_base": f"{url}/v1", "api_key": "x", "cache": False}
    return dspy.LM(model, **{"engine": "lm15", "num_retries": 0, **at, **settings})


def dspy_lm(url: str, **more: Any) -> Any:
    return _dspy(url)("Hi", **more)


async def async_dspy_lm(url: str, **more: Any) -> Any:
    return await _dspy(url).acall("Hi", **more)


def dspy_responses(url: str, **more: Any) -> Any:
    return _dspy(url, model_type="responses")("Hi", **more)


def dspy_anthropic(url: str, **more: Any) -> Any:
    return _dspy(url, "anthropic/m")("Hi", **more)


def dspy_by_litellm(url: str, **more: Any) -> Any:
    return _dspy(url, engine="litellm")("Hi", **more)


async def async_dspy_by_litellm(url: str, **more: Any) -> Any:
    return await _dspy(url, engine="litellm").acall("Hi", **more)


def dspy_retried(url: str, **more: Any) -> Any:
    return _dspy(url, num_retries=3)("Hi", **more)


async def async_dspy_retried(url: str, **more: Any) -> Any:
    return await _dspy(url, num_retries=3).acall("Hi", **more)


def dspy_streamed(url: str, **more: Any) -> Iterator[Any]:
    from dspy.lm15 import Config, LMRouter, Message, Request, RouterConfig

    config = RouterConfig(api_keys={"openai-chat": "x"}, base_urls={"openai-chat": f"{url}/v1"})
    with LMRouter(config) as router:
        events = router.stream(Request(model="openai-chat:m", messages=(Message.user("Hi"),), config=Config(**more)))
        with closing(events):
            yield from events


async def async_dspy_streamed(url: str, **more: Any) -> AsyncIterator[Any]:
    import dspy

    class Ask(dspy.Module):  # type: ignore[misc]  # It has no types.
        async def aforward(self) -> Any:
            return dspy.Prediction(answer=await _dspy(url).acall("Hi", **more))

    async with aclosing(dspy.streamify(Ask(), is_async_program=True)()) as pieces:
        async for piece in pieces:
            yield piece


_OLD = {
    *("chat", "chat, streamed", "async chat", "async chat, streamed", "messages", "messages, streamed"),
    *("messages, raw response", "chat, raw response", "chat at Azure", "async messages", "async messages, streamed"),
}

BY_SDK: dict[str, list[Way]] = {
    "anthropic": [way for way in ANTHROPIC if way.name in _OLD],
    "cohere": [
        Way("cohere", "chat", cohere),
        Way("cohere", "chat_stream", cohere_streamed),
        Way("cohere", "async chat", async_cohere),
        Way("cohere", "async chat_stream", async_cohere_streamed),
    ],
    "dspy": [
        Way("dspy", "LM", dspy_lm),
        Way("dspy", "LM, async", async_dspy_lm),
        Way("dspy", "LM at Anthropic", dspy_anthropic),
        Way("dspy", "LM by litellm", dspy_by_litellm),
        Way("dspy", "LM by litellm, async", async_dspy_by_litellm),
        Way("dspy", "LM, responses", dspy_responses),
        Way("dspy", "lm15, streamed", dspy_streamed),
        Way("dspy", "streamify", async_dspy_streamed),
    ],
    "groq": [
        Way("groq", "chat", groq),
        Way("groq", "chat, streamed", groq_streamed),
        Way("groq", "async chat", async_groq),
        Way("groq", "async chat, streamed", async_groq_streamed),
    ],
    "litellm": [
        Way("litellm", "completion", litellm_openai),
        Way("litellm", "completion, streamed", litellm_streamed),
        Way("litellm", "acompletion", async_litellm),
        Way("litellm", "completion at Anthropic", litellm_anthropic),
        Way("litellm", "acompletion at Anthropic", async_litellm_anthropic),
        Way("litellm", "acompletion at Anthropic, streamed", async_litellm_anthropic_streamed),
        Way("litellm", "responses", litellm_responses, "max_output_tokens"),
    ],
    "mistralai": [
        Way("mistralai", "complete", mistral),
        Way("mistralai", "stream", mistral_streamed),
        Way("mistralai", "complete_async", async_mistral),
        Way("mistralai", "stream_async", async_mistral_streamed),
    ],
    "ollama": [
        Way("ollama", "chat", ollama),
        Way("ollama", "chat, streamed", ollama_streamed),
        Way("ollama", "async chat", async_ollama),
        Way("ollama", "async chat, streamed", async_ollama_streamed),
    ],
    "openai": [way for way in OPENAI if way.name in _OLD],
    "together": [
        Way("together", "chat", together),
        Way("together", "chat, streamed", together_streamed),
        Way("together", "async chat, streamed", async_together_streamed),
    ],
}

# Ways that try again by themselves, also with a model that the budget could pay.
AGAIN_BY_SDK: dict[str, list[Way]] = {
    "dspy": [
        Way("dspy", "LM with retries", dspy_retried),
        Way("dspy", "LM with retries, async", async_dspy_retried),
    ],
    "litellm": [
        Way("litellm", "completion with retries", litellm_retried),
        Way("litellm", "completion with fallbacks", litellm_with_fallbacks),
        Way("litellm", "router", litellm_router),
        Way("litellm", "async router", async_litellm_router),
    ],
}
