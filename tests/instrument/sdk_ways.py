"""
Every way in which a program calls a model, by SDK: sync and async, whole and in pieces.

A way is a function of a server's address and an output cap. It makes a client, calls, takes all that it gets, and
returns or raises what its SDK does; one that is streamed is a generator of the pieces.
"""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

MESSAGES = [{"role": "user", "content": "Say something about rivers."}]
TOOL = {"name": "tool", "description": "A tool.", "parameters": {"type": "object", "properties": {}}}


@dataclass(frozen=True)
class Way:
    """
    Attributes:
        go: Called with the server's address and keywords (``max_tokens`` by the SDK's own name).
        cap: That name.
    """

    sdk: str
    name: str
    go: Callable[..., Any]
    cap: str = "max_tokens"

    def __str__(self) -> str:
        return f"{self.sdk}: {self.name}"

    @property
    def streamed(self) -> bool:
        return inspect.isgeneratorfunction(self.go) or inspect.isasyncgenfunction(self.go)

    @property
    def asynchronous(self) -> bool:
        return inspect.isasyncgenfunction(self.go) or inspect.iscoroutinefunction(self.go)

    def take(self, url: str, cap: int | None = None, **more: Any) -> list[Any]:
        """
        Make the call and take all of the reply.
        """
        return asyncio.run(self.atake(url, cap, **more)) if self.asynchronous else self._take(url, cap, **more)

    def asked(self, cap: int | None, more: dict[str, Any]) -> dict[str, Any]:
        return {**more, **({} if cap is None else {self.cap: cap})}

    def _take(self, url: str, cap: int | None, **more: Any) -> list[Any]:
        reply = self.go(url, **self.asked(cap, more))
        return list(reply) if self.streamed else [reply]

    async def atake(self, url: str, cap: int | None = None, **more: Any) -> list[Any]:
        reply = self.go(url, **self.asked(cap, more))
        return [piece async for piece in reply] if self.streamed else [await reply]


def _openai(url: str, **options: Any) -> Any:
    import openai

    return openai.OpenAI(api_key="sk-test", base_url=f"{url}/v1", max_retries=0, **options)


def _async_openai(url: str, **options: Any) -> Any:
    import openai

    return openai.AsyncOpenAI(api_key="sk-test", base_url=f"{url}/v1", max_retries=0, **options)


def _anthropic(url: str, **options: Any) -> Any:
    import anthropic

    return anthropic.Anthropic(api_key="sk-test", base_url=url, max_retries=0, **options)


def _async_anthropic(url: str, **options: Any) -> Any:
    import anthropic

    return anthropic.AsyncAnthropic(api_key="sk-test", base_url=url, max_retries=0, **options)


def chat(url: str, model: str = "m", **more: Any) -> Any:
    with _openai(url) as client:
        return client.chat.completions.create(model=model, messages=MESSAGES, **more)


def chat_streamed(url: str, model: str = "m", **more: Any) -> Iterator[Any]:
    with _openai(url) as client:
        stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True, **more)
        try:
            yield from stream
        finally:
            stream.response.close()  # Which openai 1.0 can, too.


def chat_raw(url: str, **more: Any) -> Any:
    with _openai(url) as client:
        return client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, **more).parse()


def chat_streaming_response(url: str, **more: Any) -> Iterator[bytes]:
    with (
        _openai(url) as client,
        client.chat.completions.with_streaming_response.create(
            model="m", messages=MESSAGES, stream=True, **more
        ) as response,
    ):
        yield from response.iter_bytes()


def chat_helper(url: str, **more: Any) -> Iterator[Any]:
    with _openai(url) as client, client.chat.completions.stream(model="m", messages=MESSAGES, **more) as stream:
        yield from stream


def chat_parse(url: str, **more: Any) -> Any:
    with _openai(url) as client:
        return client.chat.completions.parse(model="m", messages=MESSAGES, **more)


def chat_of_a_subclass(url: str, **more: Any) -> Any:
    import openai

    class Ours(openai.OpenAI):
        pass

    with Ours(api_key="sk-test", base_url=f"{url}/v1", max_retries=0) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES, **more)


def chat_of_the_module(url: str, **more: Any) -> Any:
    import openai

    openai.api_key, openai.base_url, openai.max_retries = "sk-test", f"{url}/v1/", 0
    try:
        return openai.chat.completions.create(model="m", messages=MESSAGES, **more)
    finally:
        openai.base_url = None
        openai._reset_client()  # type: ignore[attr-defined]  # What its own tests do.


