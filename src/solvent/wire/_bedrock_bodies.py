"""
Bodies of Amazon Bedrock's InvokeModel that no other format knows: Nova's, a prompt to complete, texts to embed.

Source:
    https://docs.aws.amazon.com/bedrock/latest/userguide, ``model-parameters-deepseek.html`` and
    ``model-parameters-mistral-text-completion.html``; LlamaIndexTS, ``bedrock/meta/types.ts``; langchain-aws,
    ``llms/bedrock.py``; recorded exchanges; read 2026-11-22.
"""

import re
from collections.abc import Mapping
from typing import Any, Protocol

from solvent._amounts import Usage
from solvent.wire._call import Call, Item, Reader
from solvent.wire._input import Input, head_of
from solvent.wire._read import cap, count, listed, mapping, model_name, objects, retry_count
from solvent.wire._reply import Reply, reader
from solvent.wire._request import with_changes
from solvent.wire._text import json_bound
from solvent.wire.bedrock_converse import BedrockConverse, ConverseReply
from solvent.wire.openai_embeddings import embedded, unsized, without

# Makers whose models complete a prompt, and the name of their output cap.
_COMPLETION = re.compile(r"(?:^|\.)(deepseek|meta|mistral)\.")
_CAPS = {"deepseek": "max_tokens", "meta": "max_gen_len", "mistral": "max_tokens"}
_TITAN_EMBEDDING = frozenset({"dimensions", "embeddingTypes", "normalize"})
_NOT_PROMPT = frozenset(
    {
        "dimensions", "embeddingTypes", "embedding_types", "images", "inputImage", "inputText", "input_type", "inputs",
        "max_gen_len", "max_tokens", "model", "normalize", "output_dimension", "prompt", "singleEmbeddingParams",
        "stop", "taskType", "temperature", "texts", "top_k", "top_p", "truncate",
    }
)  # fmt: skip
_NOT_TEXT = frozenset({"audio", "image", "video"})
_NUMBERS = ("embedding", "embeddings", "embeddingsByType")


class Maker(Protocol):
    """
    What is asked of a body's format; the rest is Bedrock's.
    """

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call: ...

    def rewrite(self, call: Call, *, output_tokens_max: int | None = None, own_cap: str = "") -> bytes | None: ...

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader: ...


class Nova(BedrockConverse):
    """
    Nova's own form, which Converse was made after; its streams name each event inside of it.
    """

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_NovaReply(call, status), stream=stream)


class _NovaReply(ConverseReply):
    MARK = re.compile(rb'"(?:contentBlockStart|error|messageStop|metadata)"')

    def event(self, name: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002  # The name is in the body.
        for own_name, event in body.items():
            super().event(own_name, mapping(event))


class Completion:
    """
    A prompt to complete, for models of Meta, Mistral and DeepSeek.
    """

    @staticmethod
    def takes(request: Mapping[str, Any], model: str) -> bool:
        return "prompt" in request and _COMPLETION.search(model) is not None

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:  # noqa: ARG002
        model = model_name(request)
        pieces = Input()
        try:
            value = pieces.content(request.get("prompt"))
            head = head_of(request, model, without=_NOT_PROMPT)
        except RecursionError:
            raise ValueError("prompt must not be nested this deeply") from None
        return Call(
            format="",
            provider=provider,
            model=model,
            head=head,
            items=(Item(pieces.tokens_max, pieces.images + len(listed(request, "images")), value),),
            output_tokens_max=cap(request, _cap_name(model)),
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            retry=retry_count(headers),
        )

    def rewrite(self, call: Call, *, output_tokens_max: int | None = None, own_cap: str = "") -> bytes | None:  # noqa: ARG002
        return with_changes(call, model=None, cap=_cap_name(call.model), output_tokens_max=output_tokens_max)

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_CompletionReply(call, status), stream=stream)


