"""
Derived limits in words, alike in a terminal and on the page.
"""

from solvent._amounts import show_dollars
from solvent._limits import show_amount
from solvent.forecast._caps import Cap
from solvent.forecast._derived import DerivedLimit
from solvent.forecast.limits import Limits
from solvent.forecast.report._figures import chance


def amount(limit: DerivedLimit) -> str:
    """
    ``$5.31``, ``1,772,000 tokens``, ``$17,200.00 per month``; dollars that are whole cents without more digits.
    """
    shown = show_dollars(limit.amount) if limit.meter == "usd" else show_amount(limit.meter, limit.amount)
    return f"{shown} per {limit.window}" if limit.window else shown


def blocks(limit: DerivedLimit) -> str:
    """
    What share of legitimate runs it ends by itself.
    """
    if not limit.can_block:
        return "never reached"
    return chance(limit.blocks) if limit.blocks else "none"


def together(limits: Limits) -> str:
    """
    How many runs all limits end, with what is known of it and what was asked for.
    """
    if limits.too_few is not None:
        return (
            f"Together they end {chance(limits.blocks)} of the {limits.runs:,} legitimate runs that they are from, and "
            f"maybe more of further ones; whether at most {chance(limits.may_block)}, as was asked for, nobody knows."
        )
    low, high = limits.blocks_interval
    of = f"in 95 of 100 cases between {chance(low)} and {chance(high)}, from {limits.runs:,} runs"
    asked = f"asked for was at most {chance(limits.may_block)}"
    return f"Together they end {chance(limits.blocks)} of the legitimate runs ({of}); {asked}."


def path(cap: Cap) -> str:
    """
    ``agent_loop/agent`` for ``step:agent_loop/step:agent``.
    """
    return "/".join(part.partition(":")[2] for part in cap.path.split("/"))


def kind(cap: Cap) -> str:
    return cap.kind.replace("_", " ")


def declared(cap: Cap) -> str:
    return "none" if cap.declared is None else f"{cap.declared:,}"
