"""
What the price of a usage costs, beside the sum that any price is, and beside ``genai-prices``.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from statistics import median

from _goals import verdict
from _ledger_workload import Contender, Part, cpu_ns, interleaved

from solvent._amounts import Usage
from solvent.prices import Prices

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
USAGE = Usage(input_tokens=12_000, output_tokens=800, cache_read_tokens=8_000, reasoning_tokens=300)
REPEATS = 1_000
EVERY, SUM, PEER = "every model that writes, one after the other", "the sum alone: three products", "genai-prices"
CASES = {
    "one price: openai/gpt-4o": ("openai", "gpt-4o", None, None),
    "by the size of the input: anthropic/claude-sonnet-4-5": ("anthropic", "claude-sonnet-4-5", None, None),
    "by the hour of the day: deepseek/deepseek-v4-pro": ("deepseek", "deepseek-v4-pro", None, None),
    "in a tier: openai/gpt-5.5, flex": ("openai", "gpt-5.5", "flex", None),
    "in a region: anthropic/claude-opus-5-5, us": ("anthropic", "claude-opus-5-5", None, "us"),
    "images apart: gemini/gemini-3-pro-image-preview": ("gemini", "gemini-3-pro-image-preview", None, None),
}


def measure_price(*, rounds: int) -> dict[str, list[float]]:
    """
    Nanoseconds of processor time a price, by what is asked, one a round.
    """
    prices = Prices.load()
    contenders: dict[str, Contender] = {SUM: partial(_sums, REPEATS)}
    for name, (provider, model, tier, region) in CASES.items():
        price = prices.find(provider, model)
        assert price is not None
        contenders[name] = partial(_costs, [price.cost] * REPEATS, tier, region)
    every = [price.cost for price in prices.card.every_price() if price.fee("output") is not None]
    contenders[EVERY] = partial(_costs, every, None, None)
    peer = _peer()
    if peer is not None:
        contenders[PEER] = peer
    counts = {EVERY: len(every), PEER: 1}
    found = interleaved(contenders, rounds=rounds, measure=partial(cpu_ns, pairs=1))
    return {name: [value / counts.get(name, REPEATS) for value in values] for name, values in found.items()}


def price_part(*, rounds: int) -> Part:
    found = measure_price(rounds=rounds)
    lines = [f"  {name:60}{median(values) / 1e3:>8.2f} µs" for name, values in found.items()]
    goals = [verdict(name, median(found[name]) / 1e3, " µs", 1, most=True) for name in list(CASES)[:3]]
    return Part(title="the cost of a usage", lines=lines, figures=found, goals=goals)


def _costs(costs: Sequence[Callable[..., int]], tier: str | None, region: str | None) -> None:
    for cost in costs:
        cost(USAGE, tier=tier, region=region, at=AT)


def _sums(times: int) -> None:
    usage = USAGE
    for _ in range(times):
        cached = usage.cache_read_tokens
        -(-((usage.input_tokens - cached) * 2_500_000 + cached * 1_250_000 + usage.output_tokens * 10_000_000) // 1_000)


def _peer() -> Contender | None:
    """
    The library whose data the card is made of; ``None`` where it is not installed.
    """
    try:
        from genai_prices import Usage as TheirUsage
        from genai_prices import calc_price
    except ImportError:
        return None
    usage = TheirUsage(input_tokens=12_000, output_tokens=800, cache_read_tokens=8_000)
    return partial(calc_price, usage, "gpt-4o", provider_id="openai", genai_request_timestamp=AT)
