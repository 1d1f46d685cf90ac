"""
What a Gemini request asks, in either spelling, and how it is rewritten: one promise a test.
"""

import json

import pytest
from test_formats import prefix, tokens

from solvent._bounds import image_tokens_max, overhead
from solvent.wire import FORMATS, Call, ServerTool, endpoint

GENERATE = "v1beta/models/{}:generateContent"
WIRE = FORMATS["gemini-generate"]


def generate(
    *parts: object, model: str = "gemini-2.5-flash", path: str = GENERATE, provider: str = "gemini", **more: object
) -> Call:
    request = {"contents": [{"role": "user", "parts": list(parts) or [{"text": "hi"}]}], **more}
    return WIRE.describe(request, provider=provider, path=path.format(model), headers={})


def config(**settings: object) -> Call:
    return generate(generationConfig=settings)


@pytest.mark.parametrize(
    ("path", "model", "stream"),
    [
        ("v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", False),
        ("models/gemini-2.5-pro:streamGenerateContent", "gemini-2.5-pro", True),
        ("v1alpha/tunedModels/gemini-2.5-pro:generateContent", "tunedModels/gemini-2.5-pro", False),
        ("v1/publishers/google/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", False),
        ("v1/projects/p/locations/eu/endpoints/123:generateContent", "endpoints/123", False),
    ],
)
def test_the_path_names_the_model_and_whether_to_stream(path, model, stream):
    found = endpoint("gemini", "POST", path)
    assert found is not None
    assert found.format is WIRE

    call = generate(path=path)

    assert (call.model, call.stream, call.format) == (model, stream, "gemini-generate")
    assert WIRE.path_for(path, model="other") == path.replace(model, "other")


def test_a_path_without_a_model_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="model must be the name of a model"):
        generate(path="v1beta/models")


@pytest.mark.parametrize(
    ("method", "path", "kind", "name"),
    [
        ("DELETE", "v1beta/cachedContents/c1", "free", "cachedContents"),
        ("GET", "v1beta/files/f1:download", "free", "files/*:download"),
        ("GET", "v1beta/models/veo-3/operations/o1", "free", "models/*/operations/*"),
        ("GET", "v1beta/operations/o1", "free", "operations/*"),
        ("PATCH", "v1beta/cachedContents/c1", "unbounded", "cachedContents"),
        ("POST", "upload/v1beta/fileSearchStores/s1:uploadToFileSearchStore", "unbounded", None),
        ("POST", "upload/v1beta/files", "free", "upload/v1beta/files"),
        ("POST", "v1/projects/p/locations/us-central1/publishers/google/models/m:countTokens", "free", None),
        ("POST", "v1/projects/p/locations/us-central1/publishers/google/models/m:predict", "paid", "gemini-embed"),
        ("POST", "v1/projects/p/locations/us-central1/tuningJobs", "unbounded", "tuningJobs"),
        ("POST", "v1/projects/p/locations/us-central1/tuningJobs/t1:cancel", "free", "tuningJobs"),
        ("POST", "v1/publishers/google/models/veo-3:predictLongRunning", "unbounded", "publishers"),
        ("POST", "v1/publishers/mistralai/models/mistral-large:rawPredict", "unbounded", "publishers"),
        ("POST", "v1beta/cachedContents", "unbounded", "cachedContents"),
        ("POST", "v1beta/fileSearchStores/s1:importFile", "unbounded", "fileSearchStores"),
        ("POST", "v1beta/interactions", "unbounded", "interactions"),
        ("POST", "v1beta/models/gemini-2.5-pro:batchGenerateContent", "unbounded", "models/*:batchGenerateContent"),
        ("POST", "v1beta/models/gemini-2.5-pro:countTokens", "free", "models/*:countTokens"),
        ("POST", "v1beta/models/gemini-embedding-001:batchEmbedContents", "paid", "gemini-embed"),
        ("POST", "v1beta/models/imagen-4:predict", "unbounded", "models/*:predict"),
        ("POST", "v1beta/openai/chat/completions", "paid", "openai-chat"),
    ],
)
def test_known_paths(method, path, kind, name):
    found = endpoint("gemini", method, path)

    assert found is not None
    assert found.kind == kind
    assert name in (None, found.format.name if found.format else found.name)