def chat_over_a_client_of_ones_own(url: str, **more: Any) -> Any:
    import openai

    class Ours(openai.DefaultHttpxClient):  # type: ignore[misc]  # Made at run time there.
        def send(self, *args: Any, **kwargs: Any) -> Any:
            return super().send(*args, **kwargs)

    with Ours() as http, _openai(url, http_client=http) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES, **more)


async def chat_over_aiohttp(url: str, **more: Any) -> Any:
    import openai

    async with openai.DefaultAioHttpClient() as http, _async_openai(url, http_client=http) as client:
        return await client.chat.completions.create(model="m", messages=MESSAGES, **more)


async def chat_over_aiohttp_streamed(url: str, **more: Any) -> AsyncIterator[Any]:
    import openai

    async with openai.DefaultAioHttpClient() as http, _async_openai(url, http_client=http) as client:
        async with await client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **more) as stream:
            async for piece in stream:
                yield piece


def chat_at_azure(url: str, **more: Any) -> Any:
    import openai

    with openai.AzureOpenAI(
        api_key="test", azure_endpoint=url, api_version="2025-01-01-preview", max_retries=0
    ) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES, **more)


async def async_chat(url: str, model: str = "m", **more: Any) -> Any:
    async with _async_openai(url) as client:
        return await client.chat.completions.create(model=model, messages=MESSAGES, **more)


async def async_chat_streamed(url: str, model: str = "m", **more: Any) -> AsyncIterator[Any]:
    async with _async_openai(url) as client:
        stream = await client.chat.completions.create(model=model, messages=MESSAGES, stream=True, **more)
        try:
            async for piece in stream:
                yield piece
        finally:
            await stream.response.aclose()


def responses(url: str, **more: Any) -> Any:
    with _openai(url) as client:
        return client.responses.create(model="m", input="Say something.", **more)


def responses_streamed(url: str, **more: Any) -> Iterator[Any]:
    with (
        _openai(url) as client,
        client.responses.create(model="m", input="Say something.", stream=True, **more) as stream,
    ):
        yield from stream


def responses_helper(url: str, **more: Any) -> Iterator[Any]:
    with _openai(url) as client, client.responses.stream(model="m", input="Say something.", **more) as stream:
        yield from stream


async def async_responses_streamed(url: str, **more: Any) -> AsyncIterator[Any]:
    async with _async_openai(url) as client:
        async with await client.responses.create(model="m", input="Say something.", stream=True, **more) as stream:
            async for piece in stream:
                yield piece


def messages(url: str, max_tokens: int = 3_000, **more: Any) -> Any:
    with _anthropic(url) as client:
        return client.messages.create(model="m", messages=MESSAGES, max_tokens=max_tokens, **more)


def messages_streamed(url: str, max_tokens: int = 3_000, **more: Any) -> Iterator[Any]:
    with (
        _anthropic(url) as client,
        client.messages.create(model="m", messages=MESSAGES, max_tokens=max_tokens, stream=True, **more) as stream,
    ):
        yield from stream


def messages_helper(url: str, max_tokens: int = 3_000, **more: Any) -> Iterator[Any]:
    with (
        _anthropic(url) as client,
        client.messages.stream(model="m", messages=MESSAGES, max_tokens=max_tokens, **more) as stream,
    ):
        yield from stream.text_stream


def messages_beta(url: str, max_tokens: int = 3_000, **more: Any) -> Any:
    with _anthropic(url) as client:
        return client.beta.messages.create(model="m", messages=MESSAGES, max_tokens=max_tokens, betas=["b"], **more)


def messages_raw(url: str, max_tokens: int = 3_000, **more: Any) -> Any:
    with _anthropic(url) as client:
        return client.messages.with_raw_response.create(
            model="m", messages=MESSAGES, max_tokens=max_tokens, **more
        ).parse()


async def async_messages(url: str, max_tokens: int = 3_000, **more: Any) -> Any:
    async with _async_anthropic(url) as client:
        return await client.messages.create(model="m", messages=MESSAGES, max_tokens=max_tokens, **more)


