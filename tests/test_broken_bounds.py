"""
A bill above its bound: the constant that was too low is raised at once, so that the next call of the kind is bounded.
"""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvent import _constants
from solvent._estimate import Estimator, PromptChain
from solvent.prices import Prices, UserPrice
from solvent.wire import FORMATS

AT = datetime(2026, 11, 22, tzinfo=UTC)
PRICES = {
    "gpt-*": UserPrice.per_million_tokens(input="1", output="1", output_tokens_max=1_000, input_tokens_max=400_000),
}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def user(text):
    return {"role": "user", "content": text}


def ask(*messages, model="gpt-4o", provider="openai", **more):
    request = {"model": model, "messages": list(messages), "max_tokens": 10, **more}
    return FORMATS["openai-chat"].describe(request, provider=provider, path="chat/completions", headers={})


class Billing:
    """
    An estimator whose calls are bounded, billed and learned from, in one scope unless it is told.
    """

    def __init__(self):
        self.estimator = Estimator(Prices.load(PRICES))

    def bound(self, call, *ways, scope="run:a"):
        bound = self.estimator.cheap(call, at=AT)
        for way in ways:
            bound = self.estimator.tighten(call, bound, PromptChain(call), scope=scope, at=AT, by=way)
        return bound

    def bill(self, call, tokens, *ways, scope="run:a", bound=None):
        bound, chain = bound or self.bound(call, *ways, scope=scope), PromptChain(call)
        raised = self.estimator.broken(call, bound, chain, scope=scope, input_tokens=tokens)
        self.estimator.learn(chain, scope=scope, input_tokens=tokens)
        return raised


@pytest.fixture
def billing():
    return Billing()


@pytest.mark.parametrize(
    ("call", "name", "each"),
    [
        (ask(user("hello")), "request", 2_000),
        (ask(user("hello"), tools=[TOOL]), "tools", 2_000),
        (ask(user("hello"), response_format={"type": "json_object"}), "tools", 2_000),
        (ask(user([IMAGE, IMAGE, IMAGE])), "image", 667),
        (ask(user([IMAGE]), tools=[TOOL]), "image", 2_000),
    ],
    ids=["request", "tools", "schema", "images", "image and tools"],
)
def test_a_bill_above_the_bound_raises_the_constant_that_was_too_low(billing, call, name, each):
    before = billing.bound(call).input_tokens

    assert billing.bill(call, before + 1_000) == {name: each}
    assert before + 2_000 <= billing.bound(call).input_tokens <= before + 2_001


def test_a_bill_within_its_bound_raises_nothing(billing):
    call = ask(user("hello"), tools=[TOOL])
    before = billing.bound(call)

    assert billing.bill(call, before.input_tokens) is None
    assert billing.bound(call) == before


def test_a_constant_is_raised_for_all_names_of_the_model_and_for_no_other(billing):
    def all_but(*changed):
        others = {"model": "gpt-4o", "provider": "openai", "tools": [TOOL]}
        return ask(user("hello"), **{**others, **dict(changed)})

    calls = [all_but(), all_but(("model", "gpt-3.5-turbo")), all_but(("provider", "azure")), all_but(("tools", None))]
    before = [billing.bound(call).input_tokens for call in calls]
    billing.bill(calls[0], before[0] + 10)

    assert [billing.bound(call).input_tokens for call in calls] == [before[0] + 20, *before[1:]]


def test_names_with_a_date_are_one_model():
    estimator = Estimator(Prices.load())
    dated, plain = ask(user("hi"), model="gpt-4o-2024-08-06"), ask(user("hi"))
    before = estimator.cheap(plain, at=AT).input_tokens
    bound = estimator.cheap(dated, at=AT)
    estimator.broken(dated, bound, PromptChain(dated), scope="run:a", input_tokens=bound.input_tokens + 10)

    assert estimator.cheap(plain, at=AT).input_tokens == before + 20


def test_calls_that_broke_one_bound_together_raise_it_once(billing):
    call = ask(user("hello"))
    bound = billing.bound(call)

    assert billing.bill(call, bound.input_tokens + 100, bound=bound) == {"request": 200}
    assert billing.bill(call, bound.input_tokens + 100, bound=bound) == {}
    assert billing.bill(call, bound.input_tokens + 300, bound=bound) == {"request": 400}


