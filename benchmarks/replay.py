"""
What an agent that resends its history gets done under a limit: recorded Claude Code sessions, replayed.

    python benchmarks/replay.py

``tests/replay/session_replay.py`` says how a session is rebuilt. Measured is the share of the limit that was spent when
a call was first cut to a smaller output, and when one was first refused, without and with prefix tightening; beside it
the share with an exact count of every prompt. The rest up to 100 % is kept for a prompt that a cache may have lost.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "replay"))

from session_replay import Outcome, Replay, Step, sessions

from solvent._amounts import Usage
from solvent.prices import Prices

NANODOLLARS = 1_000_000_000
PRICES = Prices.load()
COLUMNS = (
    "session",
    "calls",
    "cost",
    "limit",
    "output cap",
    "first cut, no prefix",
    "first refused, no prefix",
    "first cut",
    "first refused",
    "first refused, exact count",
    "refused in all",
    "spent in all",
    "replies cut",
)


def share(spent: int, limit: int) -> str:
    return f"{spent * 100 / limit:.1f} %"


def first(outcomes: list[Outcome], limit: int, *, cut: bool) -> str:
    """
    What was spent of the limit before the first call that was refused, or also cut, and which call that was.
    """
    for number, outcome in enumerate(outcomes, 1):
        if outcome.cap is None or (cut and outcome.is_shrunk):
            return f"{share(outcome.spent_before, limit)} (call {number})"
    return "never"


def exact(steps: tuple[Step, ...], limit: int) -> str:
    """
    The same for a guard that knew each prompt's bill before, at its highest price.
    """
    spent = 0
    for number, step in enumerate(steps, 1):
        price = PRICES.find("anthropic", step.model)
        assert price is not None
        writes = {"1h"} if step.billed.write_1h else {"5m"}
        most = price.cost_max(
            input_tokens=step.billed.input_tokens,
            output_tokens=1_024,
            tier=None,
            region=None,
            at=step.at,
            cache_writes=writes,
            tool_calls={},
        )
        if spent + most > limit:
            return f"{share(spent, limit)} (call {number})"
        spent += cost(step)
    return "never"


def cost(step: Step) -> int:
    of, price = step.billed, PRICES.find("anthropic", step.model)
    assert price is not None
    usage = Usage(
        input_tokens=of.input_tokens,
        output_tokens=of.output,
        cache_read_tokens=of.read,
        cache_write_5m_tokens=of.write_5m,
        cache_write_1h_tokens=of.write_1h,
    )
    return price.cost(usage, tier=None, region=None, at=step.at)


def row(name: str, steps: tuple[Step, ...], dollars: int, max_tokens: int) -> list[str]:
    limit = dollars * NANODOLLARS
    cells = [name, f"{len(steps)}", f"${sum(map(cost, steps)) / NANODOLLARS:.2f}", f"${dollars}", f"{max_tokens:,}"]
    for prefixes in (False, True):
        outcomes = Replay(steps, limit, max_tokens=max_tokens, prefixes=prefixes).run()
        cells += [first(outcomes, limit, cut=True), first(outcomes, limit, cut=False)]
    refused = sum(outcome.cap is None for outcome in outcomes)
    cut = sum(outcome.cut for outcome in outcomes)
    return [*cells, exact(steps, limit), f"{refused}", share(outcomes[-1].spent, limit), f"{cut}"]


def main() -> None:
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for name, steps in sessions().items():
        for dollars in (2, 10):
            for max_tokens in (8_000, 32_000):
                print("| " + " | ".join(row(name, steps, dollars, max_tokens)) + " |", flush=True)


if __name__ == "__main__":
    main()
