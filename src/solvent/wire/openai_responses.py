"""
OpenAI responses, and the hosts that speak it.

Source:
    openai 3.54.0, ``types/responses``, and recorded exchanges, read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Item, Reader, ServerTool, WireFormat
from solvent.wire._input import Input, without_marks
from solvent.wire._read import all_written, cap, count, listed, mapping, model_name, objects, retry_count, text
from solvent.wire._reply import Reply, reader
from solvent.wire._request import openai_refusal, with_changes
from solvent.wire._text import json_bound

# Fields that the model never reads and that do not shape the prompt.
_NOT_PROMPT = frozenset(
    {
        "background", "context_management", "conversation", "include", "input", "max_output_tokens", "max_tool_calls",
        "metadata", "model", "moderation", "previous_response_id", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "safety_identifier", "service_tier", "store", "stream", "stream_options",
        "temperature", "top_logprobs", "top_p", "truncation", "user",
    }
)  # fmt: skip
_HIDDEN = {
    "conversation": "a conversation by its id",
    "previous_response_id": "an earlier response by its id",
    "prompt": "a prompt template by its id",
}

# Which tools the provider runs inside the call, each use being one more inference. Where the caller runs them
# (function, custom, apply_patch, local_shell, both computer tools), a use ends the response. Source: openai
# 3.54.0, ``types/responses/tool.py`` and the items of each tool, read 2026-11-21.
_PLAIN_TOOLS = frozenset(
    {"apply_patch", "computer", "computer_use_preview", "custom", "function", "local_shell", "namespace"}
)
_SERVER_TOOLS = {
    "code_execution": "code_interpreter",
    "code_interpreter": "code_interpreter",
    "file_search": "file_search",
    "mcp": "mcp",
    "openrouter:web_search": "web_search",
    "shell": "shell",
    "tool_search": "tool_search",
    "web_search": "web_search",
    "web_search_2025_08_26": "web_search",
    "web_search_preview": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "x_search": "web_search",
}
# Billed by another model's price, which no usage tells.
_UNBOUNDED_TOOLS = {"image_generation": "image generation"}

# Items of the input that say all that the model reads of them. That an earlier web search or code run adds nothing
# beyond its item is measured: recorded runs of gpt-5 with such items are billed for the items alone, read 2026-11-21.
_OUTPUT_ITEMS = frozenset(
    {
        "apply_patch_call_output",
        "computer_call_output",
        "custom_tool_call_output",
        "function_call_output",
        "local_shell_call_output",
        "shell_call_output",
    }
)
_CALLER_CALLS = frozenset(
    {"apply_patch_call", "computer_call", "custom_tool_call", "function_call", "local_shell_call"}
)
_JSON_ITEMS = _CALLER_CALLS | {
    "additional_tools", "code_interpreter_call", "compaction", "file_search_call", "mcp_approval_request",
    "mcp_approval_response", "mcp_call", "mcp_list_tools", "reasoning", "shell_call", "tool_search_call",
    "tool_search_output", "web_search_call",
}  # fmt: skip


class OpenAIResponses(WireFormat):
    """
    The wire format ``openai-responses``.
    """

    name = "openai-responses"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:  # noqa: ARG002
        model = model_name(request)
        pieces = Input()
        given = request.get("input")
        if given is not None and not isinstance(given, str | list):
            raise ValueError("input must be a text or a list")
        tools = listed(request, "tools")
        try:
            items = _items(pieces, given)
            head = _head(request, model)
        except RecursionError:
            raise ValueError("input must not be nested this deeply") from None
        for name, reason in _HIDDEN.items():
            if request.get(name) is not None:
                pieces.hide(reason)
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=text(request.get("service_tier")),
            stream=bool(request.get("stream")),
            head=head,
            tools=_tool_count(tools) + sum(_tool_count(item.get("tools")) for item in objects(given)),
            items=items,
            output_tokens_max=cap(request, "max_output_tokens") or None,
            structured_output=_is_structured(request),
            hidden_input=pieces.hidden,
            server_tools=_server_tools(request, tools),
            unbounded=_unbounded(request, tools),
            cache_writes=None,
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
        return with_changes(call, model=model, cap="max_output_tokens", output_tokens_max=output_tokens_max)

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_ResponsesReply(call, status), stream=stream)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return openai_refusal(code=code, message=message, metadata=metadata)


def _items(pieces: Input, given: str | list[Any] | None) -> tuple[Item, ...]:
    if given is None:
        return ()
    if isinstance(given, str):  # A text is short for one message, and equal to it.
        given = [{"role": "user", "content": given}]
    return tuple([_item(pieces, item) for item in given])


def _item(pieces: Input, item: Any) -> Item:
    kind = item.get("type", "message") if isinstance(item, dict) else None
    if not isinstance(kind, str) or kind == "message":
        return pieces.message(item)
    if kind in _OUTPUT_ITEMS:
        given = pieces.message({**item, "content": item["output"], "output": None} if "output" in item else item)
        return Item(given.tokens_max, given.images, item)
    tokens = pieces.tokens_max
    if kind == "image_generation_call":
        pieces.json({key: value for key, value in item.items() if key != "result"})
        return Item(pieces.tokens_max - tokens, 1, item)
    pieces.json(item)
    if kind not in _JSON_ITEMS:
        pieces.hide("an item by its id" if kind == "item_reference" else f"an item of type {kind!r:.60}")
    return Item(pieces.tokens_max - tokens, 0, item)


def _head(request: Mapping[str, Any], model: str) -> Item:
    fields = {
        key: without_marks(value) for key, value in request.items() if key not in _NOT_PROMPT and value is not None
    }
    return Item(json_bound(fields), 0, {"model": model, **fields})


def _is_structured(request: Mapping[str, Any]) -> bool:
    choice = request.get("tool_choice")
    form = mapping(mapping(request.get("text")).get("format")).get("type")
    return form in ("json_object", "json_schema") or choice == "required" or isinstance(choice, dict)


def _tool_count(tools: object) -> int:
    return sum(1 + _tool_count(tool.get("tools")) for tool in objects(tools))


def _runs_at_caller(tool: Mapping[str, Any]) -> bool:
    kind = tool.get("type")
    if kind == "shell":
        return mapping(tool.get("environment")).get("type") == "local"
    if kind == "tool_search":
        return tool.get("execution") == "client"
    return kind is None or kind in _PLAIN_TOOLS


def _server_tools(request: Mapping[str, Any], tools: list[Any]) -> tuple[ServerTool, ...]:
    calls_max = cap(request, "max_tool_calls")
    return tuple(
        ServerTool(name=_SERVER_TOOLS[tool["type"]], calls_max=calls_max)
        for tool in objects(tools)
        if isinstance(tool.get("type"), str) and tool["type"] in _SERVER_TOOLS and not _runs_at_caller(tool)
    )


def _unbounded(request: Mapping[str, Any], tools: list[Any]) -> tuple[str, ...]:
    found = []
    if request.get("background"):
        found.append("a background response")
    for edit in objects(request.get("context_management")):
        if edit.get("type") == "compaction":
            found.append("compaction by the provider")
    # Several inferences at once, all billed. Source: recorded exchange (1,549 tokens read for 18), read 2026-11-21.
    if mapping(request.get("reasoning")).get("mode") not in (None, "standard"):
        found.append("a reasoning mode of several inferences")
    if request.get("models") or request.get("plugins") or request.get("preset"):
        found.append("fallback models of the host")
    for tool in tools:
        kind = mapping(tool).get("type")
        if isinstance(kind, str) and kind in _UNBOUNDED_TOOLS:
            found.append(_UNBOUNDED_TOOLS[kind])
        elif not (isinstance(kind, str) and (kind in _SERVER_TOOLS or kind in _PLAIN_TOOLS)):
            found.append(f"a tool of type {kind!r:.60}")
    return tuple(found)


class _ResponsesReply(Reply):
    """
    A response as it becomes known: its events repeat the whole at the end.
    """

    MARK = re.compile(
        rb'"(?:error|response\.(?:created|completed|incomplete|failed|cancelled|output_item\.added|output_item\.done))"'
    )
    MARKS = (b"event: error",)
    _ENDS = frozenset({"response.cancelled", "response.completed", "response.failed", "response.incomplete"})

    def __init__(self, call: Call, status: int) -> None:
        super().__init__(call, status)
        self._calls: set[Any] = set()
        self._searches: set[Any] = set()
        self._whole: tuple[int, int] | None = None

    def event(self, name: str, body: Mapping[str, Any]) -> None:
        kind = body.get("type")
        kind = kind if isinstance(kind, str) else name
        response = mapping(body.get("response"))
        self.add_names(response)
        if kind in self._ENDS:
            self.done = True
            self.body(response)
        elif kind == "error" or (kind == "" and body.get("error")):
            self.add_error(body.get("error") or {"type": body.get("code")})
        elif kind.endswith(".delta"):
            self.begun = True
        elif kind.startswith("response.output_item."):
            self.begun = True
            key = body.get("output_index")
            self._add_item(mapping(body.get("item")), key if isinstance(key, int) else len(self._calls))

    def body(self, body: Mapping[str, Any]) -> None:
        self.add_names(body)
        self.add_usage(body.get("usage"))
        if body.get("error"):
            error = mapping(body["error"])
            self.add_error({"type": error.get("type") or error.get("code")})
        if mapping(body.get("incomplete_details")).get("reason") == "max_output_tokens":
            self.cut_at_length = True
        for number, item in enumerate(objects(body.get("output"))):
            self.begun = True
            self._add_item(item, number)

    def tool_calls(self) -> int:
        return len(self._calls)

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if raw.get("input_tokens") is None and raw.get("output_tokens") is None:
            return None
        read, written, total = (count(raw, name) for name in ("input_tokens", "output_tokens", "total_tokens"))
        if raw.get("output_tokens") is None and total < read:
            raise ValueError("output_tokens is missing")
        details = mapping(raw.get("input_tokens_details"))
        reasoning = count(mapping(raw.get("output_tokens_details")), "reasoning_tokens")
        written, reasoning = all_written(written, reasoning, read=read, total=total)
        return Usage(
            input_tokens=read,
            output_tokens=written,
            cache_read_tokens=count(details, "cached_tokens"),
            cache_write_5m_tokens=count(details, "cache_write_tokens"),
            reasoning_tokens=reasoning,
            audio_input_tokens=count(details, "audio_tokens"),
            web_searches=len(self._searches),
            tool_calls=self.tool_calls(),
        )

    def _add_item(self, item: Mapping[str, Any], number: int) -> None:
        kind = item.get("type")
        if not isinstance(kind, str):
            return
        at_caller = kind in _CALLER_CALLS
        if kind == "shell_call":
            at_caller = mapping(item.get("environment")).get("type") in (None, "local")
        if kind == "tool_search_call":
            at_caller = item.get("execution") == "client"
        if at_caller:
            self._calls.add(number)
        # Only searches are charged. Source: openai 3.54.0, ``response_function_web_search.py`` (the actions), and
        # modelcostwatch.com/openai/tool-costs/web-search (the charge is per search), read 2026-11-21.
        action = mapping(item.get("action")).get("type")
        if kind == "web_search_call":
            (self._searches.add if action in (None, "search") else self._searches.discard)(number)
