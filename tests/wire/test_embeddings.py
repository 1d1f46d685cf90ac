"""
Embeddings of every kind: what their input is, that no output is billed, and what their replies tell.
"""

import json
import tracemalloc
from datetime import UTC, datetime

import pytest
from test_formats import WITHOUT_OUTPUT, describe
from test_traps import plain

from solvent._amounts import Usage
from solvent._bounds import overhead
from solvent._estimate import Estimator
from solvent.prices import Prices
from solvent.wire import FORMATS

AT = datetime(2026, 11, 22, tzinfo=UTC)
EMBED = ("openai-embeddings", "cohere-embed", "ollama-embed")
FIELD = {"cohere-embed": "texts", "ollama-embed": "input", "openai-embeddings": "input"}


@pytest.mark.parametrize("name", EMBED)
def test_no_output_is_bounded_at_nothing_and_never_shrunk(name):
    call = describe(name)

    assert name in WITHOUT_OUTPUT
    assert call.output_tokens_max == 0
    assert call.structured_output
    assert FORMATS[name].rewrite(call, output_tokens_max=5, own_cap="max_tokens") is None


@pytest.mark.parametrize("name", EMBED)
def test_several_texts_are_several_pieces(name):
    items = describe(name, **{FIELD[name]: ["abc", "é"]}).items

    assert [item.tokens_max for item in items] == [4, 3]


@pytest.mark.parametrize(
    ("given", "items"), [("abc", [4]), ([5, 6, 7], [4]), ([[5, 6], [7]], [3, 2]), ([], []), ([""], [1])], ids=repr
)
def test_tokens_are_as_many_as_there_are(given, items):
    assert [item.tokens_max for item in describe("openai-embeddings", input=given).items] == items


@pytest.mark.parametrize("given", [None, 7, True], ids=repr)
def test_an_input_of_another_kind_is_an_error(given):
    with pytest.raises(ValueError, match="input must be a text, a list of texts, or tokens"):
        describe("openai-embeddings", input=given)


def test_the_older_kind_of_ollama_has_one_prompt():
    call = FORMATS["ollama-embed"].describe(
        {"model": "m", "prompt": "abc"}, provider="ollama", path="api/embeddings", headers={}
    )

    assert [item.tokens_max for item in call.items] == [4]


@pytest.mark.parametrize("name", ["openai-embeddings", "ollama-embed"])
def test_one_piece_of_unknown_size_is_as_large_as_the_model_reads_and_several_have_no_bound(name):
    picture = {"type": "hologram"}

    one, two = describe(name, input=[picture]), describe(name, input=[picture, "abc"])

    assert (one.hidden_input, one.unbounded) == ("a part of type 'hologram'", ())
    assert two.unbounded == ("several pieces of unknown size",)


