"""
Objects that are no usage: whatever they do, nothing is booked by mistake, and the refusal says how to go on.
"""

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solvent._amounts import AMOUNT_MAX, Usage
from solvent._usage_of import Told, usage_of

CHAT = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
COUNTED = Usage(input_tokens=10, output_tokens=5)


def refusal(given: object) -> str:
    with pytest.raises(ValueError, match="no usage can be read from this") as refused:
        usage_of(given)
    return str(refused.value)


class Raising:
    @property
    def usage(self) -> object:
        raise RuntimeError("the stream has not ended")


class RaisingOnDemand:
    def usage(self) -> object:
        raise KeyError("usage")


@dataclass
class Endless:
    usage: object = None
    raw: object = None


def test_an_object_that_raises_is_told_by_name():
    assert "Raising: its usage raised RuntimeError: the stream has not ended" in refusal(Raising())
    assert "RaisingOnDemand: reading it raised KeyError" in refusal(RaisingOnDemand())
    assert "Raising" in refusal({"usage": {"details": Raising(), **CHAT}})


def test_a_cycle_ends():
    loop: dict[str, Any] = {"raw": None}
    loop["raw"] = loop
    endless = Endless()
    endless.raw = endless

    assert "its names are raw" in refusal(loop)
    assert "its names are raw" in refusal(endless)
    assert usage_of({**loop, "usage": CHAT}).usage == COUNTED


class Counting(dict[str, object]):
    """
    A mapping whose items never end.
    """

    def items(self) -> Any:
        return ((str(number), number) for number in iter(int, 1))


def many(depth: int) -> list[Any]:
    """
    Ten million lists, all of them one.
    """
    return [many(depth - 1)] * 10 if depth else []


@pytest.mark.slow
@pytest.mark.parametrize("huge", [lambda: Counting(), lambda: {"a": many(7)}], ids=["endless", "wide"])
def test_a_huge_object_is_refused_in_a_moment(huge):
    made = huge()
    began = time.process_time()

    assert "hand in" in refusal(made)
    assert time.process_time() - began < 5


def test_state_that_an_object_holds_is_not_walked():
    class Result:
        def __init__(self) -> None:
            self.usage = SimpleNamespace(**CHAT)
            self.client = Raising()
            self.model = "m"

    assert usage_of(Result()) == Told(usage=COUNTED, model="m")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "this dict: it tells no usage that is known; its names are none"),
        ({"tokens_used": 5, "id": "x"}, "its names are tokens_used, id"),
        ({f"name{number}": 1 for number in range(20)}, "name7, …"),
        ({"choices": [{"message": {}}], "usage": None}, "its names are choices, usage"),
        (object(), "this object: it tells no usage that is known; it has no names that are known"),
        (5, "this int: it tells no usage that is known; it is a number"),
        ("gpt", "it is a text"),
        ([CHAT, CHAT], "it is a list"),
        (Usage, "this StructMeta: it tells no usage that is known"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_names_and_how_to_go_on(given, says):
    said = refusal(given)

    assert says in said
    assert "To go on: hand in an SDK's usage" in said
    assert "hand in nothing, and all that was set aside is booked" in said


@pytest.mark.parametrize("value", [-1, 2.5, float("nan"), float("inf"), True, "5", AMOUNT_MAX + 1, [], {}])
@pytest.mark.parametrize(
    "told",
    [
        {"prompt_tokens": 10, "completion_tokens": 5},
        {"input_tokens": 10, "output_tokens": 5},
        {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 5},
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_token_details": {}},
        {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
        {"prompt_eval_count": 10, "eval_count": 5},
        {"input_tokens": 10},
        {"output_tokens": 5},
        {"total_tokens": 15},
    ],
    ids=lambda told: ",".join(told),
)
def test_a_count_that_cannot_be_meant_is_refused_by_its_name_and_value(told, value):
    for name in told:
        if isinstance(told[name], int):
            said = refusal({**told, name: value})
            assert name in said
            assert str(value) in said


@pytest.mark.parametrize(
    "given",
    [
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_token_details": {"cache_read": 11}},
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 11}},
        Usage(input_tokens=10, output_tokens=5, cache_read_tokens=11),
        Usage(input_tokens=-1),
        {"input_tokens": 10, "output_tokens": 5, "reasoning_tokens": 6},
    ],
)
def test_a_part_above_its_whole_is_refused(given):
    with pytest.raises(ValueError, match=r"must (not be above|be within)"):
        usage_of(given)


@pytest.mark.parametrize(
    "given",
    [
        # Agno, whose input has the cache or not, by the provider.
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "cache_read_tokens": 4},
        {"prompt_tokens": 10, "completion_tokens": 5, "cache_read_input_tokens": 4},
        {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {}, "cache_read_input_tokens": 4},
    ],
)
def test_nobody_guesses_whether_the_input_has_the_cached_tokens_in_it(given):
    assert "cached tokens" in refusal(given)


NAMES = st.sampled_from(
    [
        *CHAT, "usage", "usage_metadata", "usageMetadata", "response_metadata", "generations", "raw", "choices",
        "output", "input_tokens", "output_tokens", "input_token_details", "cache_read_input_tokens",
        "cache_read_tokens",
        "promptTokenCount", "candidates", "prompt_token_count", "inputTokens", "outputTokens", "billed_units", "tokens",
        "eval_count", "prompt_eval_count", "message", "content", "meta", "embeddings", "iterations", "type", "model",
        "prompt_tokens_details", "cost_in_usd_ticks", "server_side_tool_usage_details", "inputTextTokenCount",
        "tool_calls",
    ]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 50), st.floats(), st.text(max_size=3), st.binary(max_size=2)
)
GARBAGE = st.recursive(
    LEAVES | st.builds(object),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=5)
        | st.dictionaries(NAMES, inner, max_size=5).map(lambda fields: SimpleNamespace(**fields))
        | st.dictionaries(st.integers() | st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(GARBAGE)
def test_garbage_is_refused_or_a_usage_that_can_be_booked(garbage):
    try:
        told = usage_of(garbage)
    except ValueError:
        return
    if told.usage is not None:
        told.usage.check()
        assert told.usage.input_tokens > 0
    for known in (told.input_tokens, told.output_tokens, told.tokens):
        assert known is None or 0 <= known <= AMOUNT_MAX
    assert garbage is None or (told.usage, told.input_tokens, told.output_tokens, told.tokens) != (None,) * 4
