"""
A recorded reply that a program hands over says what the reader of its wire format says of it, whole or by its usage.
"""

from functools import cache
from typing import Any

import pytest
from anthropic.types.beta import BetaMessage
from google.genai.types import GenerateContentResponse
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from wire_samples import Exchange, exchanges

from solvent._amounts import Usage
from solvent._usage_of import usage_of
from solvent.wire import Reading

# How many recorded replies tell a usage that can be believed.
REPLIES = {
    "anthropic-messages": 223,
    "bedrock-converse": 96,
    "bedrock-invoke": 12,
    "cohere-chat": 13,
    "gemini-generate": 160,
    "openai-chat": 254,
    "openai-embeddings": 2,
    "openai-responses": 205,
}
# What only the request tells: how large a container is, that searching sifts by code, that there were texts alone.
BY_REQUEST = {"code_sessions", "image_input_tokens"}
# What the rest of a reply shows, and its usage does not tell.
BESIDE_USAGE = {"code_sessions", "file_searches", "image_input_tokens", "tool_calls", "web_searches"}
OBJECTS = {
    "anthropic-messages": BetaMessage,
    "gemini-generate": GenerateContentResponse,
    "openai-chat": ChatCompletion,
    "openai-embeddings": CreateEmbeddingResponse,
    "openai-responses": Response,
}


@cache
def replies(format: str) -> list[tuple[Exchange, Reading]]:
    whole = [
        exchange
        for exchange in exchanges()
        if exchange.format.name == format and exchange.sse is None and exchange.status < 400
    ]
    return [(exchange, read(exchange)) for exchange in whole]


def read(exchange: Exchange) -> Reading:
    reader = exchange.format.reader(exchange.call(), status=exchange.status, stream=False)
    reader.feed(exchange.body)
    return reader.finish()


def differences(usage: Usage | None, other: Usage | None) -> set[str]:
    assert usage is not None
    assert other is not None
    return {name for name in Usage.__struct_fields__ if getattr(usage, name) != getattr(other, name)}


@pytest.mark.parametrize("format", REPLIES)
def test_a_recorded_reply_says_what_its_reader_says(format):
    told = [(exchange, reading) for exchange, reading in replies(format) if reading.usage is not None]

    assert len(told) == REPLIES[format]
    for exchange, reading in told:
        found = usage_of(exchange.response)
        assert differences(found.usage, reading.usage) <= BY_REQUEST, exchange.run
        assert format == "bedrock-invoke" or found.model == reading.model


@pytest.mark.parametrize("format", REPLIES)
def test_a_usage_alone_says_what_it_says_in_its_reply(format):
    for exchange, reading in replies(format):
        part = exchange.response.get("usageMetadata" if format == "gemini-generate" else "usage")
        if reading.usage is not None and part is not None:
            assert differences(usage_of(part).usage, reading.usage) <= BESIDE_USAGE, exchange.run


@pytest.mark.parametrize("format", REPLIES)
def test_a_recorded_reply_whose_usage_is_not_believed_is_refused(format):
    refused = [exchange for exchange, reading in replies(format) if reading.usage is None]

    for exchange in refused:
        with pytest.raises(ValueError, match="no usage can be read from this"):
            usage_of(exchange.response)


@pytest.mark.slow
@pytest.mark.parametrize("format", OBJECTS)
def test_an_object_of_the_sdk_says_what_the_plain_reply_says(format):
    compared = 0
    for exchange, reading in replies(format):
        given = as_object(format, exchange.response) if reading.usage is not None else None
        if given is not None:
            assert usage_of(given) == usage_of(exchange.response), exchange.run
            compared += 1

    assert compared > REPLIES[format] * 0.7


def as_object(format: str, body: dict[str, Any]) -> Any:
    """
    A reply as its SDK hands it out, unchecked; Google's is checked, and ``None`` where the recording was cut.
    """
    kind = OBJECTS[format]
    if format != "gemini-generate":
        return kind.construct(**body)
    usage = {name: value for name, value in body["usageMetadata"].items() if name != "serviceTier"}  # Added later.
    try:
        return kind.model_validate({**body, "usageMetadata": usage})
    except ValueError:
        return None
