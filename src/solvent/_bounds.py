"""
Tokens that no request shows: what providers add around messages and tools, and the most that an image can be.

Dated data. ``tests/wire/test_bounds.py`` holds it against every recorded exchange; the largest excess found there, in
brackets below, is what a constant has to cover, and each has a wide margin above it.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from solvent.wire._call import Call


class Overhead(Struct, frozen=True, kw_only=True):
    """
    Tokens beyond the text itself.

    Attributes:
        request: The frame of a request, with a system prompt that the host's template may bring along.
        message: The frame of one message.
        tool: The frame of one tool.
        tools: The hidden prompt of a request that has tools, or an output schema.
    """

    request: int
    message: int
    tool: int
    tools: int


# Source: recorded exchanges of 2024 to 2026, measured 2026-11-21: OpenAI (none; 3 a message, 3 a reply and the role are
# documented), Anthropic (415 with tools; up to 530 documented in "Tool use", "Pricing"), Groq (446 with tools),
# DeepSeek (56 without), Cerebras and Groq's gpt-oss (31 without), OpenRouter (317 with tools, 53 without), and measured
# 2026-11-22: Bedrock (379 with tools, 26 without).
_OPENAI = Overhead(request=64, message=16, tool=48, tools=300)
_ANTHROPIC = Overhead(request=64, message=16, tool=48, tools=900)
_OTHERS = Overhead(request=320, message=16, tool=48, tools=900)
# Cohere puts a prompt of its own around each request and does not bill it; the bound covers it all the same. Recorded
# exchanges: 478 tokens above the text, 1,175 with tools, measured 2026-11-22.
_COHERE = Overhead(request=640, message=32, tool=64, tools=1_000)
# Recorded exchanges of the Gemini API and of Vertex AI: none, with tools or without, measured 2026-11-22.
_GOOGLE = _OPENAI
_BY_PROVIDER = {
    "anthropic": _ANTHROPIC,
    "azure": _OPENAI,
    "cohere": _COHERE,
    "gemini": _GOOGLE,
    "openai": _OPENAI,
}

# OpenAI's embeddings have no frame: 3 recorded exchanges, measured 2026-11-22. Elsewhere models put marks around each
# text, and some a sentence in front that says what it is for: a cautious guess, for none is recorded.
_EMBEDDINGS = Overhead(request=16, message=64, tool=0, tools=0)
_BY_FORMAT = {
    "cohere-embed": _EMBEDDINGS,
    "gemini-embed": _EMBEDDINGS,
    "gemini-generate": _GOOGLE,
    "ollama-embed": _EMBEDDINGS,
    "openai-embeddings": _EMBEDDINGS,
}

# Tools whose definition the provider writes. Source: recorded memory tool (1,469); claudecodeguides.com on Anthropic's
# bash (245), text editor (700) and computer tools (735), read 2026-11-21; the others are guessed, with a wide margin.
_TYPED_TOOLS = {
    "apply_patch": 1_200,
    "bash_": 800,
    "computer": 2_500,
    "local_shell": 1_200,
    "memory_": 3_000,
    "shell": 1_200,
    "text_editor_": 1_600,
}

# The most tokens of one image, by the longest prefix of the model's name. Tiles: base + 8 tiles (768 × 2,048 pixels);
# patches: 1,536 × the model's multiplier; from gpt-5.4 on 10,000 patches × the largest multiplier known.
# Source: OpenAI's images guide as mirrored at openai-hd4n6.mintlify.app (tiles, 1,536 patches, 1.62 and 2.46), and
# bills reported at community.openai.com/t/1262691, read 2026-11-21; from gpt-5.4 on a cautious guess.
_OPENAI_IMAGES = {
    "computer-use-preview": 1_097,
    "gpt-4-turbo": 1_445,
    "gpt-4-vision": 1_445,
    "gpt-4.1": 1_568,
    "gpt-4.1-mini": 2_489,
    "gpt-4.1-nano": 3_779,
    "gpt-4.5": 1_445,
    "gpt-4o": 1_445,
    "gpt-4o-mini": 48_169,
    "gpt-5": 3_779,
    "gpt-5.4": 24_600,
    "gpt-5.5": 24_600,
    "gpt-5.6": 24_600,
    "o1": 1_275,
    "o3": 1_275,
    "o4-mini": 2_642,
}
# Source: platform.claude.com, "Images and vision", and claudecodecamp.com on Opus 4.7 (2,576 pixels where 1,568 were),
# read 2026-11-21: about 1,600 up to 4.6; 4,784 from there on.
_ANTHROPIC_IMAGES = {
    "claude-": 4_784,
    "claude-3": 1_600,
    **{
        f"claude-{name}-4{minor}": 1_600
        for name in ("haiku", "opus", "sonnet")
        for minor in ("-0", "-1", "-2", "-5", "-6")
    },
}
# Tiles of 258, at least 256 pixels wide, of a picture scaled to at most 3,072 × 3,072: 12 × 2, and the whole (10
# were recorded); from Gemini 3 on about 2,240 at most. Later models and names such as gemini-flash-latest are unknown.
# Source: Vertex AI, "Image understanding", "Requirements" and "Tokenization", as copied in public repositories;
# https://ai.google.dev/gemini-api/docs/media-resolution, "Token counts"; github.com/AlaskanTuna/Rokabot/issues/121
# (1,089 for every picture); read 2026-11-22.
_GOOGLE_IMAGES = {"gemini-1.5": 6_450, "gemini-2": 6_450, "gemini-3": 2_500}

# Whose count of a request is no estimate: OpenAI's is "the exact count the model will receive", Amazon's the one that
# "would be charged". Anthropic calls its own an estimate that a bill may differ from by a small amount; Google's guide
# shows 10 where 11 are billed. Nobody says by how much at most, and all recorded counts are equal to their bills, so a
# twentieth is a guess. Source: https://developers.openai.com/api/docs/guides/token-counting; Amazon Bedrock API
# reference, "CountTokens"; https://docs.claude.com/en/docs/build-with-claude/token-counting;
# https://ai.google.dev/api/tokens; read 2026-11-22.
_EXACT_COUNTS = frozenset({"bedrock", "openai"})


def overhead(call: Call) -> int:
    """
    The most tokens that the provider adds to what ``head`` and ``items`` count, images aside.
    """
    of = _BY_FORMAT.get(call.format) or _BY_PROVIDER.get(call.provider, _OTHERS)
    total = of.request + of.message * len(call.items)
    if call.tools or call.structured_output:
        total += of.tools + of.tool * call.tools + _typed_tools(call)
    return total


def image_tokens_max(call: Call) -> int | None:
    """
    The most tokens that one image can be; ``None`` when nobody says, which means the model's largest input.
    """
    maker, _, model = call.model.rpartition("/")
    if call.provider == "bedrock":
        _, anthropic, model = call.model.rpartition("anthropic.")
        return _longest_prefix(_ANTHROPIC_IMAGES, model) if anthropic else None
    if call.provider in ("gemini", "vertex") or (call.provider == "openrouter" and maker == "google"):
        found = _longest_prefix(_GOOGLE_IMAGES, model)
        if found is not None:
            return found
    if call.provider in ("anthropic", "vertex") or (call.provider == "openrouter" and maker == "anthropic"):
        return _longest_prefix(_ANTHROPIC_IMAGES, model.replace(".", "-"))
    if call.provider in ("azure", "openai") or (call.provider == "openrouter" and maker == "openai"):
        return _longest_prefix(_OPENAI_IMAGES, model)
    return None


def counted_max(call: Call, counted: int) -> int:
    """
    The most input tokens of a call for which the provider's count endpoint tells so many: a frame more in any case.
    """
    frame = overhead(replace(call, items=(), tools=0, structured_output=False))
    return counted + frame + (0 if call.provider in _EXACT_COUNTS else -(-counted // 20))


def _typed_tools(call: Call) -> int:
    found = []
    # Converse passes a model's own tools on among its other fields.
    for fields in (call.request, call.request.get("additionalModelRequestFields")):
        tools = fields.get("tools") if isinstance(fields, Mapping) else None
        tools = [tools] if isinstance(tools, Mapping) else tools if isinstance(tools, list) else []
        # Gemini tells one tool from another by the names of its fields.
        found += [kind for tool in tools if isinstance(tool, Mapping) for kind in (tool.get("type"), *tool)]
    named = [kind for kind in found if isinstance(kind, str)]
    return sum(tokens for kind in named for start, tokens in _TYPED_TOOLS.items() if kind.startswith(start))


def _longest_prefix(table: dict[str, int], name: str) -> int | None:
    found = [prefix for prefix in table if name.startswith(prefix)]
    return table[max(found, key=len)] if found else None