async def async_messages_streamed(url: str, max_tokens: int = 3_000, **more: Any) -> AsyncIterator[Any]:
    async with (
        _async_anthropic(url) as client,
        await client.messages.create(
            model="m", messages=MESSAGES, max_tokens=max_tokens, stream=True, **more
        ) as stream,
    ):
        async for piece in stream:
            yield piece


async def async_messages_helper(url: str, max_tokens: int = 3_000, **more: Any) -> AsyncIterator[Any]:
    async with _async_anthropic(url) as client:
        async with client.messages.stream(model="m", messages=MESSAGES, max_tokens=max_tokens, **more) as stream:
            async for text in stream.text_stream:
                yield text


def _chat_body(more: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "messages": MESSAGES, **more}


def by_httpx(url: str, timeout: float = 30, **more: Any) -> Any:
    import httpx2

    return httpx2.post(f"{url}/v1/chat/completions", json=_chat_body(more), timeout=timeout)


def by_old_httpx(url: str, timeout: float = 30, **more: Any) -> Any:
    import httpx

    return httpx.post(f"{url}/v1/chat/completions", json=_chat_body(more), timeout=timeout)


def by_httpx_streamed(url: str, **more: Any) -> Iterator[bytes]:
    import httpx2

    body = _chat_body({**more, "stream": True})
    with httpx2.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
        yield from response.iter_bytes()


async def by_aiohttp(url: str, **more: Any) -> Any:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/v1/chat/completions", json=_chat_body(more)) as response:
            return await response.json()


async def by_aiohttp_streamed(url: str, **more: Any) -> AsyncIterator[bytes]:
    import aiohttp

    body = json.dumps(_chat_body({**more, "stream": True}))
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/v1/chat/completions", data=body) as response:
            async for line in response.content:
                yield line


def by_requests(url: str, timeout: float = 30, **more: Any) -> Any:
    import requests

    return requests.post(f"{url}/v1/chat/completions", json=_chat_body(more), timeout=timeout).json()


def by_requests_streamed(url: str, **more: Any) -> Iterator[bytes]:
    import requests

    body = _chat_body({**more, "stream": True})
    with requests.post(f"{url}/v1/chat/completions", json=body, timeout=30, stream=True) as response:
        yield from response.iter_lines()


OPENAI = [
    Way("openai", "chat", chat),
    Way("openai", "chat, streamed", chat_streamed),
    Way("openai", "chat, raw response", chat_raw),
    Way("openai", "chat, streaming response", chat_streaming_response),
    Way("openai", "chat, stream helper", chat_helper),
    Way("openai", "chat, parse", chat_parse),
    Way("openai", "chat of a subclass", chat_of_a_subclass),
    Way("openai", "chat of the module", chat_of_the_module),
    Way("openai", "chat over an httpx client of one's own", chat_over_a_client_of_ones_own),
    Way("openai", "chat over aiohttp", chat_over_aiohttp),
    Way("openai", "chat over aiohttp, streamed", chat_over_aiohttp_streamed),
    Way("openai", "chat at Azure", chat_at_azure),
    Way("openai", "async chat", async_chat),
    Way("openai", "async chat, streamed", async_chat_streamed),
    Way("openai", "responses", responses, "max_output_tokens"),
    Way("openai", "responses, streamed", responses_streamed, "max_output_tokens"),
    Way("openai", "responses, stream helper", responses_helper, "max_output_tokens"),
    Way("openai", "async responses, streamed", async_responses_streamed, "max_output_tokens"),
]
ANTHROPIC = [
    Way("anthropic", "messages", messages),
    Way("anthropic", "messages, streamed", messages_streamed),
    Way("anthropic", "messages, stream helper", messages_helper),
    Way("anthropic", "messages, beta", messages_beta),
    Way("anthropic", "messages, raw response", messages_raw),
    Way("anthropic", "async messages", async_messages),
    Way("anthropic", "async messages, streamed", async_messages_streamed),
    Way("anthropic", "async messages, stream helper", async_messages_helper),
]
HTTP = [
    Way("httpx2", "post", by_httpx),
    Way("httpx2", "stream", by_httpx_streamed),
    Way("httpx", "post", by_old_httpx),
    Way("aiohttp", "post", by_aiohttp),
    Way("aiohttp", "lines", by_aiohttp_streamed),
    Way("requests", "post", by_requests),
    Way("requests", "lines", by_requests_streamed),
]
WAYS = [*OPENAI, *ANTHROPIC, *HTTP]
