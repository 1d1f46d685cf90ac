"""
Anthropic messages, and the hosts that speak it.

Source:
    anthropic 2.12.0, ``types/``, and recorded exchanges, read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Item, Reader, Reading, ServerTool, WireFormat
from solvent.wire._input import Input, without_marks
from solvent.wire._read import (
    cap,
    count,
    listed,
    mapping,
    model_name,
    objects,
    path_model,
    path_with,
    retry_count,
    text,
)
from solvent.wire._reply import Reply, reader
from solvent.wire._request import encoded, only_fields, refusal_type, told, with_changes
from solvent.wire._vertex import asked_tier, path_region

# Fields that the model never reads and that do not shape the prompt. ``system`` and ``tools`` are walked on their own.
_NOT_PROMPT = frozenset(
    {
        "cache_control", "context_management", "inference_geo", "max_tokens", "messages", "metadata", "model",
        "service_tier", "speed", "stop_sequences", "stream", "system", "temperature", "top_k", "top_p",
    }
)  # fmt: skip

# What may be asked how many tokens it is. Source: anthropic 2.12.0, ``types/beta/message_count_tokens_params.py``, read
# 2026-11-22.
_COUNTED = frozenset(
    {
        "cache_control", "context_management", "messages", "model", "output_config", "speed", "system", "thinking",
        "tool_choice", "tools",
    }
)  # fmt: skip

# A tool's type is a name and a date. The caller runs the first kind, Anthropic the second, each use being one more
# inference. Source: anthropic 2.12.0, ``types/beta``, read 2026-11-21.
_PLAIN_TOOLS = ("bash_", "computer_", "memory_", "text_editor_")
_SERVER_TOOLS = {
    "code_execution_": "code_execution",
    "mcp_toolset": "mcp",
    "tool_search_tool_": "tool_search",
    "web_fetch_": "web_fetch",
    "web_search_": "web_search",
}
# The versions of these from this day on run code to sift what they find, and where one of them is declared, no code is
# charged. Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool, "Code execution is
# free when used with web search or web fetch", read 2026-11-22.
_SIFTING_TOOLS = ("web_fetch_", "web_search_")
_SIFTING_SINCE = "20260209"
_ERROR_TYPES = {
    "budget_exceeded": "billing_error",
    "budget_held": "rate_limit_error",
    "deadline_passed": "billing_error",
    "loop_detected": "billing_error",
    "server_error": "api_error",
}


class AnthropicMessages(WireFormat):
    """
    The wire format ``anthropic-messages``.
    """

    name = "anthropic-messages"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = path_model(path) if provider == "vertex" else model_name(request)
        if not isinstance(request.get("messages"), list):
            raise ValueError("messages must be a list")
        pieces = Input()
        tools = listed(request, "tools")
        try:
            head = _head(pieces, request, model)
            items = tuple([pieces.message(message) for message in request["messages"]])
        except RecursionError:
            raise ValueError("messages must not be nested this deeply") from None
        if request.get("container") is not None:
            pieces.hide("a container")
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=_tier(request, provider, headers),
            region=text(request.get("inference_geo")) or path_region(path),
            stream=bool(request.get("stream")) or path.endswith(":streamRawPredict"),
            head=head,
            tools=len(tools),
            items=items,
            output_tokens_max=cap(request, "max_tokens"),
            output_cap_required=True,
            # A cap has to be above what the model may think with.
            output_tokens_min=count(mapping(request.get("thinking")), "budget_tokens") + 1,
            structured_output=_is_structured(request),
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            server_tools=_server_tools(request, tools),
            unbounded=_unbounded(request, tools),
            cache_writes=pieces.cache_writes,
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
        in_path = call.provider == "vertex"
        return with_changes(
            call, model=None if in_path else model, cap="max_tokens", output_tokens_max=output_tokens_max
        )

    def path_for(self, path: str, *, model: str) -> str:
        return path_with(path, model)

    def count_request(self, call: Call, path: str) -> tuple[str, bytes] | None:
        asked = only_fields(call, _COUNTED, beside=_NOT_PROMPT)
        if asked is None or call.provider != "anthropic" or not path.endswith("messages"):
            return None
        return f"{path}/count_tokens", encoded(asked)

    def read_count(self, body: bytes) -> int | None:
        return told(body, "input_tokens")

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_MessageReply(call, status), stream=stream)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """
        Source:
            anthropic 2.12.0, ``types/shared``, read 2026-11-21.
        """
        kind = refusal_type(code, _ERROR_TYPES, otherwise="invalid_request_error")
        error = {**metadata, "type": kind, "message": message, "code": code}
        return {"type": "error", "error": error, "request_id": metadata.get("request_id")}


def _tier(request: Mapping[str, Any], provider: str, headers: Mapping[str, str]) -> str | None:
    if request.get("speed") == "fast":
        return "fast"
    return text(request.get("service_tier")) or asked_tier(provider, headers)


def _head(pieces: Input, request: Mapping[str, Any], model: str) -> Item:
    tokens, images = pieces.tokens_max, pieces.images
    system = pieces.content(request["system"]) if request.get("system") is not None else None
    tools = listed(request, "tools")
    for tool in objects(tools):
        if "cache_control" in tool:
            pieces.cache_marks.append(tool["cache_control"])
    if request.get("cache_control") is not None:
        pieces.cache_marks.append(request["cache_control"])
    tools = without_marks(tools)
    pieces.json(tools or None)
    fields = {
        key: value for key, value in request.items() if key not in _NOT_PROMPT and key != "tools" and value is not None
    }
    pieces.json(fields)
    value = {"model": model, "system": system, "tools": tools, **fields}
    return Item(pieces.tokens_max - tokens, pieces.images - images, value)


def _is_structured(request: Mapping[str, Any]) -> bool:
    form = mapping(request.get("output_config")).get("format") or request.get("output_format")
    return form is not None or mapping(request.get("tool_choice")).get("type") in ("any", "tool")


def _tool_kind(tool: object) -> str:
    kind = mapping(tool).get("type")
    return kind if isinstance(kind, str) else "custom" if kind is None else repr(kind)


def _sifts(kind: str) -> bool:
    return kind.startswith(_SIFTING_TOOLS) and kind.rpartition("_")[2] >= _SIFTING_SINCE


def _server_tools(request: Mapping[str, Any], tools: list[Any]) -> tuple[ServerTool, ...]:
    found = []
    for tool in objects(tools):
        kind = _tool_kind(tool)
        for start, name in _SERVER_TOOLS.items():
            if kind.startswith(start):
                found.append(ServerTool(name=name, calls_max=cap(tool, "max_uses")))
        if _sifts(kind):  # Each use may run code as often as it likes: four times in one recorded reply.
            found.append(ServerTool(name="code_execution", calls_max=None))
    if request.get("mcp_servers"):
        found.append(ServerTool(name="mcp", calls_max=None))
    return tuple(found)


def _unbounded(request: Mapping[str, Any], tools: list[Any]) -> tuple[str, ...]:
    found = []
    for edit in objects(mapping(request.get("context_management")).get("edits")):
        if str(edit.get("type", "")).startswith("compact"):
            found.append("compaction by the provider")
    if request.get("fallbacks"):
        found.append("fallback models of the provider")
    for tool in tools:
        kind = _tool_kind(tool)
        if kind.startswith("advisor_"):
            found.append("the advisor tool, which another model answers")
        elif kind != "custom" and not kind.startswith((*_PLAIN_TOOLS, *_SERVER_TOOLS)):
            found.append(f"a tool of type {kind:.60}")
    return tuple(found)


class _MessageReply(Reply):
    """
    A message as it becomes known. A stream tells its usage twice: at its start, with a placeholder output, and at its
    end.
    """

    MARK = re.compile(rb'"(?:content_block_start|error|message_(?:delta|start|stop))"')

    def __init__(self, call: Call, status: int) -> None:
        super().__init__(call, status)
        self._calls = 0
        self._final = False
        self._has_container = False

    def event(self, name: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002  # The body repeats the name.
        kind = body.get("type")
        if kind == "message_start":
            self._message(mapping(body.get("message")))
        elif kind == "content_block_start":
            self._block(mapping(body.get("content_block")))
        elif kind == "message_delta":
            self._delta(body)
        elif kind == "message_stop":
            self.done = True
        elif kind == "error" or body.get("error"):
            self.add_error(body.get("error"))

    def body(self, body: Mapping[str, Any]) -> None:
        self._final = True
        self._message(body)
        for block in objects(body.get("content")):
            self._block(block)

    def tool_calls(self) -> int:
        return self._calls

    def reading(self, *, complete: bool) -> Reading:
        if not self._final:
            self.usage_raw = None  # A placeholder is no usage.
        return super().reading(complete=complete or self._final)

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if raw.get("input_tokens") is None and raw.get("output_tokens") is None:
            return None
        if raw.get("input_tokens") is None or raw.get("output_tokens") is None:
            raise ValueError("input_tokens and output_tokens must both be told")
        asked_1h = "1h" in (self.call.cache_writes or ())
        whole = _turn(raw, asked_1h=asked_1h)
        # With compaction the totals leave turns out that are billed all the same.
        # Source: anthropic 2.12.0, ``types/beta/beta_usage.py``, read 2026-11-21.
        turns = [_turn(turn, asked_1h=asked_1h) for turn in objects(raw.get("iterations")) if self._is_own(turn)]
        read, written, cached, wrote_5m, wrote_1h = (
            max(of_all, sum(of_turns))
            for of_all, of_turns in zip(whole, zip(*turns or [whole], strict=True), strict=True)
        )
        return Usage(
            input_tokens=read + cached + wrote_5m + wrote_1h,
            output_tokens=written,
            cache_read_tokens=cached,
            cache_write_5m_tokens=wrote_5m,
            cache_write_1h_tokens=wrote_1h,
            reasoning_tokens=count(mapping(raw.get("output_tokens_details")), "thinking_tokens"),
            web_searches=count(mapping(raw.get("server_tool_use")), "web_search_requests"),
            code_sessions=int(self._ran_code()),
            tool_calls=self._calls,
        )

    def _ran_code(self) -> bool:
        """
        Whether a container is charged, which is done when files are put into it, too.

        Source:
            https://platform.claude.com/docs/en/about-claude/pricing, "Code execution tool", and recorded replies,
            which name the container; read 2026-11-22.
        """
        kinds = [_tool_kind(tool) for tool in objects(self.call.request.get("tools"))]
        if any(map(_sifts, kinds)):
            return False
        return self._has_container or (
            any(kind.startswith("code_execution_") for kind in kinds) and _uploads(self.call.request)
        )

    def _is_own(self, turn: Mapping[str, Any]) -> bool:
        """
        Raises:
            ValueError: Another model ran the turn, at another price.
        """
        model = turn.get("model")
        if str(turn.get("type", "")).startswith("advisor") or (model is not None and self.model not in (None, model)):
            raise ValueError(f"a part of the usage is of another model, {model!r:.80}")
        return True

    def _message(self, message: Mapping[str, Any]) -> None:
        self.model = text(message.get("model")) or self.model
        self._end(message)
        self._usage(message.get("usage"))

    def _delta(self, body: Mapping[str, Any]) -> None:
        self._end(mapping(body.get("delta")))
        self._usage(body.get("usage"))
        told = mapping(body.get("usage")).get("output_tokens") is not None
        self._final = self._final or (told and mapping(body.get("delta")).get("stop_reason") is not None)
        self.begun = self.begun or self._final

    def _end(self, source: Mapping[str, Any]) -> None:
        if source.get("stop_reason") == "max_tokens":
            self.cut_at_length = True
        self._has_container = self._has_container or bool(source.get("container"))

    def _usage(self, raw: object) -> None:
        self.add_usage(raw)
        source = mapping(raw)
        self.tier = "fast" if source.get("speed") == "fast" else text(source.get("service_tier")) or self.tier
        # The other hosts of these models tell the region by their addresses.
        geo = text(source.get("inference_geo")) if self.call.provider == "anthropic" else None
        self.region = self.region if geo in (None, "not_available") else geo

    def _block(self, block: Mapping[str, Any]) -> None:
        self.begun = True
        kind = block.get("type")
        self._calls += kind == "tool_use"
        ran = block.get("name") if kind == "server_tool_use" else None
        self._has_container = self._has_container or (isinstance(ran, str) and ran.endswith("code_execution"))


def _uploads(request: Mapping[str, Any]) -> bool:
    """
    Whether files of a request are put into a container.
    """
    return any(
        part.get("type") == "container_upload"
        for message in objects(request.get("messages"))
        for part in objects(message.get("content"))
    )


def _turn(raw: Mapping[str, Any], *, asked_1h: bool) -> tuple[int, int, int, int, int]:
    """
    Read, output, cached, written to the cache for five minutes, and for an hour; the first leaves out the last three.
    """
    written = mapping(raw.get("cache_creation"))
    wrote_5m, wrote_1h = count(written, "ephemeral_5m_input_tokens"), count(written, "ephemeral_1h_input_tokens")
    unnamed = max(count(raw, "cache_creation_input_tokens") - wrote_5m - wrote_1h, 0)
    if asked_1h:
        wrote_1h += unnamed
    else:
        wrote_5m += unnamed
    read, output, cached = (count(raw, name) for name in ("input_tokens", "output_tokens", "cache_read_input_tokens"))
    return read, output, cached, wrote_5m, wrote_1h
