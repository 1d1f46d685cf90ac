"""
Amazon Bedrock's InvokeModel: the body is the form of the model's maker, so most of it is another format's work.

The path names the model, and whether to stream. A stream's frames carry the maker's own events.

Source:
    botocore 1.44.5, ``data/bedrock-runtime/2023-09-30/service-2.json``; recorded exchanges; on Amazon's own count,
    github.com/langchain-ai/langchain/issues/14120 and langchain-aws, ``llms/bedrock.py``; read 2026-11-22.
"""

import base64
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from solvent._amounts import Usage
from solvent.wire._bedrock import GUARDRAIL, bedrock_model, bedrock_refusal, service_tier
from solvent.wire._bedrock_bodies import Completion, Embedding, Maker, Nova, Unknown
from solvent.wire._call import Call, Reader, Reading, WireFormat
from solvent.wire._event_stream import FrameReader
from solvent.wire._read import count, mapping, path_with
from solvent.wire._reply import Reply
from solvent.wire._sse import decoded
from solvent.wire.anthropic_messages import AnthropicMessages
from solvent.wire.openai_chat import OpenAIChat

_ANTHROPIC = AnthropicMessages()
_CHAT = OpenAIChat()
_COMPLETION = Completion()
_EMBEDDING = Embedding()
_NOVA = Nova()
_UNKNOWN = Unknown()

_METRICS = "amazon-bedrock-invocationMetrics"
_WITHOUT_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


class BedrockInvoke(WireFormat):
    """
    The wire format ``bedrock-invoke``.
    """

    name = "bedrock-invoke"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = bedrock_model(path)
        body = {**request, "model": model}
        call = _maker(request, model).describe(body, provider=provider, path=path, headers=headers)
        unbounded = call.unbounded
        if headers.get("x-amzn-bedrock-guardrailidentifier"):
            unbounded += (GUARDRAIL,)
        return replace(
            call,
            format=self.name,
            tier=service_tier(
                headers.get("x-amzn-bedrock-performanceconfig-latency"),
                headers.get("x-amzn-bedrock-service-tier"),
                call.tier,
            ),
            stream=path.endswith("-stream"),
            unbounded=unbounded,
            usage_asked=True,  # Every stream tells it at its end.
            request=request,
        )

    def rewrite(
        self,
        call: Call,
        *,
        model: str | None = None,  # noqa: ARG002  # The path names the model.
        output_tokens_max: int | None = None,
        own_cap: str = "",  # noqa: ARG002  # The makers' SDKs are not what speaks to Bedrock.
    ) -> bytes | None:
        # Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html, read 2026-11-22.
        own = "max_completion_tokens" if "openai." in call.model else "max_tokens"
        return _maker(call.request, call.model).rewrite(call, output_tokens_max=output_tokens_max, own_cap=own)

    def path_for(self, path: str, *, model: str) -> str:
        return path_with(path, model)

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        makers = _maker(call.request, call.model).reader(call, status=status, stream=stream)
        return FrameReader(_Unwrapped(call, status, makers)) if stream else _Body(makers)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return bedrock_refusal(code=code, message=message, metadata=metadata)


def _maker(request: Mapping[str, Any], model: str) -> Maker:
    """
    The format of a body, by what it has; the name of a profile says nothing of the model behind it.
    """
    if isinstance(request.get("messages"), list):
        if "anthropic_version" in request:
            return _ANTHROPIC
        return _NOVA if "schemaVersion" in request or "inferenceConfig" in request else _CHAT
    if Completion.takes(request, model):
        return _COMPLETION
    if Embedding.takes(request, model):
        return _EMBEDDING
    return _UNKNOWN


def _as_billed(reading: Reading) -> Reading:
    """
    What a maker's reply says, but for its names of the model and the tier: neither is the one that Amazon bills.
    """
    return replace(reading, model=None, tier=None)


class _Body:
    """
    Reads a plain reply as its maker's format does.
    """

    def __init__(self, makers: Reader) -> None:
        self._makers = makers

    def feed(self, chunk: bytes) -> bytes:
        return self._makers.feed(chunk)

    def finish(self) -> Reading:
        return _as_billed(self._makers.finish())


class _Unwrapped(Reply):
    """
    A stream of the maker's events, each in a frame; the last has Amazon's own count beside what the maker says.

    Args:
        makers: Reads the maker's events as server-sent ones.
    """

    def __init__(self, call: Call, status: int, makers: Reader) -> None:
        super().__init__(call, status)
        self._makers = makers
        self._told = Reading()

    def event(self, name: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002  # There is but one kind.
        event = _carried(body)
        if _METRICS.encode() in event:
            self.add_usage(mapping(decoded(event)).get(_METRICS))
            self.done = self.usage_raw is not None
        self._makers.feed(b"data: " + event.translate(_WITHOUT_LINE_ENDS) + b"\n\n")

    def tool_calls(self) -> int:
        return self._told.tool_calls

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if raw.get("inputTokenCount") is None:
            return None
        cached, wrote = count(raw, "cacheReadInputTokenCount"), count(raw, "cacheWriteInputTokenCount")
        return Usage(
            input_tokens=count(raw, "inputTokenCount") + cached + wrote,
            output_tokens=count(raw, "outputTokenCount"),
            cache_read_tokens=cached,
            cache_write_5m_tokens=wrote,
            tool_calls=self._told.tool_calls,
        )

    def reading(self, *, complete: bool) -> Reading:
        told = self._told = _as_billed(self._makers.finish())
        self.begun = told.output_begun
        own = super().reading(complete=complete or told.complete)
        if told.usage is None and told.problem is None:
            told = replace(told, usage=own.usage, problem=own.problem)
        return replace(told, complete=own.complete, error=own.error or told.error)


def _carried(body: Mapping[str, Any]) -> bytes:
    data = body.get("bytes")
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except ValueError:
        return b""
