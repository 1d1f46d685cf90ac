"""
Several processes on one SQLite file beside one alone; run as a script, it is one of them.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from _goals import Verdict, verdict
from _ledger_sqlite import MODES
from _ledger_workload import ACTUAL, ANSWERED, ASKED, HELD, Part, ratio, terms_of

from solvent._operations import Reserve, Settle
from solvent.stores.sqlite import SQLiteStore

PROCESSES = 4


def processes_part(folder: Path, *, rounds: int, seconds: float) -> Part:
    lines = [f"  {'':34}{'pairs/s':>10}{'of one':>10}{'slowest/fastest':>18}{'p50':>12}{'worst p99':>12}"]
    figures: dict[str, dict[int, list[dict[str, float]]]] = {}
    goals: list[Verdict] = []
    for mode in MODES:
        SQLiteStore(folder / f"shared-{mode}.db", synchronous=mode).close()
        found: dict[int, list[dict[str, float]]] = {1: [], PROCESSES: []}
        for number in range(rounds):
            for count, rates in found.items():
                rates.append(_run(folder / f"shared-{mode}.db", mode, count, seconds, ids=f"{number}-{count}"))
        together = ratio(*([figure["rate"] for figure in found[count]] for count in (PROCESSES, 1)))
        for count, rates in found.items():
            middle = {key: median(figure[key] for figure in rates) for key in rates[0]}
            name, of = f"{mode}: {count} process{'es' if count > 1 else ''}", together if count > 1 else 1.0
            times = f"{middle['p50_ms']:>9.2f} ms{middle['p99_ms']:>9.2f} ms"
            lines.append(f"  {name:34}{middle['rate']:>10,.0f}{of:>8.2f} ×{middle['fairness']:>18.2f}{times}")
        goals += [
            verdict(f"SQLite {mode}, 4 processes, of one", together, " ×", 0.8, most=False),
            verdict(f"SQLite {mode}, slowest of fastest", middle["fairness"], " ×", 0.5, most=False),
            verdict(f"SQLite {mode}, worst p99 of an operation", middle["p99_ms"], " ms", 50, most=True),
        ]
        figures[mode] = found
    title = f"SQLite: processes on one file; {rounds} rounds of {seconds:g} s, latencies of one operation"
    return Part(title=title, lines=lines, figures=figures, goals=goals)


def _run(path: Path, mode: str, count: int, seconds: float, *, ids: str) -> dict[str, float]:
    with ExitStack() as stack:
        workers = [
            stack.enter_context(_worker(str(path), mode, str(seconds), f"{ids}-{number}")) for number in range(count)
        ]
        for worker in workers:  # Each tells when it has opened the ledger; then all of them are let go at once.
            assert worker.stdout is not None
            worker.stdout.readline()
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        told = [json.loads(worker.communicate()[0]) for worker in workers]
    rates = [one["pairs"] / one["seconds"] for one in told]
    return {
        "rate": sum(rates),
        "fairness": min(rates) / max(rates),
        "p50_ms": median(one["p50_ms"] for one in told),
        "p99_ms": max(one["p99_ms"] for one in told),
    }


@contextmanager
def _worker(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _work(path: str, mode: str, seconds: str, ids: str) -> None:
    store, terms = SQLiteStore(Path(path), synchronous=mode), terms_of(run=ids)
    scope = terms.accounts[-1].scope
    print("ready", flush=True)
    sys.stdin.readline()
    taken: list[float] = []
    began = before = time.perf_counter()
    number, until = 0, began + float(seconds)
    while before < until:
        id = f"{ids}-{number}"
        operations = (
            Reserve(id=id, scope=scope, terms=terms, amounts=HELD, call=ASKED),
            Settle(id=id, actual=ACTUAL, call=ANSWERED),
        )
        for operation in operations:
            store.apply([operation])
            now = time.perf_counter()
            taken.append(now - before)
            before = now
        number += 1
    taken.sort()
    figures = {
        "pairs": number,
        "seconds": before - began,
        "p50_ms": taken[len(taken) // 2] * 1e3,
        "p99_ms": taken[len(taken) * 99 // 100] * 1e3,
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    _work(*sys.argv[1:])
