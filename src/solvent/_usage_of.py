"""
What a program hands over when a call is done, as a usage: an SDK's object, a whole reply, a framework's count, a dict.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from solvent import _framework_usage as frameworks
from solvent._amounts import Usage
from solvent._plain import Sought, plain
from solvent._usage_shapes import CHAT, COHERE, COUNTS, OLLAMA, Shape, is_google_by_attributes, provider_of, shape_of
from solvent.wire import FORMATS, Call, WireFormat
from solvent.wire._bedrock_bodies import Completion, Embedding
from solvent.wire._gemini import camel
from solvent.wire._read import count, kind_of, mapping, text
from solvent.wire._reply import BodyReader
from solvent.wire.cohere_chat import billed

# Where a usage may lie in what carries one, the surest first.
_CARRIERS = (
    "usage", "usage_metadata", "usageMetadata", "token_usage", "generations", "llm_output", "meta", "raw",
    "context_wrapper", "metrics", "accumulated_usage", "message", "response", "response_metadata", "metadata",
    "additional_kwargs",
)  # fmt: skip
_MODELS = ("model", "modelVersion", "model_version", "model_name")
_MODELS_NEAR = ("response_metadata", "llm_output", "raw", "response")  # Where frameworks keep the model's name.
_SOUGHT = Sought(counts=COUNTS, carriers=_CARRIERS, beside=frozenset({*_MODELS, "tool_calls", "type"}))
_NAMES_SHOWN = 8
_OWN = frozenset(Usage.__struct_fields__)
_READERS: Mapping[str, WireFormat | Completion | Embedding] = {
    **FORMATS,
    "completion": Completion(),
    "embedding": Embedding(),
}
# Embeddings have no output, and readers of their own.
_EMBEDDED = ("embedding", "embeddings", "predictions")
_EMBEDDING = {"cohere-chat": "cohere-embed", "gemini-generate": "gemini-embed", "ollama-chat": "ollama-embed"}


class Told(Struct, frozen=True, kw_only=True):
    """
    What a program says that a call used; ``None`` is what it does not say.

    Attributes:
        usage: Where both input and output are known.
        input_tokens, output_tokens: What is known of them where ``usage`` is ``None``.
        tokens: A total alone.
        model: As the reply names it.
    """

    usage: Usage | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens: int | None = None
    model: str | None = None


def usage_of(given: object) -> Told:
    """
    What ``given`` says that a call used. Of what only its request tells, such as how large a container is, the dearest.

    Args:
        given: A usage, or a reply or result that carries one, as an SDK or a framework hands it out or as plain data;
            ``None`` says nothing.

    Raises:
        ValueError: Nothing in it is understood, or a count cannot be meant: negative, fractional, no number, or a part
            that is larger than its whole.
    """
    if given is None:
        return Told()
    if isinstance(given, Usage):
        given.check()
        return Told(usage=given)
    try:
        source = plain(given, _SOUGHT)
        found = _told(source, None) if isinstance(source, dict) else None
        if found is None:
            raise ValueError(f"it tells no usage that is known; {_shown(source)}")
        if found.usage is not None:
            found.usage.check()
        if 0 in (found.input_tokens, found.usage and found.usage.input_tokens):
            raise ValueError("it tells 0 input tokens, but every call reads some, so this is no count")
    except ValueError as exc:
        raise ValueError(
            f"no usage can be read from this {type(given).__qualname__:.80}: {exc!s:.400}.\n"
            "To go on: hand in an SDK's usage or its whole reply, or names and counts such as "
            '{"input_tokens": 812, "output_tokens": 44}; or hand in nothing, and all that was set aside is booked.'
        ) from exc
    return found


def _shown(source: object) -> str:
    if not isinstance(source, dict):
        return "it has no names that are known" if kind_of(source) == "something else" else f"it is {kind_of(source)}"
    names = ", ".join(f"{name:.40}" for name in list(source)[:_NAMES_SHOWN])
    return f"its names are {names or 'none'}{', …' if len(source) > _NAMES_SHOWN else ''}"


def _told(source: Mapping[str, Any], model: str | None) -> Told | None:
    """
    The first whole usage in ``source`` or in what it carries, else the first part of one.
    """
    if source.get("type") == "message_start":
        raise ValueError("it is the start of a stream, whose usage is a placeholder")
    model = _model(source) or model
    if source.keys() <= _OWN and None not in (source.get("input_tokens"), source.get("output_tokens")):
        return Told(usage=Usage(**source))
    found = [_counted(source, source, None, model), _elsewhere(source, model)]
    for name in _CARRIERS:
        inner = _only(source.get(name))
        if not isinstance(inner, dict) or any(told is not None and told.usage for told in found):
            continue
        told = _counted(inner, source, name, model) or _told(inner, model)
        found.append(_with_tool_calls(told, source.get("tool_calls")))
    known = [told for told in found if told is not None]
    return next((told for told in known if told.usage is not None), known[0] if known else None)


def _only(value: Any) -> Any:
    """
    The reply of a list that has one, in one choice or several, all of which tell the usage of them all.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
        return value[0] if isinstance(value, list) and value else value
    return value


