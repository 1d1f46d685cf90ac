"""
How frameworks name what was used, where their words are not a provider's.

Source:
    By name: langchain-core 1.8.2, ``messages/ai.py``, with langchain-openai 1.7.4 (tiers before the names) and
    langchain-anthropic 1.7.10 (the life of a cache); pydantic-ai 2.68.0, ``usage.py``; crewai 1.15.30,
    ``types/usage_metrics.py``; langchain-aws 1.9.1, ``llms/bedrock.py``; strands-agents 1.62.0, ``models/openai.py``
    and ``models/anthropic.py``; read 2026-11-22.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from solvent._amounts import Usage
from solvent.wire._read import all_written, count, mapping

Names = tuple[str, ...]


class Words(Struct, frozen=True, kw_only=True):
    """
    The words of one framework. A name may have a point, for what lies in another object.

    Attributes:
        marks: Names that tell it from others with the same input and output.
        cache_write: Written to a cache of any life, those of a told life left out or not.
        missing: How many replies told nothing.
        cache_inside: The input has what was cached in it; ``None`` where the total tells, else nobody.
    """

    marks: frozenset[str]
    input: str = "input_tokens"
    output: str = "output_tokens"
    total: str = "total_tokens"
    cache_read: Names = ()
    cache_write: Names = ()
    cache_write_5m: Names = ()
    cache_write_1h: Names = ()
    reasoning: Names = ()
    audio_input: Names = ()
    audio_output: Names = ()
    audio_cache_read: Names = ()
    tool_calls: Names = ()
    missing: Names = ()
    cache_inside: bool | None = True


def _at_any_tier(where: str, name: str) -> Names:
    return tuple(f"{where}.{tier}{name}" for tier in ("", "flex_", "priority_"))


LANGCHAIN = Words(
    marks=frozenset({"input_token_details", "output_token_details"}),
    cache_read=_at_any_tier("input_token_details", "cache_read"),
    cache_write=_at_any_tier("input_token_details", "cache_creation"),
    cache_write_5m=("input_token_details.ephemeral_5m_input_tokens",),
    cache_write_1h=("input_token_details.ephemeral_1h_input_tokens",),
    reasoning=_at_any_tier("output_token_details", "reasoning"),
    audio_input=("input_token_details.audio",),
    audio_output=("output_token_details.audio",),
)
PYDANTIC_AI = Words(
    marks=frozenset({"cache_read_tokens", "cache_write_tokens"}),
    cache_read=("cache_read_tokens",),
    cache_write=("cache_write_tokens",),
    cache_write_1h=("cache_write_1h_tokens",),
    reasoning=("output_reasoning_tokens",),
    audio_input=("input_audio_tokens",),
    audio_output=("output_audio_tokens",),
    audio_cache_read=("cache_audio_read_tokens",),
    tool_calls=("tool_calls",),
    missing=("unmeasured_requests",),
)
CREWAI = Words(
    marks=frozenset({"cached_prompt_tokens"}),
    input="prompt_tokens",
    output="completion_tokens",
    cache_read=("cached_prompt_tokens",),
    cache_write=("cache_creation_tokens",),
    reasoning=("reasoning_tokens",),
)
# LiteLLM counts what was cached in the input, langchain-aws beside it.
CACHE_AT_TOP = Words(
    marks=frozenset({"cache_creation_input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"}),
    input="prompt_tokens",
    output="completion_tokens",
    cache_read=("cache_read_input_tokens",),
    cache_write=("cache_creation_input_tokens", "cache_write_input_tokens"),
    cache_inside=None,
)
# In Amazon's words, but as OpenAI counts where the model is one of OpenAI's.
STRANDS = Words(
    marks=frozenset({"cacheReadInputTokens", "cacheWriteInputTokens"}),
    input="inputTokens",
    output="outputTokens",
    total="totalTokens",
    cache_read=("cacheReadInputTokens",),
    cache_write=("cacheWriteInputTokens",),
    cache_inside=None,
)


def read(words: Words, part: Mapping[str, Any]) -> Usage:
    """
    A usage in the words of a framework.

    Raises:
        ValueError: A count cannot be meant, or nobody can tell whether the input has what was cached in it.
    """
    if _sum(part, words.missing):
        raise ValueError(f"{words.missing[0]} says that some replies told no usage, so that it is not all")
    told, written, total = count(part, words.input), count(part, words.output), count(part, words.total)
    cached, wrote_1h = _sum(part, words.cache_read), _sum(part, words.cache_write_1h)
    # A sum of all lives where it is the larger, as the rest of it has the shorter one.
    wrote = max(_sum(part, words.cache_write), _sum(part, words.cache_write_5m) + wrote_1h)
    if not _is_inside(words, told, written, cached + wrote, total):
        told += cached + wrote
    written, reasoning = all_written(written, _sum(part, words.reasoning), read=told, total=total)
    return Usage(
        input_tokens=told,
        output_tokens=written,
        cache_read_tokens=cached,
        cache_write_5m_tokens=wrote - wrote_1h,
        cache_write_1h_tokens=wrote_1h,
        reasoning_tokens=reasoning,
        audio_input_tokens=_sum(part, words.audio_input),
        audio_output_tokens=_sum(part, words.audio_output),
        audio_cache_read_tokens=_sum(part, words.audio_cache_read),
        tool_calls=_sum(part, words.tool_calls),
    )


def is_counted_inside(words: Words, part: Mapping[str, Any]) -> bool:
    """
    Whether the total says that the input has what was cached in it, and that is not nothing.
    """
    cached = _sum(part, words.cache_read) + _sum(part, words.cache_write)
    return bool(cached) and count(part, words.total) == count(part, words.input) + count(part, words.output)


def with_litellm(usage: Usage, part: Mapping[str, Any]) -> Usage:
    """
    The usage of a chat with what LiteLLM says of other providers in the same words.

    Source:
        litellm 1.109.1, ``types/utils.py``, ``PromptTokensDetailsWrapper``, read 2026-11-22.
    """
    details = mapping(part.get("prompt_tokens_details"))
    wrote_1h = count(mapping(details.get("cache_creation_token_details")), "ephemeral_1h_input_tokens")
    return replace(
        usage,
        cache_write_5m_tokens=max(usage.cache_write_5m_tokens - wrote_1h, 0),
        cache_write_1h_tokens=wrote_1h,
        web_searches=max(usage.web_searches, count(details, "web_search_requests")),
        map_searches=max(usage.map_searches, count(details, "google_maps_grounding_requests")),
    )


def _is_inside(words: Words, told: int, written: int, cached: int, total: int) -> bool:
    if words.cache_inside or not cached or total == told + written:
        return True
    if total == told + written + cached:
        return False
    raise ValueError(
        f"{words.total} must tell whether {words.input} has the {cached} cached tokens in it, got {total or 'nothing'}"
    )


def _sum(part: Mapping[str, Any], names: Names) -> int:
    found = 0
    for name in names:
        where, _, last = name.rpartition(".")
        found += count(mapping(part.get(where)) if where else part, last)
    return found
