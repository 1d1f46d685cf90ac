"""
What the gateway costs beside the direct connection, a bare pass-through on its own stack, and nginx.

    python benchmarks/gateway.py [--quick] [--json FILE]

The servers under test run on one core, the provider and the load on another. All of them are measured in turns, round
after round; a figure is the median over the rounds, a ratio the median of the rounds' ratios.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import uvloop
from _goals import Verdict, goal_lines, verdict
from _load import Sample, Target, load
from _machine import Server, cores, machine_facts, nginx_path, nginx_server, python_server
from _upstream import EVENTS

GATEWAY, BARE, NGINX, DIRECT = "gateway", "bare pass-through", "nginx", "direct"
DOOR, MEMORY = "gateway, no budget", "gateway, ledger in memory"
PACE = "20,10"  # Milliseconds to the first event and between events.


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    One kind of load.
    """

    name: str
    connections: int
    seconds: float
    stream: bool = False
    pace: str = ""
    spread: float = 0.0


CASES = (
    Case(name="plain, 1 connection", connections=1, seconds=1.5),
    Case(name="plain, 32 connections", connections=32, seconds=2.0),
    Case(name="burst, 32 streams", connections=32, seconds=2.0, stream=True),
    Case(name="paced, 64 streams", connections=64, seconds=3.0, stream=True, pace=PACE, spread=0.7),
)
ONE, MANY, BURST, PACED = (case.name for case in CASES)

Figures = dict[str, float]
Round = dict[str, dict[str, Figures]]  # By case, by target.
Results = dict[str, dict[str, list[Figures]]]  # By case, by target, one a round.


@dataclass(frozen=True, kw_only=True)
class Goal:
    """
    One goal of the gateway, as a figure of one round; the median over the rounds is compared.
    """

    name: str
    most: bool
    value: float
    unit: str
    figure: Callable[[Round], float]


def _of_nginx(case: str) -> Callable[[Round], float]:
    return lambda seen: seen[case][NGINX]["cpu_us"] / seen[case][GATEWAY]["cpu_us"]


GOALS = (
    Goal(name="plain calls per core, of nginx", most=False, value=0.10, unit="×", figure=_of_nginx(MANY)),
    Goal(name="burst events per core, of nginx", most=False, value=0.6, unit="×", figure=_of_nginx(BURST)),
    Goal(
        name="added time to first byte at 64 streams, p50", most=True, value=10.0, unit=" ms",
        figure=lambda seen: seen[PACED][GATEWAY]["ttfb_p50_ms"] - seen[PACED][DIRECT]["ttfb_p50_ms"],
    ),
    Goal(
        name="the budget's share of the bare pass-through", most=True, value=0.30, unit="×",
        figure=lambda seen: seen[MANY][GATEWAY]["cpu_us"] / seen[MANY][BARE]["cpu_us"] - 1,
    ),
)  # fmt: skip
START_SECONDS_MAX = 0.5


async def measure(case: Case, target: Target, server: Server | None, *, seconds: float) -> Figures:
    before = server.cpu_seconds() if server else 0.0
    sample = await load(
        target,
        connections=case.connections,
        seconds=seconds,
        stream=case.stream,
        pace=case.pace,
        spread=case.spread,
    )
    figures = _figures(sample)
    if case.stream:
        figures["events_per_second"] = figures["calls_per_second"] * EVENTS
    if server is not None:
        figures["cpu_us"] = (server.cpu_seconds() - before) / len(sample.latencies) * 1e6
    return figures


def _figures(sample: Sample) -> Figures:
    return {
        "calls_per_second": sample.calls_per_second,
        "p50_ms": _quantile(sample.latencies, 0.5) * 1e3,
        "p99_ms": _quantile(sample.latencies, 0.99) * 1e3,
        "ttfb_p50_ms": _quantile(sample.first_bytes, 0.5) * 1e3,
        "ttfb_p99_ms": _quantile(sample.first_bytes, 0.99) * 1e3,
    }


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def run(targets: dict[str, tuple[Target, Server | None]], *, rounds: int, scale: float) -> Results:
    results: Results = {case.name: {name: [] for name in targets} for case in CASES}
    for case in CASES:
        for target, server in targets.values():  # Connections made, code loaded, caches warm.
            await measure(case, target, server, seconds=0.3)
        for _ in range(rounds):
            for name, (target, server) in targets.items():
                results[case.name][name].append(await measure(case, target, server, seconds=case.seconds * scale))
    return results


