"""
What it costs to be guarded in process: calls of SDKs with Solvent's hooks and with others', and the guard alone.

    python benchmarks/hooks.py [--quick] [--full] [--no-peers] [--json FILE] [--check]

Each system has a process of its own; they take turns, round after round, and a difference or a ratio is the median of
the rounds'. Makes an environment with the SDKs and the peers in ``.venv-sdks`` when it is run for the first time.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _hooks_calls import calls_parts, peers_python
from _hooks_guard import flat_part, guard_part
from _ledger_workload import Part, conclude
from _machine import machine_facts


def parts(folder: Path, arguments: argparse.Namespace) -> Iterator[Part]:
    python = peers_python() if arguments.peers else sys.executable
    rounds, calls = (6, 15) if arguments.quick else (30, 20)
    yield from calls_parts(python, folder, rounds=rounds, calls=calls, has_peers=arguments.peers)
    yield guard_part(rounds=8 if arguments.quick else 30)
    yield flat_part(calls=1_000_000 if arguments.full else 10_000 if arguments.quick else 50_000)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure hooks beside bare SDKs and beside the hooks of others.")
    parser.add_argument("--quick", action="store_true", help="about a minute, with more noise")
    parser.add_argument("--full", action="store_true", help="a million guarded calls, some ten minutes more")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="only Solvent, in this environment")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    found: list[Part] = []
    with tempfile.TemporaryDirectory(prefix="solvent-bench-") as name:
        facts: dict[str, Any] = machine_facts(Path(name))
        print(
            f"{facts['machine']}, load {facts['load_before']:.1f}; making 1 KiB durable takes {facts['sync_ms']:.2f} ms"
        )
        for part in parts(Path(name), arguments):
            print("", part.title, *part.lines, sep="\n", flush=True)
            found.append(part)
    return conclude(found, facts, arguments)


if __name__ == "__main__":
    sys.exit(main())
