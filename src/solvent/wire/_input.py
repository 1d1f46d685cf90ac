"""
The input of a request, piece by piece: how many tokens its text can be, how many images, and what hides behind an id.

Every value is also brought to one form, so that equal prompts compare equal: marks that only steer a cache are left
out, and a single plain text block is its text.
"""

from collections.abc import Mapping
from typing import Any

from solvent.wire._call import Item
from solvent.wire._read import mapping
from solvent.wire._schema import References
from solvent.wire._text import json_bound, text_bound

CACHE_MARKS = frozenset({"cache_control", "prompt_cache_breakpoint"})
_PLAIN_MESSAGE = {"content", "role"}
_TEXT_KINDS = frozenset({"input_text", "output_text", "reasoning_text", "summary_text", "text"})
_JSON_KINDS = frozenset(  # Everything that the model may read of these is in the request.
    {
        "advisor_result",
        "bash_code_execution_tool_result",
        "code_execution_tool_result",
        "compaction",
        "mcp_tool_use",
        "reasoning",
        "redacted_thinking",
        "refusal",
        "server_tool_use",
        "text_editor_code_execution_tool_result",
        "thinking",
        "tool_addition",
        "tool_reference",
        "tool_search_tool_result",
        "tool_use",
        "web_search_result",
        "web_search_tool_result",
    }
)
_IMAGE_KINDS = frozenset({"computer_screenshot", "image", "image_url", "input_image", "output_image"})
_IMAGE_FIELDS = frozenset({"detail", "file_id", "image_url", "source", "type"})
_NESTED_KINDS = frozenset(
    {
        "advisor_tool_result",
        "mcp_tool_result",
        "search_result",
        "tool_result",
        "web_fetch_result",
        "web_fetch_tool_result",
    }
)
_HIDDEN_KINDS = {
    "audio": "audio",
    "audio_url": "audio",
    "container_upload": "an uploaded file",
    "document_url": "a document",
    "file": "a file",
    "input_audio": "audio",
    "input_file": "a file",
    "input_video": "video",
    "item_reference": "an item by its id",
    "video": "video",
    "video_url": "video",
}
_WITH_SOUND = frozenset({"audio", "audio_url", "input_audio", "input_video", "video", "video_url"})


