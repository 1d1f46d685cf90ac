"""
Calls of a model for programs in a run: by the gateway, and past it at the address in ``PAST_THE_GATEWAY``.

Each function makes one call, takes all of its reply, and returns how it ended: "answered", or the error's name with the
scope and the meter that it tells.
"""

import asyncio
import json
import os
import ssl
from typing import Any

import openai

# Nobody here speaks TLS, and to load the usual certificates takes a client 30 ms.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
MESSAGES = [{"role": "user", "content": "Say something about rivers."}]


def _options(past: bool) -> dict[str, Any]:
    return {"max_retries": 0, **({"base_url": os.environ["PAST_THE_GATEWAY"] + "/v1"} if past else {})}


def _asked(stream: bool, tokens: int, model: str) -> dict[str, Any]:
    return {"model": model, "messages": MESSAGES, "max_tokens": tokens, "stream": stream}


def _ended(error: Exception) -> str:
    told = [str(getattr(error, name)) for name in ("scope", "meter") if getattr(error, name, None)]
    return " ".join([type(error).__name__, *told])


def call(*, past: bool = False, stream: bool = False, tokens: int = 100, model: str = "m") -> str:
    try:
        with openai.OpenAI(**_options(past), http_client=openai.DefaultHttpxClient(verify=TLS)) as client:
            reply: Any = client.chat.completions.create(**_asked(stream, tokens, model))
            taken = list(reply) if stream else reply.choices
    except Exception as error:
        return _ended(error)
    return "answered" if taken else "empty"


async def acall(*, past: bool = False, stream: bool = False, tokens: int = 100, model: str = "m") -> str:
    try:
        http = openai.DefaultAsyncHttpxClient(verify=TLS)
        async with openai.AsyncOpenAI(**_options(past), http_client=http) as client:
            reply: Any = await client.chat.completions.create(**_asked(stream, tokens, model))
            taken = [chunk async for chunk in reply] if stream else reply.choices
    except Exception as error:
        return _ended(error)
    return "answered" if taken else "empty"


async def begun(*, past: bool) -> Any:
    """
    A stream whose first piece has come.
    """
    stream = await openai.AsyncOpenAI(**_options(past)).chat.completions.create(**_asked(True, 100, "m"))
    await anext(stream)
    return stream


async def crowd(count: int, tokens: int = 100) -> list[str]:
    """
    Many at once: by the gateway and past it, whole and streamed.
    """
    return await asyncio.gather(
        *(acall(past=number % 2 == 0, stream=number % 4 < 2, tokens=tokens) for number in range(count))
    )


def say(value: Any) -> None:
    print(json.dumps(value))
