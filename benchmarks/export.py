"""
What it costs to export calls, in each format, and that memory does not grow with the journal.

    python benchmarks/export.py [--quick] [--ledger FILE] [--json FILE] [--check]

Each export is a process of its own that writes nowhere. ``--ledger`` exports a copy that you made of a ledger of yours.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _goals import verdict
from _ledger_workload import Part, conclude, path_of, terms_of
from _machine import machine_facts

from solvent._operations import Operation, Reserve, Settle
from solvent._records import CallRecord
from solvent.export import FORMATS
from solvent.stores.sqlite import SQLiteStore

BATCH = 500
EXPORT = """
import json, resource, sys, time
from solvent.export import FORMATS, Source
from solvent.stores import open_store
store, began = open_store("sqlite:///" + sys.argv[2]), (time.perf_counter(), time.process_time())
with open("/dev/null", "w") as out:
    written = FORMATS[sys.argv[1]](Source(store=store), out)
took = time.perf_counter() - began[0], time.process_time() - began[1]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([written.entries, written.rows, *took, peak / (2**20 if sys.platform == "darwin" else 2**10)]))
"""


def write_ledger(path: Path, calls: int) -> None:
    """
    Calls of 50 runs in five scopes each, at the prices of the rate card, so that focus tells their parts apart.
    """
    store = SQLiteStore(path, synchronous="OFF")
    terms = {str(run): terms_of(str(run)) for run in range(50)}
    for first in range(0, calls, BATCH):
        operations: list[Operation] = []
        for number in range(first, first + BATCH):
            run, read = str(number % 50), 1_000 + number % 9_000
            usage = {"input_tokens": 2 * read, "output_tokens": 100, "cache_read_tokens": read}
            cost, tokens = read * (150 + 75) + 100 * 600, {"input_tokens": 2 * read, "output_tokens": 100}
            names = {"provider": "openai", "format": "openai-chat", "model_asked": "gpt-4o-mini"}
            call = CallRecord(**names, usage=usage, bound_nanodollars=2 * cost, cost_nanodollars=cost)
            amounts = {"usd": cost, "calls": 1, "tokens": sum(tokens.values()), **tokens}
            scope = path_of(run)[-1]
            operations.append(Reserve(id=f"c{number}", scope=scope, terms=terms[run], amounts=amounts, call=call))
            operations.append(Settle(id=f"c{number}", actual=amounts, call=call))
        store.apply(operations)
    store.close()


def exported(format: str, path: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", EXPORT, format, str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return dict(zip(("entries", "rows", "seconds", "cpu_seconds", "peak_mib"), found, strict=True))


def export_part(path: Path, small: Path | None) -> Part:
    found = {format: exported(format, path) for format in FORMATS}
    lines = [f"  {'':8}{'rows':>12}{'CPU an entry':>15}{'entries/s':>12}{'memory':>10}"]
    goals = []
    for format, one in found.items():
        each = one["cpu_seconds"] / one["entries"]
        line = f"  {format:8}{one['rows']:>12,}{each * 1e6:>12.1f} µs{1 / each:>12,.0f}{one['peak_mib']:>6.0f} MiB"
        if small is not None:
            growth = one["peak_mib"] / exported(format, small)["peak_mib"]
            goals.append(verdict(f"{format}, memory of ten times as many calls", growth, " ×", 1.1, most=True))
        lines.append(line)
    entries = max(one["entries"] for one in found.values())
    title = f"{entries:,} calls, processor time of one thread"
    return Part(title=title, lines=lines, figures={"exports": found}, goals=goals)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the exports of a ledger.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls, with more noise")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="export this ledger, of which nobody writes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="solvent-bench-") as name:
        folder = Path(name)
        facts = machine_facts(folder)
        print(f"{facts['machine']}, load {facts['load_before']:.1f}")
        path, small = arguments.ledger, None
        if path is None:
            path, small, calls = folder / "large.db", folder / "small.db", 5_000 if arguments.quick else 50_000
            write_ledger(path, calls)
            write_ledger(small, calls // 10)
        part = export_part(path.absolute(), small)
    print("", part.title, *part.lines, sep="\n", flush=True)
    return conclude([part], facts, arguments)


if __name__ == "__main__":
    sys.exit(main())
