"""
A Bedrock that answers as told, counts what it bills, and checks each signature with botocore's own code.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from fake_provider import Answer
from servers import Gate, Watched, disconnect, serve
from wire.frames import chunk, converse_events, event

KEY, SECRET, REGION = "AKIDTEST", "secret-of-tests", "us-east-1"
EVENT_STREAM = "application/vnd.amazon.eventstream"


@dataclass(frozen=True)
class Seen:
    path: str
    body: dict[str, Any]
    is_signed: bool


class Bedrock(Watched):
    """
    Attributes:
        bill: Output tokens of each request that was answered.
    """

    url: str

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer
        self.seen: list[Seen] = []
        self.bill: list[int] = []
        self.left_count = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.seen.append(Seen(request.path, _decoded(raw), _is_signed(request, raw)))
        self.changed()
        try:
            return await self._answer(request, self.seen[-1])
        except (asyncio.CancelledError, ConnectionResetError):
            self.left_count += 1
            raise
        finally:
            self.changed()

    async def _answer(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        answer = self.answer
        if answer.status != 200:
            return web.json_response({"message": "as told"}, status=answer.status)
        cap = seen.body.get("max_tokens") or seen.body.get("inferenceConfig", {}).get("maxTokens")
        tokens = min(answer.output_tokens, cap or answer.output_tokens)
        self.bill.append(tokens)
        self.changed()
        if answer.hangs:
            await Gate().passed()
        converses = "/converse" in seen.path
        if not seen.path.endswith("-stream"):
            return web.json_response(_converse(tokens) if converses else _message(tokens))
        response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM})
        await response.prepare(request)
        frames = _converse_frames(tokens) if converses else _message_frames(tokens)
        for number, frame in enumerate(frames):
            if answer.hold_after and answer.hold_after[0] == number:
                await answer.hold_after[1].passed()
            if answer.cut_after == number:
                disconnect(request)
                return response
            await response.write(frame)
        await response.write_eof()
        return response


@contextmanager
def bedrock(answer: Answer) -> Iterator[Bedrock]:
    fake = Bedrock(answer)

    @asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    with serve(fake.handle, context=nothing) as fake.url:
        yield fake


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(raw)
    except ValueError:
        return {}
    return body


def _is_signed(request: web.Request, body: bytes) -> bool:
    """
    Whether the signature is one of this request, byte for byte.
    """
    told = request.headers.get("Authorization", "")
    if not told.startswith("AWS4-HMAC-SHA256"):
        return False
    fields = dict(field.strip().split("=", 1) for field in told.partition(" ")[2].split(","))
    names = fields["SignedHeaders"].split(";")
    url = f"http://{request.host}{request.raw_path}"
    headers = {name: request.headers[name] for name in names if name != "host"}
    if urlsplit(url).netloc != request.headers["Host"]:
        return False
    asked = AWSRequest(method=request.method, url=url, headers=headers, data=body)
    asked.context["timestamp"] = request.headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials(KEY, SECRET), "bedrock", REGION)
    text = signer.string_to_sign(asked, signer.canonical_request(asked))
    return bool(signer.signature(text, asked) == fields["Signature"])


def _converse(tokens: int) -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": "tok " * 4}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 12, "outputTokens": tokens, "totalTokens": 12 + tokens},
        "metrics": {"latencyMs": 1},
    }


def _converse_frames(tokens: int) -> Iterator[bytes]:
    for name, body in converse_events(_converse(tokens)):
        yield event(name, body)


def _message(tokens: int) -> dict[str, Any]:
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "tok " * 4}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": tokens},
    }


def _message_frames(tokens: int) -> Iterator[bytes]:
    whole = _message(tokens)
    start = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": 12, "output_tokens": 1}}
    yield chunk({"type": "message_start", "message": start})
    yield chunk({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for _ in range(4):
        yield chunk({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "tok "}})
    yield chunk({"type": "content_block_stop", "index": 0})
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield chunk({"type": "message_delta", "delta": delta, "usage": {"output_tokens": tokens}})
    metrics = {"inputTokenCount": 12, "outputTokenCount": tokens, "invocationLatency": 1, "firstByteLatency": 1}
    yield chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics})
