"""
A ledger that somebody looks at while runs are made in it, at a time that stands still.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clocks import ManualClock
from run_journal import CALL, RunJournal

from solvent._operations import Note, Operation, Reserve, Settle
from solvent._records import Account, CallRecord, Terms
from solvent.errors import SolventError
from solvent.stores._owner import this_process
from solvent.stores.sqlite import SQLiteStore
from solvent.top._reader import Reader
from solvent.top._records import OpenBudget, Picture, Row

SECOND = 1_000_000_000


class World:
    """
    Attributes:
        owner: The process that opens runs, as the journal names it: this one.
    """

    def __init__(self, folder: Path, start: str = "2026-03-02T10:15:00") -> None:
        self.clock = ManualClock(start)
        self.path = folder / "ledger.db"
        self.store = SQLiteStore(self.path, clock=self.clock, synchronous="OFF")
        self.owner = this_process(self.clock)
        self._ids = 0
        self._reader: Reader | None = None

    def run(self, scope: str = "run:triage", **limits: int) -> RunJournal:
        run = RunJournal(self.store, scope, limits=limits or None)
        run.open(started=self.clock.now_ns(), status=self.owner)
        return run

    def open(self, scope: str, limits: Mapping[Account, int | None], **record: Any) -> None:
        call = CallRecord(**{"started": self.clock.now_ns(), "status": self.owner, **record})
        self.write(Note(kind="open", id=self.id(), scope=scope, terms=Terms.of(limits) if limits else None, call=call))

    def close(self, scope: str) -> None:
        self.write(Note(kind="close", id=self.id(), scope=scope, call=CallRecord(reason="exited", status="0")))

    def call(
        self, scope: str, limits: Mapping[Account, int | None], cost: int, *, bound: int | None = None, **more: int
    ) -> None:
        id, asked = self.id(), {"usd": bound or cost, "calls": 1, **more}
        self.write(Reserve(id=id, scope=scope, terms=Terms.of(limits), amounts=asked, call=CALL))
        self.write(Settle(id=id, actual={"usd": cost, "calls": 1, **more}, call=CALL))

    def refuse(self, scope: str, said: str) -> None:
        call = CallRecord(decision="refused", status="budget_exceeded", reason=said)
        self.write(Note(kind="refuse", id=self.id(), scope=scope, call=call))

    def write(self, *operations: Operation) -> None:
        for answer in self.store.apply(operations):
            assert not isinstance(answer, SolventError), answer

    def id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def reader(self, scope: str | None = None) -> Reader:
        return Reader(self.store, self.clock, scope=scope)

    def look(self) -> Picture:
        """
        Another look of the same reader.
        """
        self._reader = self._reader or self.reader()
        return self._reader.look()

    def budget(self, scope: str = "run:triage") -> OpenBudget:
        return budget(self.look(), scope)

    def row(self, meter: str = "usd", scope: str = "run:triage") -> Row:
        return row(self.look(), meter, scope)


def scopes(picture: Picture) -> list[str]:
    return [one.scope for one in picture.budgets]


def budget(picture: Picture, scope: str = "run:triage") -> OpenBudget:
    return next(one for one in picture.budgets if one.scope == scope)


def row(picture: Picture, meter: str = "usd", scope: str = "run:triage") -> Row:
    return next(row for row in budget(picture, scope).rows if row.account.meter == meter)
