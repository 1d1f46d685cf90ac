"""
What a call of a program's own costs in process, its ledger in memory: ``with solvent.call(…)``, and the question alone;
and what it costs that a framework's tool has a scope while it runs.

    python benchmarks/calls.py [--quick] [--json FILE] [--check]

All of them are measured in turns, round after round; a ratio is the median of the rounds' ratios.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import psutil
from _goals import verdict
from _ledger_memory import FLOOR, _floor
from _ledger_workload import Contender, Part, conclude, cpu_ns, interleaved, p10, ratio
from _machine import machine_facts

import solvent
from solvent._block import CURRENT
from solvent._ids import new_id
from solvent._limits_in_code import Limits
from solvent._operations import Reserve, Settle
from solvent._spending import stated_call
from solvent.instrument._naming import runs

ONE: Limits = {"usd": 900_000}
FOUR: Limits = {"usd": [800_000, "800000/day"], "calls": ["1000M", "1000M/minute"]}
PAIR = "the ledger alone: reserve, settle"
CHECK, CALL = "check(), one limit", "with call(), one limit"
NAMED, NAMED_IN_FIVE = "a framework's tool, one limit", "a framework's tool, five limits"
CHECK_FIVE, CALL_FIVE = "check(), five limits", "with call(), five limits"


def call_part(*, rounds: int) -> Part:
    with solvent.budget("bench", ledger="memory://", **ONE) as one, solvent.agent("worker", **FOUR) as five:
        contenders: dict[str, Contender] = {
            FLOOR: _floor(),
            PAIR: _ledger_pair(one),
            CHECK: partial(one.check, "step", usd="0.01"),
            CALL: partial(_call, one),
            NAMED: partial(_tool, one),
            CHECK_FIVE: partial(five.check, "step", usd="0.01"),
            CALL_FIVE: partial(_call, five),
            NAMED_IN_FIVE: partial(_tool, five),
        }
        pairs = 200
        found = interleaved(contenders, rounds=rounds, measure=partial(cpu_ns, pairs=pairs))
    lines = [f"  {'':44}{'p10':>10}{'median':>11}{'of the floor':>15}"]
    for name, values in found.items():
        low, middle, of_floor = p10(values) / 1e3, median(values) / 1e3, ratio(values, found[FLOOR])
        lines.append(f"  {name:44}{low:>7.2f} µs{middle:>8.2f} µs{of_floor:>13.1f} ×")
    return Part(
        title=f"memory://, a call of a program's own, processor time; {rounds} rounds of {pairs} calls",
        lines=lines,
        figures={"ns": found},
        goals=[verdict("memory://, with call(), one limit", median(found[CALL]) / 1e3, " µs", 10, most=True)],
    )


def flat_part(*, calls: int) -> Part:
    """
    Five limits through all of them.
    """
    process, costs, sizes = psutil.Process(), [], []
    with solvent.budget("bench", ledger="memory://", **ONE), solvent.agent("worker", **FOUR) as budget:
        for _ in range(10):
            costs.append(median(cpu_ns(partial(_call, budget), pairs=calls // 200) for _ in range(20)))
            sizes.append(process.memory_info().rss)
    lines = [f"  {'calls':>14}{'CPU a call':>14}{'memory':>12}"]
    for number, (cost, size) in enumerate(zip(costs, sizes, strict=True), 1):
        lines.append(f"  {calls // 10 * number:>14,}{cost / 1e3:>11,.0f} µs{size / 2**20:>8,.0f} MiB")
    goals = [verdict("the last tenth of the calls, of the first", costs[-1] / costs[0], " ×", 1.25, most=True)]
    return Part(
        title=f"memory://, {calls:,} calls under five limits",
        lines=lines,
        figures={"ns": costs, "bytes": sizes},
        goals=goals,
    )


def _tool(budget: solvent.Budget) -> None:
    """
    Charged to a scope of its own in the budget, as a hook into a framework has it; what it does takes no time.
    """
    token = CURRENT.set(budget._block)
    try:
        RUN(_nothing, None, (), {})
    finally:
        CURRENT.reset(token)


def _nothing() -> None:
    pass


RUN = runs("tool", lambda *_: "search")


def _call(budget: solvent.Budget) -> None:
    with budget.call("step", usd="0.01") as call:
        call.settle(0.001)


def _ledger_pair(budget: solvent.Budget) -> Contender:
    """
    Reservations with the accounts, amounts and record that such a call has.
    """
    guard, store = budget.runtime.guard, budget.runtime.ledger.store
    admission = guard.admit(stated_call("step", usd="0.01"), scope=budget.scope, fingerprint=b"bench", began=0.0)
    terms, record, scope = admission.charges.terms, admission.record, str(budget.scope)
    amounts = {account.meter: 1 for account in terms.accounts}

    def pair() -> None:
        id = new_id()
        (reserved,) = store.apply([Reserve(id=id, scope=scope, terms=terms, amounts=amounts, call=record)])
        (closed,) = store.apply([Settle(id=id, actual=amounts, call=record)])
        assert reserved.state == "open"  # type: ignore[union-attr]  # An error or a refusal has no state, and fails.
        assert closed.state == "settled"  # type: ignore[union-attr]

    return pair


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure calls of a program's own, beside the ledger and a lock.")
    parser.add_argument("--quick", action="store_true", help="a third of the time, with more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="solvent-bench-") as name:
        facts = machine_facts(Path(name))
    print(f"{facts['machine']}, load {facts['load_before']:.1f}")
    found = []
    for part in (
        call_part(rounds=10 if arguments.quick else 40),
        flat_part(calls=20_000 if arguments.quick else 50_000),
    ):
        print("", part.title, *part.lines, sep="\n", flush=True)
        found.append(part)
    return conclude(found, facts, arguments)


if __name__ == "__main__":
    sys.exit(main())