@pytest.mark.parametrize(
    "path", ["v1beta/models/gemini:selfDestruct", "v1beta/authTokens", "v1beta/models", "v1/publishers:generateContent"]
)
def test_other_paths_are_denied(path):
    assert endpoint("gemini", "POST", path) is None


def test_both_spellings_of_a_name_mean_the_same():
    camel = generate(
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"functionCall": {"name": "f", "args": {"some_arg": 1}}},
        systemInstruction={"parts": [{"text": "be brief"}]},
        generationConfig={"maxOutputTokens": 7, "candidateCount": 2, "responseMimeType": "application/json"},
        serviceTier="flex",
    )
    snake = generate(
        {"inline_data": {"mime_type": "image/png", "data": "AAAA"}},
        {"function_call": {"name": "f", "args": {"some_arg": 1}}},
        system_instruction={"parts": {"text": "be brief"}},
        generation_config={"max_output_tokens": 7, "candidate_count": 2, "response_mime_type": "application/json"},
        service_tier="SERVICE_TIER_FLEX",
    )

    for call in (camel, snake):
        assert (call.output_tokens_max, call.choices, call.structured_output, call.tier) == (7, 2, True, "flex")
        assert call.items[0].images == 1
    assert tokens(camel) == tokens(snake)
    assert camel.items[0].value["content"][1] == snake.items[0].value["content"][1]


@pytest.mark.parametrize(
    "more",
    [
        {"generationConfig": {}, "generation_config": {}},
        {"generationConfig": {"maxOutputTokens": 5, "max_output_tokens": 500}},
        {"tools": [{"googleSearch": {}, "google_search": {}}]},
    ],
)
def test_a_name_in_both_spellings_is_an_error(more):
    with pytest.raises(ValueError, match="got it in both spellings"):
        generate(**more)


@pytest.mark.parametrize("value", [True, "100", 1.5, 100.0, [], 2**63], ids=repr)
@pytest.mark.parametrize("name", ["maxOutputTokens", "max_output_tokens"])
def test_a_cap_that_is_no_number_is_an_error_that_names_it(name, value):
    with pytest.raises(ValueError, match="maxOutputTokens"):
        config(**{name: value})


@pytest.mark.parametrize("value", [True, "2", -1, 1.0, 2**40], ids=repr)
def test_a_number_of_candidates_that_is_none_is_an_error(value):
    with pytest.raises(ValueError, match="candidateCount must be"):
        config(candidateCount=value)


@pytest.mark.parametrize(("value", "cap"), [(None, None), (0, None), (-1, None), (9, 9)])
def test_a_cap_counts_only_where_it_can_be_counted_on(value, cap):
    assert config(maxOutputTokens=value).output_tokens_max == cap


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"contents": None}, "contents must be a list"),
        ({"contents": "hi"}, "contents must be a list"),
        ({"generationConfig": "x"}, "generationConfig must be an object"),
        ({"generationConfig": {"responseModalities": "TEXT"}}, "responseModalities must be a list"),
        ({"tools": "x"}, "tools must be a list"),
        ({"tools": [{"functionDeclarations": "f"}]}, "functionDeclarations must be a list"),
        ({"contents": [{"parts": "hi"}]}, "parts must be a list"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_says_what_was_expected(more, message):
    with pytest.raises(ValueError, match=message):
        generate(**more)


def test_a_single_object_stands_for_a_list_of_one():
    tool = {"functionDeclarations": {"name": "f"}}

    call = generate(contents={"parts": {"text": "hi"}}, tools=tool)

    assert (len(call.items), call.tools) == (1, 1)
    assert tokens(call) >= len("hi") + len(json.dumps(tool))


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ({"codeExecution": {}}, "code_execution"),
        ({"fileSearch": {"fileSearchStoreNames": ["s"]}}, "file_search"),
        ({"googleMaps": {}}, "google_maps"),
        ({"googleSearch": {}}, "google_search"),
        ({"google_search_retrieval": {}}, "google_search"),
        ({"mcpServers": [{"name": "m"}]}, "mcp"),
        ({"url_context": {}}, "url_context"),
    ],
)
def test_tools_that_google_runs_have_no_cap(tool, name):
    assert generate(tools=[tool]).server_tools == (ServerTool(name=name, calls_max=None),)
    assert generate(tools=[dict.fromkeys(tool)]).server_tools == ()


