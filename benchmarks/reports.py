"""
What it takes to see where the money of a million calls went: each command once more and once more, from its start to
its last line, beside SQLite's own pass over the same journal.

    python benchmarks/reports.py [--ledger FILE] [--calls N] [--rounds N] [--json FILE] [--check]

Without a ledger one is made, which takes some minutes; a name that is not there yet keeps it for the next time. All
commands run in turns; times are of the wall, processor time and the most memory are the command's own.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from _goals import Verdict, verdict
from _ledger_workload import Part, conclude
from _machine import machine_facts
from _million import make

FLOOR = "SQLite alone: one sum over the journal"
_SUM = """
import sys, apsw
journal = apsw.Connection(sys.argv[1], flags=apsw.SQLITE_OPEN_READONLY)
print(journal.execute("SELECT count(*), sum(spent_usd) FROM entry WHERE kind <> 'reserve'").get)
"""
REPORT, TREE = "report --all", "report --all --tree"
SHORT = {
    "report (the last run)": ("report",),
    REPORT: ("report", "--all"),
    TREE: ("report", "--all", "--tree"),
    "report --all --by model,agent,day": ("report", "--all", "--by", "model,agent,day"),
    "report --all --json": ("report", "--all", "--json"),
    "top --once": ("top", "--once"),
}
LONG = {
    "report --all --trace --json": ("report", "--all", "--trace", "--json"),
    "report --all --html": ("report", "--all", "--html", "{file}"),
    "export csv": ("export", "csv", "{file}"),
    "export jsonl": ("export", "jsonl", "{file}"),
    "export focus": ("export", "focus", "{file}"),
}
Figures = dict[str, list[tuple[float, float, float]]]  # Seconds of the wall, of a processor, mebibytes; of each round.


def measured(command: list[str]) -> tuple[float, float, float]:
    began = time.perf_counter()
    out = os.open(os.devnull, os.O_WRONLY)
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
    os.close(out)
    _, status, used = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def in_turns(ledger: Path, commands: dict[str, tuple[str, ...]], *, rounds: int, folder: Path) -> Figures:
    found: Figures = {FLOOR: [], **{name: [] for name in commands}}
    for number in range(rounds):
        found[FLOOR].append(measured([sys.executable, "-c", _SUM, str(ledger)]))
        for place, (name, words) in enumerate(commands.items()):
            written = [word.format(file=folder / f"{number}-{place}") for word in words]
            command = [sys.executable, "-m", "solvent", *written, "--ledger", f"sqlite:///{ledger}"]
            found[name].append(measured(command))
            for file in folder.iterdir():
                file.unlink()
    return found


def part(title: str, found: Figures, goals: list[Verdict]) -> Part:
    floor = median(seconds for seconds, _, _ in found[FLOOR])
    lines = [f"  {'':40}{'wall':>10}{'processor':>12}{'memory':>12}{'of the floor':>15}"]
    for name, rounds in found.items():
        wall, cpu, memory = (median(one) for one in zip(*rounds, strict=True))
        lines.append(f"  {name:40}{wall:>8.2f} s{cpu:>10.2f} s{memory:>8.0f} MiB{wall / floor:>13.1f} ×")
    return Part(title=title, lines=lines, figures=found, goals=goals)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ledger", type=Path, help="one that is there, or where to make it")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="solvent-reports-") as made:
        ledger = (arguments.ledger or Path(made) / "million.db").absolute()
        if not ledger.exists():
            make(ledger, arguments.calls)
        folder = Path(made) / "written"
        folder.mkdir()
        facts = {**machine_facts(ledger.parent), "ledger_bytes": ledger.stat().st_size}
        print(f"{ledger.stat().st_size / 1e6:,.0f} MB of ledger")
        short = in_turns(ledger, SHORT, rounds=arguments.rounds, folder=folder)
        goals = [
            goal
            for name in (REPORT, TREE)
            for goal in (
                verdict(f"{name}, wall", median(one[0] for one in short[name]), " s", 2, most=True),
                verdict(f"{name}, memory", median(one[2] for one in short[name]), " MiB", 200, most=True),
            )
        ]
        parts = [part(f"sums; the median of {arguments.rounds} rounds", short, goals)]
        print(*parts[0].lines, sep="\n")
        long = in_turns(ledger, LONG, rounds=1, folder=folder)
        parts.append(part("call by call; one round", long, []))
        print("", *parts[1].lines, sep="\n")
        return conclude(parts, facts, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
