"""
What the ledger costs beside its floors: in memory, in an SQLite file, and with many callers and processes on it.

    python benchmarks/ledger.py [--quick] [--json FILE]

Everything in one table is measured in turns, round after round; a ratio is the median of the rounds' ratios.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _ledger_memory
import _ledger_processes
import _ledger_sqlite
from _ledger_workload import Part, conclude
from _machine import machine_facts


def parts(folder: Path, *, is_quick: bool) -> Iterator[Part]:
    yield _ledger_memory.pair_part(rounds=15 if is_quick else 40)
    if not is_quick:
        yield _ledger_memory.million_part()
    yield _ledger_sqlite.pair_part(folder, rounds=8 if is_quick else 25)
    rounds, seconds = (2, 0.7) if is_quick else (3, 1.2)
    yield _ledger_processes.processes_part(folder, rounds=rounds, seconds=seconds)
    yield _ledger_sqlite.batcher_part(folder, rounds=rounds, seconds=seconds / 2)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the ledger beside its floors.")
    parser.add_argument("--quick", action="store_true", help="under 40 s, with more noise, without the million calls")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    found: list[Part] = []
    with tempfile.TemporaryDirectory(prefix="solvent-bench-") as name:
        facts: dict[str, Any] = machine_facts(Path(name))
        print(
            f"{facts['machine']}, load {facts['load_before']:.1f}; making 1 KiB durable takes {facts['sync_ms']:.2f} ms"
        )
        for part in parts(Path(name), is_quick=arguments.quick):
            print("", part.title, *part.lines, sep="\n", flush=True)
            found.append(part)
    return conclude(found, facts, arguments)


if __name__ == "__main__":
    sys.exit(main())