@pytest.mark.parametrize(
    ("more", "unbounded"),
    [
        ({"tools": [{"enterpriseWebSearch": {}}]}, "a tool of type 'enterpriseWebSearch'"),
        ({"tools": [{"retrieval": {}}]}, "a tool of type 'retrieval'"),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "output of kind 'IMAGE'"),
        ({"generationConfig": {"responseModalities": ["audio"]}}, "output of kind 'AUDIO'"),
        ({"generationConfig": {"responseModalities": [2]}}, "output of kind '2'"),
        ({"generationConfig": {"routingConfig": {"autoMode": {}}}}, "a model that the provider chooses"),
    ],
)
def test_what_nobody_can_bound_is_said_in_words(more, unbounded):
    assert generate(**more).unbounded == (unbounded,)


def test_models_that_have_a_price_for_pictures_or_speech_have_a_bound():
    picture = {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"], "maxOutputTokens": 9}}
    speech = {"generationConfig": {"responseModalities": ["AUDIO"], "maxOutputTokens": 9}}

    drawn = generate(model="gemini-2.5-flash-image", **picture)
    spoken = generate(model="gemini-2.5-flash-preview-tts", **speech)

    assert (drawn.unbounded, drawn.output_tokens_max, drawn.structured_output) == ((), None, True)
    assert (spoken.unbounded, spoken.output_tokens_max) == ((), 9)
    assert generate(model="gemini-2.5-flash-image", **speech).unbounded == ("output of kind 'AUDIO'",)


def test_the_use_of_a_computer_is_a_tool_with_a_definition_of_googles_own():
    call = generate(tools=[{"computerUse": {"environment": "ENVIRONMENT_BROWSER"}}])

    assert (call.tools, call.server_tools, call.unbounded) == (1, (), ())
    assert overhead(call) == overhead(generate(tools=[{"functionDeclarations": [{"name": "f"}]}])) + 2_500


@pytest.mark.parametrize(
    "more",
    [
        {"generationConfig": {"responseMimeType": "application/json"}},
        {"generationConfig": {"responseSchema": {"type": "OBJECT"}}},
        {"generation_config": {"response_json_schema": {"type": "object"}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "any"}}},
    ],
)
def test_structured_output_is_noticed(more):
    assert generate(**more).structured_output
    assert not generate(toolConfig={"functionCallingConfig": {"mode": "AUTO"}}).structured_output


@pytest.mark.parametrize(
    ("asked", "tier"),
    [
        (None, None),
        ("SERVICE_TIER_UNSPECIFIED", None),
        ("standard", "standard"),
        ("Priority", "priority"),
        ("warp", "warp"),
        (3, "3"),
    ],
)
def test_a_service_tier_is_named_as_prices_name_it_and_never_lost(asked, tier):
    assert generate(serviceTier=asked).tier == tier