@pytest.mark.parametrize(
    "more",
    [
        {"images": ["data:image/png;base64,AAAA"]},
        {"inputs": [{"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]}]},
    ],
    ids=["images", "inputs"],
)
def test_images_to_embed_have_no_bound_at_cohere_for_their_price_is_another(more):
    assert describe("cohere-embed", "cohere", **more).unbounded[0] == "images, which have a price of their own"


def test_texts_in_inputs_are_read():
    call = describe("cohere-embed", inputs=[{"content": [{"type": "text", "text": "x" * 400}]}])

    assert call.items[-1].tokens_max > 400
    assert call.unbounded == ()


def test_version_1_of_cohere_needs_no_model():
    request = {"texts": ["hi"]}

    call = FORMATS["cohere-embed"].describe(request, provider="cohere", path="embed", headers={})

    assert call.model == "the model that Cohere chooses"


def test_every_text_may_get_a_sentence_in_front():
    one, three = describe("openai-embeddings"), describe("openai-embeddings", input=["hi"] * 3)

    assert overhead(one) == 16 + 64
    assert overhead(three) == 16 + 3 * 64


def replies(usage: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
    vector = [0.25] * 8
    return [
        ("openai-embeddings", {"model": "m", "data": [{"embedding": vector}], "usage": usage}),
        ("cohere-embed", {"embeddings": {"float": [vector]}, "meta": {"billed_units": usage}}),
        ("ollama-embed", {"model": "m", "embeddings": [vector], **usage}),
    ]


def test_the_usage_of_embeddings_is_their_input():
    told = {"prompt_tokens": 7, "total_tokens": 7, "input_tokens": 7, "prompt_eval_count": 7}

    for name, body in replies(told):
        reading = plain(name, body)
        assert reading.usage is not None
        assert (reading.usage.input_tokens, reading.usage.output_tokens) == (7, 0)
        assert (reading.complete, reading.output_begun) == (True, True)


def test_texts_alone_cost_what_text_costs():
    told = {"prompt_tokens": 7, "total_tokens": 7, "input_tokens": 7}
    pictures = describe("openai-embeddings", input=[{"type": "image_url", "image_url": {"url": "x"}}])

    readings = [plain(name, body) for name, body in replies(told) if name != "ollama-embed"]
    of_pictures = plain("openai-embeddings", replies(told)[0][1], call=pictures)

    assert [reading.usage and reading.usage.image_input_tokens for reading in readings] == [0, 0]
    assert of_pictures.usage == Usage(input_tokens=7)


def test_embeddings_without_a_count_have_no_usage():
    for name, body in replies({}):
        reading = plain(name, body)
        assert (reading.usage, reading.problem, reading.output_begun) == (None, None, True)


def test_the_bound_of_embeddings_is_the_price_of_their_input():
    estimator = Estimator(Prices.load())

    bound = estimator.cheap(describe("openai-embeddings", input=["x" * 1_000] * 3), at=AT)

    assert bound.input_tokens == 3 * 1_001 + 3 + 16 + 3 * 64
    assert bound.output_tokens == 0
    assert bound.nanodollars == bound.input_tokens * 20  # $0.02 per million tokens.


@pytest.mark.parametrize("count", [True, "7", -1, 7.5, 2**53, [], {}], ids=repr)
def test_an_absurd_count_of_embeddings_is_a_problem(count):
    told = {"prompt_tokens": count, "total_tokens": 7, "input_tokens": count, "prompt_eval_count": count}

    for name, body in replies(told):
        reading = plain(name, body)
        assert reading.usage is None
        assert reading.problem is not None


def test_embeddings_that_read_nothing_are_a_problem():
    told = {"prompt_tokens": 0, "total_tokens": 0, "input_tokens": 0, "prompt_eval_count": 0}

    for name, body in replies(told):
        assert plain(name, body).problem == "a reply with output must have read more than 0 tokens"


def test_images_that_cohere_billed_are_not_taken_for_text():
    body = {"embeddings": {"float": [[0.5]]}, "meta": {"billed_units": {"images": 1, "input_tokens": 7}}}

    assert plain("cohere-embed", body).problem == "images have a price of their own"


def test_an_error_without_embeddings_wrote_nothing():
    reading = plain("openai-embeddings", {"error": {"type": "x"}, "data": None})

    assert (reading.error, reading.output_begun, reading.usage) == ("x", False, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBED)
def test_reading_a_large_reply_keeps_none_of_its_numbers(name):
    vectors = [[0.123456789] * 1_536] * 200
    body = {"openai-embeddings": {"data": vectors}, "cohere-embed": {"embeddings": vectors}}.get(name)
    raw = json.dumps(body or {"embeddings": vectors}).encode()
    reader = FORMATS[name].reader(describe(name), status=200, stream=False)
    reader.feed(raw)

    tracemalloc.start()
    reader.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(raw) > 3_000_000
    assert peak < 2 * len(raw)  # Once for the chunks put together. The numbers take two and a half times as much.
