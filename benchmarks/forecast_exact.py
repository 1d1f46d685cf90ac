"""
What the whole distribution of a workflow's cost takes to find, and how exact it is.

    python benchmarks/forecast_exact.py [--quick] [--json FILE] [--check]

Times are processor time of one thread, the median of the rounds. Quantiles stand beside those of a grid 16 times as
fine, mean and deviation beside their closed form.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # Read when NumPy is loaded.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "forecast"))

import reference
from _goals import verdict
from _ledger_workload import Part, conclude, cpu_ns, interleaved
from _machine import machine_facts

from solvent.forecast._model import Workflow
from solvent.forecast.exact import CELLS, exact
from solvent.forecast.moments import moments

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
FINER = 16
LARGE = "agent loop, cached by chance"  # Its certified bounds take half a minute, and are left to the tests.


def accuracy_part(*, rounds: int) -> Part:
    """
    Each reference workflow on the usual grid.
    """
    lines = [f"  {'':30}{'CPU':>9}{'finer':>9}{'mean':>10}{'sd':>10}{'p50…p99.9':>11}"]
    figures: dict[str, Any] = {}
    goals = []
    for name, make in reference.WORKFLOWS.items():
        workflow = make()
        seconds = _seconds(partial(exact, workflow), rounds)
        known, found = moments(workflow), exact(workflow)
        mean, sd = abs(found.mean / known.mean - 1), abs(found.sd / known.sd - 1)
        finer, error = _beside_finer(workflow) if name != LARGE else (float("nan"), float("nan"))
        figures[name] = {"seconds": seconds, "times_finer": finer / seconds, "mean": mean, "sd": sd, "quantiles": error}
        lines.append(f"  {name:30}{seconds:>7.3f} s{finer / seconds:>8.1f}×{mean:>10.1e}{sd:>10.1e}{error:>10.4%}")
        goals.append(verdict(f"{name}: mean, millionths off", mean * 1e6, "", 1, most=True))
        goals.append(verdict(f"{name}: deviation, 1/10,000 off", sd * 1e4, "", 1, most=True))
    research = figures["research"]
    goals.append(verdict("research: processor time", research["seconds"], " s", 0.5, most=True))
    goals.append(verdict("research: p50 to p99.9 off", research["quantiles"] * 100, " %", 0.1, most=True))
    return Part(title=f"{CELLS:,} cells a grid", lines=lines, figures=figures, goals=goals)


def certified_part(*, rounds: int) -> Part:
    """
    Bounds of the quantiles of ``research``.
    """
    workflow = reference.research()
    sides = {side: exact(workflow, side=side) for side in ("down", "up")}
    seconds = {side: _seconds(partial(exact, workflow, side=side), rounds) for side in ("down", "up")}
    lines = [
        f"  {'':30}{'down':>11}{'up':>11}{'wide':>9}",
        f"  {'CPU':30}{seconds['down']:>9.3f} s{seconds['up']:>9.3f} s",
    ]
    widths = {}
    for share in QUANTILES:
        low, high = sides["down"].quantile(share), sides["up"].quantile(share)
        widths[share] = high / low - 1
        lines.append(f"  {f'p{100 * share:g}':30}{low:>10.4f}${high:>10.4f}${widths[share]:>8.2%}")
    goals = [
        verdict("certified p99.9 of research, wide", widths[0.999] * 100, " %", 1, most=True),
        verdict("a side, processor time", max(seconds.values()), " s", 2, most=True),
    ]
    return Part(
        title="certified bounds of research", lines=lines, figures={"seconds": seconds, "widths": widths}, goals=goals
    )


def _seconds(run: Callable[[], object], rounds: int) -> float:
    found = interleaved({"run": run}, rounds=rounds, measure=partial(cpu_ns, pairs=1))
    return median(found["run"]) / 1e9


def _beside_finer(workflow: Workflow) -> tuple[float, float]:
    """
    What the finer grid takes, and by how much of it the worst of the quantiles is off.
    """
    finer = partial(exact, workflow, cells=FINER * CELLS)
    truth, found = finer(), exact(workflow)
    off = max(abs(found.quantile(share) / truth.quantile(share) - 1) for share in QUANTILES)
    return cpu_ns(finer, pairs=1) / 1e9, off


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the exact engine of forecasts.")
    parser.add_argument("--quick", action="store_true", help="a few seconds, with more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else 9
    with tempfile.TemporaryDirectory() as folder:
        facts = machine_facts(Path(folder))
    print(f"{facts['machine']}, load {facts['load_before']:.1f}")
    found = []
    for part in (accuracy_part, certified_part):
        found.append(part(rounds=rounds))
        print("", found[-1].title, *found[-1].lines, sep="\n", flush=True)
    return conclude(found, facts, arguments, width=56)


if __name__ == "__main__":
    sys.exit(main())