def start_seconds(folder: Path, *, times: int) -> float:
    """
    How long ``solvent run true`` takes from start to end, the median.
    """
    command = [sys.executable, "-m", "solvent", "run", "--quiet", "--", "true"]
    environment = {**os.environ, "SOLVENT_LEDGER": f"sqlite:///{folder / 'start.db'}"}
    took = []
    for _ in range(times + 1):  # The first one makes the ledger and compiles the modules.
        began = time.perf_counter()
        subprocess.run(command, env=environment, check=True)
        took.append(time.perf_counter() - began)
    return median(took[1:])


def judged(results: Results, start: float) -> list[Verdict]:
    rounds: list[Round] = [
        {case: {name: kept[number] for name, kept in targets.items()} for case, targets in results.items()}
        for number in range(len(results[MANY][DIRECT]))
    ]
    found = []
    for goal in GOALS:
        if NGINX in results[MANY] or "nginx" not in goal.name:
            value = median(goal.figure(seen) for seen in rounds)
            found.append(verdict(goal.name, value, goal.unit, goal.value, most=goal.most))
    return [*found, verdict("solvent run true, start to end", start, " s", START_SECONDS_MAX, most=True)]


def medians(results: Results) -> dict[str, dict[str, Figures]]:
    return {
        case: {
            name: {key: median(figures[key] for figures in rounds) for key in rounds[0]}
            for name, rounds in targets.items()
        }
        for case, targets in results.items()
    }


def table(case: Case, targets: dict[str, Figures]) -> list[str]:
    direct, first = targets[DIRECT], "ttfb_" if case.stream else ""
    what = f"{'first byte' if case.stream else 'latency'} p50"
    lines = [
        "",
        case.name,
        f"  {'':26}{'calls/s':>9}{'events/s':>10}{what:>18}{'p99':>12}{'CPU µs/call':>13}{'of nginx':>10}",
    ]
    for name, figures in targets.items():
        times = []
        for key in (f"{first}p50_ms", f"{first}p99_ms"):
            added = "" if name == DIRECT else "+"
            times.append(f"{added}{figures[key] - (direct[key] if added else 0):.2f} ms".replace("+-", "-"))
        events = f"{figures['events_per_second']:,.0f}" if case.stream else ""
        cost = f"{figures['cpu_us']:,.0f}" if "cpu_us" in figures else ""
        share = f"{targets[NGINX]['cpu_us'] / figures['cpu_us']:.2f}" if cost and NGINX in targets else ""
        calls = f"{figures['calls_per_second']:,.0f}"
        lines.append(f"  {name:26}{calls:>9}{events:>10}{times[0]:>18}{times[1]:>12}{cost:>13}{share:>10}")
    return lines


def show(results: Results, goals: list[Verdict], facts: dict[str, Any]) -> str:
    by_case = medians(results)
    lines = [f"{facts['machine']}; making 1 KiB durable takes {facts['sync_ms']:.2f} ms here"]
    for case in CASES:
        lines += table(case, by_case[case.name])
    lines += goal_lines(goals)
    if NGINX not in by_case[MANY]:
        lines.append("nginx is not installed; apt-get install nginx-light")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the gateway beside a bare pass-through and nginx.")
    parser.add_argument("--quick", action="store_true", help="under a minute, with more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    rounds, scale = (2, 0.25) if arguments.quick else (3, 0.6)
    measured, loading = cores()
    with tempfile.TemporaryDirectory(prefix="solvent-bench-") as name, ExitStack() as stack:
        folder, token = Path(name), secrets.token_urlsafe(24)
        facts = {**machine_facts(folder), "rounds": rounds, "scale": scale}
        start = start_seconds(folder, times=5)
        os.sched_setaffinity(0, {loading})
        upstream = stack.enter_context(python_server("_upstream.py", core=loading))

        def python(script: str, *arguments: str) -> Server:
            return stack.enter_context(python_server(script, str(upstream.port), *arguments, core=measured))

        targets: dict[str, tuple[Target, Server | None]] = {DIRECT: (Target(port=upstream.port), None)}
        if program := nginx_path():
            nginx = stack.enter_context(nginx_server(program, folder, upstream=upstream.port, core=measured))
            targets[NGINX] = Target(port=nginx.port), nginx
        bare = python("_passthrough.py")
        targets[BARE] = Target(port=bare.port), bare
        ledgers = {DOOR: "none", MEMORY: "memory://", GATEWAY: f"sqlite:///{folder / 'ledger.db'}"}
        for name, ledger in ledgers.items():
            server = python("_gateway.py", ledger, token)
            targets[name] = Target(port=server.port, path=f"/{token}/openai/v1"), server
        results = uvloop.run(run(targets, rounds=rounds, scale=scale))
    goals = judged(results, start)
    print(show(results, goals, facts))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"facts": facts, "goals": goals, "results": results}, indent=1))
    return 1 if arguments.check and not all(goal["met"] for goal in goals) else 0


if __name__ == "__main__":
    sys.exit(main())
