"""
The input of a Gemini request, part by part: what counts as text, what as a picture, and what hides.
"""

import base64
from typing import Any

import pytest
from test_formats import tokens
from test_gemini_format import config, generate

from solvent._bounds import overhead
from solvent.wire import FORMATS


def inline(kind: str, data: str = "AAAA") -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": data}}


@pytest.mark.parametrize("media", [inline("image/png", "A" * 9_000), {"fileData": {"mimeType": "image/jpeg"}}])
def test_an_image_is_counted_as_an_image_and_its_bytes_are_no_text(media):
    call = generate({"text": "see"}, media, {"functionResponse": {"name": "f", "parts": [media]}})

    assert call.items[0].images == 2
    assert tokens(call) < 200
    assert call.hidden_input is None


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (inline("application/pdf"), "a PDF file"),
        (inline("audio/wav"), "audio"),
        (inline("video/mp4"), "video"),
        (inline("application/zip"), "a file"),
        ({"inlineData": {"data": "AAAA"}}, "a file"),
        ({"inlineData": "AAAA"}, "a file"),
        (inline("text/plain", "no base64 é"), "a file"),
        ({"fileData": {"fileUri": "https://youtu.be/x"}}, "a file"),
        ({"fileData": {"mimeType": "text/plain", "fileUri": "gs://x"}}, "a file"),
        ({"functionResponse": {"name": "f", "parts": [inline("audio/wav")]}}, "audio"),
        ({**inline("image/png"), "mediaResolution": {"numTokens": 9_999}}, "media of a size that the request names"),
        ({"toolResponse": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB"}}, "an earlier tool result by its id"),
        ({"hologram": {}}, "a part of type 'hologram'"),
    ],
)
def test_what_is_not_in_the_request_hides(part, reason):
    assert generate(part).hidden_input == reason
    assert generate(systemInstruction={"parts": [part]}).hidden_input == reason


@pytest.mark.parametrize(
    ("part", "is_heard"),
    [
        (inline("audio/wav"), True),
        (inline("video/mp4"), True),
        ({"fileData": {"fileUri": "https://youtu.be/x"}}, True),
        ({"functionResponse": {"name": "f", "parts": [inline("audio/wav")]}}, True),
        (inline("application/zip"), False),
        (inline("image/png"), False),
    ],
)
def test_sound_needs_a_price_wherever_it_stands(part, is_heard):
    for parts in ([part], [inline("application/pdf"), part], [part, inline("application/pdf")]):
        assert generate(*parts).has_audio is is_heard


def test_cached_content_hides():
    assert generate(cachedContent="cachedContents/c1").hidden_input == "cached content by its id"
    assert generate(cached_content="cachedContents/c1").hidden_input == "cached content by its id"


def test_a_plain_message_is_the_same_as_one_that_says_more():
    plain, more = generate({"text": "hé"}).items[0], generate({"text": "hé", "thought": False}).items[0]

    assert plain.value["content"][0] == {"type": "text", "text": "hé"}
    assert more.value == {**plain.value, "content": [{"type": "text", "text": "hé", "thought": False}]}
    assert len("user") + len("hé".encode()) < plain.tokens_max <= more.tokens_max


@pytest.mark.parametrize("padding", ["", "="])
def test_a_text_file_is_its_text(padding):
    data = base64.urlsafe_b64encode(("é?~" * 201).encode()).decode().rstrip("=")

    call = generate(inline("text/csv", data + padding * (-len(data) % 4)))

    assert call.hidden_input is None
    assert tokens(call) > len(("é?~" * 201).encode())


@pytest.mark.parametrize(
    "part",
    [
        {"codeExecutionResult": {"output": "o" * 400}},
        {"executableCode": {"code": "c" * 400}},
        {"functionCall": {"name": "f", "args": {"a": "x" * 400}}},
        {"functionResponse": {"name": "f", "response": {"a": "x" * 400}}},
        {"text": "t" * 400, "thought": True},
        {"text": "", "thoughtSignature": "A" * 400},
    ],
)
def test_every_part_counts_with_all_that_it_says(part):
    call = generate(part)

    assert tokens(call) > 400
    assert call.hidden_input is None


def test_functions_schemas_and_settings_of_the_prompt_count():
    call = generate(
        tools=[{"functionDeclarations": [{"name": "f", "parameters": {"description": "p" * 300}}] * 2}],
        toolConfig={"functionCallingConfig": {"allowedFunctionNames": ["n" * 300]}},
        generationConfig={"responseJsonSchema": {"description": "s" * 300}},
    )

    assert call.tools == 2
    assert tokens(call) > 1_200
    assert overhead(call) == 64 + 16 + 300 + 2 * 48


SCHEMA = {
    "$defs": {
        "Leaf": {"type": "string", "description": "d" * 500},
        "Pair": {"properties": {"a": {"$ref": "#/$defs/Leaf"}, "b": {"$ref": "#/$defs/Leaf"}}},
    },
    "properties": {"x": {"$ref": "#/$defs/Pair"}, "y": {"$ref": "#/$defs/Pair"}},
}


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}]},
        {"tools": [{"function_declarations": {"name": "f", "parameters_json_schema": SCHEMA}}]},
        {"generationConfig": {"responseJsonSchema": SCHEMA}},
    ],
)
def test_a_schema_counts_with_what_its_references_stand_for(more):
    call = generate(**more)

    assert tokens(call) > 500 * (1 + 2 + 4)  # Defined, in the definition of a pair, and in both pairs.
    assert call.hidden_input is None


@pytest.mark.parametrize("target", ["#/$defs/Leaf", "#", "#/$defs/Nobody", "https://example.com/schema"])
def test_a_schema_that_refers_to_itself_or_to_elsewhere_hides(target):
    schema = {"$defs": {"Leaf": {"items": {"$ref": target}}}, "properties": {"x": {"$ref": "#/$defs/Leaf"}}}

    assert config(responseSchema=schema).hidden_input == "a schema that refers to itself"


def test_a_schema_that_grows_beyond_any_model_hides():
    steps = {f"s{n}": {"anyOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(100)}
    schema = {"$defs": {**steps, "s100": {"type": "string"}}, "items": {"$ref": "#/$defs/s0"}}

    assert config(responseJsonSchema=schema).hidden_input == "a schema that refers to itself"


def test_the_openai_compatible_face_counts_references_as_well():
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    request = {"model": "gemini-2.5-flash", "messages": [], "tools": [tool]}
    plain, google = (
        FORMATS["openai-chat"].describe(request, provider=provider, path="chat/completions", headers={})
        for provider in ("openai", "gemini")
    )

    assert tokens(google) > tokens(plain) + 500 * 6
