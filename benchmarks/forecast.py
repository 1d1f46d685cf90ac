"""
What simulated runs of a workflow cost, beside drawing their numbers alone, and beside a loop in plain Python.

    python benchmarks/forecast.py [--quick] [--json FILE] [--check]

Figures are processor time of one thread, taken in turns in one run; a ratio is the median of the rounds' ratios.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from _goals import verdict
from _ledger_workload import Contender, Part, conclude, cpu_ns, interleaved, ratio
from _machine import machine_facts

from solvent.forecast import simulate as simulation
from solvent.forecast._model import Workflow
from solvent.forecast._simulate._sites import plan
from solvent.forecast.exact import exact
from solvent.forecast.simulate import Rules, simulate
from solvent.forecast.spec import read_workflow

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests" / "forecast"))
from plain import play  # noqa: E402  # Of the tests, whose folder is no package.

RESEARCH = ROOT / "examples" / "forecast" / "research.yaml"
RUNS = 2**15
PLAIN = 100
ALL, STEPS, PYTHON = "all at once", "step by step", "plain Python"
FLOOR = "its numbers alone, lognormal and uniform as they are declared"
RAW = "its raw random numbers alone, normal and uniform"
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Recorder:
    """
    A generator that remembers what was asked of it.
    """

    asked: list[tuple[str, int]] = []  # noqa: RUF012  # Of all of them: a simulation makes one a chunk.

    def __init__(self, bits: Any) -> None:
        self._real = REAL(bits)

    def random(self, count: int) -> Any:
        self.asked.append(("random", count))
        return self._real.random(count)

    def standard_normal(self, count: int) -> Any:
        self.asked.append(("standard_normal", count))
        return self._real.standard_normal(count)

    def integers(self, *given: Any, **more: Any) -> Any:
        return self._real.integers(*given, **more)


REAL = np.random.Generator


def drawing(workflow: Workflow) -> tuple[Contender, Contender, float]:
    """
    The numbers of a simulation without it: as the workflow declares them, and raw ones; and how many a run needs.
    """
    Recorder.asked.clear()
    with patch.object(np.random, "Generator", Recorder):
        simulate(workflow, runs=RUNS)
    asked = [*Recorder.asked, *[("random", simulation.CHUNK)] * (plan(workflow).rows * RUNS // simulation.CHUNK)]

    def declared() -> None:
        generator = REAL(np.random.SFC64(1))
        for name, count in asked:
            numbers = getattr(generator, name)(count)
            if name == "standard_normal":  # Faster than its method ``lognormal``, which draws one after the other.
                numbers *= 0.8  # Any spread and middle take as long.
                numbers += 6.0
                np.exp(numbers, out=numbers)

    def raw() -> None:
        generator = REAL(np.random.SFC64(1))
        for name, count in asked:
            getattr(generator, name)(count)

    return declared, raw, sum(count for _, count in asked) / RUNS


def speed_part(*, rounds: int) -> Part:
    workflow, random = read_workflow(RESEARCH), Random(1)
    declared, raw, numbers = drawing(workflow)
    sizes = {ALL: RUNS, FLOOR: RUNS, RAW: RUNS, STEPS: RUNS // 2, PYTHON: PLAIN}
    contenders: dict[str, Contender] = {
        ALL: lambda: simulate(workflow, runs=RUNS),
        FLOOR: declared,
        RAW: raw,
        STEPS: lambda: simulate(workflow, runs=RUNS // 2, rules=Rules(usd=5.0)),
        PYTHON: lambda: [play(workflow, random) for _ in range(PLAIN)],
    }
    found = interleaved(contenders, rounds=rounds, measure=lambda contender: cpu_ns(contender, pairs=1))
    each = {name: [value / sizes[name] / 1e3 for value in values] for name, values in found.items()}
    lines = [f"  {name:64}{median(values):>8.2f} µs a run" for name, values in each.items()]
    lines.append(f"  {numbers:.0f} numbers a run; all at once takes {ratio(each[ALL], each[RAW]):.2f} × the raw ones")
    goals = [
        verdict("all outputs of a run", median(each[ALL]), " µs", 5, most=True),
        verdict("of its numbers alone, as they are declared", ratio(each[ALL], each[FLOOR]), " ×", 5, most=True),
        verdict("plain Python, of it", ratio(each[PYTHON], each[ALL]), " ×", 100, most=False),
    ]
    return Part(title=f"research.yaml, {RUNS:,} runs", lines=lines, figures=each, goals=goals)


class Plain:
    """
    Plain draws in the place of the even ones.
    """

    def __init__(self, dimensions: int, seed: np.random.SeedSequence) -> None:
        self._dimensions, self._random = dimensions, np.random.default_rng(seed)

    def points(self, _first: int, count: int) -> Any:
        return self._random.random((self._dimensions, count))


@contextmanager
def as_it_is() -> Iterator[None]:
    yield


def error_part(*, rounds: int) -> Part:
    """
    How far quantiles of simulations are from the exact ones, with even draws of counts and with plain ones.
    """
    workflow, runs, seeds = read_workflow(RESEARCH), 2**14, 20 * rounds
    truth = exact(workflow, "usd", cells=2**15)
    expected = np.array([truth.quantile(share) for share in QUANTILES.values()])
    ways: dict[str, Callable[[], Any]] = {
        "even": as_it_is,
        "plain": lambda: patch.object(simulation, "Sobol", Plain),
    }
    errors: dict[str, list[float]] = {}
    for name, way in ways.items():
        with way():
            found = [
                np.quantile(simulate(workflow, runs=runs, seed=seed).usd, [*QUANTILES.values()])
                for seed in range(seeds)
            ]
        errors[name] = (np.mean((np.array(found) / expected - 1) ** 2, axis=0) ** 0.5 * 100).tolist()
    lines = [f"  {'':12}" + "".join(f"{name:>10}" for name in QUANTILES)]
    lines += [f"  {name:12}" + "".join(f"{error:>8.2f} %" for error in row) for name, row in errors.items()]
    of_plain = dict(zip(QUANTILES, [a / b for a, b in zip(errors["even"], errors["plain"], strict=True)], strict=True))
    goals = [
        verdict(f"error of {name}, of that of plain draws", of_plain[name], " ×", 0.6, most=True)
        for name in ("p95", "p99")
    ]
    title = f"research.yaml, root mean square error of quantiles, {seeds} × {runs:,} runs"
    return Part(title=title, lines=lines, figures=errors, goals=goals)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure simulated runs beside their floor and a plain loop.")
    parser.add_argument("--quick", action="store_true", help="half a minute, with more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        facts = machine_facts(Path(folder))
    print(f"{facts['machine']}, load {facts['load_before']:.1f}")
    found = []
    for part in (speed_part, error_part):
        found.append(part(rounds=2 if arguments.quick else 7))
        print("", found[-1].title, *found[-1].lines, sep="\n", flush=True)
    return conclude(found, facts, arguments, width=56)


if __name__ == "__main__":
    sys.exit(main())
