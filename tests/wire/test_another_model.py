"""
The same request of another model of its provider: described anew, sent where that one is.
"""

import pytest
from test_formats import MODEL_IN_BODY, PATHS, REQUESTS, describe

from solvent.wire import Asked, at_path, under


@pytest.mark.parametrize("name", REQUESTS)
def test_a_call_is_described_as_one_of_another_model(name):
    call, path = under(describe(name), "other-model", Asked(PATHS[name], {}))
    assert call.model == "other-model"
    assert call.items == describe(name).items
    assert (path == PATHS[name]) is (name in MODEL_IN_BODY)


def test_what_comes_with_the_other_model_is_seen():
    plain = describe("openai-chat")
    searching, _ = under(plain, "gpt-4o-search-preview", Asked("chat/completions", {}))
    assert (plain.server_tools, len(searching.server_tools)) == ((), 1)


def test_the_headers_of_a_request_are_kept_with_it():
    asked = Asked("chat/completions", {"x-stainless-retry-count": "2"})
    assert under(describe("openai-chat"), "other", asked)[0].retry == 2
    assert "x-stainless" not in repr(asked)


def test_a_name_that_a_path_gives_another_meaning_is_no_model():
    with pytest.raises(ValueError, match="model must be one that bedrock-converse can name"):
        under(
            describe("bedrock-converse"),
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            Asked(PATHS["bedrock-converse"], {}),
        )


@pytest.mark.parametrize(
    ("address", "path", "other", "found"),
    [
        ("https://h/v1/responses", "responses", "r", "https://h/v1/r"),
        ("https://h/d/a/chat?x=/d/a/chat", "d/a/chat", "d/b/chat", "https://h/d/b/chat?x=/d/a/chat"),
        ("https://h/model/a%3A0/converse", "model/a:0/converse", "model/b:1/converse", "https://h/model/b:1/converse"),
        ("https://h/model/a%2Fb/converse", "model/a/b/converse", "model/c/converse", "https://h/model/c/converse"),
        ("https://h/models/m", "models/m", "models/ä m", "https://h/models/%C3%A4%20m"),
    ],
)
def test_an_address_leads_to_another_path_below_the_same_base(address, path, other, found):
    assert at_path(address, path, other) == found


def test_an_address_that_has_not_that_path_is_an_error():
    with pytest.raises(ValueError, match="address must end in b"):
        at_path("https://h/a", "b", "c")
