"""
OpenAI chat completions, and the many hosts that speak it.

Source:
    openai 3.54.0, ``types/chat``, and the recorded exchanges of ten hosts, read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Item, Reader, Reading, ServerTool, WireFormat
from solvent.wire._input import Input, without_marks
from solvent.wire._read import all_written, cap, count, listed, mapping, merged, model_name, objects, retry_count, text
from solvent.wire._reply import Reply, reader
from solvent.wire._request import encoded, openai_refusal
from solvent.wire._text import json_bound

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
# Hosts that always tell the usage of a stream and refuse to be asked.
# Source: github.com/avante-corp/avante.nvim/issues/2347 and the recorded Mistral stream, read 2026-11-21.
_USAGE_UNASKED = frozenset({"mistral"})
_PLAIN_TOOLS = frozenset({"custom", "function"})
# Tools that the host runs inside the call. Source: recorded exchanges of Groq, OpenRouter and Z.AI, checked 2026-11-21.
_SERVER_TOOLS = frozenset(
    {"browser_search", "code_interpreter", "openrouter:web_search", "retrieval", "web_search", "web_search_preview"}
)
# Models that search or run tools by themselves, known by their names.
_SEARCHING_MODEL = re.compile(r"(?:^|/)(?:gpt-.*-search|sonar)|:online$")
_COMPOUND_MODEL = re.compile(r"(?:^|/)compound")
# Settings under which the host may answer with another model, at another price.
_OTHER_MODELS = {"models": "fallback models", "plugins": "plugins", "preset": "a preset"}
_DEPLOYMENT = re.compile(r"(?:^|/)deployments/([^/]+)/")


class OpenAIChat(WireFormat):
    """
    The wire format ``openai-chat``.
    """

    name = "openai-chat"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        deployment = _DEPLOYMENT.search(path)  # Azure names the model in the path.
        model = model_name(request, deployment[1] if deployment else None)
        pieces = Input()
        if not isinstance(request.get("messages"), list):
            raise ValueError("messages must be a list")
        try:
            items = tuple([_item(pieces, message) for message in request["messages"]])
            head = _head(request, model)
        except RecursionError:
            raise ValueError("messages must not be nested this deeply") from None
        stream = bool(request.get("stream"))
        tools = listed(request, "tools") + listed(request, "functions")
        asked = not stream or provider in _USAGE_UNASKED or _include_usage(request)
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=text(request.get("service_tier")),
            stream=stream,
            head=head,
            tools=len(tools),
            items=items,
            output_tokens_max=_cap(request, provider),
            structured_output=_is_structured(request),
            choices=_choices(request),
            hidden_input=pieces.hidden,
            server_tools=_server_tools(request, model, tools),
            unbounded=_unbounded(request, model, tools),
            cache_writes=None,
            retry=retry_count(headers),
            usage_asked=asked,
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
        if not call.usage_asked:
            changes["stream_options"] = {**mapping(call.request.get("stream_options")), "include_usage": True}
        return encoded({**call.request, **changes}) if changes else None

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_ChatReply(call, status), stream=stream)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return openai_refusal(code=code, message=message, metadata=metadata)


def _item(pieces: Input, message: Any) -> Item:
    if isinstance(message, dict) and message.get("audio") is not None:
        pieces.hide("audio of an earlier reply")
    return pieces.message(message)


def _head(request: Mapping[str, Any], model: str) -> Item:
    fields = {
        key: without_marks(value) for key, value in request.items() if key not in _NOT_PROMPT and value is not None
    }
    return Item(json_bound(fields) if fields else _NO_FIELDS, 0, {"model": model, **fields})


_NO_FIELDS = json_bound({})


def _include_usage(request: Mapping[str, Any]) -> bool:
    return mapping(request.get("stream_options")).get("include_usage") is True


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


def _choices(request: Mapping[str, Any]) -> int:
    value = request.get("n")
    if value is None:
        return 1
    if type(value) is not int or not 0 <= value <= 2**16:
        raise ValueError(f"n must be a small whole number of choices, got {value!r:.60}")
    return max(value, 1)


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
    if _searches_by_itself(request, model):
        found.append(ServerTool(name="web_search", calls_max=None))
    if request.get("search_parameters") is not None or request.get("search_settings") is not None:
        found.append(ServerTool(name="web_search", calls_max=None))
    for tool in tools:
        kind = mapping(tool).get("type")
        if isinstance(kind, str) and kind in _SERVER_TOOLS:
            uses = mapping(mapping(tool).get("parameters")).get("max_uses")
            name = "web_search" if "search" in kind else kind
            found.append(ServerTool(name=name, calls_max=uses if type(uses) is int and uses >= 0 else None))
    return tuple(found)


def _searches_by_itself(request: Mapping[str, Any], model: str) -> bool:
    return request.get("web_search_options") is not None or _SEARCHING_MODEL.search(model) is not None


def _unbounded(request: Mapping[str, Any], model: str, tools: list[Any]) -> tuple[str, ...]:
    found = [f"{what} of the host" for name, what in _OTHER_MODELS.items() if request.get(name)]
    modalities = request.get("modalities")
    for modality in modalities if isinstance(modalities, list) else ():
        if modality != "text":
            found.append(f"output of kind {modality!r:.60}")
    if request.get("audio") is not None and not found:
        found.append("output of kind 'audio'")
    if _COMPOUND_MODEL.search(model):
        found.append("a compound of models, each at its own price")
    if request.get("deferred"):
        found.append("a deferred completion")
    for tool in tools:
        kind = mapping(tool).get("type")
        known = kind is None or (isinstance(kind, str) and kind in _PLAIN_TOOLS | _SERVER_TOOLS)
        if not known:
            found.append(f"a tool of type {kind!r:.60}")
    return tuple(found)


class _ChatReply(Reply):
    """
    A chat completion as it becomes known.
    """

    MARK = re.compile(rb'"(?:error|finish_reason|name|usage)"\s*:\s*[^n\s]')  # Many hosts write all of them as null.
    MARKS = (b"[DONE]", b"event: error")

    def __init__(self, call: Call, status: int) -> None:
        super().__init__(call, status)
        self._calls: set[tuple[Any, ...]] = set()
        self._finished: set[Any] = set()

    def event(self, name: str, body: Mapping[str, Any]) -> None:
        self.add_names(body)
        self._add_usages(body)
        if body.get("error") or name == "error":
            self.add_error(body.get("error") or body)
        for choice in objects(body.get("choices")):
            delta = mapping(choice.get("delta"))
            self.begun = self.begun or any(value for key, value in delta.items() if key != "role")
            self._add_tool_calls(choice.get("index"), delta)
            self._add_finish(choice)

    def body(self, body: Mapping[str, Any]) -> None:
        self.add_names(body)
        self._add_usages(body)
        for number, choice in enumerate(objects(body.get("choices"))):
            self.begun = True
            self._add_tool_calls(number, mapping(choice.get("message")), whole=True)
            self._add_finish(choice)

    def tool_calls(self) -> int:
        return len(self._calls)

    def reading(self, *, complete: bool) -> Reading:
        return super().reading(complete=complete or 0 < len(self._finished) >= self.call.choices)

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        searched = _searches_by_itself(self.call.request, self.call.model)
        return _usage(raw, searched=searched, tool_calls=self.tool_calls())

    def _add_usages(self, body: Mapping[str, Any]) -> None:
        self.add_usage(body.get("usage"))
        if "x_groq" in body:
            self.add_usage(mapping(body["x_groq"]).get("usage"))
        for choice in objects(body.get("choices")):
            if "usage" in choice:  # Moonshot tells it there.
                self.add_usage(choice["usage"])

    def _add_finish(self, choice: Mapping[str, Any]) -> None:
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            index = choice.get("index")
            self._finished.add(index if isinstance(index, int) else len(self._finished))
            self.begun = self.begun or reason != "error"
            self.cut_at_length = self.cut_at_length or reason == "length"

    def _add_tool_calls(self, choice: object, message: Mapping[str, Any], *, whole: bool = False) -> None:
        if not message.get("tool_calls") and not message.get("function_call"):
            return
        choice = choice if isinstance(choice, int) else 0
        for number, tool_call in enumerate(objects(message.get("tool_calls"))):
            if whole:
                self._calls.add((choice, number))
            elif mapping(tool_call.get("function") or tool_call.get("custom")).get("name"):
                self._calls.add((choice, *self._key(tool_call)))
        if mapping(message.get("function_call")).get("name"):
            self._calls.add((choice, "function_call"))

    def _key(self, tool_call: Mapping[str, Any]) -> tuple[Any, ...]:
        """
        What tells one call from another: hosts number them, or name them, or give all the number 0, or do neither.
        """
        index, id = tool_call.get("index"), text(tool_call.get("id"))
        return (index, id) if isinstance(index, int) or id else ("nth", len(self._calls))


# Other names than OpenAI's. Source: recorded replies of DeepSeek, Mistral and Together, in this order, read 2026-11-21.
_CACHED = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")


def _usage(raw: Mapping[str, Any], *, searched: bool, tool_calls: int) -> Usage | None:
    if raw.get("prompt_tokens") is None and raw.get("completion_tokens") is None:
        return None
    read, written, total = (count(raw, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if raw.get("completion_tokens") is None and total < read:
        raise ValueError("completion_tokens is missing")
    details = mapping(raw.get("prompt_tokens_details"))
    output_details = mapping(raw.get("completion_tokens_details"))
    reasoning = count(output_details, "reasoning_tokens")
    written, reasoning = all_written(written, reasoning, read=read, total=total)
    audio_cached = mapping(details.get("cached_tokens_details"))
    searched_for = mapping(merged(raw.get("server_tool_use"), raw.get("server_tool_use_details")))
    cached = [count(details, "cached_tokens"), *[count(raw, name) for name in _CACHED if name in raw]]
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cache_read_tokens=max(cached),
        cache_write_5m_tokens=count(details, "cache_write_tokens"),
        reasoning_tokens=reasoning,
        audio_input_tokens=count(details, "audio_tokens"),
        audio_output_tokens=count(output_details, "audio_tokens"),
        audio_cache_read_tokens=count(audio_cached, "audio_tokens"),
        # A model that searches by itself bills a search a request and does not tell it.
        # Source: community.openai.com/t/1369991 (such a model always searches), read 2026-11-21.
        web_searches=max(count(searched_for, "web_search_requests"), int(searched)),
        tool_calls=tool_calls,
    )