@pytest.mark.parametrize(
    ("model", "tokens_max"),
    [
        ("gemini-1.5-flash", 6_450),
        ("gemini-2.5-flash-lite", 6_450),
        ("gemini-3.1-pro-preview", 2_500),
        ("gemini-4-argon", None),
        ("gemini-flash-latest", None),
    ],
)
def test_an_image_has_the_ceiling_of_its_model(model, tokens_max):
    assert image_tokens_max(generate(model=model)) == tokens_max
    assert image_tokens_max(generate(model=model, provider="vertex")) == tokens_max


def test_the_prefix_holds_what_shapes_the_prompt_and_nothing_else():
    base = prefix(generate())

    for same in ({"temperature": 0.5}, {"maxOutputTokens": 9}, {"stop_sequences": ["x"]}):
        assert prefix(config(**same)) == base
    for same in ({"labels": {"a": "b"}}, {"safety_settings": []}, {"serviceTier": "flex"}):
        assert prefix(generate(**same)) == base
    for other in ({"thinkingConfig": {"thinkingBudget": 0}}, {"mediaResolution": "MEDIA_RESOLUTION_LOW"}):
        assert prefix(config(**other)) != base
    for other in ({"toolConfig": {}}, {"system_instruction": {"parts": [{"text": "s"}]}}, {"unheard_of": 1}):
        assert prefix(generate(**other)) != base


def test_a_part_with_thoughts_is_told_as_one():
    signed = generate({"functionCall": {"name": "f"}, "thoughtSignature": "A"})

    assert [part["type"] for part in signed.items[0].value["content"]] == ["thinking"]
    assert [part["type"] for part in generate().items[0].value["content"]] == ["text"]


@pytest.mark.parametrize(
    ("given", "out"),
    [
        ({}, {"generationConfig": {"maxOutputTokens": 5}}),
        ({"generationConfig": {"topK": 1}}, {"generationConfig": {"topK": 1, "maxOutputTokens": 5}}),
        ({"generation_config": {"max_output_tokens": 9}}, {"generation_config": {"max_output_tokens": 5}}),
        ({"generationConfig": None}, {"generationConfig": {"maxOutputTokens": 5}}),
    ],
)
def test_a_cap_goes_where_the_request_has_its_settings(given, out):
    call = generate(**given)

    raw = WIRE.rewrite(call, output_tokens_max=5)

    assert raw is not None
    assert json.loads(raw) == {**call.request, **out}


def test_another_model_changes_the_path_alone():
    path = GENERATE.format("gemini-2.5-flash")

    assert WIRE.rewrite(generate(), model="gemini-2.5-pro") is None
    assert WIRE.path_for(path, model="gemini-2.5-pro") == GENERATE.format("gemini-2.5-pro")


def test_a_model_that_the_body_repeats_is_not_left_wrong():
    request = {"model": "models/gemini-2.5-flash", "contents": []}
    call = WIRE.describe(request, provider="gemini", path=GENERATE.format("gemini-2.5-flash"), headers={})

    raw = WIRE.rewrite(call, model="gemini-2.5-pro")

    assert raw is not None
    assert json.loads(raw) == {"contents": []}


@pytest.mark.parametrize(
    ("code", "http", "status"),
    [
        ("budget_exceeded", 402, "FAILED_PRECONDITION"),
        ("budget_held", 429, "RESOURCE_EXHAUSTED"),
        ("invalid_request", 400, "INVALID_ARGUMENT"),
        ("ledger_unavailable", 503, "UNAVAILABLE"),
        ("price_unknown", 402, "FAILED_PRECONDITION"),
    ],
)
def test_refusals_have_googles_own_shape(code, http, status):
    told = WIRE.refusal(code=code, message="no", metadata={"scope": "run:a", "spent": 1})

    assert told == {
        "error": {
            "code": http,
            "message": "no",
            "status": status,
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": code.upper(),
                    "domain": "solvent",
                    "metadata": {"scope": "run:a", "spent": "1"},
                }
            ],
        }
    }
    assert FORMATS["gemini-embed"].refusal(code=code, message="no", metadata={"scope": "run:a", "spent": 1}) == told
