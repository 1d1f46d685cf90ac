"""
A scripted provider with an exact bill: OpenAI chat completions and responses, Anthropic messages; plain and streamed.

    with fake_provider(Answer(output_tokens=500)) as fake:
        OpenAI(base_url=fake.url + "/v1", …)
        assert fake.billed(Rates(input=2500, output=10_000)) <= limit_nanodollars

The bill says what the model generated, whatever the reply told the client: a cut stream is billed in full, also when
the client is the one who left. Billing begins when generation would: after the ``hold``, before the first byte.
"""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from aiohttp import web
from servers import Gate, Watched, disconnect, serve

Format = Literal["openai-chat", "openai-responses", "anthropic-messages"]

CAPS: dict[Format, tuple[str, ...]] = {
    "anthropic-messages": ("max_tokens",),
    "openai-chat": ("max_completion_tokens", "max_tokens"),
    "openai-responses": ("max_output_tokens",),
}
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """
    How one request is answered.

    Attributes:
        output_tokens: What the model would write in one choice, were there no cap.
        input_tokens: What the input is billed as; ``None`` counts it (see ``count_input``).
        cached_tokens, cache_write_tokens: Of the input.
        reasoning_tokens: Of the output.
        honors_cap, honors_n: Whether the request's output cap and number of choices are followed.
        tells_usage: A stream of chat completions tells its usage though nobody asked for it, as at Mistral.
        usage: ``true``; ``one choice`` (llama.cpp, with n > 1); ``none``; or a dict sent in its place.
        tool_calls: Function calls in the reply, named ``tool``.
        status: Other than 200 is an error in the provider's own shape, not billed unless ``bills_error``.
        hold: The reply waits here, before its first byte. Nothing is billed before.
        hold_after: (k, gate): a stream waits here after k chunks.
        cut_after: The connection is cut after k chunks of a stream, or, with 0, before any reply.
        hangs: Never answers; ends when the client leaves.
        chunks: The pieces of text that a stream has.
        location: Answers 307 with this address.
        gzips: Compresses the body, also that of a stream (flushed at each chunk).
        bomb_bytes: A gzip body of so many spaces.
        headers: Sent besides.
    """

    output_tokens: int = 10
    input_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    honors_cap: bool = True
    honors_n: bool = True
    tells_usage: bool = False
    usage: Literal["true", "one choice", "none"] | dict[str, Any] = "true"
    tool_calls: int = 0
    status: int = 200
    bills_error: bool = False
    hold: Gate | None = None
    hold_after: tuple[int, Gate] | None = None
    cut_after: int | None = None
    hangs: bool = False
    chunks: int = 8
    location: str | None = None
    gzips: bool = False
    bomb_bytes: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Billed:
    """
    What one request cost the provider's customer.
    """

    format: Format
    model: str
    stream: bool
    input_tokens: int  # All read, cached included.
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int  # All written, over all choices.
    was_cut: bool = False  # The client did not get all of it.


@dataclass(frozen=True, kw_only=True)
class Rates:
    """
    Nanodollars a token: dollars per million tokens, times 1000.
    """

    input: int
    output: int
    cached: int | None = None

    def cost(self, billed: Billed) -> int:
        cached = self.input if self.cached is None else self.cached
        fresh = billed.input_tokens - billed.cached_tokens
        return fresh * self.input + billed.cached_tokens * cached + billed.output_tokens * self.output


@dataclass(frozen=True, kw_only=True)
class Seen:
    """
    A request as it came.
    """

    path: str
    headers: dict[str, str]  # Names in small letters.
    body: dict[str, Any]


Answers = Answer | Sequence[Answer] | Callable[[Seen], Answer]