class Input:
    """
    Adds up the pieces that it is shown.
    """

    __slots__ = ("cache_marks", "has_audio", "hidden", "images", "tokens_max")

    def __init__(self) -> None:
        self.tokens_max = 0
        self.images = 0
        self.hidden: str | None = None
        self.has_audio = False
        self.cache_marks: list[Any] = []

    @property
    def cache_writes(self) -> frozenset[str]:
        """
        The kinds of cache that the marks ask for; an unknown time to live may be either.
        """
        lives = [mapping(mark).get("ttl") or "5m" for mark in self.cache_marks if mark is not None]
        return frozenset(kind for ttl in lives for kind in ((ttl,) if ttl in ("1h", "5m") else ("1h", "5m")))

    def message(self, message: Any) -> Item:
        """
        One message, as an item of its own.
        """
        if isinstance(message, dict) and message.keys() == _PLAIN_MESSAGE:
            role, text = message["role"], message["content"]
            if (
                isinstance(text, list)
                and len(text) == 1
                and _is_plain_text(text[0])
                and isinstance(text[0]["text"], str)
            ):
                text = text[0]["text"]
                message = {"role": role, "content": text}
            if isinstance(role, str) and isinstance(text, str):  # As below, in short: nearly every message is one.
                bound = text_bound(role) + len("role") + text_bound(text)
                self.tokens_max += bound
                return Item(bound, 0, message)
        tokens, images = self.tokens_max, self.images
        value = self.fields(message) if isinstance(message, dict) else self.json(message)
        return Item(self.tokens_max - tokens, self.images - images, value)

    def fields(self, message: Mapping[str, Any]) -> Any:
        """
        An object with a ``content`` that people or models wrote; whatever else it has counts as JSON.
        """
        value = message
        for key, field in message.items():
            if key == "content":
                content = self.content(field)
                if content is not field:
                    value = {**value, key: content}
            elif key in CACHE_MARKS:
                self.cache_marks.append(field)
                value = {name: kept for name, kept in value.items() if name != key}
            elif isinstance(field, str):
                self.tokens_max += text_bound(field) + len(key)
            elif field is not None:
                self.tokens_max += json_bound(field) + len(key)
        return value

    def content(self, content: Any) -> Any:
        """
        A text, or a list of parts.
        """
        if isinstance(content, str):
            self.tokens_max += text_bound(content)
            return content
        if isinstance(content, dict):
            return self.part(content)
        if not isinstance(content, list):
            return self.json(content)
        parts = [self.part(part) for part in content]
        if len(parts) == 1 and _is_plain_text(parts[0]):
            return parts[0]["text"]
        return parts if any(new is not old for new, old in zip(parts, content, strict=True)) else content

    def part(self, part: Any) -> Any:
        if isinstance(part, str):
            return self.content(part)
        if not isinstance(part, dict):
            return self.json(part)
        if not CACHE_MARKS.isdisjoint(part):
            self.cache_marks.extend(part[mark] for mark in CACHE_MARKS & part.keys())
            part = {key: value for key, value in part.items() if key not in CACHE_MARKS}
        kind = part.get("type")
        kind = kind if isinstance(kind, str) else ""
        if kind in _TEXT_KINDS:
            if len(part) == 2 and isinstance(part.get("text"), str):
                self.tokens_max += text_bound(part["text"])
            else:
                self.json(part)
        elif kind in _IMAGE_KINDS:
            self.images += 1
            self.json({key: value for key, value in part.items() if key not in _IMAGE_FIELDS})
        elif kind in _NESTED_KINDS:
            return self.fields(part)
        elif kind == "document":
            self._document(part)
        elif kind in _HIDDEN_KINDS:
            self.hide(_HIDDEN_KINDS[kind], has_audio=kind in _WITH_SOUND)
        else:
            self.json(part)
            if kind not in _JSON_KINDS:
                self.hide(f"a part of type {kind!r:.60}")
        return part

    def json(self, value: Any) -> Any:
        if value is not None and value != {}:
            self.tokens_max += json_bound(value)
        return value

    def references(self, schema: Any) -> None:
        """
        What the references of a schema add at Google, whose models read what they refer to in their place.

        Source:
            https://ai.google.dev/api/generate-content, ``responseJsonSchema`` ("cyclic references are unrolled to a
            limited degree"), and the recorded test_google_validated_accepts_what_auto_accepts, read 2026-11-22.
        """
        added = References(mapping(schema)).tokens_max
        self.tokens_max += added or 0
        if added is None:
            self.hide("a schema that refers to itself")

    def hide(self, reason: str, *, has_audio: bool = False) -> None:
        self.hidden = self.hidden or reason
        self.has_audio = self.has_audio or has_audio

    def _document(self, part: Mapping[str, Any]) -> None:
        source = part.get("source")
        kind = source.get("type") if isinstance(source, dict) else None
        if (isinstance(source, dict) and kind == "text") or (source is None and part.get("document")):
            self.json(part)  # Of the second form are Cohere's, in tool results.
        elif isinstance(source, dict) and kind == "content":
            self.fields(source)
            self.json({key: value for key, value in part.items() if key != "source"})
        else:
            self.hide("a document")


def head_of(request: Mapping[str, Any], model: str, *, without: frozenset[str]) -> Item:
    """
    What a request has beside its messages: every field but those that the model never reads.
    """
    fields = {key: without_marks(value) for key, value in request.items() if key not in without and value is not None}
    return Item(json_bound(fields) if fields else _NO_FIELDS, 0, {"model": model, **fields})


_NO_FIELDS = json_bound({})


def _is_plain_text(part: Any) -> bool:
    return isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] in ("input_text", "text")


def without_marks(value: Any) -> Any:
    """
    A list of tools or a setting without the marks that steer a cache.
    """
    if isinstance(value, list):
        kept = [without_marks(item) for item in value]
        return kept if any(new is not old for new, old in zip(kept, value, strict=True)) else value
    if isinstance(value, dict) and not CACHE_MARKS.isdisjoint(value):
        return {key: field for key, field in value.items() if key not in CACHE_MARKS}
    return value
