"""
What an agent that resends its history gets done under a limit: recorded Claude Code sessions, replayed.

Run ``python benchmarks/replay.py``; ``tests/replay/session_replay.py`` says how a session is rebuilt. The share of the
limit that is spent when a call is first cut to a smaller output, and when one is first refused, is measured with
prefix tightening and without it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "replay"))

from session_replay import Outcome, Replay, Step, sessions

NANODOLLARS = 1_000_000_000


def share(outcomes: list[Outcome], limit: int, *, shrunk: bool) -> str:
    """
    What was spent of the limit before the first call that was cut or refused, and which call that was.
    """
    for number, outcome in enumerate(outcomes, 1):
        if outcome.cap is None or (shrunk and outcome.is_shrunk):
            return f"{outcome.spent_before * 100 / limit:.1f} % ({number})"
    return "never"


def row(name: str, steps: tuple[Step, ...], dollars: int, max_tokens: int) -> str:
    limit = dollars * NANODOLLARS
    cells = [name, f"{len(steps)}", f"${dollars}", f"{max_tokens:,}"]
    for prefixes in (False, True):
        outcomes = Replay(steps, limit, max_tokens=max_tokens, prefixes=prefixes).run()
        cells += [share(outcomes, limit, shrunk=True), share(outcomes, limit, shrunk=False)]
    cells += [f"{outcomes[-1].spent * 100 / limit:.1f} %", f"{sum(outcome.cut for outcome in outcomes)}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    head = "session, calls, limit, output cap, cut first, refused first, cut first (prefix), refused first (prefix)"
    head += ", spent in all (prefix), replies cut"
    names = head.split(", ")
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))
    for name, steps in sessions().items():
        for dollars in (2, 10):
            for max_tokens in (8_000, 32_000):
                print(row(name, steps, dollars, max_tokens), flush=True)


if __name__ == "__main__":
    main()
