"""
Gemini's embeddings: ``embedContent``, ``batchEmbedContents``, and ``predict`` of Vertex AI's embedding models.

Source:
    google-genai 3.4.0, ``types.py`` and ``models.py``; https://ai.google.dev/api/embeddings; read 2026-11-22.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Item, Reader, WireFormat
from solvent.wire._gemini import AUDIO, IMAGES, Contents, asked_tier, fields, refusal, several, tokens_of, told_tier
from solvent.wire._read import count, mapping, objects, path_model, path_with, retry_count
from solvent.wire._reply import Reply, reader
from solvent.wire._request import encoded
from solvent.wire._vertex import path_region

_EMBEDDING = re.compile(r"(?<!multimodal)embedding")
_LISTS = ("instances", "requests")
_INPUT = frozenset({"content", "model", "serviceTier", *_LISTS})


class GeminiEmbed(WireFormat):
    """
    The wire format ``gemini-embed``.
    """

    name = "gemini-embed"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        try:
            return self._described(request, provider=provider, path=path, headers=headers)
        except RecursionError:
            raise ValueError("the request must not be nested this deeply") from None

    def _described(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = path_model(path)
        asked = fields(request)
        pieces = Contents()
        rest = {name: field for name, field in asked.items() if name not in _INPUT and field is not None}
        pieces.json(rest)
        head = Item(pieces.tokens_max, 0, {"model": model, **rest})
        items = tuple([_item(pieces, fields(one)) for one in _inputs(asked)])
        unbounded = []
        if not _EMBEDDING.search(model):
            unbounded.append("a model that may do something else than embed text")
        if len(items) > 1 and (pieces.hidden or pieces.images):
            unbounded.append("several inputs with media")  # The model's largest input is the most of one of them.
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=asked_tier(asked, provider, headers),
            region=path_region(path),
            head=head,
            items=items,
            output_tokens_max=0,
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            unbounded=tuple(unbounded),
            retry=retry_count(headers),
            request=request,
        )

    def rewrite(
        self,
        call: Call,
        *,
        model: str | None = None,
        output_tokens_max: int | None = None,  # noqa: ARG002  # An embedding has no output that a cap could cut.
        own_cap: str = "",  # noqa: ARG002
    ) -> bytes | None:
        """
        As the protocol says. The path names the model, and a body that repeats it has to say the same.
        """
        if model is None or model == call.model:
            return None
        changed = _under(call.request, model)
        if isinstance(changed.get("requests"), list):
            changed["requests"] = [_under(one, model) for one in changed["requests"]]
        return encoded(changed) if changed != call.request else None

    def path_for(self, path: str, *, model: str) -> str:
        return path_with(path, model)

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_EmbedReply(call, status), stream=stream)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return refusal(code=code, message=message, metadata=metadata)


def _under(request: Mapping[str, Any], model: str) -> dict[str, Any]:
    """
    A request under another model, where it names one.
    """
    return {**request, "model": f"models/{model}"} if "model" in request else dict(request)


def _inputs(asked: Mapping[str, Any]) -> list[Any]:
    """
    The single inputs of a request.

    Raises:
        ValueError: It has none, or one that is no object.
    """
    for name in _LISTS:
        if asked.get(name) is not None:
            inputs = several(asked[name], name)
            if not all(isinstance(one, dict) for one in inputs):
                raise ValueError(f"{name} must be a list of objects")
            return inputs
    if asked.get("content") is None:
        raise ValueError("content must be what is to be embedded, got nothing")
    return [{"content": asked["content"]}]


def _item(pieces: Contents, one: Mapping[str, Any]) -> Item:
    tokens, images = pieces.tokens_max, pieces.images
    content = one.get("content")
    value = pieces.content(content) if isinstance(content, str) else pieces.whole(content)
    rest = {name: field for name, field in one.items() if name not in ("content", "model") and field is not None}
    pieces.json(rest)
    return Item(pieces.tokens_max - tokens, pieces.images - images, {**rest, "content": value})


class _EmbedReply(Reply):
    """
    Embeddings, and the count of what was read, where the host tells it: per request, or per input.
    """

    MARK = re.compile(rb'"usageMetadata"')

    def event(self, name: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002
        self.body(body)

    def body(self, body: Mapping[str, Any]) -> None:
        self.begun = bool(body.get("embedding") or body.get("embeddings") or body.get("predictions"))
        usage = body.get("usageMetadata")
        self.add_usage(usage)
        self.tier = told_tier(mapping(usage)) or self.tier
        counts = [_counted(prediction) for prediction in objects(body.get("predictions"))]
        if counts:
            self.add_usage({"counts": counts})

    def tool_calls(self) -> int:
        return 0

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        counts = raw.get("counts") or [raw.get("promptTokenCount")]
        if None in counts:
            return None
        told = "promptTokensDetails" if "promptTokensDetails" in raw else "promptTokenDetails"  # Both are in use.
        has_media = self.call.hidden_input or any(item.images for item in self.call.items)
        return Usage(
            input_tokens=sum(count({"token_count": one}, "token_count") for one in counts),
            audio_input_tokens=tokens_of(raw, told, *AUDIO) or 0,
            image_input_tokens=tokens_of(raw, told, *IMAGES) if has_media else 0,
        )


def _counted(prediction: Mapping[str, Any]) -> object:
    """
    The tokens of one input; Vertex AI tells them as a number that may have a point.
    """
    statistics = fields(mapping(prediction.get("embeddings")).get("statistics"))
    told = statistics.get("tokenCount")
    return int(told) if type(told) is float and told.is_integer() else told
