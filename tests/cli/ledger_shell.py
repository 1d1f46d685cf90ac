"""
Types ``solvent ledger …`` about a small ledger.
"""

import json
import re
from pathlib import Path
from typing import Any

from clocks import ManualClock
from run_journal import CALL, CENT, RunJournal
from typer.testing import CliRunner

from solvent._operations import Answer, Reserve, Settle
from solvent._records import Account, Terms
from solvent.cli import app
from solvent.errors import SolventError
from solvent.stores.sqlite import SQLiteStore

DOCS = Path(__file__).parent.parent.parent / "docs" / "reference" / "ledger.md"
RUN = Account("run:triage", "usd")
DAY = Account("team:search", "usd", "day@UTC")


class Shell:
    """
    Types ``solvent ledger …`` about one ledger.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def __call__(self, *words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["ledger", *words], env={"SOLVENT_LEDGER": self.url, "COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    def said(self, *words: str) -> str:
        code, out, err = self(*words)
        assert (code, err) == (0, "")
        return out

    def json(self, *words: str) -> Any:
        return json.loads(self.said(*words, "--json"))

    def refusal(self, *words: str) -> tuple[int, str]:
        """
        The code, and what standard error says after the usage. Nothing was written to standard output.
        """
        code, out, err = self(*words)
        assert out == ""
        return code, re.sub(r"\AUsage: .*\nTry .*\n\n", "", err)

    def store(self) -> SQLiteStore:
        return SQLiteStore(self.path, synchronous="OFF")

    def reserve(self, id: str, account: Account, amount: int, limit: int | None, ttl_seconds: float = 120) -> Answer:
        store = self.store()
        terms = Terms.of({account: limit})
        [answer] = store.apply(
            [
                Reserve(
                    id=id,
                    scope=account.scope,
                    terms=terms,
                    amounts={account.meter: amount},
                    ttl_seconds=ttl_seconds,
                    call=CALL,
                )
            ]
        )
        store.close()
        assert not isinstance(answer, SolventError)
        return answer


def small_ledger(folder: Path) -> Shell:
    """
    A ledger with a run that spent $0.04 of $0.05 with two calls, and a team that spent $0.02 today.
    """
    shell = Shell(folder / "ledger.db")
    store = shell.store()
    run = RunJournal(store, "run:triage", limits={"usd": 5 * CENT})
    run.open()
    run.call(2 * CENT)
    run.call(2 * CENT)
    run.close()
    store.apply([Reserve(id="day", scope="team:search", terms=Terms.of({DAY: 5 * CENT}), amounts={"usd": 2 * CENT})])
    store.apply([Settle(id="day", actual={"usd": 2 * CENT})])
    store.close()
    return shell


def ledger_of_the_docs(folder: Path) -> Shell:
    """
    Runs: one that is over, one that has a call open, one that died during a call. And a team with a daily budget.
    """
    shell = Shell(folder / "ledger.db")
    store = SQLiteStore(shell.path, clock=_LastBoot(), synchronous="OFF")
    died = RunJournal(store, "run:nightly")
    died.open()
    died.reserve(3 * CENT, id="01J9ZE")
    store.close()
    store = shell.store()
    run = RunJournal(store, "run:triage", limits={"usd": 200 * CENT})
    run.open()
    for _ in range(2):
        run.call(98 * CENT, bound=100 * CENT)
    run.close()
    terms = Terms.of({DAY: 2_000 * CENT, Account("team:search/run:42", "calls"): 40})
    amounts = {"usd": 4 * CENT, "calls": 1}
    for id in ("01J9ZH", "01J9ZK"):
        store.apply([Reserve(id=id, scope="team:search/run:42", terms=terms, amounts=amounts, call=CALL)])
    store.apply([Settle(id="01J9ZH", actual={"usd": 2 * CENT})])
    store.close()
    return shell


class _LastBoot(ManualClock):
    """
    The clock of a process that died with the machine's last start.
    """

    def boot_id(self) -> str:
        return "the-last-boot"


def section_of_docs(title: str) -> str:
    (text,) = [part for part in re.split(r"^## ", DOCS.read_text(), flags=re.M) if part.startswith(title)]
    return text


def first_cells(text: str) -> list[str]:
    cells = re.findall(r"^\| ((?:[^|\\]|\\.)+) \|", text, flags=re.M)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
