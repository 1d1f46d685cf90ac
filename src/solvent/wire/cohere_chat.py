"""
Cohere chat, version 2.

What counts is what Cohere bills: ``billed_units`` leave out the prompt that it puts around every request (500 tokens,
1,500 with tools), and what the cache had is billed like the rest.

Source:
    cohere 7.3.1, ``v2`` and ``types``; docs.cohere.com, "How Does Cohere's Pricing Work?", on billed tokens; recorded
    exchanges, in which billed and cached tokens together are above all tokens; read 2026-11-22.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Reader, WireFormat
from solvent.wire._input import Input, head_of
from solvent.wire._read import cap, count, listed, mapping, model_name, objects, retry_count
from solvent.wire._reply import Reply, reader
from solvent.wire._request import with_changes

# Fields that the model never reads and that do not shape the prompt.
_NOT_PROMPT = frozenset(
    {
        "documents", "frequency_penalty", "k", "logprobs", "max_tokens", "messages", "metadata", "model", "p",
        "presence_penalty", "priority", "seed", "service_tier", "stop_sequences", "stream", "temperature",
    }
)  # fmt: skip


class CohereChat(WireFormat):
    """
    The wire format ``cohere-chat``.
    """

    name = "cohere-chat"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:  # noqa: ARG002
        model = model_name(request)
        if not isinstance(request.get("messages"), list):
            raise ValueError("messages must be a list")
        tools = listed(request, "tools")
        pieces = Input()
        try:
            read = [*listed(request, "documents"), *request["messages"]]
            items = tuple([pieces.message(piece) for piece in read])
            head = head_of(request, model, without=_NOT_PROMPT)
        except RecursionError:
            raise ValueError("messages must not be nested this deeply") from None
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            stream=bool(request.get("stream")),
            head=head,
            tools=len(tools),
            items=items,
            output_tokens_max=cap(request, "max_tokens") or None,
            structured_output=_is_structured(request),
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            unbounded=tuple(_unknown_tools(tools)),
            retry=retry_count(headers),
            request=request,
        )

    def rewrite(
        self,
        call: Call,
        *,
        model: str | None = None,
        output_tokens_max: int | None = None,
        own_cap: str = "",  # noqa: ARG002  # The format has one cap, so there is nothing to choose.
    ) -> bytes | None:
        return with_changes(call, model=model, cap="max_tokens", output_tokens_max=output_tokens_max)

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_ChatReply(call, status), stream=stream)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return cohere_refusal(code=code, message=message, metadata=metadata)


def cohere_refusal(*, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """
    A refusal as Cohere spells errors: an id and a message, and no type.

    Source:
        docs.cohere.com/reference/errors, read 2026-11-22.
    """
    return {"id": metadata.get("request_id"), "message": message, "code": code, "metadata": dict(metadata)}


def billed(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    The billed part of a usage, or all tokens where it has none.
    """
    return mapping(raw.get("billed_units")) or mapping(raw.get("tokens"))


def _is_structured(request: Mapping[str, Any]) -> bool:
    form = mapping(request.get("response_format")).get("type")
    return form == "json_object" or request.get("tool_choice") == "REQUIRED"


def _unknown_tools(tools: list[Any]) -> list[str]:
    kinds = [tool.get("type") for tool in objects(tools)]
    return [f"a tool of type {kind!r:.60}" for kind in kinds if kind not in (None, "function")]


class _ChatReply(Reply):
    """
    A chat reply as it becomes known.
    """

    MARK = re.compile(rb'"(?:error|message-end|tool-call-start)"')
    MARKS = (b"event: error",)

    def __init__(self, call: Call, status: int) -> None:
        super().__init__(call, status)
        self._calls = 0

    def event(self, name: str, body: Mapping[str, Any]) -> None:
        kind, delta = body.get("type"), mapping(body.get("delta"))
        if kind == "message-end":
            self.done = True
            if delta.get("error"):  # A text that may quote the prompt.
                self.add_error({})
            self._add_end(delta)
        elif kind == "tool-call-start":
            self.begun = True
            self._calls += 1
        elif isinstance(kind, str) and kind.endswith("-delta"):
            self.begun = True
        elif name == "error" or body.get("error"):
            self.add_error(body.get("error") or body)

    def body(self, body: Mapping[str, Any]) -> None:
        message = mapping(body.get("message"))
        self.begun = bool(message)
        self._calls = len(list(objects(message.get("tool_calls"))))
        self._add_end(body)

    def tool_calls(self) -> int:
        return self._calls

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        tokens = billed(raw)
        if tokens.get("input_tokens") is None and tokens.get("output_tokens") is None:
            return None
        return Usage(
            input_tokens=count(tokens, "input_tokens"),
            output_tokens=count(tokens, "output_tokens"),
            tool_calls=self._calls,
        )

    def _add_end(self, end: Mapping[str, Any]) -> None:
        """
        What the end of a stream, or a whole reply, tells.
        """
        self.add_usage(end.get("usage"))
        reason = end.get("finish_reason")
        self.cut_at_length = self.cut_at_length or reason == "MAX_TOKENS"
        if reason in ("ERROR", "TIMEOUT"):
            self.add_error({"type": reason.lower()})
