"""
OpenAI's embeddings, and the hosts that speak them: text in, numbers out, and no output that is billed.

Source:
    openai 3.54.0, ``types/embedding_create_params.py``, mistralai 3.7.0 and together 3.1.1, read 2026-11-22.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from solvent._amounts import Usage
from solvent.wire._call import Call, Item, Reader, WireFormat
from solvent.wire._chat_reply import usage_of
from solvent.wire._input import Input, head_of
from solvent.wire._openai import asked_model, charged, more_than_asked, path_with_model
from solvent.wire._read import kind_of, retry_count, text
from solvent.wire._reply import Reply, reader
from solvent.wire._request import openai_refusal, with_changes
from solvent.wire._sse import decoded

# Fields that the model never reads and that do not shape the prompt.
_NOT_PROMPT = frozenset(
    {
        "dimensions", "encoding_format", "input", "metadata", "model", "output_dimension", "output_dtype",
        "service_tier", "stream", "temperature", "truncate", "user",
    }
)  # fmt: skip
_top = msgspec.json.Decoder(dict[str, msgspec.Raw])


class OpenAIEmbeddings(WireFormat):
    """
    The wire format ``openai-embeddings``.
    """

    name = "openai-embeddings"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = asked_model(request, path)
        pieces = Input()
        try:
            items = tuple([embedded(pieces, one) for one in _inputs(request.get("input"))])
            head = head_of(request, model, without=_NOT_PROMPT)
        except RecursionError:
            raise ValueError("input must not be nested this deeply") from None
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=text(request.get("service_tier")),
            head=head,
            items=items,
            output_tokens_max=0,
            structured_output=True,  # There is no output to be cut.
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            unbounded=(*more_than_asked(request, model), *unsized(pieces, items)),
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

    def path_for(self, path: str, *, model: str) -> str:
        return path_with_model(path, model)

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_EmbeddingsReply(call, status), stream=stream)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return openai_refusal(code=code, message=message, metadata=metadata)


def _inputs(given: Any) -> list[Any]:
    """
    The pieces to embed: a text, several of them, a list of tokens, or several such lists.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(given, str | dict):
        return [given]
    if not isinstance(given, list):
        raise ValueError(f"input must be a text, a list of texts, or tokens, got {kind_of(given)}")
    return [given] if given and all(type(part) is int for part in given) else given


def embedded(pieces: Input, one: Any) -> Item:
    """
    One piece to embed; a list of tokens is as long as it says.
    """
    before, images = pieces.tokens_max, pieces.images
    if isinstance(one, list) and all(type(part) is int for part in one):
        pieces.tokens_max += len(one) + 1
    else:
        pieces.content(one)
    return Item(pieces.tokens_max - before, pieces.images - images, one)


def unsized(pieces: Input, items: tuple[Item, ...]) -> tuple[str, ...]:
    """
    Several pieces in a request are read one by one, so that the model's largest input bounds only one of them.
    """
    return ("several pieces of unknown size",) if len(items) > 1 and (pieces.hidden or pieces.images) else ()


def without(body: bytes, *skipped: str) -> Any:
    """
    A reply's body without its long lists of numbers, which nobody here reads: only whether they are there.
    """
    try:
        fields = _top.decode(body)
        return {key: len(raw) > 4 if key in skipped else msgspec.json.decode(raw) for key, raw in fields.items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return decoded(body)


class _EmbeddingsReply(Reply):
    """
    Embeddings as they become known, whole.
    """

    MARK = re.compile(rb'"(?:error|usage)"')

    def event(self, name: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002
        self.body(body)  # No host streams them.

    def body(self, body: Mapping[str, Any]) -> None:
        self.add_names(body)
        self.add_usage(body.get("usage"))
        self.begun = self.begun or bool(body.get("data"))

    def decoded(self, body: bytes) -> Any:
        return without(body, "data")

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        usage = usage_of(raw)
        if usage is None or self.call.hidden_input or any(item.images for item in self.call.items):
            return usage
        return replace(usage, image_input_tokens=0)  # There were texts alone.

    def charged(self, raw: Mapping[str, Any]) -> int | None:
        return charged(self.call.provider, raw)

    def tool_calls(self) -> int:
        return 0
