"""
One line for each call, for whoever watches a run.
"""

from solvent._amounts import show_dollars
from solvent._printable import printable
from solvent.errors import BudgetExceeded
from solvent.events import (
    BoundBroken,
    CallClosed,
    CallRefused,
    Event,
    LimitPassed,
    PriceAssumed,
    ShareReached,
    StoreFailed,
)


def line(event: Event) -> str | None:
    """
    What happened, in one line; ``None`` for what needs none.
    """
    match event:
        case CallClosed(call=call, run_total_nanodollars=total, cut_at_length=cut):
            usage = call.usage or {}
            cost = "unpriced" if call.cost_nanodollars is None else show_dollars(call.cost_nanodollars)
            parts = [
                printable(f"{call.model_used or call.model_asked}"),
                f"{usage.get('input_tokens', 0):,} in, {usage.get('output_tokens', 0):,} out",
                f"{cost} ({call.estimated})" if call.estimated else cost,
            ]
            if call.status != "200":
                parts.append(f"status {call.status}")
            if cut:
                parts.append("ended at its output cap")
            if total is not None:
                least = "at least " if call.cost_nanodollars is None else ""
                parts.append(f"{least}{show_dollars(total)} so far")
            return " · ".join([*parts, *(call.rungs or ())])
        case CallRefused(error=BudgetExceeded() as error):
            return f"refused: {error.headline()}"
        case CallRefused(error=error):
            return f"refused: {str(error).partition(chr(10))[0]}"
        case BoundBroken(model=model, bound=bound, billed=billed):
            return f"{printable(model)} was billed {billed:,} input tokens, bounded by {bound:,}"
        case LimitPassed(error=error):
            return f"passed: {error.headline()}"
        case ShareReached():
            return printable(event.message().replace("\n", " "))
        case PriceAssumed(model=model, priced_as=other):
            return f"{model} has no price and is priced as {other}"
        case StoreFailed(error=error):
            return f"{error}"
        case _:
            return None
