"""
What is added up over a run: dollars, tokens or calls; one rate for each, so that one engine finds all of them.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from solvent._amounts import PICODOLLARS_PER_NANODOLLAR
from solvent.forecast._model import Model, Tool

Measure: TypeAlias = Literal["calls", "input_tokens", "output_tokens", "tokens", "usd"]
MEASURES: tuple[Measure, ...] = ("usd", "tokens", "input_tokens", "output_tokens", "calls")
_PICODOLLARS = 1e9 * PICODOLLARS_PER_NANODOLLAR  # In one dollar.


class Weight(Struct, frozen=True, kw_only=True):
    """
    What a call adds: for itself, and for each token by its kind; of calls that read more than ``above`` tokens.

    Estimates, and so floats; nothing of them is booked.
    """

    above: int = 0
    call: float = 0.0
    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0


def weights(model: Model, measure: Measure) -> tuple[Weight, ...]:
    """
    By size of input, ascending, the first above 0.
    """
    if measure == "usd":
        return tuple(
            [
                Weight(
                    above=rate.above,
                    input=rate.input / _PICODOLLARS,
                    output=rate.output / _PICODOLLARS,
                    cache_read=rate.cache_read / _PICODOLLARS,
                    cache_write=rate.cache_write / _PICODOLLARS,
                )
                for rate in model.rates
            ]
        )
    if measure == "calls":
        return (Weight(call=1.0),)
    reads = float(measure in ("input_tokens", "tokens"))
    return (
        Weight(input=reads, cache_read=reads, cache_write=reads, output=float(measure in ("output_tokens", "tokens"))),
    )


def tool_weight(tool: Tool, measure: Measure) -> float:
    """
    What one use of a tool adds.
    """
    if measure == "calls":
        return float(tool.is_call)
    return tool.cost_nanodollars / 1e9 if measure == "usd" else 0.0
