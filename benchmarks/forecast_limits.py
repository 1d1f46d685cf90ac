"""
How many legitimate runs joint limits end, beside limits that are set one by one.

    python benchmarks/forecast_limits.py [--quick] [--json FILE] [--check]

Six figures of each run of `research`: dollars and tokens at their peak, calls, rounds of the agent loop, documents,
seconds. Limits are found from some runs, and judged by 131,072 others; again and again, from other runs each time.
"""

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # Read when NumPy is loaded.

import numpy as np
from _goals import verdict
from _ledger_workload import Part, conclude
from _machine import machine_facts

from solvent.forecast._chances import Floats
from solvent.forecast._conformal import joint_limits, rank, sure_rank
from solvent.forecast.simulate import Runs, simulate
from solvent.forecast.spec import read_workflow

RESEARCH = Path(__file__).parent.parent / "examples" / "forecast" / "research.yaml"
MAY_BLOCK = 0.01
FRESH = 2**17
JOINT = "joint, by the highest rank"


def six(runs: Runs) -> list[Floats]:
    loop, documents = runs.scopes["step:agent_loop"], runs.scopes["step:review_fanout"]
    found = (runs.peak_usd, runs.peak_tokens, runs.calls, loop.rounds, documents.rounds, runs.seconds)
    return [np.asarray(figure, np.float64) for figure in found]


def each_at(share: float) -> Callable[[Sequence[Floats]], Sequence[float]]:
    def limits(figures: Sequence[Floats]) -> Sequence[float]:
        return [float(np.sort(figure)[min(rank(share, len(figure)), len(figure)) - 1]) for figure in figures]

    return limits


WAYS: Mapping[str, Callable[[Sequence[Floats]], Sequence[float]]] = {
    "each at its own 99 %": each_at(MAY_BLOCK),
    "each at 1 - 1/6 % (Bonferroni)": each_at(MAY_BLOCK / 6),
    JOINT: lambda figures: joint_limits(figures, MAY_BLOCK).limits,
    "joint, 95 % sure": lambda figures: joint_limits(figures, MAY_BLOCK, rank_of=sure_rank).limits,
}


def part(count: int, *, times: int, fresh: Sequence[Floats]) -> Part:
    workflow = read_workflow(RESEARCH)
    shares: dict[str, list[float]] = {name: [] for name in WAYS}
    sizes: dict[str, list[float]] = {name: [] for name in WAYS}
    medians = [float(np.median(figure)) for figure in fresh]
    for seed in range(1, times + 1):
        figures = six(simulate(workflow, runs=count, seed=seed))
        for name, way in WAYS.items():
            limits = way(figures)
            ended = np.any([figure > limit for figure, limit in zip(fresh, limits, strict=True)], axis=0)
            shares[name].append(float(ended.mean()))
            sizes[name].append(
                math.prod(limit / usual for limit, usual in zip(limits, medians, strict=True)) ** (1 / 6)
            )
    lines = [f"  {'':32}{'ended':>9}{'above 1 %':>11}{'size':>8}"]
    found: dict[str, Any] = {}
    for name in WAYS:
        mean, above, size = np.mean(shares[name]), np.mean(np.array(shares[name]) > MAY_BLOCK), np.mean(sizes[name])
        found[name] = {"ended": float(mean), "above": float(above), "size": float(size)}
        lines.append(f"  {name:32}{mean:>9.2%}{above:>11.0%}{size:>8.1f}")
    joint = found[JOINT]["ended"] / MAY_BLOCK
    goals = [
        verdict(f"{count:,} runs: joint limits end, of may_block", joint, "", 1.0, most=True),
        verdict(f"{count:,} runs: and no less than", joint, "", 0.6, most=False),
    ]
    return Part(title=f"limits from {count:,} runs, {times} times", lines=lines, figures=found, goals=goals)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how many runs derived limits end.")
    parser.add_argument("--quick", action="store_true", help="a few seconds, with more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    times = 50 if arguments.quick else 400
    with tempfile.TemporaryDirectory() as folder:
        facts = machine_facts(Path(folder))
    print(f"{facts['machine']}, load {facts['load_before']:.1f}")
    print("ended: runs that any of the six limits ends; above 1 %: how often that share is; size: limit ÷ median")
    fresh = six(simulate(read_workflow(RESEARCH), runs=FRESH, seed=0))
    found = []
    for count in (1_000, 5_000, 20_000):
        found.append(part(count, times=times, fresh=fresh))
        print("", found[-1].title, *found[-1].lines, sep="\n", flush=True)
    return conclude(found, facts, arguments)


if __name__ == "__main__":
    sys.exit(main())