@pytest.mark.parametrize(
    "more",
    [
        {"web_search_options": {}},
        {"plugins": ["x"]},
        {"messages": [user([{"type": "file", "file": {"file_id": "f"}}])]},
    ],
    ids=["provider's tools", "unbounded", "hidden input"],
)
def test_a_bill_for_more_than_the_text_raises_nothing(billing, more):
    call = ask(user("hello"), **more)
    plain = ask(user("hello"))
    before = billing.bound(plain).input_tokens

    assert not billing.bill(call, 500_000)
    assert billing.bound(plain).input_tokens == before


def test_a_bound_by_an_earlier_bill_that_is_broken_leaves_the_constants_of_others_alone(billing):
    first = ask(user("text " * 1_000))
    longer = ask(user("text " * 1_000), user("go on"))
    billing.bill(first, 1_100)
    tight = billing.bound(longer, "prefix").input_tokens

    assert tight < 1_300
    assert billing.bill(longer, 3_000, "prefix")["prefix"] == 2 * (3_000 - tight)
    assert billing.bound(longer, "prefix").input_tokens >= 3_000
    assert billing.bound(ask(user("hello"))).input_tokens == Billing().bound(ask(user("hello"))).input_tokens

    elsewhere = {"scope": "run:b"}
    billing.bill(first, 1_100, **elsewhere)
    assert billing.bound(longer, "prefix", **elsewhere).input_tokens == tight


def test_a_tokenizer_that_counts_too_few_is_given_a_margin(billing):
    call = ask(user("one two three " * 1_000))
    tight = billing.bound(call, "tokenizer").input_tokens

    assert billing.bill(call, 6_000, "tokenizer") == {"tokenizer": 2 * (6_000 - tight)}
    assert billing.bound(call).input_tokens == Billing().bound(call).input_tokens
    assert billing.bound(call, "tokenizer", scope="run:b").input_tokens == tight + 2 * (6_000 - tight)


def test_a_count_of_the_provider_that_was_too_low_is_given_a_margin(billing):
    call = ask(user("text " * 10_000))
    counted = billing.estimator.by_count(call, billing.bound(call), 10_000, at=AT)
    assert counted.input_tokens == 10_000 + 64

    assert billing.bill(call, 10_164, bound=counted)["count"] == 200
    assert billing.estimator.by_count(call, billing.bound(call), 10_000, at=AT).input_tokens == 10_264


def test_what_was_raised_has_an_end(billing, monkeypatch):
    monkeypatch.setattr(_constants, "RAISED_MAX", 3)
    calls = [ask(user("hello"), model=f"gpt-{number}") for number in range(5)]
    before = billing.bound(calls[0]).input_tokens
    for call in calls:
        billing.bill(call, before + 10)

    assert [billing.bound(call).input_tokens - before for call in calls] == [0, 0, 20, 20, 20]


MESSAGES = st.lists(
    st.sampled_from(["", "hi", "word " * 40, "größer ﷺ " * 20, [IMAGE], [IMAGE, {"type": "text", "text": "x" * 99}]]),
    min_size=1,
    max_size=5,
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(MESSAGES, st.booleans(), st.integers(0, 60_000)), min_size=1, max_size=8),
    st.sampled_from([(), ("prefix",), ("tokenizer",), ("prefix", "tokenizer")]),
)
def test_after_a_bill_that_broke_it_an_equal_request_is_bounded_by_no_less(calls, ways):
    """
    Whatever was billed, learned and raised before, for prompts that begin alike.
    """
    billing = Billing()
    for texts, with_tools, tokens in calls:
        call = ask(*map(user, texts), **({"tools": [TOOL]} if with_tools else {}))
        bound = billing.bound(call, *ways)
        raised = billing.bill(call, tokens, *ways)

        assert (raised is None) == (tokens <= bound.input_tokens)
        for some in (ways,) if raised is None else (ways, ("prefix",), ("tokenizer",), ()):
            assert billing.bound(call, *some).input_tokens >= tokens
