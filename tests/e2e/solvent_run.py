"""
Runs the real ``solvent run`` as a person would, and says what came of it.

What a run cost is never read from Solvent here: that is for the servers behind it to say.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from solvent._records import Account, Balance
from solvent.stores import open_store

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE_SECONDS = 60
# For tests of ``--time``: where a program's calls were not under way by then, the run is made again with the next.
SECONDS_TO_BEGIN = (2, 4, 8, 16, 32)
OPENAI_KEY, ANTHROPIC_KEY = "sk-the-real-key", "sk-ant-the-real-key"
DOLLAR = 1_000_000_000
# Nothing of the machine's own settings may reach a provider or a ledger.
PASSED_ON = ("LANG", "LC_ALL", "PATH", "TMPDIR")
SOLVENT = [sys.executable, "-m", "solvent"]


def python(program: str, *arguments: str) -> list[str]:
    """
    The command that runs one of the programs beside the tests.
    """
    return [sys.executable, str(PROGRAMS / program), *arguments]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """
    A ``solvent run`` that is over.

    Attributes:
        stdout, stderr: Of the command and of Solvent.
        report: Solvent's own, as JSON.
    """

    code: int
    stdout: str
    stderr: str
    report: dict[str, Any] = field(repr=False)

    @property
    def said(self) -> Any:
        """
        The JSON that the program wrote as its last line.
        """
        return json.loads(self.stdout.splitlines()[-1])

    @property
    def refused(self) -> int:
        return sum(refused["count"] for refused in self.report["refused"])

    @property
    def refusal_codes(self) -> set[str]:
        return {refused["code"] for refused in self.report["refused"]}


class Running:
    """
    A ``solvent run`` that goes on.
    """

    def __init__(self, process: "subprocess.Popen[str]", report: Path) -> None:
        self.process = process
        self._report = report

    def wait(self) -> Ran:
        stdout, stderr = self.process.communicate(timeout=PATIENCE_SECONDS)
        assert self._report.exists(), f"no report; exit code {self.process.returncode}\n{stdout}\n{stderr}"
        report = json.loads(self._report.read_text())
        return Ran(code=self.process.returncode, stdout=stdout, stderr=stderr, report=report)


class Desk:
    """
    One person's machine: a ledger, an environment with keys, and providers at the addresses that it names.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = f"sqlite:///{folder}/ledger.db"
        self.env = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
            "HOME": str(folder),
            "SOLVENT_LEDGER": self.ledger,
            "OPENAI_API_KEY": OPENAI_KEY,
            "ANTHROPIC_API_KEY": ANTHROPIC_KEY,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._runs = 0

    def providers_at(self, url: str, *, anthropic: str = "") -> None:
        """
        Point this machine at a server for OpenAI's and Anthropic's formats, the latter below a path of its own.
        """
        self.env |= {"OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url + anthropic}

    @contextmanager
    def running(
        self, options: Sequence[str], command: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> Iterator[Running]:
        """
        Start a ``solvent run``; at the end of the block it is over, at the latest by force.
        """
        self._runs += 1
        report = self.folder / f"report-{self._runs}.json"
        words = [*SOLVENT, "run", *options, "--json", "--report", str(report), "--", *command]
        with subprocess.Popen(
            words,
            env={**self.env, **(env or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Running(process, report)
            finally:
                process.kill()

    def run(self, *options: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> Ran:
        """
        ``solvent run OPTIONS -- COMMAND``, to its end; and the ledger must hold.
        """
        with self.running(options, command, env=env) as running:
            ran = running.wait()
        self.balanced()
        return ran

    def solvent(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """
        Any other command of Solvent's.
        """
        return subprocess.run(
            [*SOLVENT, *words], env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )

    def balanced(self) -> None:
        """
        Nothing is left open, and ``solvent ledger verify`` finds every account to be the sum of its entries.
        """
        done = self.solvent("ledger", "verify")
        assert done.returncode == 0, done.stdout + done.stderr
        assert not [balance for balance in self._balances() if balance.reserved]

    def spent(self, scope: str, meter: str) -> int:
        """
        What the ledger says was spent in a scope. Only to be held against what a server says.
        """
        [balance] = [b for b in self._balances() if b.account == Account(scope, meter)]
        return balance.spent

    def _balances(self) -> Sequence[Balance]:
        # Read here, for every start of the command is a third of a second.
        store = open_store(self.ledger)
        try:
            return store.balances()
        finally:
            store.close()
