"""
The ways in which a program calls a model at Bedrock, as in ``sdk_ways``.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import anthropic
import boto3
import botocore.config
from bedrock_fake import KEY, REGION, SECRET
from sdk_ways import MESSAGES, Way

ASKED = [{"role": "user", "content": [{"text": "Say something."}]}]


def runtime(url: str, timeout: float = 30, **config: Any) -> Any:
    settings = {"retries": {"total_max_attempts": 1}, "read_timeout": timeout, **config}
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=botocore.config.Config(**settings),
    )


def _converse(max_tokens: int | None = None) -> dict[str, Any]:
    return {
        "modelId": "m",
        "messages": ASKED,
        **({} if max_tokens is None else {"inferenceConfig": {"maxTokens": max_tokens}}),
    }


def _invoke(max_tokens: int = 3_000) -> dict[str, Any]:
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": max_tokens, "messages": MESSAGES}
    return {"modelId": "m", "body": json.dumps(body)}


def converse(url: str, timeout: float = 30, **more: Any) -> Any:
    return runtime(url, timeout).converse(**_converse(**more))["output"]


def converse_stream(url: str, timeout: float = 30, **more: Any) -> Iterator[Any]:
    with closing(runtime(url, timeout).converse_stream(**_converse(**more))["stream"]) as stream:
        yield from stream


def invoke(url: str, timeout: float = 30, **more: Any) -> Any:
    return json.loads(runtime(url, timeout).invoke_model(**_invoke(**more))["body"].read())


def invoke_by_the_piece(url: str, timeout: float = 30, **more: Any) -> Any:
    return b"".join(runtime(url, timeout).invoke_model(**_invoke(**more))["body"].iter_chunks(64))


def invoke_stream(url: str, timeout: float = 30, **more: Any) -> Iterator[Any]:
    reply = runtime(url, timeout).invoke_model_with_response_stream(**_invoke(**more))
    with closing(reply["body"]) as stream:
        yield from stream


def _anthropic(url: str, kind: Any = anthropic.AnthropicBedrock) -> Any:
    return kind(aws_access_key=KEY, aws_secret_key=SECRET, aws_region=REGION, base_url=url, max_retries=0)


def messages(url: str, max_tokens: int = 3_000, **more: Any) -> Any:
    with _anthropic(url) as client:
        return client.messages.create(model="m", messages=MESSAGES, max_tokens=max_tokens, **more)


def messages_streamed(url: str, max_tokens: int = 3_000, **more: Any) -> Iterator[Any]:
    with (
        _anthropic(url) as client,
        client.messages.create(model="m", messages=MESSAGES, max_tokens=max_tokens, stream=True, **more) as stream,
    ):
        yield from stream


async def async_messages_streamed(url: str, max_tokens: int = 3_000, **more: Any) -> AsyncIterator[Any]:
    async with (
        _anthropic(url, anthropic.AsyncAnthropicBedrock) as client,
        await client.messages.create(
            model="m", messages=MESSAGES, max_tokens=max_tokens, stream=True, **more
        ) as stream,
    ):
        async for piece in stream:
            yield piece


BOTO3 = [
    Way("boto3", "converse", converse),
    Way("boto3", "converse_stream", converse_stream),
    Way("boto3", "invoke_model", invoke),
    Way("boto3", "invoke_model, read by the piece", invoke_by_the_piece),
    Way("boto3", "invoke_model_with_response_stream", invoke_stream),
]
SIGNED = [
    Way("anthropic", "messages at Bedrock", messages),
    Way("anthropic", "messages at Bedrock, streamed", messages_streamed),
    Way("anthropic", "async messages at Bedrock, streamed", async_messages_streamed),
]
