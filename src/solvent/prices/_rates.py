"""
Rates in picodollars for one of each unit, and what a usage costs at them. Integers throughout.

A rate has steps: above so much input the whole call costs the higher rate, as providers bill it.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from solvent._amounts import Usage

TOKEN_UNITS = (
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "audio_output",
    "audio_cache_read",
    "image_input",
    "image_output",
    "reasoning",
)
# What is paid by the use, and the field of a usage that counts it. Every request is one.
FEES = {
    "web_search": "web_searches",
    "web_search_preview": "web_searches_preview",
    "file_search": "file_searches",
    "map_search": "map_searches",
    "code_session": "code_sessions",
}
UNITS = (*TOKEN_UNITS, "request", *FEES)
HALF_HOUR_SECONDS = 1_800  # Daily windows begin and end on these.

Slot: TypeAlias = int | list[int] | None  # A price, or [base, above, price, above, price, …]; see _compile_rates.py.
Slots: TypeAlias = Mapping[str, Slot]  # By unit.
Times: TypeAlias = Mapping[str, Fraction]  # How many times the price each unit costs; ``*`` is every other one.


class Kinds(NamedTuple):
    """
    Picodollars for one token of each kind that some models price apart; ``None`` where this one does not.

    Audio then has no price at all. Images and reasoning cost what other tokens of their direction cost.
    """

    audio_input: int | None
    audio_output: int | None
    audio_cache_read: int
    image_input: int | None
    image_output: int | None
    reasoning: int | None


class Rate(NamedTuple):
    """
    Picodollars for one of each unit; ``None`` where the unit has no price, and no other price can stand for it.
    """

    request: int
    input: int
    output: int | None
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    kinds: Kinds
    has_kinds: bool  # Images or reasoning are priced apart, so that every usage has to be told apart.
    fees: tuple[int | None, ...]  # In the order of FEES.


Steps: TypeAlias = tuple[tuple[int, Rate], ...]  # Rates by the input above which they hold, the first above nothing.


class Unpriced(Exception):
    """
    Raised for a unit that was used and has no price; the argument says which.
    """


def steps_of(slots: Slots) -> Steps:
    """
    The rates that a model's priced units make, with the gaps filled by prices that cannot be lower.
    """
    starts = {0}
    for slot in slots.values():
        if isinstance(slot, list):
            starts.update(slot[1::2])
    return tuple((start, _rate({unit: _at(slot, start) for unit, slot in slots.items()})) for start in sorted(starts))


def multiplied(slots: Slots, times: Times) -> dict[str, Slot]:
    """
    The prices of tokens so many times as high, rounded up; fees stay what they are.
    """
    found = dict(slots)
    for unit in TOKEN_UNITS:
        slot, factor = slots.get(unit), times.get(unit, times["*"])
        if isinstance(slot, list):
            found[unit] = [value if place % 2 else _ceil(value * factor) for place, value in enumerate(slot)]
        elif slot is not None:
            found[unit] = _ceil(slot * factor)
    return found


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


def _at(slot: Slot, start: int) -> int | None:
    if not isinstance(slot, list):
        return slot
    return [slot[0], *(price for above, price in zip(slot[1::2], slot[2::2], strict=True) if above <= start)][-1]


def _rate(known: Mapping[str, int | None]) -> Rate:
    plain = known["input"]
    assert plain is not None, "a model without a price of its input is not in the card"
    read, write_5m, write_1h = (known.get(unit) for unit in ("cache_read", "cache_write_5m", "cache_write_1h"))
    audio_read, audio = known.get("audio_cache_read"), known.get("audio_input")
    read = plain if read is None else read
    write_5m = plain if write_5m is None else write_5m
    fees = {unit: known.get(unit) for unit in FEES}
    if fees["web_search_preview"] is None:
        fees["web_search_preview"] = fees["web_search"]
    kinds = Kinds(
        audio_input=audio,
        audio_output=known.get("audio_output"),
        audio_cache_read=max(read, audio or 0) if audio_read is None else audio_read,
        image_input=known.get("image_input"),
        image_output=known.get("image_output"),
        reasoning=known.get("reasoning"),
    )
    return Rate(
        request=known.get("request") or 0,
        input=plain,
        output=known.get("output"),
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=max(write_5m, plain) if write_1h is None else write_1h,
        kinds=kinds,
        has_kinds=any(price is not None for price in (kinds.image_input, kinds.image_output, kinds.reasoning)),
        fees=tuple(fees.values()),
    )


def cost_picodollars(steps: Steps, usage: Usage) -> int:
    """
    What a usage costs. Every call asks for it, so the common case is written out in one piece.

    Raises:
        Unpriced: A unit was used that has no price.
    """
    rate = steps[0][1]
    read = usage.input_tokens
    if len(steps) > 1:
        for above, higher in steps:
            if read > above:
                rate = higher
    total, price, output_price, cache_read, cache_write_5m, cache_write_1h, _, has_kinds, fees = rate
    cached, write_5m, write_1h = usage.cache_read_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
    plain = read - cached - write_5m - write_1h
    if plain < 0:
        plain = 0  # Parts above their whole: nothing that was told is left out, and nothing is paid back.
    written = usage.output_tokens
    if (
        has_kinds
        or usage.audio_input_tokens
        or usage.audio_cache_read_tokens
        or usage.audio_output_tokens
        or (output_price is None and written)
    ):
        more, plain = _kinds_of_input(rate, usage, plain)
        total += more + _kinds_of_output(rate, usage)
    elif output_price is not None:
        total += written * output_price
    total += plain * price + cached * cache_read
    if write_5m or write_1h:
        total += write_5m * cache_write_5m + write_1h * cache_write_1h
    if (
        usage.web_searches
        or usage.web_searches_preview
        or usage.file_searches
        or usage.map_searches
        or usage.code_sessions
    ):
        total += _fees(fees, usage)
    return total


def _kinds_of_input(rate: Rate, usage: Usage, plain: int) -> tuple[int, int]:
    """
    What audio and images cost beyond what their tokens cost in a cache, and the tokens that are left as text.
    """
    total, kinds = 0, rate.kinds
    if usage.audio_input_tokens or usage.audio_cache_read_tokens:
        if kinds.audio_input is None:
            raise Unpriced("audio input")
        audio_read = usage.audio_cache_read_tokens
        audio = max(usage.audio_input_tokens - audio_read, 0)
        fresh = min(audio, plain)
        plain -= fresh
        total += fresh * kinds.audio_input + audio_read * (kinds.audio_cache_read - rate.cache_read)
        # Audio that went into a cache has no price of its own: it costs the dearer of the two.
        dearer = kinds.audio_input - max(rate.cache_read, rate.cache_write_5m, rate.cache_write_1h)
        total += (audio - fresh) * max(dearer, 0)
    if kinds.image_input is not None:
        images, price = images_of(usage.image_input_tokens, plain, kinds.image_input, rate.input)
        plain -= images
        total += images * price
    return total, plain


def _kinds_of_output(rate: Rate, usage: Usage) -> int:
    plain, total, kinds = usage.output_tokens, 0, rate.kinds
    if rate.output is None:
        if plain or usage.audio_output_tokens:
            raise Unpriced("output")
        return 0
    if usage.audio_output_tokens:
        if kinds.audio_output is None:
            raise Unpriced("audio output")
        plain = max(plain - usage.audio_output_tokens, 0)
        total += usage.audio_output_tokens * kinds.audio_output
    if kinds.image_output is not None:
        images, price = images_of(usage.image_output_tokens, plain, kinds.image_output, rate.output)
        plain -= images
        total += images * price
    if kinds.reasoning is not None:
        reasoning = min(usage.reasoning_tokens, plain)
        plain -= reasoning
        total += reasoning * kinds.reasoning
    return total + plain * rate.output


def images_of(told: int | None, plain: int, price: int, text_price: int) -> tuple[int, int]:
    """
    How many of the tokens are images, and their price; where nobody tells, all cost what the dearer kind costs.
    """
    return (plain, max(price, text_price)) if told is None else (min(told, plain), price)


def _fees(fees: tuple[int | None, ...], usage: Usage) -> int:
    total = 0
    for (unit, field), fee in zip(FEES.items(), fees, strict=True):
        uses = getattr(usage, field)
        if uses:
            if fee is None:
                raise Unpriced(unit.replace("_", " "))
            total += uses * fee
    return total


def highest(prices: Iterable[int | None]) -> int | None:
    """
    The highest of the prices that are known.
    """
    return max((price for price in prices if price is not None), default=None)
