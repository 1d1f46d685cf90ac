"""
What the cost of a usage is made of: how many of each unit, at which price.
"""

from collections.abc import Iterator
from typing import NamedTuple

from solvent._amounts import Usage
from solvent.prices._rates import FEES, Rate, Steps, cost_picodollars, images_of


class CostPart(NamedTuple):
    """
    Attributes:
        unit: One of ``UNITS``; ``input`` is what was read and is in none of the caches.
        quantity: How many of it.
        picodollars: For one.
    """

    unit: str
    quantity: int
    picodollars: int


def cost_parts(steps: Steps, usage: Usage) -> tuple[CostPart, ...]:
    """
    The parts that ``cost_picodollars`` adds up; none where it says more than the price of each unit (more cached tokens
    than were read, audio that went into a cache).

    Raises:
        Unpriced: A unit was used that has no price.
    """
    total = cost_picodollars(steps, usage)
    rate = [rate for above, rate in steps if usage.input_tokens > above or not above][-1]
    parts = tuple(part for part in _every(rate, usage) if part.quantity)
    is_all = sum(part.quantity * part.picodollars for part in parts) == total
    return parts if is_all and all(part.quantity > 0 for part in parts) else ()


def _every(rate: Rate, usage: Usage) -> Iterator[CostPart]:
    kinds, heard = rate.kinds, usage.audio_cache_read_tokens
    cached = usage.cache_read_tokens
    plain = usage.input_tokens - cached - usage.cache_write_5m_tokens - usage.cache_write_1h_tokens
    if kinds.audio_input is not None:
        audio = min(max(usage.audio_input_tokens - heard, 0), plain)
        plain, cached = plain - audio, cached - heard
        yield CostPart("audio_input", audio, kinds.audio_input)
        yield CostPart("audio_cache_read", heard, kinds.audio_cache_read)
    if kinds.image_input is not None:
        seen, price = images_of(usage.image_input_tokens, plain, kinds.image_input, rate.input)
        plain -= seen
        yield CostPart("input" if usage.image_input_tokens is None else "image_input", seen, price)
    yield CostPart("input", plain, rate.input)
    yield CostPart("cache_read", cached, rate.cache_read)
    yield CostPart("cache_write_5m", usage.cache_write_5m_tokens, rate.cache_write_5m)
    yield CostPart("cache_write_1h", usage.cache_write_1h_tokens, rate.cache_write_1h)
    if rate.output is not None:
        yield from _output(rate, rate.output, usage)
    yield CostPart("request", 1 if rate.request else 0, rate.request)
    for (unit, field), fee in zip(FEES.items(), rate.fees, strict=True):
        yield CostPart(unit, getattr(usage, field), fee or 0)


def _output(rate: Rate, text_price: int, usage: Usage) -> Iterator[CostPart]:
    kinds, plain = rate.kinds, usage.output_tokens
    if kinds.audio_output is not None:
        plain -= usage.audio_output_tokens
        yield CostPart("audio_output", usage.audio_output_tokens, kinds.audio_output)
    if kinds.image_output is not None:
        drawn, price = images_of(usage.image_output_tokens, plain, kinds.image_output, text_price)
        plain -= drawn
        yield CostPart("output" if usage.image_output_tokens is None else "image_output", drawn, price)
    if kinds.reasoning is not None:
        thought = min(usage.reasoning_tokens, plain)
        plain -= thought
        yield CostPart("reasoning", thought, kinds.reasoning)
    yield CostPart("output", plain, text_price)
