"""
Cohere's and Ollama's formats, answered as told, with an exact bill.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web
from fake_provider import Answer, Billed, Rates, Seen
from servers import Gate, Watched, disconnect, serve


class OtherFake(Watched):
    url: str

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self.seen: list[Seen] = []
        self.bill: list[Billed] = []
        self.left_count = 0

    def billed(self, rates: Rates) -> int:
        return sum(map(rates.cost, self.bill))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(path=request.path, headers=headers, body=json.loads(await request.read()))
        self.seen.append(seen)
        self.changed()
        try:
            return await self._reply(request, seen)
        except (asyncio.CancelledError, ConnectionResetError):
            self.left_count += 1
            raise
        finally:
            self.changed()

    async def _reply(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        answer, is_ollama = self._answer, "/api/" in seen.path
        if answer.status != 200 and not answer.bills_error:
            return web.json_response({"message": "as told", "error": "as told"}, status=answer.status)
        cap = seen.body.get("options", {}).get("num_predict") if is_ollama else seen.body.get("max_tokens")
        tokens = min(answer.output_tokens, cap or answer.output_tokens)
        stream = seen.body.get("stream", is_ollama)
        self.bill.append(
            Billed(
                format="openai-chat",
                model=seen.body["model"],
                stream=stream,
                input_tokens=12,
                cached_tokens=0,
                cache_write_tokens=0,
                output_tokens=tokens,
            )
        )
        if answer.status != 200:
            return web.json_response({"message": "as told", "error": "as told"}, status=answer.status)
        if answer.hangs:
            await Gate().passed()
        if answer.cut_after == 0:
            disconnect(request)
            return web.Response()
        pieces = list((_ollama if is_ollama else _cohere)(tokens, stream=stream))
        if not stream:
            return web.Response(body=pieces[0], content_type="application/json")
        response = web.StreamResponse(
            headers={"Content-Type": "application/x-ndjson" if is_ollama else "text/event-stream"}
        )
        await response.prepare(request)
        for number, piece in enumerate(pieces):
            if answer.hold_after and answer.hold_after[0] == number:
                await answer.hold_after[1].passed()
            if answer.cut_after == number:
                disconnect(request)
                return response
            await response.write(piece)
        await response.write_eof()
        return response


@contextmanager
def other_fake(answer: Answer) -> Iterator[OtherFake]:
    fake = OtherFake(answer)

    @asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    with serve(fake.handle, context=nothing) as fake.url:
        yield fake


def _ollama(tokens: int, *, stream: bool) -> Iterator[bytes]:
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 12, "eval_count": tokens, "total_duration": 1}
    head = {"model": "m", "created_at": "2026-11-22T00:00:00Z"}
    if stream:
        for _ in range(6):
            message = {"role": "assistant", "content": "tok "}
            yield json.dumps({**head, "message": message, "done": False}).encode() + b"\n"
    yield json.dumps({**head, "message": {"role": "assistant", "content": "tok"}, **end}).encode() + b"\n"


def _cohere(tokens: int, *, stream: bool) -> Iterator[bytes]:
    counts = {"input_tokens": 12, "output_tokens": tokens}
    usage = {"billed_units": counts, "tokens": counts}
    text = {"type": "text", "text": "tok tok"}
    if not stream:
        message = {"role": "assistant", "content": [text]}
        yield json.dumps({"id": "x", "finish_reason": "COMPLETE", "message": message, "usage": usage}).encode()
        return
    yield _event({"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant", "content": []}}})
    start: dict[str, Any] = {"message": {"content": {"type": "text", "text": ""}}}
    yield _event({"type": "content-start", "index": 0, "delta": start})
    for _ in range(6):
        yield _event({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "tok "}}}})
    yield _event({"type": "content-end", "index": 0})
    yield _event({"type": "message-end", "id": "x", "delta": {"finish_reason": "COMPLETE", "usage": usage}})


def _event(body: dict[str, Any]) -> bytes:
    return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode()
