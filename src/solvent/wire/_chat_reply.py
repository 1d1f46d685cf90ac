"""
A chat completion as it becomes known, and the legacy completion, whose choices have a text where a chat's have a delta.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Reading
from solvent.wire._openai import charged, images_told, ran_at_xai
from solvent.wire._read import all_written, count, mapping, merged, objects, text
from solvent.wire._reply import Reply
from solvent.wire._vertex import told_tier


class ChatReply(Reply):
    """
    Args:
        searched: The model searches by itself, at least once.
    """

    # Many hosts write all of them as null.
    MARK = re.compile(rb'"(?:error|executed_tools|finish_reason|name|usage|web_search)"\s*:\s*[^n\s]')
    MARKS = (b"[DONE]", b"event: error")

    def __init__(self, call: Call, status: int, *, searched: bool = False) -> None:
        super().__init__(call, status)
        self._searched = searched
        self._calls: set[tuple[Any, ...]] = set()
        self._executed: set[int] = set()
        self._finished: set[Any] = set()

    def event(self, name: str, body: Mapping[str, Any]) -> None:
        self._add_all(body)
        if body.get("error") or name == "error":
            self.add_error(body.get("error") or body)
        for choice in objects(body.get("choices")):
            delta = mapping(choice.get("delta"))
            self.begun = self.begun or bool(choice.get("text")) or any(delta[key] for key in delta if key != "role")
            self._add_tool_calls(choice.get("index"), delta)
            self._add_finish(choice)

    def body(self, body: Mapping[str, Any]) -> None:
        self._add_all(body)
        for number, choice in enumerate(objects(body.get("choices"))):
            self.begun = True
            self._add_tool_calls(number, mapping(choice.get("message")), whole=True)
            self._add_finish(choice)

    def tool_calls(self) -> int:
        return len(self._calls)

    def reading(self, *, complete: bool) -> Reading:
        return super().reading(complete=complete or 0 < len(self._finished) >= self.call.choices)

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        return usage_of(
            raw,
            searches=max(len(self._executed), int(self._searched)),
            tool_calls=self.tool_calls(),
            ran=ran_at_xai(self.call.provider, raw),
        )

    def charged(self, raw: Mapping[str, Any]) -> int | None:
        return charged(self.call.provider, raw)

    def _add_all(self, body: Mapping[str, Any]) -> None:
        """
        The names and all usages that a body or an event tells, wherever its host puts them.
        """
        self.add_names(body)
        self.add_usage(body.get("usage"))
        if "x_groq" in body:
            self.add_usage(mapping(body["x_groq"]).get("usage"))
        for choice in objects(body.get("choices")):
            if "usage" in choice:  # Moonshot tells it there.
                self.add_usage(choice["usage"])
        if self.usage_raw is not None:  # Mistral names the tier there.
            self.tier = text(self.usage_raw.get("service_tier")) or self.tier
            google = mapping(mapping(self.usage_raw.get("extra_properties")).get("google"))  # On Vertex AI.
            self.tier = told_tier(google.get("traffic_type")) or self.tier
        if body.get("web_search"):  # What Z.ai found.
            self._executed.add(0)

    def _add_finish(self, choice: Mapping[str, Any]) -> None:
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            index = choice.get("index")
            self._finished.add(index if isinstance(index, int) else len(self._finished))
            self.begun = self.begun or reason != "error"
            self.cut_at_length = self.cut_at_length or reason == "length"

    def _add_tool_calls(self, choice: object, message: Mapping[str, Any], *, whole: bool = False) -> None:
        for number, tool in enumerate(objects(message.get("executed_tools"))):  # By Groq, each for a fee of its own.
            index = tool.get("index")
            self._executed.add(index if isinstance(index, int) else number)
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
_NOTHING: Mapping[str, int] = {}


def usage_of(
    raw: Mapping[str, Any], *, searches: int = 0, tool_calls: int = 0, ran: Mapping[str, int] = _NOTHING
) -> Usage | None:
    """
    The usage of a chat, a completion or embeddings.

    Args:
        searches: How many the reply shows, or must have made: one that the host bills and does not tell.
        ran: Uses of tools that the host tells in words of its own, by the fields of a usage.

    Source:
        community.openai.com/t/1369991 (a search model always searches), read 2026-11-21.

    Raises:
        ValueError: The counts cannot be meant.
    """
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
        image_input_tokens=images_told(details, most=read),
        image_output_tokens=images_told(output_details, most=written),
        web_searches=max(count(searched_for, "web_search_requests"), searches, ran.get("web_searches", 0)),
        file_searches=ran.get("file_searches", 0),
        code_sessions=ran.get("code_sessions", 0),
        tool_calls=tool_calls,
    )
