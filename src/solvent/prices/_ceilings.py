"""
Ceilings: the highest of several rates, for the most that a call can cost.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from solvent.prices._rates import FEES, Rate, Steps, Unpriced, highest


class Ceiling(NamedTuple):
    """
    The most that one of each unit can cost; ``input`` without cache writes. ``hears``: audio has a price, too.
    """

    input: int
    cache_write_5m: int
    cache_write_1h: int
    output: int | None
    request: int
    fees: Mapping[str, int | None]
    hears: bool


Ceilings: TypeAlias = tuple[tuple[int, Ceiling], ...]


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
    kinds = [rate.kinds for rate in rates]
    read = [price for kind in kinds for price in (kind.audio_cache_read, kind.audio_input, kind.image_input)]
    written = [price for kind in kinds for price in (kind.audio_output, kind.image_output, kind.reasoning)]
    outputs = [rate.output for rate in rates if rate.output is not None]
    return Ceiling(
        input=max(*(max(rate.input, rate.cache_read) for rate in rates), *(price or 0 for price in read), 0),
        cache_write_5m=max(rate.cache_write_5m for rate in rates),
        cache_write_1h=max(rate.cache_write_1h for rate in rates),
        output=highest([*outputs, *written]) if outputs else None,
        request=max(rate.request for rate in rates),
        fees={unit: highest(rate.fees[place] for rate in rates) for place, unit in enumerate(FEES)},
        hears=all(kind.audio_input is not None for kind in kinds),
    )


def cost_max_picodollars(
    ceilings: Ceilings,
    *,
    input_tokens: int,
    output_tokens: int,
    cache_writes: Collection[str] | None,
    tool_calls: Mapping[str, int],
    has_audio: bool,
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
    if has_audio and not most.hears:
        raise Unpriced("audio input")
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


# By the beginnings of tools' names, for versions are in them: `web_search_20250305`. The longest comes first.
_UNITS_OF_TOOLS = {
    "web_search_preview": "web_search_preview",
    "browser_search": "web_search",
    "collections_search": "file_search",
    "file_search": "file_search",
    "google_maps": "map_search",
    "google_search": "web_search",
    "web_search": "web_search",
    "x_search": "web_search",
    "code_execution": "code_session",
    "code_interpreter": "code_session",
    "shell": "code_session",
}
# Source: https://clawdemy.org/lessons/building-with-claude/server-side-tools-and-built-ins/cheatsheet, "web_fetch:
# standard tokens (no per-fetch charge)", and tool search with it;
# https://gist.github.com/stevenheidel/a6c8ed8ce1632dff1284e44a17554993, remote MCP: "no cost associated with the tool
# directly"; both read 2026-11-21. https://ai.google.dev/gemini-api/docs/url-context, pages are counted as input tokens,
# read 2026-11-22.
_FREE_TOOLS = ("mcp", "tool_search", "url_context", "web_fetch")
_GIGABYTES = re.compile(r"_(\d{1,3})g$")  # `code_interpreter_4g`: a container of four gigabytes costs four times one's.


def _fee(most: Ceiling, name: str) -> int:
    """
    What one use of a server-side tool costs beside its tokens.
    """
    if name.startswith(_FREE_TOOLS):
        return 0
    unit = next((unit for start, unit in _UNITS_OF_TOOLS.items() if name.startswith(start)), None)
    fee = most.fees[unit] if unit else None
    if fee is None:
        raise Unpriced(f"server tool {name!r}")
    gigabytes = _GIGABYTES.search(name) if unit == "code_session" else None
    return fee * int(gigabytes[1]) if gigabytes else fee
