"""
A reply of Gemini's ``generateContent`` as it becomes known.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call
from solvent.wire._gemini import AUDIO, IMAGES, is_priced, tokens_of, told_tier
from solvent.wire._read import all_written, count, mapping, objects, text
from solvent.wire._reply import Reply

# What a search costs, beside its tokens: of Gemini 2 and before a fee a request, of later models one a query.
# Source: https://ai.google.dev/gemini-api/docs/google-search, "Pricing", read 2026-11-22.
_FEE_PER_REQUEST = re.compile(r"(?:google/)?gemini-[12][.-]")
_SEARCHES = {"GOOGLE_MAPS": "maps", "GOOGLE_SEARCH_IMAGE": "web", "GOOGLE_SEARCH_WEB": "web"}
_SOURCES = {"image": "web", "maps": "maps", "web": "web"}
_PROMPT, _FOUND, _WRITTEN = "promptTokensDetails", "toolUsePromptTokensDetails", "candidatesTokensDetails"
_COUNTS = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")


class GenerateReply(Reply):
    """
    Each piece of a stream is a reply of its own, and tells the usage so far.
    """

    MARK = re.compile(rb'"(?:candidates|error|promptFeedback|usageMetadata)"')

    def __init__(self, call: Call, status: int) -> None:
        super().__init__(call, status)
        self._calls = 0
        self._finished: set[object] = set()
        self._queries: dict[str, set[str]] = {"maps": set(), "web": set()}
        self._grounded: set[str] = set()

    def event(self, name: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002  # No event has a name.
        self.body(body)
        if body.get("error"):
            self.add_error(body["error"])

    def body(self, body: Mapping[str, Any]) -> None:
        self.model = text(body.get("modelVersion")) or self.model
        usage = body.get("usageMetadata")
        if usage:
            self.usage_raw = None  # Each piece of a stream tells it anew. The last one counts, though it may be less.
        self.add_usage(usage)
        self.tier = told_tier(mapping(usage)) or self.tier
        for candidate in objects(body.get("candidates")):
            self._candidate(candidate)
        blocked = text(mapping(body.get("promptFeedback")).get("blockReason")) is not None
        self.done = self.done or blocked or 0 < len(self._finished) >= self.call.choices

    def tool_calls(self) -> int:
        return self._calls

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if all(raw.get(name) is None for name in _COUNTS):
            return None
        prompt, candidates, thoughts, total = (count(raw, name) for name in _COUNTS)
        read = prompt + count(raw, "toolUsePromptTokenCount")
        if raw.get("promptTokenCount") is None or (raw.get("candidatesTokenCount") is None and total < read):
            raise ValueError("promptTokenCount and candidatesTokenCount must be told, or a total")
        written, _ = all_written(candidates + thoughts, thoughts, read=read, total=total)
        return Usage(
            input_tokens=read,
            output_tokens=written,
            cache_read_tokens=count(raw, "cachedContentTokenCount"),
            reasoning_tokens=thoughts,
            audio_input_tokens=_read_of(raw, *AUDIO) or 0,
            audio_output_tokens=self._audio_written(raw),
            audio_cache_read_tokens=tokens_of(raw, "cacheTokensDetails", *AUDIO) or 0,
            image_input_tokens=_read_of(raw, *IMAGES),
            image_output_tokens=tokens_of(raw, _WRITTEN, *IMAGES),
            web_searches=self._searches("web"),
            map_searches=self._searches("maps"),
            tool_calls=self._calls,
        )

    def _audio_written(self, raw: Mapping[str, Any]) -> int:
        """
        Raises:
            ValueError: Output came of another kind, for which the model has no price.
        """
        details = objects(raw.get(_WRITTEN))
        for kind in {str(detail.get("modality")) for detail in details if detail.get("tokenCount")}:
            if kind not in ("AUDIO", "TEXT") and not is_priced(kind, self.call.model):
                raise ValueError(f"output of kind {kind!r:.60} has a price of its own")
        return 0 if is_priced("AUDIO", self.call.model) else tokens_of(raw, _WRITTEN, *AUDIO) or 0

    def _searches(self, kind: str) -> int:
        searches = max(len(self._queries[kind]), int(kind in self._grounded))
        return min(searches, 1) if _FEE_PER_REQUEST.match(self.call.model) else searches

    def _candidate(self, candidate: Mapping[str, Any]) -> None:
        for part in objects(mapping(candidate.get("content")).get("parts")):
            self.begun = True
            # Arguments that are streamed come in further parts, without the name.
            self._calls += text(mapping(part.get("functionCall")).get("name")) is not None
            tool = mapping(part.get("toolCall"))
            kind = _SEARCHES.get(str(tool.get("toolType")))
            if kind is not None:
                self._add_queries(kind, mapping(tool.get("args")).get("queries"))
        reason = text(candidate.get("finishReason"))
        if reason is not None:
            self.begun = True
            index = candidate.get("index")
            self._finished.add(index if isinstance(index, int) else 0)
            self.cut_at_length = self.cut_at_length or reason == "MAX_TOKENS"
        grounding = mapping(candidate.get("groundingMetadata"))
        self._add_queries("web", grounding.get("webSearchQueries"))
        self._add_queries("web", grounding.get("imageSearchQueries"))
        for chunk in objects(grounding.get("groundingChunks")):
            self._grounded.update(kind for name, kind in _SOURCES.items() if name in chunk)

    def _add_queries(self, kind: str, queries: object) -> None:
        if isinstance(queries, list):
            self._queries[kind].update(query for query in queries if text(query))


def _read_of(raw: Mapping[str, Any], *kinds: str) -> int | None:
    told = [tokens_of(raw, name, *kinds) for name in (_PROMPT, _FOUND)]
    return None if told == [None, None] else sum(filter(None, told))