class Embedding:
    """
    Texts to embed, for models of Amazon and Cohere.
    """

    @staticmethod
    def takes(request: Mapping[str, Any], model: str) -> bool:
        is_titan = "titan-embed" in model or not _TITAN_EMBEDDING.isdisjoint(request)
        return ("inputText" in request and is_titan) or "input_type" in request or "singleEmbeddingParams" in request

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:  # noqa: ARG002
        model = model_name(request)
        pieces = Input()
        try:
            items = tuple([embedded(pieces, one) for one in _texts(request)])
            head = head_of(request, model, without=_NOT_PROMPT)
        except RecursionError:
            raise ValueError("what to embed must not be nested this deeply") from None
        params = mapping(request.get("singleEmbeddingParams"))
        others = pieces.images or request.get("images") or request.get("inputImage") or not _NOT_TEXT.isdisjoint(params)
        own_unit = ("a picture, sound or film to embed, each billed by its own unit",) if others else ()
        return Call(
            format="",
            provider=provider,
            model=model,
            head=head,
            items=items,
            output_tokens_max=0,
            structured_output=True,  # There is no output to be cut.
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            unbounded=own_unit + unsized(pieces, items),
            retry=retry_count(headers),
        )

    def rewrite(self, call: Call, *, output_tokens_max: int | None = None, own_cap: str = "") -> bytes | None:  # noqa: ARG002
        return None

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_EmbeddingReply(call, status), stream=stream)


class Unknown:
    """
    Any other body: it may ask for whatever its model can do.
    """

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:  # noqa: ARG002
        try:
            head = Item(json_bound(request), 0, request)
        except RecursionError:
            raise ValueError("the body must not be nested this deeply") from None
        return Call(
            format="",
            provider=provider,
            model=model_name(request),
            head=head,
            unbounded=("a body of a kind that is not known here",),
            retry=retry_count(headers),
        )

    def rewrite(self, call: Call, *, output_tokens_max: int | None = None, own_cap: str = "") -> bytes | None:  # noqa: ARG002
        return None

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(_UnknownReply(call, status), stream=stream)


def _cap_name(model: str) -> str:
    maker = _COMPLETION.search(model)
    assert maker is not None, "only bodies that a completion takes come here"
    return _CAPS[maker[1]]


def _texts(request: Mapping[str, Any]) -> list[Any]:
    """
    What to embed: Titan's text, Cohere's texts or mixed contents, Nova's text.
    """
    params = mapping(mapping(request.get("singleEmbeddingParams")).get("text"))
    one = request.get("inputText") if "inputText" in request else params.get("value", params.get("source"))
    mixed = [entry.get("content") for entry in objects(request.get("inputs"))]
    return [*([] if one is None else [one]), *listed(request, "texts"), *mixed]


class _UnknownReply(Reply):
    """
    A reply of which only the failure is understood.
    """

    MARK = re.compile(rb"data:")  # Every event is read.

    def event(self, name: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002
        self.body(body)

    def body(self, body: Mapping[str, Any]) -> None:
        self.begun = self.begun or self._has_output(body)

    def tool_calls(self) -> int:
        return 0

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:  # noqa: ARG002
        return None

    def _has_output(self, body: Mapping[str, Any]) -> bool:
        return bool(body) and self.status < 400


class _CompletionReply(_UnknownReply):
    """
    A completion as it becomes known. Meta's models tell their counts.
    """

    def body(self, body: Mapping[str, Any]) -> None:
        super().body(body)
        self.add_usage({name: body[name] for name in _COUNTS if name in body})
        ends = [body, *objects(body.get("choices")), *objects(body.get("outputs"))]
        for reason in [end.get("stop_reason") for end in ends]:
            self.done = self.done or isinstance(reason, str)
            self.cut_at_length = self.cut_at_length or reason == "length"

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if raw.get("prompt_token_count") is None or raw.get("generation_token_count") is None:
            return None
        return Usage(input_tokens=count(raw, _COUNTS[0]), output_tokens=count(raw, _COUNTS[1]))


_COUNTS = ("prompt_token_count", "generation_token_count")


class _EmbeddingReply(_UnknownReply):
    """
    Embeddings as they become known, whole. Titan's models tell their count.
    """

    def body(self, body: Mapping[str, Any]) -> None:
        super().body(body)
        if "inputTextTokenCount" in body:
            self.add_usage({"inputTextTokenCount": body["inputTextTokenCount"]})

    def decoded(self, body: bytes) -> Any:
        return without(body, *_NUMBERS)

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if raw.get("inputTextTokenCount") is None:
            return None
        return Usage(input_tokens=count(raw, "inputTextTokenCount"))
