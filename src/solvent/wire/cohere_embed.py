"""
Cohere embeddings, of both versions.

Source:
    cohere 7.3.1, ``v2/raw_client.py``, ``raw_base_client.py`` and ``types/api_meta_billed_units.py``, read 2026-11-22.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Item, Reader, WireFormat
from solvent.wire._input import Input, head_of
from solvent.wire._read import count, listed, mapping, model_name, retry_count
from solvent.wire._reply import Reply, reader
from solvent.wire._request import with_changes
from solvent.wire.cohere_chat import cohere_refusal
from solvent.wire.openai_embeddings import embedded, unsized, without

# Fields that the model never reads and that do not shape the prompt.
_NOT_PROMPT = frozenset(
    {
        "embedding_types", "images", "inputs", "max_tokens", "metadata", "model", "output_dimension", "priority",
        "service_tier", "stream", "temperature", "texts", "truncate",
    }
)  # fmt: skip
_UNNAMED = "the model that Cohere chooses"  # Version 1 takes a request that names none.


class CohereEmbed(WireFormat):
    """
    The wire format ``cohere-embed``.
    """

    name = "cohere-embed"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = model_name(request, None if path.startswith("v2/") else _UNNAMED)
        pieces = Input()
        try:
            given = [*listed(request, "texts"), *listed(request, "inputs")]
            items = tuple([_piece(pieces, piece) for piece in given])
            head = head_of(request, model, without=_NOT_PROMPT)
        except RecursionError:
            raise ValueError("texts must not be nested this deeply") from None
        images = pieces.images or listed(request, "images")
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            head=head,
            items=items,
            output_tokens_max=0,
            structured_output=True,  # There is no output to be cut.
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            unbounded=("images, which have a price of their own",) if images else unsized(pieces, items),
            retry=retry_count(headers),
            request=request,
        )

    def rewrite(
        self,
        call: Call,
        *,
        model: str | None = None,
        output_tokens_max: int | None = None,  # noqa: ARG002  # The format has no output, and so no cap.
        own_cap: str = "",  # noqa: ARG002
    ) -> bytes | None:
        return with_changes(call, model=model, cap="", output_tokens_max=None)

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_EmbedReply(call, status), stream=stream)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return cohere_refusal(code=code, message=message, metadata=metadata)


def _piece(pieces: Input, piece: Any) -> Item:
    """
    A text, or an object whose ``content`` is a list of texts and images.
    """
    return pieces.message(piece) if isinstance(piece, dict) else embedded(pieces, piece)


class _EmbedReply(Reply):
    """
    Embeddings as they become known, whole.
    """

    MARK = re.compile(rb'"(?:error|meta)"')

    def event(self, name: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002
        self.body(body)  # They are not streamed.

    def body(self, body: Mapping[str, Any]) -> None:
        self.add_usage(mapping(body.get("meta")).get("billed_units"))
        self.begun = self.begun or bool(body.get("embeddings"))

    def decoded(self, body: bytes) -> Any:
        return without(body, "embeddings", "texts")

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if raw.get("input_tokens") is None:
            return None
        if count(raw, "images") or count(raw, "image_tokens"):
            raise ValueError("images have a price of their own")
        return Usage(input_tokens=count(raw, "input_tokens"), image_input_tokens=0)

    def tool_calls(self) -> int:
        return 0
