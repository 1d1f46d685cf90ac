"""
OpenAI chat completions, and the many hosts that speak it.

Source:
    openai 3.54.0, ``types/chat``, and the recorded exchanges of ten hosts, read 2026-11-21.
"""

from collections.abc import Mapping
from typing import Any

from solvent.wire._call import Call, Item, Reader, ServerTool, WireFormat
from solvent.wire._chat_reply import ChatReply
from solvent.wire._input import Input, head_of
from solvent.wire._openai import (
    asked_model,
    asking_for_usage,
    choices,
    is_usage_asked,
    more_than_asked,
    path_with_model,
    searched_files,
    searches_by_itself,
)
from solvent.wire._read import cap, listed, mapping, objects, retry_count, text
from solvent.wire._reply import reader
from solvent.wire._request import encoded, openai_refusal
from solvent.wire._text import json_bound
from solvent.wire._vertex import asked_tier, path_region

# Fields that the model never reads and that do not shape the prompt.
_NOT_PROMPT = frozenset(
    {
        "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "messages", "metadata",
        "min_p", "model", "moderation", "n", "presence_penalty", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
        "stream_options", "temperature", "top_k", "top_logprobs", "top_p", "usage", "user",
    }
)  # fmt: skip
_CAPS = ("max_completion_tokens", "max_tokens")
# Hosts that know one cap only: Mistral answers 422 to the other, DeepSeek reads past it.
# Source: github.com/editor-code-assistant/eca/issues/231, read 2026-11-21.
_ONLY_MAX_TOKENS = frozenset({"deepseek", "mistral"})
_GOOGLE = frozenset({"gemini", "vertex"})
_PLAIN_TOOLS = frozenset({"custom", "function"})
# Tools that the host runs inside the call. Source: recorded exchanges of Groq, OpenRouter and Z.AI, checked 2026-11-21.
_SERVER_TOOLS = frozenset(
    {"browser_search", "code_interpreter", "openrouter:web_search", "retrieval", "web_search", "web_search_preview"}
)


class OpenAIChat(WireFormat):
    """
    The wire format ``openai-chat``.
    """

    name = "openai-chat"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = asked_model(request, path)
        pieces = Input()
        tools = listed(request, "tools") + listed(request, "functions")
        if not isinstance(request.get("messages"), list):
            raise ValueError("messages must be a list")
        try:
            items = tuple([_item(pieces, message) for message in request["messages"]])
            head = head_of(request, model, without=_NOT_PROMPT)
            if provider in _GOOGLE:
                head = _with_references(pieces, head, request, tools)
        except RecursionError:
            raise ValueError("messages must not be nested this deeply") from None
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=text(request.get("service_tier")) or asked_tier(provider, headers),
            region=path_region(path),
            stream=bool(request.get("stream")),
            head=head,
            tools=len(tools),
            items=items,
            output_tokens_max=_cap(request, provider),
            structured_output=_is_structured(request),
            choices=choices(request),
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            server_tools=_server_tools(request, model, tools),
            unbounded=(*_unbounded(request, model, tools), *searched_files(request["messages"], provider)),
            cache_writes=None,
            retry=retry_count(headers),
            usage_asked=is_usage_asked(request, provider),
            request=request,
        )

    def rewrite(
        self, call: Call, *, model: str | None = None, output_tokens_max: int | None = None, own_cap: str = ""
    ) -> bytes | None:
        changes: dict[str, Any] = {}
        if model is not None and model != call.model:
            changes["model"] = model
        if output_tokens_max is not None:
            used = [name for name in _caps(call.provider) if call.request.get(name) is not None]
            own = "max_tokens" if call.provider in _ONLY_MAX_TOKENS else own_cap or "max_completion_tokens"
            changes.update(dict.fromkeys(used or [own], output_tokens_max))
        changes.update(asking_for_usage(call))
        return encoded({**call.request, **changes}) if changes else None

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        searched = searches_by_itself(call.request, call.model)
        return reader(ChatReply(call, status, searched=searched), stream=stream)

    def path_for(self, path: str, *, model: str) -> str:
        return path_with_model(path, model)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return openai_refusal(code=code, message=message, metadata=metadata)


def _item(pieces: Input, message: Any) -> Item:
    if isinstance(message, dict) and message.get("audio") is not None:
        pieces.hide("audio of an earlier reply", has_audio=True)
    return pieces.message(message)


def _with_references(pieces: Input, head: Item, request: Mapping[str, Any], tools: list[Any]) -> Item:
    before = pieces.tokens_max
    for tool in objects(tools):
        pieces.references(mapping(tool.get("function") or tool).get("parameters"))
    pieces.references(mapping(mapping(request.get("response_format")).get("json_schema")).get("schema"))
    return Item(head.tokens_max + pieces.tokens_max - before, head.images, head.value)


def _caps(provider: str) -> tuple[str, ...]:
    return ("max_tokens",) if provider in _ONLY_MAX_TOKENS else _CAPS


def _cap(request: Mapping[str, Any], provider: str) -> int | None:
    """
    The cap that can be counted on: the larger of two, and none where one of them caps nothing.
    """
    values = [cap(request, name) for name in _caps(provider) if request.get(name) is not None]
    known = [value for value in values if value]  # Some hosts read 0 as "no cap" too.
    if not known or len(known) < len(values):
        return None
    # Tokens of a prediction that was wrong are billed as output beside those that were written.
    prediction = mapping(request.get("prediction")).get("content")
    return max(known) + (json_bound(prediction) if prediction is not None else 0)


def _is_structured(request: Mapping[str, Any]) -> bool:
    """
    Whether a shorter reply would be a broken one. With a prediction a shorter cap is none, so it counts as well.
    """
    choice = request.get("tool_choice")
    return (
        mapping(request.get("response_format")).get("type") in ("json_object", "json_schema")
        or choice == "required"
        or isinstance(choice, dict)
        or request.get("prediction") is not None
    )


def _server_tools(request: Mapping[str, Any], model: str, tools: list[Any]) -> tuple[ServerTool, ...]:
    found = []
    if searches_by_itself(request, model):
        found.append(ServerTool(name="web_search", calls_max=None))
    search = request.get("search_parameters")  # xAI's, which it may switch off.
    if (search is not None and mapping(search).get("mode") != "off") or request.get("search_settings") is not None:
        found.append(ServerTool(name="web_search", calls_max=None))
    for tool in tools:
        kind = mapping(tool).get("type")
        if isinstance(kind, str) and kind in _SERVER_TOOLS:
            uses = mapping(mapping(tool).get("parameters")).get("max_uses")
            name = "web_search" if "search" in kind else kind
            found.append(ServerTool(name=name, calls_max=uses if type(uses) is int and uses >= 0 else None))
    return tuple(found)


def _unbounded(request: Mapping[str, Any], model: str, tools: list[Any]) -> tuple[str, ...]:
    found = more_than_asked(request, model)
    modalities = request.get("modalities")
    for modality in modalities if isinstance(modalities, list) else ():
        if modality != "text":
            found.append(f"output of kind {modality!r:.60}")
    if request.get("audio") is not None and not found:
        found.append("output of kind 'audio'")
    if request.get("deferred"):
        found.append("a deferred completion")
    for tool in tools:
        kind = mapping(tool).get("type")
        known = kind is None or (isinstance(kind, str) and kind in _PLAIN_TOOLS | _SERVER_TOOLS)
        if not known:
            found.append(f"a tool of type {kind!r:.60}")
    return tuple(found)
