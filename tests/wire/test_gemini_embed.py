"""
Gemini's embeddings, one and many, on the Gemini API and on Vertex AI: one promise a test.
"""

import json

import pytest

from solvent._amounts import Usage
from solvent._bounds import overhead
from solvent.wire import FORMATS, Call, Reading

WIRE = FORMATS["gemini-embed"]
TEXT = {"parts": [{"text": "a" * 200}]}
ONE = "v1beta/models/gemini-embedding-001:embedContent"
MANY = "v1beta/models/gemini-embedding-001:batchEmbedContents"
PREDICT = "v1/projects/p/locations/us-central1/publishers/google/models/{}:predict"


def embed(request: dict[str, object], path: str = ONE, provider: str = "gemini") -> Call:
    return WIRE.describe(request, provider=provider, path=path, headers={})


def reply(body: object, *, status: int = 200) -> Reading:
    reader = WIRE.reader(embed({"content": TEXT}), status=status, stream=False)
    raw = json.dumps(body).encode()
    assert reader.feed(raw) == raw
    return reader.finish()


def tokens(call: Call) -> int:
    return call.head.tokens_max + sum(item.tokens_max for item in call.items)


@pytest.mark.parametrize(
    ("request_", "path", "inputs"),
    [
        ({"content": TEXT, "taskType": "RETRIEVAL_QUERY"}, ONE, 1),
        ({"requests": [{"model": "models/gemini-embedding-001", "content": TEXT}] * 3}, MANY, 3),
        ({"instances": [{"content": "a" * 200, "title": "t"}] * 2}, PREDICT.format("text-embedding-005"), 2),
    ],
)
def test_every_input_counts_and_nothing_is_written(request_, path, inputs):
    call = embed(request_, path)

    assert len(call.items) == inputs
    assert 200 * inputs < tokens(call) < 300 * inputs
    assert (call.output_tokens_max, call.unbounded, call.hidden_input) == (0, (), None)
    assert overhead(call) == 16 + 64 * inputs


def test_path_and_place_are_read():
    call = embed({"instances": [{"content": "a"}]}, PREDICT.format("gemini-embedding-001"), "vertex")

    assert (call.model, call.region, call.stream) == ("gemini-embedding-001", "us-central1", False)
    assert WIRE.path_for(ONE, model="other") == "v1beta/models/other:embedContent"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "content must be what is to be embedded"),
        ({"content": None, "requests": None}, "content must be what is to be embedded"),
        ({"requests": "x"}, "requests must be a list"),
        ({"requests": ["x"]}, "requests must be a list of objects"),
        ({"requests": [{"content": TEXT, "taskType": "a", "task_type": "b"}]}, "taskType must be there once"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_says_what_was_expected(request_, message):
    with pytest.raises(ValueError, match=message):
        embed(request_)


def test_media_hide_and_in_several_inputs_have_no_bound():
    picture = {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}}
    sound = {"content": {"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]}}

    assert embed(picture).items[0].images == 1
    assert embed(sound).hidden_input == "audio"
    assert embed(sound).unbounded == ()
    for media in (picture, sound):
        assert embed({"requests": [media, {"content": TEXT}]}, MANY).unbounded == ("several inputs with media",)


@pytest.mark.parametrize("model", ["imagen-4.0-generate-001", "multimodalembedding@001", "veo-3"])
def test_other_models_that_predict_have_no_bound(model):
    call = embed({"instances": [{"prompt": "a cat"}]}, PREDICT.format(model))

    assert call.unbounded == ("a model that may do something else than embed text",)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ({"embedding": {"values": [0.1]}, "usageMetadata": {"promptTokenCount": 9}}, 9),
        ({"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 9}}, 9),
        (
            {
                "predictions": [
                    {"embeddings": {"statistics": {"token_count": 4, "truncated": False}}},
                    {"embeddings": {"statistics": {"token_count": 5.0}}},
                ]
            },
            9,
        ),
    ],
)
def test_what_was_read_is_the_hosts_own_count(body, read):
    reading = reply(body)

    assert reading == Reading(usage=Usage(input_tokens=read, image_input_tokens=0), complete=True, output_begun=True)


@pytest.mark.parametrize(
    "body",
    [
        {"embedding": {"values": [0.1]}},
        {"predictions": [{"embeddings": {"statistics": {"token_count": 4}}}, {"embeddings": {"values": []}}]},
        {"predictions": [{"bytesBase64Encoded": "AAAA"}]},
    ],
)
def test_a_reply_that_tells_no_count_has_none(body):
    assert (reply(body).usage, reply(body).problem) == (None, None)


@pytest.mark.parametrize("count", [True, "9", -1, 1.5, 2**63, [], {}], ids=repr)
def test_an_absurd_count_is_a_problem_and_no_usage(count):
    for body in (
        {"embedding": {"values": [0.1]}, "usageMetadata": {"promptTokenCount": count}},
        {"predictions": [{"embeddings": {"statistics": {"token_count": count}}}]},
    ):
        assert reply(body).usage is None
        assert "must be" in str(reply(body).problem)


@pytest.mark.parametrize(("details", "images"), [(None, None), ([{"modality": "VIDEO", "tokenCount": 7}], 7)])
def test_media_are_told_apart_where_the_host_does(details, images):
    call = embed({"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}})
    usage = {"promptTokenCount": 9, "promptTokensDetails": details}
    reader = WIRE.reader(call, status=200, stream=False)
    reader.feed(json.dumps({"embedding": {"values": [0.1]}, "usageMetadata": usage}).encode())

    assert reader.finish().usage == Usage(input_tokens=9, image_input_tokens=images)


def test_an_embedding_that_read_nothing_is_a_problem():
    reading = reply({"embedding": {"values": [0.1]}, "usageMetadata": {"promptTokenCount": 0}})

    assert (reading.usage, reading.problem) == (None, "a reply with output must have read more than 0 tokens")


def test_an_error_is_told_by_its_status():
    assert reply({"error": {"code": 400, "status": "INVALID_ARGUMENT"}}, status=400).error == "INVALID_ARGUMENT"


def test_another_model_is_named_wherever_the_body_names_one():
    inner = {"model": "models/gemini-embedding-001", "content": TEXT}

    assert WIRE.rewrite(embed({"content": TEXT}), model="gemini-embedding-2") is None
    assert WIRE.rewrite(embed({"requests": [inner]}, MANY), output_tokens_max=5) is None
    one, many = (
        WIRE.rewrite(embed(request, path), model="gemini-embedding-2")
        for request, path in ((inner, ONE), ({"requests": [inner, {"content": TEXT}]}, MANY))
    )
    assert one is not None
    assert many is not None
    assert json.loads(one) == {**inner, "model": "models/gemini-embedding-2"}
    assert json.loads(many) == {"requests": [json.loads(one), {"content": TEXT}]}
