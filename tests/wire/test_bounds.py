"""
The bound of the input holds for every recorded exchange that can be counted.
"""

import statistics

import pytest
from wire_samples import Exchange, exchanges

from solvent._bounds import image_tokens_max, overhead
from solvent.wire import FORMATS, Call


def input_bound(call: Call) -> int:
    images = call.head.images + sum(item.images for item in call.items)
    each = image_tokens_max(call) if images else 0
    assert each is not None
    return call.head.tokens_max + sum(item.tokens_max for item in call.items) + overhead(call) + images * each


def countable() -> list[tuple[Exchange, Call, int]]:
    found = []
    for exchange in exchanges():
        call = exchange.call()
        if exchange.is_cut or call.hidden_input or call.server_tools or call.unbounded:
            continue
        reader = call_reader(exchange, call)
        if reader is not None:
            found.append((exchange, call, reader))
    return found


def call_reader(exchange: Exchange, call: Call) -> int | None:
    reader = exchange.format.reader(call, status=exchange.status, stream=exchange.sse is not None)
    reader.feed(exchange.body)
    usage = reader.finish().usage
    return None if usage is None else usage.input_tokens


@pytest.mark.slow
def test_no_recorded_bill_is_above_its_bound():
    too_low = [
        (exchange.run, exchange.step, billed, input_bound(call))
        for exchange, call, billed in countable()
        if billed > input_bound(call)
    ]

    assert too_low == []


@pytest.mark.slow
def test_bounds_keep_a_margin_of_a_hundred_tokens_where_tools_hide_a_prompt():
    thin = [
        (exchange.run, billed, input_bound(call))
        for exchange, call, billed in countable()
        if call.tools and billed > input_bound(call) - 100
    ]

    assert thin == []


@pytest.mark.slow
def test_bounds_are_near_enough_to_be_of_use():
    long = [input_bound(call) / billed for _, call, billed in countable() if billed >= 500]

    assert len(long) > 100
    assert statistics.median(long) < 6


@pytest.mark.parametrize(
    ("provider", "model", "tokens"),
    [
        ("anthropic", "claude-3-5-sonnet-latest", 1_600),
        ("anthropic", "claude-opus-4-7", 4_784),
        ("anthropic", "claude-sonnet-4-6", 1_600),
        ("anthropic", "claude-sonnet-5", 4_784),
        ("groq", "gpt-4o", None),
        ("openai", "gpt-4.1-nano-2025-04-14", 3_779),
        ("openai", "gpt-4o-2024-08-06", 1_445),
        ("openai", "gpt-4o-mini", 48_169),
        ("openai", "unheard-of", None),
        ("openrouter", "anthropic/claude-sonnet-4.5", 1_600),
        ("openrouter", "openai/gpt-4o", 1_445),
    ],
)
def test_an_image_has_the_ceiling_of_its_model(provider, model, tokens):
    call = FORMATS["openai-chat"].describe(
        {"model": model, "messages": []}, provider=provider, path="chat/completions", headers={}
    )

    assert image_tokens_max(call) == tokens


def test_every_message_and_tool_adds_to_the_overhead():
    chat = FORMATS["openai-chat"]
    tool = {"type": "function", "function": {"name": "f"}}

    def of(messages: int, tools: int) -> int:
        request = {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "a"}] * messages,
            "tools": [tool] * tools,
        }
        return overhead(chat.describe(request, provider="openai", path="chat/completions", headers={}))

    assert of(1, 0) == 80
    assert of(2, 0) == 96
    assert of(1, 1) == 80 + 300 + 48
    assert of(1, 2) == 80 + 300 + 96
