"""
The wire formats: what a request may ask and what a reply used, one file a format and one table.
"""

from typing import Literal
from urllib.parse import quote, unquote

from msgspec import Struct

from solvent.wire._call import Asked, Call, Item, Reader, Reading, ServerTool, WireFormat
from solvent.wire._paths import FORMAT_BY_PATH, lookup
from solvent.wire.anthropic_messages import AnthropicMessages
from solvent.wire.bedrock_converse import BedrockConverse
from solvent.wire.bedrock_invoke import BedrockInvoke
from solvent.wire.cohere_chat import CohereChat
from solvent.wire.cohere_embed import CohereEmbed
from solvent.wire.gemini_embed import GeminiEmbed
from solvent.wire.gemini_generate import GeminiGenerate
from solvent.wire.ollama_chat import OllamaChat
from solvent.wire.ollama_embed import OllamaEmbed
from solvent.wire.openai_chat import OpenAIChat
from solvent.wire.openai_completions import OpenAICompletions
from solvent.wire.openai_embeddings import OpenAIEmbeddings
from solvent.wire.openai_responses import OpenAIResponses

__all__ = [
    "FORMATS",
    "Asked",
    "Call",
    "Endpoint",
    "Item",
    "Reader",
    "Reading",
    "ServerTool",
    "WireFormat",
    "at_path",
    "endpoint",
    "under",
]

FORMATS: dict[str, WireFormat] = {
    "anthropic-messages": AnthropicMessages(),
    "bedrock-converse": BedrockConverse(),
    "bedrock-invoke": BedrockInvoke(),
    "cohere-chat": CohereChat(),
    "cohere-embed": CohereEmbed(),
    "gemini-embed": GeminiEmbed(),
    "gemini-generate": GeminiGenerate(),
    "ollama-chat": OllamaChat(),
    "ollama-embed": OllamaEmbed(),
    "openai-chat": OpenAIChat(),
    "openai-completions": OpenAICompletions(),
    "openai-embeddings": OpenAIEmbeddings(),
    "openai-responses": OpenAIResponses(),
}


class Endpoint(Struct, frozen=True, kw_only=True):
    """
    One known path of a provider.

    Attributes:
        kind: ``paid`` calls have a format; ``free`` ones cost nothing; ``unbounded`` ones cost something that nobody
            here can bound yet.
        name: The path's plain name, ``chat/completions``, with ``*`` for ids.
    """

    kind: Literal["paid", "free", "unbounded"]
    format: WireFormat | None
    name: str


def endpoint(provider: str, method: str, path: str) -> Endpoint | None:
    """
    What a call on ``path`` is.

    Args:
        path: Below the provider's base URL, percent-decoded and normalized, without a query.

    Returns:
        ``None`` when the path is not known, and so is denied.
    """
    found = lookup(provider, method.upper(), path)
    if found is None:
        return None
    kind, name = found
    return Endpoint(kind=kind, format=FORMATS[FORMAT_BY_PATH[name]] if kind == "paid" else None, name=name)


def under(call: Call, model: str, asked: Asked) -> tuple[Call, str]:
    """
    The same request under another model of its provider, and the path that it then has.

    Raises:
        ValueError: The format has no name for such a model.
    """
    wire_format = FORMATS[call.format]
    path = wire_format.path_for(asked.path, model=model)
    request = {**call.request, "model": model} if "model" in call.request else call.request
    found = wire_format.describe(request, provider=call.provider, path=path, headers=asked.headers)
    if found.model != model:
        raise ValueError(f"model must be one that {call.format} can name, got {model!r}")
    return found, path


def at_path(address: str, path: str, other: str) -> str:
    """
    An address with another path in place of the one that it ends in.

    Args:
        path: Decoded, below the provider's base URL.
    """
    place, mark, query = address.partition("?")
    at = len(place)
    while (at := place.rfind("/", 0, at)) >= 0:
        if unquote(place[at:]).strip("/") == path:
            return place[: at + 1] + quote(other, safe="/-._~!$&'()*+,=:@") + mark + query
    raise ValueError(f"address must end in {path}")
