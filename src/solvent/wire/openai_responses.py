"""
OpenAI responses, and the hosts that speak it.

Source:
    openai 3.54.0, ``types/responses``, and recorded exchanges, read 2026-11-21.
"""

from collections.abc import Mapping
from typing import Any

from solvent.wire._call import Call, Item, Reader, WireFormat
from solvent.wire._input import Input, head_of
from solvent.wire._openai import asked_model, path_with_model, searched_files
from solvent.wire._read import cap, listed, mapping, objects, retry_count, text
from solvent.wire._reply import reader
from solvent.wire._request import encoded, only_fields, openai_refusal, told, with_changes
from solvent.wire._responses_reply import CALLER_CALLS, ResponsesReply
from solvent.wire._responses_tools import server_tools, tool_count, unbounded_tools

# Fields that the model never reads and that do not shape the prompt.
_NOT_PROMPT = frozenset(
    {
        "background", "context_management", "conversation", "include", "input", "max_output_tokens", "max_tool_calls",
        "metadata", "model", "moderation", "previous_response_id", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "safety_identifier", "service_tier", "store", "stream", "stream_options",
        "temperature", "top_logprobs", "top_p", "truncation", "user",
    }
)  # fmt: skip
# What may be asked how many tokens it is. Source: openai 3.54.0, ``types/responses/input_token_count_params.py``, read
# 2026-11-22.
_COUNTED = frozenset(
    {
        "input", "instructions", "model", "parallel_tool_calls", "personality", "previous_response_id", "reasoning",
        "text", "tool_choice", "tools", "truncation",
    }
)  # fmt: skip
_HIDDEN = {
    "conversation": "a conversation by its id",
    "previous_response_id": "an earlier response by its id",
    "prompt": "a prompt template by its id",
}

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
_JSON_ITEMS = CALLER_CALLS | {
    "additional_tools", "code_interpreter_call", "compaction", "file_search_call", "mcp_approval_request",
    "mcp_approval_response", "mcp_call", "mcp_list_tools", "reasoning", "shell_call", "tool_search_call",
    "tool_search_output", "web_search_call",
}  # fmt: skip


class OpenAIResponses(WireFormat):
    """
    The wire format ``openai-responses``.
    """

    name = "openai-responses"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = asked_model(request, path)
        pieces = Input()
        given = request.get("input")
        if given is not None and not isinstance(given, str | list):
            raise ValueError("input must be a text or a list")
        tools = listed(request, "tools")
        added = [item for item in objects(given) if item.get("type") == "additional_tools"]
        every_tool = tools + [tool for item in added for tool in listed(item, "tools")]
        try:
            items = _items(pieces, given)
            head = head_of(request, model, without=_NOT_PROMPT)
        except RecursionError:
            raise ValueError("input must not be nested this deeply") from None
        for name, reason in _HIDDEN.items():
            if request.get(name) is not None:
                pieces.hide(reason)
        # A conversation's summary: it takes no cap, and reads a prompt of the provider's beside the conversation, so
        # that what one of them was billed says nothing of the other.
        is_summary = path.endswith("responses/compact")
        if is_summary:
            head = Item(head.tokens_max, head.images, {**head.value, "is_summary": True})
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=text(request.get("service_tier")),
            stream=bool(request.get("stream")),
            head=head,
            tools=tool_count(tools) + sum(tool_count(item.get("tools")) for item in objects(given)),
            items=items,
            output_tokens_max=None if is_summary else cap(request, "max_output_tokens") or None,
            structured_output=is_summary or _is_structured(request),
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            server_tools=server_tools(request, every_tool),
            unbounded=(*_unbounded(request), *unbounded_tools(every_tool), *searched_files(given, provider)),
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

    def path_for(self, path: str, *, model: str) -> str:
        return path_with_model(path, model)

    def count_request(self, call: Call, path: str) -> tuple[str, bytes] | None:
        # A conversation may have grown before the call is made.
        asked = only_fields(call, _COUNTED, beside=_NOT_PROMPT - {"conversation"})
        if asked is None or call.provider != "openai" or not path.endswith("responses"):
            return None
        return f"{path}/input_tokens", encoded(asked)

    def read_count(self, body: bytes) -> int | None:
        return told(body, "input_tokens")

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(ResponsesReply(call, status), stream=stream)

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


def _is_structured(request: Mapping[str, Any]) -> bool:
    choice = request.get("tool_choice")
    form = mapping(mapping(request.get("text")).get("format")).get("type")
    return form in ("json_object", "json_schema") or choice == "required" or isinstance(choice, dict)


def _unbounded(request: Mapping[str, Any]) -> list[str]:
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
    return found
