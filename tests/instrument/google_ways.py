"""
The ways in which a program calls a model with ``google-genai``, as in ``sdk_ways``.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
from google import genai
from google.genai import types
from sdk_ways import Way

PROMPT = "Say something about rivers."


def _client(url: str, timeout: float | None = None, **options: Any) -> genai.Client:
    milliseconds = None if timeout is None else int(timeout * 1000)
    http = types.HttpOptions(base_url=url, api_version="v1beta", timeout=milliseconds, **options)
    return genai.Client(api_key="test", http_options=http)


def _asked(max_tokens: int | None = None) -> dict[str, Any]:
    return {"model": "m", "contents": PROMPT, "config": types.GenerateContentConfig(max_output_tokens=max_tokens)}


def generate(url: str, timeout: float | None = None, **more: Any) -> Any:
    with _client(url, timeout) as sdk:
        return sdk.models.generate_content(**_asked(**more)).text


def generate_streamed(url: str, timeout: float | None = None, **more: Any) -> Iterator[Any]:
    with _client(url, timeout) as sdk:
        yield from sdk.models.generate_content_stream(**_asked(**more))


async def async_generate(url: str, timeout: float | None = None, **more: Any) -> Any:
    async with _client(url, timeout).aio as aio:
        return (await aio.models.generate_content(**_asked(**more))).text


async def async_generate_streamed(url: str, timeout: float | None = None, **more: Any) -> AsyncIterator[Any]:
    async with _client(url, timeout).aio as aio:
        async for piece in await aio.models.generate_content_stream(**_asked(**more)):
            yield piece


async def async_generate_over_httpx(url: str, timeout: float | None = None, **more: Any) -> Any:
    async with httpx2.AsyncClient() as http, _client(url, timeout, httpx_async_client=http).aio as aio:
        return (await aio.models.generate_content(**_asked(**more))).text


async def async_generate_streamed_over_httpx(url: str, timeout: float | None = None, **more: Any) -> AsyncIterator[Any]:
    async with httpx2.AsyncClient() as http, _client(url, timeout, httpx_async_client=http).aio as aio:
        async for piece in await aio.models.generate_content_stream(**_asked(**more)):
            yield piece


GOOGLE = [
    Way("google-genai", "generate_content", generate),
    Way("google-genai", "generate_content_stream", generate_streamed),
    Way("google-genai", "async generate_content", async_generate),
    Way("google-genai", "async generate_content_stream", async_generate_streamed),
    Way("google-genai", "async generate_content over httpx", async_generate_over_httpx),
    Way("google-genai", "async generate_content_stream over httpx", async_generate_streamed_over_httpx),
]