def _elsewhere(source: Mapping[str, Any], model: str | None) -> Told | None:
    """
    The usage of a chat that has it in another place, as with Groq and Moonshot.
    """
    if not isinstance(source.get("choices"), list) or source.get("usage") is not None:
        return None
    return _as_told(_read(CHAT, source, model), model)


def _as_told(usage: Usage | None, model: str | None) -> Told | None:
    return None if usage is None else Told(usage=usage, model=model)


def _model(source: Mapping[str, Any]) -> str | None:
    for place in (source, *[mapping(source.get(near)) for near in _MODELS_NEAR]):
        for name in _MODELS:
            if text(place.get(name)):
                return text(place[name])
    return None


def _with_tool_calls(told: Told | None, tool_calls: object) -> Told | None:
    if told is None or told.usage is None or told.usage.tool_calls or not isinstance(tool_calls, list):
        return told
    return replace(told, usage=replace(told.usage, tool_calls=len(tool_calls)))


def _counted(part: Mapping[str, Any], body: Mapping[str, Any], at: str | None, model: str | None) -> Told | None:
    """
    What ``part`` tells, which is ``body`` or lies in it; ``None`` where it is no usage.
    """
    if is_google_by_attributes(part):
        part, body, at = _camel(part), _camel(body), at and camel(at)
    shape = shape_of(part)
    if shape is None:
        return None
    if shape is COHERE:
        part = _whole(part)
        body = {**body, at: part} if at else part
    whole = body if at == shape.at and shape.words is None else _alone(shape, part)
    if shape.reader in _EMBEDDING and any(name in body for name in _EMBEDDED):
        shape, whole = replace(shape, reader=_EMBEDDING[shape.reader], output=""), body
    counts = billed(part) if shape.reader.startswith("cohere") else part
    has_input, has_output, has_total = (
        counts.get(name) is not None for name in (shape.input, shape.output, shape.total)
    )
    if has_input and (has_output or not shape.has_output or (has_total and shape.infers)):
        return _as_told(_read(shape, whole, model), model)
    if not (has_input or has_output or has_total):
        return None
    return Told(
        input_tokens=_read_alone(shape, part, model) if has_input else None,
        output_tokens=count(counts, shape.output) if has_output else None,
        tokens=count(counts, shape.total) if has_total else None,
        model=model,
    )


def _read(shape: Shape, body: Mapping[str, Any], model: str | None) -> Usage | None:
    """
    A usage by its own reader; ``body`` is the usage alone where a framework has the words.
    """
    if shape.words is not None:
        return frameworks.read(shape.words, body)
    part = body if shape.at is None else mapping(body.get(shape.at))
    call = Call(format=shape.reader, provider=provider_of(part), model=model or "")
    reader = _READERS[shape.reader].reader(call, status=200, stream=False)
    assert isinstance(reader, BodyReader), "a plain reply is read whole"
    reading = reader.read({**body, "done": True} if shape is OLLAMA else body)
    if reading.problem is not None:
        raise ValueError(reading.problem)
    if reading.usage is not None and shape is CHAT:
        return frameworks.with_litellm(reading.usage, part)
    return reading.usage


def _read_alone(shape: Shape, part: Mapping[str, Any], model: str | None) -> int | None:
    """
    The whole input, cached tokens included, where the output is not told.
    """
    told = part
    for name in ("billed_units", "tokens") if shape is COHERE else ():
        told = {**told, name: {**mapping(part.get(name)), shape.output: 0}}
    usage = _read(shape, _alone(shape, {**told, shape.output: 0}), model)
    return None if usage is None else usage.input_tokens


def _alone(shape: Shape, part: Mapping[str, Any]) -> Mapping[str, Any]:
    return part if shape.words or shape.at is None else {shape.at: part}


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {camel(name): _camel(field) for name, field in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def _whole(value: Any) -> Any:
    """
    Cohere's counts, which its library makes floats, as numbers that are whole where they are.

    Source:
        cohere 7.3.1, ``types/usage_billed_units.py``, read 2026-11-22.
    """
    if isinstance(value, dict):
        return {name: _whole(field) for name, field in value.items()}
    return int(value) if type(value) is float and value.is_integer() else value
