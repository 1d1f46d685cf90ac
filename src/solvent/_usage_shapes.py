"""
In whose words a usage is told: by the names that it has.

Source:
    By name: anthropic 2.12.0, ``types/usage.py``; openai 3.54.0, ``types/responses/response_usage.py`` (no name in both
    but the input, the output and its details); cohere 7.3.1, ``types/usage.py``, which reads counts as floats;
    read 2026-11-22.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from solvent import _framework_usage as frameworks
from solvent._framework_usage import Words
from solvent.wire._read import mapping


class Shape(Struct, frozen=True, kw_only=True):
    """
    In whose words a usage is told.

    Attributes:
        reader: The wire format that reads it, where that is a provider.
        words: Of the framework that tells it so, where that is none.
        at: Where a body has it; ``None`` where it is in the body itself.
        infers: The output follows from the total.
    """

    input: str
    output: str = ""
    total: str = ""
    reader: str = ""
    words: Words | None = None
    at: str | None = "usage"
    infers: bool = False

    @property
    def has_output(self) -> bool:
        """
        Embeddings have none.
        """
        return self.output != ""


def _of(words: Words) -> Shape:
    return Shape(input=words.input, output=words.output, total=words.total, words=words, infers=True)


ANTHROPIC = Shape(reader="anthropic-messages", input="input_tokens", output="output_tokens")
BEDROCK = Shape(reader="bedrock-converse", input="inputTokens", output="outputTokens", total="totalTokens")
CHAT = Shape(reader="openai-chat", input="prompt_tokens", output="completion_tokens", total="total_tokens", infers=True)
COHERE = Shape(reader="cohere-chat", input="input_tokens", output="output_tokens")
GOOGLE = Shape(
    reader="gemini-generate",
    input="promptTokenCount",
    output="candidatesTokenCount",
    total="totalTokenCount",
    at="usageMetadata",
    infers=True,
)
LLAMA = Shape(reader="completion", input="prompt_token_count", output="generation_token_count", at=None)
OLLAMA = Shape(reader="ollama-chat", input="prompt_eval_count", output="eval_count", at=None)
RESPONSES = Shape(
    reader="openai-responses", input="input_tokens", output="output_tokens", total="total_tokens", infers=True
)
TITAN = Shape(reader="embedding", input="inputTextTokenCount", at=None)

_BY_NAMES = (LLAMA, TITAN, GOOGLE, OLLAMA, BEDROCK, CHAT, RESPONSES)
_ANTHROPIC_MARKS = frozenset({"cache_creation", "cache_creation_input_tokens", "cache_read_input_tokens", "iterations"})
_COHERE_PARTS = ("billed_units", "tokens")
_GOOGLE_MARKS = ("candidates_token_count", "prompt_token_count", "total_token_count")
_XAI_MARKS = frozenset({"cost_in_usd_ticks", "num_sources_used", "server_side_tool_usage_details"})

# The names by which a usage is known.
COUNTS = frozenset(
    {
        *_ANTHROPIC_MARKS, *_COHERE_PARTS, *_GOOGLE_MARKS,
        *[name for shape in _BY_NAMES for name in (shape.input, shape.output, shape.total) if name],
    }
)  # fmt: skip


def shape_of(part: Mapping[str, Any]) -> Shape | None:
    """
    The shape of a usage; ``None`` where it has none of the names that count.

    Raises:
        ValueError: It may be one of several, whose counts mean different things.
    """
    if any(mapping(part.get(name)) for name in _COHERE_PARTS):
        return COHERE
    names = {name for name, value in part.items() if value is not None}
    told = [shape for shape in _BY_NAMES if names & {shape.input, shape.output}]
    told += [shape for shape in _BY_NAMES if shape.total in names]
    if not told or told[0] in (GOOGLE, LLAMA, OLLAMA, TITAN):
        return told[0] if told else None
    if told[0] is BEDROCK:
        return _of(frameworks.STRANDS) if frameworks.is_counted_inside(frameworks.STRANDS, part) else BEDROCK
    return _chat(names) if told[0] is CHAT else _input_and_output(part, names)


def _chat(names: set[str]) -> Shape:
    if names & frameworks.CREWAI.marks:
        return _of(frameworks.CREWAI)
    if names & frameworks.CACHE_AT_TOP.marks and "prompt_tokens_details" not in names:
        return _of(frameworks.CACHE_AT_TOP)
    return CHAT


def _input_and_output(part: Mapping[str, Any], names: set[str]) -> Shape:
    if names & frameworks.PYDANTIC_AI.marks and "total_tokens" in names:
        # So tells Agno, which takes the input from each provider as it is.
        raise ValueError("nobody can tell whether its input has the cached tokens in it")
    has_thought = mapping(part.get("output_tokens_details")).get("thinking_tokens") is not None
    fitting = [
        shape
        for shape, fits in (
            (ANTHROPIC, bool(names & _ANTHROPIC_MARKS) or has_thought),
            (RESPONSES, "input_tokens_details" in names),
            *[(_of(words), bool(names & words.marks)) for words in (frameworks.LANGCHAIN, frameworks.PYDANTIC_AI)],
        )
        if fits
    ]
    if len(fitting) > 1:
        raise ValueError(
            "its names are of several libraries, of which some count cached tokens as input and some do not"
        )
    return fitting[0] if fitting else RESPONSES


def is_google_by_attributes(part: Mapping[str, Any]) -> bool:
    """
    Whether it has Google's names as Google's Python library spells them.
    """
    return any(part.get(name) is not None for name in _GOOGLE_MARKS) and LLAMA.output not in part


def provider_of(part: Mapping[str, Any]) -> str:
    """
    Whose tools a usage tells, as far as its names are of one provider alone.
    """
    return "xai" if _XAI_MARKS & part.keys() else ""
