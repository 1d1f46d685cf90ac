"""
Vertex AI: the same formats, with the model, the region and the service tier in other places.
"""

import json

import pytest

from solvent._amounts import Usage
from solvent._bounds import image_tokens_max
from solvent.wire import FORMATS, Call, WireFormat, endpoint

PLACE = "v1beta1/projects/my-project/locations/{}/"
CLAUDE = PLACE + "publishers/anthropic/models/claude-sonnet-4-5@20250929:{}"
MESSAGES = {
    "anthropic_version": "vertex-2023-10-16",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}],
}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
CHAT = {"model": "google/gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
PATHS = {
    "anthropic-messages": (CLAUDE.format("{}", "rawPredict"), MESSAGES),
    "gemini-generate": (PLACE + "publishers/google/models/gemini-2.5-flash:generateContent", GEMINI),
    "openai-chat": (PLACE + "endpoints/openapi/chat/completions", CHAT),
}
REQUEST_TYPE = "x-vertex-ai-llm-request-type"
SHARED_TYPE = "x-vertex-ai-llm-shared-request-type"


def found(path: str) -> WireFormat:
    known = endpoint("vertex", "POST", path)
    assert known is not None
    assert known.format is not None
    return known.format


def ask(
    name: str, *, location: str = "global", headers: dict[str, str] | None = None, provider: str = "vertex"
) -> Call:
    path, request = PATHS[name]
    path = path.format(location)
    assert found(path).name == name
    return FORMATS[name].describe(request, provider=provider, path=path, headers=headers or {})


@pytest.mark.parametrize("name", sorted(PATHS))
@pytest.mark.parametrize("location", ["global", "us-central1", "eu"])
def test_the_region_is_in_the_path(name, location):
    assert ask(name, location=location).region == location


def test_without_a_project_there_is_no_region():
    path = "v1/publishers/google/models/gemini-2.5-flash:generateContent"

    assert found(path).describe(GEMINI, provider="vertex", path=path, headers={}).region is None


@pytest.mark.parametrize("name", sorted(PATHS))
@pytest.mark.parametrize(
    ("headers", "tier"),
    [
        ({}, None),
        ({REQUEST_TYPE: "shared"}, None),
        ({REQUEST_TYPE: "dedicated"}, "dedicated"),
        ({REQUEST_TYPE: "dedicated", SHARED_TYPE: "flex"}, "dedicated"),
        ({REQUEST_TYPE: "shared", SHARED_TYPE: "flex"}, "flex"),
        ({SHARED_TYPE: " Priority "}, "priority"),
        ({SHARED_TYPE: "warp"}, "warp"),
    ],
)
def test_the_service_tier_is_in_headers_and_never_lost(name, headers, tier):
    assert ask(name, headers=headers).tier == tier
    if name == "gemini-generate":
        assert ask(name, headers=headers, provider="gemini").tier is None


@pytest.mark.parametrize(("verb", "stream"), [("rawPredict", False), ("streamRawPredict", True)])
def test_anthropics_model_is_in_the_path(verb, stream):
    path = CLAUDE.format("us-east5", verb)
    wire = found(path)

    call = wire.describe(MESSAGES, provider="vertex", path=path, headers={})

    assert (call.model, call.stream, call.region) == ("claude-sonnet-4-5@20250929", stream, "us-east5")
    assert (call.output_tokens_max, call.items[0].images, image_tokens_max(call)) == (100, 1, 1_600)
    assert wire.rewrite(call, model="claude-haiku-4-5") is None
    assert wire.path_for(path, model="claude-haiku-4-5") == path.replace(
        "claude-sonnet-4-5@20250929", "claude-haiku-4-5"
    )
    capped = wire.rewrite(call, model="claude-haiku-4-5", output_tokens_max=5)
    assert capped is not None
    assert json.loads(capped) == {**MESSAGES, "max_tokens": 5}


def test_the_path_is_what_names_anthropics_model_whatever_the_body_says():
    path = CLAUDE.format("global", "rawPredict")

    call = found(path).describe({**MESSAGES, "model": "claude-3-haiku"}, provider="vertex", path=path, headers={})

    assert call.model == "claude-sonnet-4-5@20250929"


def test_counting_the_tokens_of_a_message_is_free():
    path = PLACE.format("global") + "publishers/anthropic/models/count-tokens:rawPredict"

    known = endpoint("vertex", "POST", path)

    assert known is not None
    assert known.kind == "free"


@pytest.mark.parametrize("stream", [False, True])
def test_the_openai_compatible_face_tells_the_tier_in_its_usage(stream):
    usage = {
        "prompt_tokens": 27,
        "completion_tokens": 45,
        "total_tokens": 576,
        "extra_properties": {"google": {"traffic_type": "ON_DEMAND_PRIORITY"}},
    }
    message = {"delta" if stream else "message": {"content": "x"}, "finish_reason": "stop", "index": 0}
    body = json.dumps({"model": "google/gemini-3.1-pro-preview", "choices": [message], "usage": usage}).encode()
    wire = FORMATS["openai-chat"]
    reader = wire.reader(ask("openai-chat"), status=200, stream=stream)
    reader.feed(b"data: " + body + b"\n\n" if stream else body)

    reading = reader.finish()

    assert reading.tier == "priority"
    assert reading.usage == Usage(input_tokens=27, output_tokens=549)
