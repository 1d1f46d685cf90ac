"""
The wire formats: what a request may ask and what a reply used, one file a format and one table.
"""

from typing import Literal

from msgspec import Struct

from solvent.wire._call import Call, Item, Reader, Reading, ServerTool, WireFormat
from solvent.wire._paths import FORMAT_BY_PATH, lookup
from solvent.wire.anthropic_messages import AnthropicMessages
from solvent.wire.openai_chat import OpenAIChat
from solvent.wire.openai_responses import OpenAIResponses

__all__ = [
    "FORMATS",
    "Call",
    "Endpoint",
    "Item",
    "Reader",
    "Reading",
    "ServerTool",
    "WireFormat",
    "endpoint",
]

FORMATS: dict[str, WireFormat] = {
    "anthropic-messages": AnthropicMessages(),
    "openai-chat": OpenAIChat(),
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


def endpoint(provider: str, method: str, path: str) -> Endpoint | None:  # noqa: ARG001  # Hosts share the paths so far.
    """
    What a call on ``path`` is.

    Args:
        path: Below the provider's base URL, percent-decoded and normalized, without a query.

    Returns:
        ``None`` when the path is not known, and so is denied.
    """
    found = lookup(method.upper(), path)
    if found is None:
        return None
    kind, name = found
    return Endpoint(kind=kind, format=FORMATS[FORMAT_BY_PATH[name]] if kind == "paid" else None, name=name)
