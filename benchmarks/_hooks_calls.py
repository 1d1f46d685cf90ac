"""
What hooks add to the calls of an SDK: the same program, once with each system switched on, in turns.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

from _goals import verdict
from _hooks_provider import BRIEF, EVENTS
from _hooks_systems import BARE, MEMORY, PEERS, SYSTEMS
from _ledger_workload import Part, ratio
from _machine import cores, python_server

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sdks"))

from run import Environment

# The hook of opentelemetry needs httpx, and modules that later versions of opentelemetry-util-genai name otherwise;
# it says neither.
NEEDS = (
    "agent-aegis==1.0.0",
    "agentbudget==0.4.0",
    "anthropic>=2",
    "httpx>=0.28",
    "openai>=3",
    "opentelemetry-instrumentation-openai-v2==2.4b0",
    "opentelemetry-sdk>=1.45",
    "opentelemetry-util-genai==0.4b0",
)
ALONE = "httpx2 alone"
CALLS = {"openai": "openai", "openai async": "openai, async", "anthropic": "anthropic", "httpx2": ALONE}


@dataclass(frozen=True)
class Run:
    """
    What was found of one way of calling.

    Attributes:
        rounds: By system.
        seen: By system the share of the calls that it says it saw.
    """

    rounds: dict[str, list[dict[str, float]]]
    seen: dict[str, float]

    def middle(self, name: str, field: str) -> float:
        return median(self._values(name, field))

    def more(self, name: str, field: str) -> float:
        """
        The median of the rounds' differences to the bare program, whose turn was in the same round.
        """
        pairs = zip(self._values(name, field), self._values(BARE, field), strict=True)
        return median(own - bare for own, bare in pairs)

    def percent_more(self, name: str, field: str) -> float:
        return (ratio(self._values(name, field), self._values(BARE, field)) - 1) * 100

    def _values(self, name: str, field: str) -> list[float]:
        return [found[field] for found in self.rounds[name]]


def peers_python() -> str:
    """
    The interpreter of an environment that has the peers beside the SDKs.
    """
    return str(Environment("bench-hooks", "", NEEDS).make())


class Child:
    """
    A program with one system switched on, which makes calls when it is told to.
    """

    def __init__(self, python: str, system: str, port: int, folder: Path) -> None:
        folder.mkdir()
        self._errors = folder / "stderr"
        script, core = Path(__file__).parent / "_hooks_program.py", cores()[0]
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [python, script, system, str(port), folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, **order: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(self._errors.read_text()[-2000:])
        return json.loads(line)


class Race:
    """
    All systems, each in a process of its own, before one provider.
    """

    def __init__(self, children: dict[str, Child], port: int) -> None:
        self._children = children
        self._port = port

    def run(self, way: str, *, calls: int, rounds: int) -> Run:
        """
        Rounds in which each has its turn, every time in another order; the first one warms up and does not count.
        """
        found: dict[str, list[dict[str, float]]] = {name: [] for name in self._children}
        before, answered = {name: child.ask() for name, child in self._children.items()}, self._answered()
        names = list(self._children)
        for number in range(rounds + 1):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                figures = self._children[name].ask(way=way, calls=calls)
                if number:
                    found[name].append(figures)
        made = calls * (rounds + 1)
        assert self._answered() - answered == made * len(names), "the provider saw other calls"
        return Run(found, {name: (child.ask() - before[name]) / made for name, child in self._children.items()})

    def _answered(self) -> int:
        with urlopen(f"http://127.0.0.1:{self._port}/count") as reply:
            return int(reply.read())


def calls_parts(python: str, folder: Path, *, rounds: int, calls: int, has_peers: bool) -> Iterator[Part]:
    names = [name for name in SYSTEMS if has_peers or name not in PEERS]
    with ExitStack() as stack:
        server = stack.enter_context(python_server("_hooks_provider.py", core=cores()[1]))
        children = {
            name: stack.enter_context(Child(python, name, server.port, folder / str(number)))
            for number, name in enumerate(names)
        }
        race = Race(children, server.port)
        yield from _calls(race, rounds=rounds, calls=calls)
        yield _streams(race, rounds=rounds, calls=calls)


def _calls(race: Race, *, rounds: int, calls: int) -> Iterator[Part]:
    runs = {title: race.run(way, calls=calls, rounds=rounds) for way, title in CALLS.items()}
    yield Part(
        title=f"a call, processor time; {rounds} rounds of {calls} calls, one after the other",
        lines=_table(runs, "cpu_us"),
        figures={title: asdict(run) for title, run in runs.items()},
        goals=[
            verdict(f"CPU added to a call, {title}", run.percent_more(MEMORY, "cpu_us"), " %", 5, most=True)
            for title, run in runs.items()
            if title != ALONE  # No SDK, and nobody's goal.
        ],
    )
    yield Part(title="the same calls by the clock on the wall", lines=_table(runs, "wall_us"), figures={})


def _table(runs: Mapping[str, Run], field: str) -> list[str]:
    lines = [f"  {'':26}" + "".join(f"{title:>24}" for title in runs)]
    for name in SYSTEMS:
        cells = [_cell(run, name, field) for run in runs.values() if name in run.rounds]
        if cells:
            lines.append(f"  {name:26}" + "".join(f"{cell:>24}" for cell in cells))
    return lines


def _cell(run: Run, name: str, field: str) -> str:
    if name == BARE:
        return f"{run.middle(name, field):,.0f} µs"
    if run.seen[name] == 0:
        return "not seen"
    only = "" if run.seen[name] == 1 else f"sees {run.seen[name]:.0%} "
    more, percent = run.more(name, field), run.percent_more(name, field)
    return f"{only}{more:+,.{0 if abs(more) >= 20 else 1}f} µs {percent:+4.{0 if abs(percent) >= 10 else 1}f} %"


def _streams(race: Race, *, rounds: int, calls: int) -> Part:
    """
    How long the first chunk takes, of short streams; and what each of a thousand costs that come at once.
    """
    first = race.run("first chunk", calls=max(calls // 2, 1), rounds=rounds)
    long = race.run("stream", calls=1, rounds=rounds)
    lines = [
        f"  {'':26}" + "".join(f"{title:>24}" for title in ("first chunk", "CPU until then", "CPU a chunk", "chunks/s"))
    ]
    for name, seen in long.seen.items():
        cells = [_cell(first, name, "first_us"), _cell(first, name, "first_cpu_us"), _cell(long, name, "chunk_us")]
        if name == BARE or seen:
            cells.append(f"{1e6 / long.middle(name, 'chunk_us'):,.0f}")
        lines.append(f"  {name:26}" + "".join(f"{cell:>24}" for cell in cells))
    return Part(
        title=f"openai streamed: the first chunk of {BRIEF}, and each of {EVENTS:,}; chunks a second of processor time",
        lines=lines,
        figures={"first chunk": asdict(first), "stream": asdict(long)},
        goals=[verdict("CPU added to a chunk", long.percent_more(MEMORY, "chunk_us"), " %", 5, most=True)],
    )
