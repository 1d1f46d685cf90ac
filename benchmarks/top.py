"""
What ``solvent top`` takes of a core while it looks at a ledger of a million calls that another process writes to.

    python benchmarks/top.py [--ledger FILE] [--seconds N] [--runs N] [--calls-per-second N] [--json FILE] [--check]

It runs on a terminal of its own, 120 columns wide, at its default pace. Its processor time is read every second, once
its first picture is drawn; what it takes to get there is told apart. Without a ledger one is made, which takes some
minutes; a name that is not there yet keeps it for the next time.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from _goals import Verdict, goal_lines, verdict
from _machine import machine_facts
from _million import make

SHARE_GOAL = 5.0
_READY = b"a minute"  # In the first line of a picture.


class Watched:
    """
    ``solvent top`` on a terminal that nobody looks at.
    """

    def __init__(self, ledger: Path) -> None:
        self._terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        began = time.monotonic()
        command = [sys.executable, "-m", "solvent", "top", "--ledger", f"sqlite:///{ledger}"]
        environment = {**os.environ, "TERM": "xterm-256color"}
        self._process = subprocess.Popen(command, stdin=end, stdout=end, env=environment)
        os.close(end)
        self.pictures = 0
        while not self.read(0.1):
            if self._process.poll() is not None:
                raise RuntimeError(f"solvent top ended with code {self._process.returncode}")
        self.first_seconds = time.monotonic() - began
        self.first_cpu_seconds = self.cpu_seconds()

    def read(self, seconds: float) -> int:
        """
        Take what it draws for so long; how many pictures that were.
        """
        until, drawn = time.monotonic() + seconds, 0
        while (left := until - time.monotonic()) > 0:
            if select.select([self._terminal], [], [], left)[0]:
                drawn += os.read(self._terminal, 1 << 20).count(_READY)
        self.pictures += drawn
        return drawn

    def cpu_seconds(self) -> float:
        return sum(psutil.Process(self._process.pid).cpu_times()[:2])

    def memory_bytes(self) -> int:
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._terminal)


def measure(ledger: Path, *, seconds: int, runs: int, calls_per_second: int) -> dict[str, Any]:
    """
    The share of a core in each of so many seconds, in percent, and what the first picture took.
    """
    script = Path(__file__).with_name("_top_writer.py")
    writer = subprocess.Popen(
        [sys.executable, str(script), str(ledger), str(runs), str(calls_per_second)], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        watched = Watched(ledger)
        try:
            shares, pictures = [], watched.pictures
            before = watched.cpu_seconds()
            for _ in range(seconds):
                began = time.monotonic()
                watched.read(1)
                now = watched.cpu_seconds()
                shares.append((now - before) / (time.monotonic() - began) * 100)
                before = now
            return {
                "shares": shares,
                "pictures": watched.pictures - pictures,
                "first_seconds": watched.first_seconds,
                "first_cpu_seconds": watched.first_cpu_seconds,
                "memory_megabytes": watched.memory_bytes() / 1e6,
            }
        finally:
            watched.close()
    finally:
        writer.terminate()
        written = int(writer.communicate()[0] or 0)
        print(f"the other process wrote {written:,} calls")


def lines_of(found: dict[str, Any]) -> list[str]:
    shares = sorted(found["shares"])
    return [
        f"  first picture          {found['first_seconds']:.2f} s, {found['first_cpu_seconds']:.2f} s of a core",
        f"  share of a core        {median(shares):.1f} % median, {sum(shares) / len(shares):.1f} % mean, "
        f"{shares[-1]:.1f} % in the worst second",
        f"  pictures               {found['pictures']} in {len(shares)} s",
        f"  memory                 {found['memory_megabytes']:.0f} MB",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what solvent top takes of a core.")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="one that is there, or where to make it")
    parser.add_argument("--calls", type=int, default=1_000_000, metavar="N", help="calls in the ledger that is made")
    parser.add_argument("--seconds", type=int, default=30, metavar="N", help="how long")
    parser.add_argument("--runs", type=int, default=40, metavar="N", help="open at the same time, three agents in each")
    parser.add_argument("--calls-per-second", type=int, default=200, metavar="N", help="of the other process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="solvent-bench-") as name:
        facts = machine_facts(Path(name))
        print(f"{facts['machine']}, load {facts['load_before']:.1f}")
        made, ledger = arguments.ledger or Path(name) / "made.db", Path(name) / "ledger.db"
        if not made.exists():
            make(made, arguments.calls)
        shutil.copyfile(made, ledger)  # It is written to.
        ledger.chmod(0o600)
        found = measure(
            ledger, seconds=arguments.seconds, runs=arguments.runs, calls_per_second=arguments.calls_per_second
        )
    print("", "solvent top", *lines_of(found), sep="\n")
    goals: list[Verdict] = [verdict("share of a core, median", median(found["shares"]), " %", SHARE_GOAL, most=True)]
    print(*goal_lines(goals), sep="\n")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({**facts, **found, "goals": goals}, indent=2))
    return int(arguments.check and not all(goal["met"] for goal in goals))


if __name__ == "__main__":
    sys.exit(main())
