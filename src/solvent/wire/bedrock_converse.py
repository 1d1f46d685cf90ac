"""
Amazon Bedrock's Converse: one shape for the models of all makers. The path names the model, and whether to stream.

Source:
    botocore 1.44.5, ``data/bedrock-runtime/2023-09-30/service-2.json``, and recorded exchanges, read 2026-11-22.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._bedrock import GUARDRAIL, bedrock_model, bedrock_refusal, cache_writes, service_tier
from solvent.wire._call import Call, Item, Reader, ServerTool, WireFormat
from solvent.wire._event_stream import FrameReader
from solvent.wire._input import Input
from solvent.wire._read import all_written, cap, count, kind_of, listed, mapping, objects, path_with, text
from solvent.wire._reply import BodyReader, Reply
from solvent.wire._request import encoded, only_fields, told
from solvent.wire._text import text_bound
from solvent.wire.anthropic_messages import AnthropicMessages

# Fields that the model never reads and that do not shape the prompt, and those that are walked on their own.
_NOT_PROMPT = frozenset(
    {
        "additionalModelRequestFields", "additionalModelResponseFieldPaths", "guardrailConfig", "inferenceConfig",
        "messages", "performanceConfig", "requestMetadata", "serviceTier", "system", "toolConfig",
    }
)  # fmt: skip
# What may be asked how many tokens it is, of a model but not of a profile, which names regions before it.
_COUNTED = frozenset({"additionalModelRequestFields", "messages", "system", "toolConfig"})
_PROFILE = re.compile(r"^[a-z-]+\.(?=anthropic\.)")
_JSON_KINDS = frozenset(  # Everything that the model may read of these is in the request.
    {"citationsContent", "json", "qualifiers", "reasoningContent", "toolAddition", "toolRemoval", "toolUse"}
)
_HIDDEN_KINDS = frozenset({"audio", "video"})
_NESTED_KINDS = frozenset({"searchResult", "toolResult"})
# Documents that are text as they are. Others are converted, nobody says how.
_TEXT_DOCUMENTS = ("md", "txt")
_TOOL_KINDS = frozenset({"systemTool", "toolSpec"})
# The names that makers give their output cap, where they may stand among a model's own fields.
_CAPS = ("maxTokens", "max_completion_tokens", "max_gen_len", "max_new_tokens", "max_tokens", "max_tokens_to_sample")
_ANTHROPIC = AnthropicMessages()


class BedrockConverse(WireFormat):
    """
    The wire format ``bedrock-converse``.
    """

    name = "bedrock-converse"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = bedrock_model(path)
        pieces = Input()
        extra = _extra(request, model, provider=provider, path=path, headers=headers)
        tools = [tool for tool in listed(_object(request, "toolConfig"), "tools") if not _is_mark(pieces, tool)]
        try:
            head = _head(pieces, request, model, tools, extra)
            items = tuple([_item(pieces, message) for message in listed(request, "messages")])
        except RecursionError:
            raise ValueError("messages must not be nested this deeply") from None
        if ":prompt/" in model:
            pieces.hide("a prompt by its ARN")
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=service_tier(
                _object(request, "performanceConfig").get("latency"), _object(request, "serviceTier").get("type")
            ),
            stream=path.endswith("-stream"),
            head=head,
            tools=len(tools) + extra.tools,
            items=items,
            output_tokens_max=_cap(request),
            output_tokens_min=extra.output_tokens_min,
            structured_output=extra.structured_output or _is_structured(request),
            hidden_input=pieces.hidden or extra.hidden_input,
            has_audio=pieces.has_audio or extra.has_audio,
            server_tools=extra.server_tools + _server_tools(tools),
            unbounded=extra.unbounded + _unbounded(request, tools),
            cache_writes=cache_writes(model, pieces.cache_writes | (extra.cache_writes or frozenset())),
            retry=extra.retry,
            request=request,
        )

    def rewrite(
        self,
        call: Call,
        *,
        model: str | None = None,  # noqa: ARG002  # The path names the model.
        output_tokens_max: int | None = None,
        own_cap: str = "",  # noqa: ARG002  # The format has one cap of its own.
    ) -> bytes | None:
        if output_tokens_max is None:
            return None
        config = mapping(call.request.get("inferenceConfig"))
        if all(config.get(name) is None for name in _CAPS):
            config = {**config, "maxTokens": output_tokens_max}
        changes: dict[str, Any] = {"inferenceConfig": _capped(config, output_tokens_max)}
        more = mapping(call.request.get("additionalModelRequestFields"))
        if more:  # A cap in there may be the one that counts.
            changes["additionalModelRequestFields"] = _capped(more, output_tokens_max)
        return encoded({**call.request, **changes})

    def path_for(self, path: str, *, model: str) -> str:
        return path_with(path, model)

    def count_request(self, call: Call, path: str) -> tuple[str, bytes] | None:
        """
        Of a model, for profiles and versions of one have no count.
        """
        asked = only_fields(call, _COUNTED, beside=_NOT_PROMPT)
        counting = path_with(path, _PROFILE.sub("", call.model)).rpartition("/")[0] + "/count-tokens"
        return None if asked is None else (counting, encoded({"input": {"converse": asked}}))

    def read_count(self, body: bytes) -> int | None:
        return told(body, "inputTokens")

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        reply = ConverseReply(call, status)
        return FrameReader(reply) if stream else BodyReader(reply)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return bedrock_refusal(code=code, message=message, metadata=metadata)


def _object(request: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = request.get(name)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{name} must be an object, got {kind_of(value)}")
    return mapping(value)


def _extra(request: Mapping[str, Any], model: str, *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
    """
    A model's own fields, as Anthropic would read them: its tools, thinking and settings may be among them.
    """
    fields = {"messages": [], **_object(request, "additionalModelRequestFields"), "model": model}
    return _ANTHROPIC.describe(fields, provider=provider, path=path, headers=headers)


def _head(pieces: Input, request: Mapping[str, Any], model: str, tools: list[Any], extra: Call) -> Item:
    tokens, images = pieces.tokens_max, pieces.images
    system = _blocks(pieces, request.get("system"))
    config = {**mapping(request.get("toolConfig")), "tools": tools}
    fields = {key: value for key, value in request.items() if key not in _NOT_PROMPT and value is not None}
    pieces.json({key: value for key, value in config.items() if value})
    pieces.json(fields)
    pieces.tokens_max += extra.head.tokens_max + sum(item.tokens_max for item in extra.items)
    if "context_management" in mapping(request.get("additionalModelRequestFields")):
        pieces.hide("a context that the provider edits")
    own = [extra.head.value, *[item.value for item in extra.items]]
    value = {"model": model, "system": system, "tools": config, **fields, "own": own}
    return Item(pieces.tokens_max - tokens, pieces.images - images, value)


def _item(pieces: Input, message: Any) -> Item:
    tokens, images = pieces.tokens_max, pieces.images
    value = message
    if _is_one_text(message):
        pieces.tokens_max += text_bound(message["role"]) + len("role") + text_bound(message["content"][0]["text"])
    elif isinstance(message, dict):
        pieces.json({key: field for key, field in message.items() if key != "content"})
        value = {**message, "content": _blocks(pieces, message.get("content"))}
    else:
        pieces.json(message)
    return Item(pieces.tokens_max - tokens, pieces.images - images, value)


def _is_one_text(message: Any) -> bool:
    """
    Whether a message has nothing but one plain text, as nearly every message.
    """
    if not isinstance(message, dict) or message.keys() != {"content", "role"} or not isinstance(message["role"], str):
        return False
    content = message["content"]
    if not isinstance(content, list) or len(content) != 1 or not isinstance(content[0], dict):
        return False
    return content[0].keys() == {"text"} and isinstance(content[0]["text"], str)


def _blocks(pieces: Input, content: Any) -> Any:
    """
    A list of blocks without those that only mark what to cache.
    """
    if not isinstance(content, list):
        return pieces.json(content)
    kept = [block for block in content if not _is_mark(pieces, block)]
    for block in kept:
        _block(pieces, block)
    # By the name that whoever learns from bills knows reasoning by: it is left out of later turns.
    return [{"type": "reasoning", **block} if "reasoningContent" in mapping(block) else block for block in kept]


def _is_mark(pieces: Input, block: Any) -> bool:
    if not isinstance(block, dict) or block.keys() != {"cachePoint"}:
        return False
    pieces.cache_marks.append(block["cachePoint"])
    return True


def _block(pieces: Input, block: Any) -> None:
    if not isinstance(block, dict):
        pieces.json(block)
        return
    for kind, value in block.items():
        if kind == "text" and isinstance(value, str):
            pieces.tokens_max += text_bound(value)
        elif kind == "image":
            pieces.images += 1
        elif kind == "document":
            _document(pieces, mapping(value))
        elif kind == "guardContent":
            _block(pieces, value)
        elif kind in _NESTED_KINDS and isinstance(value, dict):
            pieces.json({key: field for key, field in value.items() if key != "content"})
            _nested(pieces, value.get("content"))
        elif kind in _HIDDEN_KINDS:
            # Of a film, Amazon's models read the pictures alone ("Video Vision Understanding").
            # Source: https://docs.aws.amazon.com/nova/latest/userguide/modalities.html, read 2026-11-22.
            pieces.hide(kind, has_audio=kind == "audio")
        else:
            pieces.json(value)
            if kind not in _JSON_KINDS and kind != "text":
                pieces.hide(f"a block of kind {kind!r:.60}")


def _nested(pieces: Input, content: Any) -> None:
    for block in content if isinstance(content, list) else [content]:
        _block(pieces, block)


def _document(pieces: Input, document: Mapping[str, Any]) -> None:
    source = mapping(document.get("source"))
    pieces.json({key: value for key, value in document.items() if key != "source"})
    content = source.get("text") or source.get("content")
    if content is None and document.get("format") in _TEXT_DOCUMENTS:
        content = _decoded_text(source.get("bytes"))
    if isinstance(content, str):
        content = [{"text": content}]
    if isinstance(content, list):
        _nested(pieces, content)
    else:
        pieces.hide("a document")


def _decoded_text(data: object) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode() if isinstance(data, str) else None
    except ValueError:
        return None


def _cap(request: Mapping[str, Any]) -> int | None:
    """
    The cap that can be counted on: the largest of those that may be the one that counts.

    Raises:
        ValueError: One is no whole number.
    """
    more = _object(request, "additionalModelRequestFields")
    own = _caps(_object(request, "inferenceConfig"))
    others = _caps(more) + _caps(mapping(more.get("inferenceConfig")))
    known = [value for value in own + others if value is not None]
    return max(known) if own and len(known) == len(own + others) else None


def _caps(fields: Mapping[str, Any]) -> list[int | None]:
    return [cap(fields, name) for name in _CAPS if fields.get(name) is not None]


def _capped(fields: Mapping[str, Any], most: int) -> dict[str, Any]:
    """
    A model's own fields under another cap, wherever they have one.
    """
    found = dict(fields)
    for name, value in fields.items():
        if name in _CAPS and value is not None:
            found[name] = most
        elif name == "inferenceConfig" and isinstance(value, dict):
            found[name] = _capped(value, most)
    return found


def _is_structured(request: Mapping[str, Any]) -> bool:
    choice = mapping(mapping(request.get("toolConfig")).get("toolChoice"))
    return mapping(request.get("outputConfig")).get("textFormat") is not None or not choice.keys().isdisjoint(
        ("any", "tool")
    )


def _server_tools(tools: list[Any]) -> tuple[ServerTool, ...]:
    """
    The tools that Bedrock runs inside the call. No request can cap their uses.
    """
    own = [mapping(tool)["systemTool"] for tool in tools if "systemTool" in mapping(tool)]
    return tuple(ServerTool(name=text(mapping(tool).get("name")) or "systemTool", calls_max=None) for tool in own)


def _unbounded(request: Mapping[str, Any], tools: list[Any]) -> tuple[str, ...]:
    found = [f"a tool of kind {kind!r:.60}" for tool in tools for kind in mapping(tool) if kind not in _TOOL_KINDS]
    if request.get("guardrailConfig") is not None:
        found.append(GUARDRAIL)
    return tuple(found)


class ConverseReply(Reply):
    """
    A Converse reply as it becomes known. A stream tells its usage once, in its last event.
    """

    def __init__(self, call: Call, status: int) -> None:
        super().__init__(call, status)
        self._calls = 0
        self._searches = 0
        self._runs = 0

    def event(self, name: str, body: Mapping[str, Any]) -> None:
        if name == "contentBlockStart":
            self._block(mapping(body.get("start")))
        elif name == "contentBlockDelta":
            self.begun = True
        elif name == "messageStop":
            self._end(body)
        elif name == "metadata":
            self.done = True
            self._told(body)

    def body(self, body: Mapping[str, Any]) -> None:
        for block in objects(mapping(mapping(body.get("output")).get("message")).get("content")):
            self._block(block)
        self._end(body)
        self._told(body)

    def tool_calls(self) -> int:
        return self._calls

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if raw.get("inputTokens") is None and raw.get("outputTokens") is None:
            return None
        if raw.get("inputTokens") is None or raw.get("outputTokens") is None:
            raise ValueError("inputTokens and outputTokens must both be told")
        cached = max(count(raw, "cacheReadInputTokens"), count(raw, "cacheReadInputTokenCount"))
        wrote = max(count(raw, "cacheWriteInputTokens"), count(raw, "cacheWriteInputTokenCount"))
        wrote_1h = sum(
            count(detail, "inputTokens") for detail in objects(raw.get("cacheDetails")) if detail.get("ttl") == "1h"
        )
        if not raw.get("cacheDetails") and "1h" in (self.call.cache_writes or ()):
            wrote_1h = wrote  # Nobody says which, so it counts as the dearer.
        # The input leaves out what was read from a cache or written to one; the total has them all.
        # Source: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html as quoted at
        # github.com/crmne/ruby_llm/pull/832, and recorded exchanges, read 2026-11-22.
        read = count(raw, "inputTokens") + cached + max(wrote, wrote_1h)
        written, _ = all_written(count(raw, "outputTokens"), 0, read=read, total=count(raw, "totalTokens"))
        told = mapping(raw.get("serverToolUsage"))
        return Usage(
            input_tokens=read,
            output_tokens=written,
            cache_read_tokens=cached,
            cache_write_5m_tokens=max(wrote - wrote_1h, 0),
            cache_write_1h_tokens=wrote_1h,
            web_searches=max(self._searches, sum(count(told, name) for name in told)),
            code_sessions=self._runs,
            tool_calls=self._calls,
        )

    def _block(self, block: Mapping[str, Any]) -> None:
        self.begun = True
        tool = block.get("toolUse")
        if not isinstance(tool, dict):
            return
        if tool.get("type") != "server_tool_use":
            self._calls += 1
        elif tool.get("name") == "nova_grounding":
            self._searches += 1
        else:  # Nobody says whether running code has a fee, so it is left to the price to know.
            self._runs += 1

    def _end(self, source: Mapping[str, Any]) -> None:
        reason = source.get("stopReason")
        self.cut_at_length = self.cut_at_length or reason == "max_tokens"
        if reason == "guardrail_intervened":  # What came are words of the guardrail, perhaps without any model.
            self.begun = False

    def _told(self, source: Mapping[str, Any]) -> None:
        self.add_usage(source.get("usage"))
        latency, tier = mapping(source.get("performanceConfig")), mapping(source.get("serviceTier"))
        self.tier = service_tier(latency.get("latency"), tier.get("type")) or self.tier
