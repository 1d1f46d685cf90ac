"""
What one unit costs, and the sums over it: pure integers, no clock, no file.

A rate is one price for each unit, in picodollars. Steps are the rates of one model at one moment, by the size of the
input: above a threshold the whole call costs the higher rate, as providers bill it. A ceiling is the highest of several
steps, for bounds.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from solvent._amounts import Usage

UNITS = (
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "audio_output",
    "audio_cache_read",
    "reasoning",
    "request",
    "web_search",
    "file_search",
)
HALF_HOUR_SECONDS = 1_800  # Daily windows begin and end on these.

Slot: TypeAlias = int | list[int] | None  # A price, or [base, above, price, above, price, …]; see _compile.py.


class Rate(NamedTuple):
    """
    Picodollars for one of each unit; ``None`` where the unit has no price, and no other price can stand for it.

    ``reasoning`` is ``None`` where it costs what other output costs.
    """

    input: int
    output: int | None
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    audio_input: int | None
    audio_output: int | None
    audio_cache_read: int
    reasoning: int | None
    request: int
    web_search: int | None
    file_search: int | None


Steps: TypeAlias = tuple[tuple[int, Rate], ...]  # Rates by the input above which they hold, the first above nothing.


class Ceiling(NamedTuple):
    """
    The most that one of each unit can cost; ``input`` without cache writes.
    """

    input: int
    cache_write_5m: int
    cache_write_1h: int
    output: int | None
    request: int
    web_search: int | None
    file_search: int | None


Ceilings: TypeAlias = tuple[tuple[int, Ceiling], ...]


class Unpriced(Exception):
    """
    Raised for a unit that was used and has no price; the argument says which.
    """


def steps_of(slots: Mapping[str, Slot]) -> Steps:
    """
    The rates that a model's priced units make, with the gaps filled by prices that cannot be lower.
    """
    starts = {0}
    for slot in slots.values():
        if isinstance(slot, list):
            starts.update(slot[1::2])
    return tuple((start, _rate({unit: _at(slot, start) for unit, slot in slots.items()})) for start in sorted(starts))


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
    return Rate(
        input=plain,
        output=known.get("output"),
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=max(write_5m, plain) if write_1h is None else write_1h,
        audio_input=audio,
        audio_output=known.get("audio_output"),
        audio_cache_read=max(read, audio or 0) if audio_read is None else audio_read,
        reasoning=known.get("reasoning"),
        request=known.get("request") or 0,
        web_search=known.get("web_search"),
        file_search=known.get("file_search"),
    )


def cost_picodollars(steps: Steps, usage: Usage) -> int:
    """
    What a usage costs.

    Raises:
        Unpriced: A unit was used that has no price.
    """
    rate = steps[0][1]
    if len(steps) > 1:
        for above, higher in steps[1:]:
            if usage.input_tokens > above:
                rate = higher
    total = rate.request + _input_picodollars(rate, usage)
    if usage.output_tokens:
        total += _output_picodollars(rate, usage)
    if usage.web_searches:
        if rate.web_search is None:
            raise Unpriced("web search")
        total += usage.web_searches * rate.web_search
    return total


def _input_picodollars(rate: Rate, usage: Usage) -> int:
    read, write_5m, write_1h = usage.cache_read_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
    plain = usage.input_tokens - read - write_5m - write_1h
    if plain < 0:
        plain = 0  # Parts above their whole: nothing that was told is left out, and nothing is paid back.
    total = read * rate.cache_read + write_5m * rate.cache_write_5m + write_1h * rate.cache_write_1h
    if usage.audio_input_tokens or usage.audio_cache_read_tokens:
        if rate.audio_input is None:
            raise Unpriced("audio input")
        audio_read = usage.audio_cache_read_tokens
        audio = max(usage.audio_input_tokens - audio_read, 0)
        fresh = min(audio, plain)
        plain -= fresh
        total += fresh * rate.audio_input + audio_read * (rate.audio_cache_read - rate.cache_read)
        # Audio that went into a cache has no price of its own: it costs the dearer of the two.
        dearer = rate.audio_input - max(rate.cache_read, rate.cache_write_5m, rate.cache_write_1h)
        total += (audio - fresh) * max(dearer, 0)
    return total + plain * rate.input


def _output_picodollars(rate: Rate, usage: Usage) -> int:
    if rate.output is None:
        raise Unpriced("output")
    plain, total = usage.output_tokens, 0
    if usage.audio_output_tokens:
        if rate.audio_output is None:
            raise Unpriced("audio output")
        plain = max(plain - usage.audio_output_tokens, 0)
        total += usage.audio_output_tokens * rate.audio_output
    if rate.reasoning is not None:
        reasoning = min(usage.reasoning_tokens, plain)
        plain -= reasoning
        total += reasoning * rate.reasoning
    return total + plain * rate.output


def ceilings_of(versions: Iterable[Steps]) -> Ceilings:
    """
    The highest of the versions, and of every step that an input of a size can reach.
    """
    all_steps = [step for steps in versions for step in steps]
    return tuple(
        (start, _ceiling([rate for above, rate in all_steps if above <= start]))
        for start in sorted({above for above, _ in all_steps})
    )


def _ceiling(rates: Sequence[Rate]) -> Ceiling:
    return Ceiling(
        input=max(max(r.input, r.cache_read, r.audio_cache_read, r.audio_input or 0) for r in rates),
        cache_write_5m=max(r.cache_write_5m for r in rates),
        cache_write_1h=max(r.cache_write_1h for r in rates),
        output=_most(price for r in rates if r.output is not None for price in (r.output, r.audio_output, r.reasoning)),
        request=max(r.request for r in rates),
        web_search=_most(r.web_search for r in rates),
        file_search=_most(r.file_search for r in rates),
    )


def _most(prices: Iterable[int | None]) -> int | None:
    return max((price for price in prices if price is not None), default=None)


def cost_max_picodollars(
    ceilings: Ceilings,
    *,
    input_tokens: int,
    output_tokens: int,
    cache_writes: Collection[str] | None,
    tool_calls: Mapping[str, int],
) -> int:
    """
    The most that so many tokens and tool uses can cost.

    Raises:
        Unpriced: A unit that may be used has no price.
    """
    most = ceilings[0][1]
    for above, higher in ceilings[1:]:
        if input_tokens > above:
            most = higher
    total = most.request + input_tokens * _input_most(most, cache_writes)
    if output_tokens:
        if most.output is None:
            raise Unpriced("output")
        total += output_tokens * most.output
    for name, calls in tool_calls.items():
        if calls:
            total += calls * _fee(most, name)
    return total


def _input_most(most: Ceiling, cache_writes: Collection[str] | None) -> int:
    if cache_writes is None:
        return max(most.input, most.cache_write_5m, most.cache_write_1h)
    price = most.input
    for kind in cache_writes:  # A kind that is not known here counts as the dearest.
        price = max(price, most.cache_write_5m, 0 if kind == "5m" else most.cache_write_1h)
    return price


def _fee(most: Ceiling, name: str) -> int:
    """
    What one use of a server-side tool costs beside its tokens; versions are in the name, ``web_search_20250305``.

    Source:
        https://clawdemy.org/lessons/building-with-claude/server-side-tools-and-built-ins/cheatsheet, "web_fetch:
        standard tokens (no per-fetch charge)", and tool search with it;
        https://gist.github.com/stevenheidel/a6c8ed8ce1632dff1284e44a17554993, remote MCP: "no cost associated with the
        tool directly"; both read 2026-11-21. Fees: genai-prices.
    """
    if name.startswith(("mcp", "tool_search", "web_fetch")):
        return 0
    price = None
    if name.startswith(("web_search", "google_search")):
        price = most.web_search
    elif name.startswith("file_search"):
        price = most.file_search
    if price is None:
        raise Unpriced(f"server tool {name!r}")
    return price
