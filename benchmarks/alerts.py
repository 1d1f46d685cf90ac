"""
What an alert in force and a listener cost a call: its admission and its settling by the guard, on a ledger in memory.

    python benchmarks/alerts.py

All are measured in turns, in processor time of the calling thread; the thread of a listener works beside it. No share
is reached: what is measured is to look.
"""

import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from _ledger_workload import Contender, cpu_ns, interleaved, p10, ratio
from guard_world import RUN, World, chat

import solvent
from solvent._amounts import Usage
from solvent._booking import Replied
from solvent.policy._alert import Alert
from solvent.wire._call import Reading

ROUNDS, CALLS = 30, 500
NOBODY = "nobody is told"
SHARES = Alert(at=(Fraction(1, 2), Fraction(4, 5), Fraction(1)))


def calls(*, alert: Alert | None = None, listens: bool = False) -> Contender:
    """
    Admits and settles one call each time.
    """
    world, request = World(usd="1000000", alert=alert), chat()
    world.guard.listeners.remove(world.events.append)
    outcome = Replied(status=200, reading=Reading(usage=Usage(input_tokens=5, output_tokens=10), complete=True))

    def call() -> None:
        admission = world.guard.admit(request, scope=RUN, fingerprint=b"", began=0.0)
        world.guard.settle(admission, outcome)

    def heard() -> None:
        with solvent.listen(lambda _: None):
            for _ in range(CALLS):
                call()

    return heard if listens else call


def main() -> None:
    contenders = {NOBODY: calls(), "an alert at 50, 80 and 100 % of two limits": calls(alert=SHARES)}
    found = interleaved(contenders, rounds=ROUNDS, measure=partial(cpu_ns, pairs=CALLS))
    heard = interleaved(
        {"one listener": calls(listens=True)}, rounds=ROUNDS, measure=lambda each: cpu_ns(each, pairs=1) / CALLS
    )
    print(f"a call in processor time; {ROUNDS} rounds of {CALLS:,} calls")
    for name, values in {**found, **heard}.items():
        low, middle = p10(values) / 1e3, median(values) / 1e3
        print(f"  {name:44}{low:>7.2f} µs{middle:>8.2f} µs{ratio(values, found[NOBODY]):>8.2f} ×")


if __name__ == "__main__":
    main()