def count_input(body: dict[str, Any]) -> int:
    """
    The fake's own tokens: one for each four bytes begun of every text, and four a message. Additive over messages.
    """
    messages = body.get("messages", body.get("input", []))
    parts = messages if isinstance(messages, list) else [messages]
    extra = [body[key] for key in ("system", "instructions", "tools") if body.get(key)]
    return sum(4 + sum(-(-len(text.encode()) // 4) for text in _texts(part)) for part in [*parts, *extra])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


class Fake(Watched):
    """
    The running fake; what it saw and what it bills.
    """

    url: str

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._answers = answers
        self.seen: list[Seen] = []
        self.bill: list[Billed] = []
        self.open_count = 0  # Requests that are being answered.
        self.left_count = 0  # Clients that left before the end.

    def billed(self, rates: Rates) -> int:
        """
        The whole bill, in nanodollars.
        """
        return sum(map(rates.cost, self.bill))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        seen = Seen(
            path=request.raw_path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=json.loads(raw) if raw else {},
        )
        self.seen.append(seen)
        self.open_count += 1
        self.changed()
        try:
            return await self._answer(request, seen)
        except (asyncio.CancelledError, ConnectionResetError):
            self.left_count += 1
            raise
        finally:
            self.open_count -= 1
            self.changed()

    def _next(self, seen: Seen) -> Answer:
        if callable(self._answers):
            return self._answers(seen)
        if isinstance(self._answers, Answer):
            return self._answers
        # The last one answers whatever comes after it.
        return self._answers[min(len(self.seen), len(self._answers)) - 1]

    async def _answer(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        format = _format(request.path)
        if request.path.endswith("/models"):
            return web.json_response({"object": "list", "data": [{"id": "fake-model", "object": "model"}]})
        if request.path.endswith(("/count_tokens", "/input_tokens")):
            return web.json_response({"input_tokens": count_input(seen.body)})
        if format is None or request.method != "POST":
            return web.json_response({"error": {"message": "no such path", "type": "not_found_error"}}, status=404)
        answer = self._next(seen)
        if answer.hold:
            await answer.hold.passed()
        if answer.location:
            return web.Response(status=307, headers={"Location": answer.location})
        reply = _Reply(format, answer, seen.body)
        if answer.status == 200 or answer.bills_error:
            self.bill.append(reply.billed)
            self.changed()
        try:
            return await self._send(request, reply)
        except (asyncio.CancelledError, ConnectionResetError):
            reply.billed.was_cut = True
            raise

    async def _send(self, request: web.Request, reply: "_Reply") -> web.StreamResponse:
        answer = reply.answer
        if answer.hangs:
            await Gate().passed()
        if answer.cut_after == 0:
            reply.billed.was_cut = True
            disconnect(request)
            return web.Response()
        if answer.bomb_bytes:
            return await _send_bomb(request, answer)
        if answer.status != 200:
            return web.json_response(_error(reply.format, answer.status), status=answer.status, headers=answer.headers)
        if reply.billed.stream:
            return await _send_stream(request, reply)
        body, headers = json.dumps(reply.whole()).encode(), dict(answer.headers)
        if answer.gzips:
            body, headers = gzip.compress(body), {**headers, "Content-Encoding": "gzip"}
        response = web.Response(body=body, content_type="application/json", headers=headers)
        await response.prepare(request)
        await response.write_eof()
        return response


@contextmanager
def fake_provider(answers: Answers = Answer()) -> Iterator[Fake]:
    """
    A provider that answers as told: always alike, one answer after the other (the last one stays), or by a function.
    """
    fake = Fake(answers)

    @asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    with serve(fake.handle, context=nothing) as fake.url:
        yield fake


def _format(path: str) -> Format | None:
    if path.endswith("/chat/completions"):
        return "openai-chat"
    if path.endswith("/responses"):
        return "openai-responses"
    return "anthropic-messages" if path.endswith("/messages") else None


def _error(format: Format, status: int) -> dict[str, Any]:
    error = {"type": ERROR_TYPES.get(status, "api_error"), "message": f"the fake answers {status}"}
    if format == "anthropic-messages":
        return {"type": "error", "error": error, "request_id": "req_fake"}
    return {"error": {**error, "param": None, "code": None}}


async def _send_stream(request: web.Request, reply: "_Reply") -> web.StreamResponse:
    answer = reply.answer
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **answer.headers})
    squeeze = zlib.compressobj(wbits=31) if answer.gzips else None
    if squeeze:
        response.headers["Content-Encoding"] = "gzip"
    await response.prepare(request)
    for number, event in enumerate(reply.events()):
        if answer.hold_after and answer.hold_after[0] == number:
            await answer.hold_after[1].passed()
        if answer.cut_after == number:
            reply.billed.was_cut = True
            disconnect(request)
            return response
        name = f"event: {event['type']}\n" if reply.format != "openai-chat" else ""
        piece = f"{name}data: {json.dumps(event)}\n\n".encode()
        await response.write(squeeze.compress(piece) + squeeze.flush(zlib.Z_SYNC_FLUSH) if squeeze else piece)
    last = b"data: [DONE]\n\n" if reply.format == "openai-chat" else b""
    await response.write_eof(squeeze.compress(last) + squeeze.flush() if squeeze else last)
    return response


async def _send_bomb(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}
    )
    await response.prepare(request)
    squeeze, block = zlib.compressobj(9, wbits=31), b" " * (1 << 20)
    for _ in range(answer.bomb_bytes >> 20):
        await response.write(squeeze.compress(block) + squeeze.flush(zlib.Z_SYNC_FLUSH))
    await response.write_eof(squeeze.compress(block[: answer.bomb_bytes % (1 << 20)]) + squeeze.flush())
    return response


class _Reply:
    """
    One answer put into the words of one format.
    """

    def __init__(self, format: Format, answer: Answer, body: dict[str, Any]) -> None:
        self.format, self.answer, self._body = format, answer, body
        caps = [body[name] for name in CAPS[format] if body.get(name) is not None]
        self._choices = body.get("n") or 1 if format == "openai-chat" and answer.honors_n else 1
        self._tokens = min([answer.output_tokens, *caps]) if answer.honors_cap else answer.output_tokens
        self._is_short = bool(caps) and self._tokens < answer.output_tokens
        self.billed = Billed(
            format=format,
            model=str(body.get("model")),
            stream=bool(body.get("stream")),
            input_tokens=count_input(body) if answer.input_tokens is None else answer.input_tokens,
            cached_tokens=answer.cached_tokens,
            cache_write_tokens=answer.cache_write_tokens,
            output_tokens=self._tokens * self._choices,
        )

    def whole(self) -> dict[str, Any]:
        return {
            "anthropic-messages": self._anthropic,
            "openai-chat": self._chat,
            "openai-responses": self._responses,
        }[self.format]()

    def events(self) -> Iterator[dict[str, Any]]:
        return {
            "anthropic-messages": self._anthropic_events,
            "openai-chat": self._chat_events,
            "openai-responses": self._responses_events,
        }[self.format]()

    def _pieces(self) -> list[str]:
        """
        The text, a word a token, in as many pieces as asked for.
        """
        text_tokens = max(self._tokens - self.answer.reasoning_tokens, 0)
        count = max(min(self.answer.chunks, text_tokens), 1)
        edges = [text_tokens * i // count for i in range(count + 1)]
        return ["tok " * (end - begin) for begin, end in pairwise(edges)]

    def _calls(self) -> list[tuple[str, str]]:
        return [(f"call_{number}", '{"x": 1}') for number in range(self.answer.tool_calls)]

    def _usage(self, usage: dict[str, Any]) -> dict[str, Any] | None:
        if isinstance(self.answer.usage, dict):
            return self.answer.usage
        return None if self.answer.usage == "none" else usage

    def _told_output(self) -> int:
        return self._tokens if self.answer.usage == "one choice" else self.billed.output_tokens

    # OpenAI chat completions.

    def _chat_usage(self) -> dict[str, Any] | None:
        output = self._told_output()
        return self._usage(
            {
                "prompt_tokens": self.billed.input_tokens,
                "completion_tokens": output,
                "total_tokens": self.billed.input_tokens + output,
                "prompt_tokens_details": {"cached_tokens": self.billed.cached_tokens, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": self.answer.reasoning_tokens, "audio_tokens": 0},
            }
        )

    def _chat_head(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-fake", "object": kind, "created": 1_780_000_000, "model": self.billed.model}

    def _chat_finish(self) -> str:
        return "length" if self._is_short else "tool_calls" if self.answer.tool_calls else "stop"

    def _chat(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._pieces()), "refusal": None}
        if self.answer.tool_calls:
            message["tool_calls"] = [
                {"id": id, "type": "function", "function": {"name": "tool", "arguments": arguments}}
                for id, arguments in self._calls()
            ]
        choices = [
            {"index": index, "message": message, "logprobs": None, "finish_reason": self._chat_finish()}
            for index in range(self._choices)
        ]
        usage = self._chat_usage()
        return {
            **self._chat_head("chat.completion"),
            "choices": choices,
            **({"usage": usage} if usage is not None else {}),
        }

    def _chat_events(self) -> Iterator[dict[str, Any]]:
        head = self._chat_head("chat.completion.chunk")

        def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
            return {**head, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

        for piece in self._pieces():
            for index in range(self._choices):
                yield chunk(index, {"role": "assistant", "content": piece})
        for position, (id, arguments) in enumerate(self._calls()):
            function = {"name": "tool", "arguments": arguments}
            call = {"index": position, "id": id, "type": "function", "function": function}
            yield chunk(0, {"tool_calls": [call]})
        for index in range(self._choices):
            yield chunk(index, {}, self._chat_finish())
        if self.answer.tells_usage or (self._body.get("stream_options") or {}).get("include_usage"):
            usage = self._chat_usage()
            if usage is not None:
                yield {**head, "choices": [], "usage": usage}

    # OpenAI responses.

    def _responses_output(self) -> list[dict[str, Any]]:
        text = {"type": "output_text", "text": "".join(self._pieces()), "annotations": []}
        message = {"type": "message", "id": "msg_fake", "status": "completed", "role": "assistant", "content": [text]}
        calls = [
            {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": "tool", "arguments": arguments}
            for id, arguments in self._calls()
        ]
        return [message, *calls]

    def _responses(self, *, begun: bool = False) -> dict[str, Any]:
        output = self._told_output()
        usage = self._usage(
            {
                "input_tokens": self.billed.input_tokens,
                "input_tokens_details": {"cached_tokens": self.billed.cached_tokens},
                "output_tokens": output,
                "output_tokens_details": {"reasoning_tokens": self.answer.reasoning_tokens},
                "total_tokens": self.billed.input_tokens + output,
            }
        )
        ended = "incomplete" if self._is_short else "completed"
        return {
            "id": "resp_fake",
            "object": "response",
            "created_at": 1_780_000_000,
            "status": "in_progress" if begun else ended,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if self._is_short and not begun else None,
            "model": self.billed.model,
            "output": [] if begun else self._responses_output(),
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None if begun else usage,
        }

    def _responses_events(self) -> Iterator[dict[str, Any]]:
        number = iter(range(1 << 30))

        def event(kind: str, **fields: Any) -> dict[str, Any]:
            return {"type": kind, "sequence_number": next(number), **fields}

        yield event("response.created", response=self._responses(begun=True))
        output = self._responses_output()
        at = {"output_index": 0, "item_id": "msg_fake", "content_index": 0}
        blank = {**output[0], "status": "in_progress", "content": []}
        yield event("response.output_item.added", output_index=0, item=blank)
        yield event("response.content_part.added", **at, part={"type": "output_text", "text": "", "annotations": []})
        for piece in self._pieces():
            yield event("response.output_text.delta", **at, delta=piece, logprobs=[])
        part = output[0]["content"][0]
        yield event("response.output_text.done", **at, text=part["text"], logprobs=[])
        yield event("response.content_part.done", **at, part=part)
        for index, item in enumerate(output):
            if index > 0:
                yield event("response.output_item.added", output_index=index, item=item)
            yield event("response.output_item.done", output_index=index, item=item)
        yield event("response.incomplete" if self._is_short else "response.completed", response=self._responses())

    # Anthropic messages.

    def _anthropic_usage(self, output_tokens: int) -> dict[str, Any] | None:
        billed = self.billed
        return self._usage(
            {
                "input_tokens": billed.input_tokens - billed.cached_tokens - billed.cache_write_tokens,
                "cache_creation_input_tokens": billed.cache_write_tokens,
                "cache_read_input_tokens": billed.cached_tokens,
                "output_tokens": output_tokens,
                "service_tier": "standard",
            }
        )

    def _anthropic_head(self) -> dict[str, Any]:
        return {"id": "msg_fake", "type": "message", "role": "assistant", "model": self.billed.model}

    def _anthropic_stop(self) -> str:
        return "max_tokens" if self._is_short else "tool_use" if self.answer.tool_calls else "end_turn"

    def _anthropic(self) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": "".join(self._pieces())}]
        content += [{"type": "tool_use", "id": id, "name": "tool", "input": {"x": 1}} for id, _ in self._calls()]
        usage = self._anthropic_usage(self.billed.output_tokens)
        return {
            **self._anthropic_head(),
            "content": content,
            "stop_reason": self._anthropic_stop(),
            "stop_sequence": None,
            **({"usage": usage} if usage is not None else {}),
        }

    def _anthropic_events(self) -> Iterator[dict[str, Any]]:
        usage = self._anthropic_usage(1) or {"input_tokens": 0, "output_tokens": 0}
        start = {**self._anthropic_head(), "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        yield {"type": "message_start", "message": start}
        blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
            ({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in self._pieces()])
        ]
        for id, arguments in self._calls():
            block = {"type": "tool_use", "id": id, "name": "tool", "input": {}}
            blocks.append((block, [{"type": "input_json_delta", "partial_json": arguments}]))
        for index, (block, deltas) in enumerate(blocks):
            yield {"type": "content_block_start", "index": index, "content_block": block}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        final = self._anthropic_usage(self.billed.output_tokens)
        delta = {"stop_reason": self._anthropic_stop(), "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, **({"usage": final} if final is not None else {})}
        yield {"type": "message_stop"}
