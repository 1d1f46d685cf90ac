"""
Calls a model in every way that the ``openai`` SDK has, each way until it is refused.

    sdk_openai.py MODEL OUTPUT_TOKENS_MAX [WAY…]

Writes one JSON object: for each way how many calls were answered, and the error that ended it. Other errors
than those about a budget do not.
"""

import asyncio
import inspect
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai

model, cap, wanted = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
CALLS_MAX, PAYMENT_REQUIRED = 200, 402
client, async_client = openai.OpenAI(), openai.AsyncOpenAI()
PROMPT = "Say something about rivers, at some length."
CHAT: Any = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": cap}
RESPONSE: Any = {"model": model, "input": PROMPT, "max_output_tokens": cap}

WAYS: dict[str, Callable[[], Any]] = {
    "chat": lambda: client.chat.completions.create(**CHAT),
    "chat streamed": lambda: client.chat.completions.create(**CHAT, stream=True),
    "chat streamed with usage": lambda: client.chat.completions.create(
        **CHAT, stream=True, stream_options={"include_usage": True}
    ),
    "chat by the stream helper": lambda: helper(client.chat.completions.stream(**CHAT)),
    "responses": lambda: client.responses.create(**RESPONSE),
    "responses streamed": lambda: client.responses.create(**RESPONSE, stream=True),
    "async chat": lambda: async_client.chat.completions.create(**CHAT),
    "async chat streamed": lambda: async_client.chat.completions.create(**CHAT, stream=True),
    "async responses": lambda: async_client.responses.create(**RESPONSE),
    "async responses streamed": lambda: async_client.responses.create(**RESPONSE, stream=True),
}


def helper(manager: Any) -> Iterator[Any]:
    with manager as stream:
        yield from stream


async def finish(reply: Any) -> bool:
    """
    Take all that a call gives, whichever way it was made; whether it gave anything.
    """
    reply = await reply if inspect.isawaitable(reply) else reply
    if isinstance(reply, openai.AsyncStream | AsyncIterator):
        return bool([event async for event in reply])
    if isinstance(reply, openai.Stream | Iterator):
        return bool(list(reply))
    return bool(reply.choices if hasattr(reply, "choices") else reply.output)


def described(error: openai.APIStatusError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "status": error.status_code,
        "code": error.code,
        "type": error.type,
        "message": error.message,
        "retry": error.response.headers.get("x-should-retry"),
    }


async def main() -> None:
    ends: dict[str, Any] = {}
    answered = dict.fromkeys(wanted or WAYS, 0)
    for _ in range(CALLS_MAX):
        for way in answered.keys() - ends.keys():
            try:
                answered[way] += await finish(WAYS[way]())
            except openai.APIError as error:
                if isinstance(error, openai.APIStatusError) and error.status_code == PAYMENT_REQUIRED:
                    ends[way] = described(error)
    print(json.dumps({way: {"answered": answered[way], "error": ends.get(way)} for way in answered}))


asyncio.run(main())
