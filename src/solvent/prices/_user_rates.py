"""
A user's price as the price of a model: what the user does not say follows what they do say, and is never less.
"""

from collections.abc import Iterator
from fractions import Fraction

from solvent.prices._model import ModelPrice, Rule
from solvent.prices._rates import FEES, Rate, Slot, steps_of
from solvent.prices._user import UserPrice

# Units that cost so many times what others do, by the rate card, where it prices them apart.
_FOLLOWS = {
    "cache_write_5m": "input",
    "cache_write_1h": "input",
    "image_input": "input",
    "image_output": "output",
    "reasoning": "output",
}
# Source: https://platform.claude.com/docs/en/about-claude/pricing, Model pricing: a cache write of five minutes costs
# 1.25 times, one of an hour 2 times the base input of every model; read 2026-11-22.
_OF_CLAUDE = {"cache_write_5m": Fraction(5, 4), "cache_write_1h": Fraction(2)}


def model_price(
    price: UserPrice, *, provider: str, model: str, listed: ModelPrice | None, limits: tuple[int | None, int | None]
) -> ModelPrice:
    """
    A user's price as the price of a model; fees and limits that the user does not name are those of the card.

    Args:
        listed: The card's own price of the model, if it has one.
        limits: The model's largest input and output where the card has no price of it.
    """
    is_free = not (price.input or price.output)  # A server of one's own, whose audio is then free as well.
    slots: dict[str, Slot] = {
        "input": price.input,
        "output": price.output,
        "cache_read": price.cache_read,
        "cache_write_5m": price.cache_write,
        "cache_write_1h": price.cache_write_1h,
        "audio_input": 0 if is_free else price.audio_input,
        "audio_output": 0 if is_free else price.audio_output,
    }
    sources: dict[str, str] = {}
    for unit, times, by in _derived(provider, model, listed):
        if slots.get(unit) is None:
            base = _FOLLOWS[unit]
            rate = _times(times, price.input if base == "input" else price.output)
            slots[unit] = rate
            sources[unit] = f"{price.source}, {float(times):g} times its {base} as {by}"
            if unit == "cache_write_1h" and price.cache_write is not None and price.cache_write > rate:
                slots[unit], sources[unit] = price.cache_write, price.source  # An hour costs no less than five minutes.
    if listed is not None:
        fees = {fee: listed.fee(fee) for fee in ("request", *FEES)}
        slots.update(fees)
        sources.update((fee, listed.source) for fee, slot in fees.items() if slot is not None)
        limits = (listed.input_tokens_max, listed.output_tokens_max)
    return ModelPrice(
        model=model,
        provider=provider,
        source=price.source,
        rules=[Rule(None, None, None, slots)],
        input_tokens_max=limits[0] if price.input_tokens_max is None else price.input_tokens_max,
        output_tokens_max=limits[1] if price.output_tokens_max is None else price.output_tokens_max,
        every_tier=True,
        by_user=True,
        facts=[fact for fact in listed.facts if fact.unit in FEES] if listed else (),
        sources=sources,
    )


def _derived(provider: str, model: str, listed: ModelPrice | None) -> Iterator[tuple[str, Fraction, str]]:
    """
    The units that cost more than the one they follow, how many times as much, and who says so.
    """
    is_claude = provider == "anthropic" or "claude" in model.lower()
    for unit in _FOLLOWS:
        found = [] if listed is None else list(_in_card(listed, unit))
        if found:
            yield unit, max(Fraction(1), *found), "the rate card has it"
        elif is_claude and unit in _OF_CLAUDE:
            yield unit, _OF_CLAUDE[unit], "Anthropic prices it"


def _in_card(listed: ModelPrice, unit: str) -> Iterator[Fraction]:
    """
    How many times the price of the unit that it follows it costs, at every time and size of input.
    """
    for rule in listed.rules:
        if rule.slots.get(unit) is not None:
            for _, rate in steps_of(rule.slots):
                of = rate.input if _FOLLOWS[unit] == "input" else rate.output
                if of:
                    yield Fraction(_price(rate, unit), of)


def _price(rate: Rate, unit: str) -> int:
    price: int = getattr(rate if unit.startswith("cache") else rate.kinds, unit)
    return price


def _times(times: Fraction, price: int) -> int:
    """
    Rounded up to a whole picodollar.
    """
    return -(-times.numerator * price // times.denominator)
