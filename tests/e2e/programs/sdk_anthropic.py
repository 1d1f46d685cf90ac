"""
Calls a model in every way that the ``anthropic`` SDK has, each way until it is refused.

    sdk_anthropic.py MODEL OUTPUT_TOKENS_MAX [WAY…]

Writes one JSON object: for each way how many calls were answered, and the error that ended it. Other errors
than those about a budget do not.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic

model, cap, wanted = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
CALLS_MAX, PAYMENT_REQUIRED = 200, 402
client, async_client = anthropic.Anthropic(), anthropic.AsyncAnthropic()
MESSAGE: Any = {
    "model": model,
    "messages": [{"role": "user", "content": "Say something about rivers, at some length."}],
    "max_tokens": cap,
}


async def plain() -> bool:
    return bool(client.messages.create(**MESSAGE).content)


async def streamed() -> bool:
    return bool(list(client.messages.create(**MESSAGE, stream=True)))


async def by_the_helper() -> bool:
    with client.messages.stream(**MESSAGE) as stream:
        return bool(list(stream.text_stream)) and bool(stream.get_final_message().usage.output_tokens)


async def async_plain() -> bool:
    return bool((await async_client.messages.create(**MESSAGE)).content)


async def async_streamed() -> bool:
    return bool([event async for event in await async_client.messages.create(**MESSAGE, stream=True)])


async def async_by_the_helper() -> bool:
    async with async_client.messages.stream(**MESSAGE) as stream:
        return bool([text async for text in stream.text_stream])


WAYS: dict[str, Callable[[], Awaitable[bool]]] = {
    "messages": plain,
    "messages streamed": streamed,
    "messages by the stream helper": by_the_helper,
    "async messages": async_plain,
    "async messages streamed": async_streamed,
    "async messages by the stream helper": async_by_the_helper,
}


def described(error: anthropic.APIStatusError) -> dict[str, Any]:
    body: Any = error.body
    return {
        "class": type(error).__name__,
        "status": error.status_code,
        "code": body["error"]["code"],
        "type": body["error"]["type"],
        "message": body["error"]["message"],
        "retry": error.response.headers.get("x-should-retry"),
    }


async def main() -> None:
    ends: dict[str, Any] = {}
    answered = dict.fromkeys(wanted or WAYS, 0)
    for _ in range(CALLS_MAX):
        for way in answered.keys() - ends.keys():
            try:
                answered[way] += await WAYS[way]()
            except anthropic.APIError as error:
                if isinstance(error, anthropic.APIStatusError) and error.status_code == PAYMENT_REQUIRED:
                    ends[way] = described(error)
    print(json.dumps({way: {"answered": answered[way], "error": ends.get(way)} for way in answered}))


asyncio.run(main())
