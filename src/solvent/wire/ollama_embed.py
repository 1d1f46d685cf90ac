"""
Ollama's own embeddings, of both kinds.

Source:
    ollama 0.6.3, ``_client.py`` and ``_types.py``, read 2026-11-22.
"""

from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Reader, WireFormat
from solvent.wire._input import Input, head_of
from solvent.wire._read import count, model_name, retry_count
from solvent.wire._reply import BodyReader, Reply
from solvent.wire._request import with_changes
from solvent.wire.ollama_chat import ollama_refusal
from solvent.wire.openai_embeddings import embedded, unsized, without

# Fields that the model never reads and that do not shape the prompt.
_NOT_PROMPT = frozenset(
    {
        "dimensions", "input", "keep_alive", "metadata", "model", "options", "prompt", "service_tier", "stream",
        "temperature", "truncate",
    }
)  # fmt: skip


class OllamaEmbed(WireFormat):
    """
    The wire format ``ollama-embed``: texts, or the one prompt of the older kind.
    """

    name = "ollama-embed"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:  # noqa: ARG002
        model = model_name(request)
        given = request.get("input", request.get("prompt"))
        pieces = Input()
        try:
            items = tuple([embedded(pieces, one) for one in (given if isinstance(given, list) else [given])])
            head = head_of(request, model, without=_NOT_PROMPT)
        except RecursionError:
            raise ValueError("input must not be nested this deeply") from None
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
            unbounded=unsized(pieces, items),
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

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:  # noqa: ARG002  # They are not streamed.
        return BodyReader(_EmbedReply(call, status))

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return ollama_refusal(code=code, message=message, metadata=metadata)


class _EmbedReply(Reply):
    """
    Embeddings as they become known, whole. Those of the older kind tell no count.
    """

    def body(self, body: Mapping[str, Any]) -> None:
        self.add_names(body)
        self.begun = bool(body.get("embedding") or body.get("embeddings"))
        if body.get("prompt_eval_count") is not None:
            self.add_usage({"prompt_eval_count": body["prompt_eval_count"]})

    def decoded(self, body: bytes) -> Any:
        return without(body, "embedding", "embeddings")

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        return Usage(input_tokens=count(raw, "prompt_eval_count"))

    def tool_calls(self) -> int:
        return 0
