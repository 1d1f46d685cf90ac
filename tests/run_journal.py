"""
Writes the journals of runs, for tests of what is read from them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from solvent._openings import COMMAND
from solvent._operations import Answer, Note, Operation, Release, Reserve, Settle
from solvent._records import Account, CallRecord, Terms
from solvent.errors import SolventError
from solvent.stores._protocol import Store

CENT = 10_000_000
START = "2026-03-02T10:15:00"
CALL = CallRecord(provider="openai", format="openai-chat", model_asked="gpt-5-mini", decision="admitted")


class RunJournal:
    """
    One run in a store: what it is limited to, and its calls one after the other.
    """

    def __init__(self, store: Store, scope: str = "run:triage", *, limits: Mapping[str, int] | None = None) -> None:
        self.store = store
        self.scope = scope
        self.limits = {"usd": 100 * CENT, "calls": 200} if limits is None else dict(limits)
        self._ids = 0

    def write(self, operation: Operation) -> Answer:
        [answer] = self.store.apply([operation])
        assert not isinstance(answer, SolventError), answer
        return answer

    def open(self, format: str | None = COMMAND, **record: Any) -> None:
        call = CallRecord(format=format, **record)
        self.write(Note(kind="open", id=self._id(), scope=self.scope, terms=self.terms(self.limits), call=call))

    def close(self, reason: str = "exited", code: int = 0, **record: Any) -> None:
        call = CallRecord(reason=reason, status=str(code), **record)
        self.write(Note(kind="close", id=self._id(), scope=self.scope, call=call))

    def refuse(self, code: str, reason: str, *, meter: str | None = None, model: str = "gpt-5-mini") -> None:
        record = replace(CALL, model_asked=model, decision="refused", status=code, reason=reason)
        terms = self.terms((meter,)) if meter else None
        self.write(Note(kind="refuse", id=self._id(), scope=self.scope, terms=terms, call=record))

    def reserve(
        self, bound: int = 3 * CENT, *, id: str | None = None, tokens: Mapping[str, int] | None = None, **record: Any
    ) -> str:
        id = id or self._id()
        call = replace(CALL, bound_nanodollars=bound, **record)
        amounts = {"usd": bound, "calls": 1, **(tokens or {})}
        self.write(Reserve(id=id, scope=self.scope, terms=self.terms(self.limits), amounts=amounts, call=call))
        return id

    def settle(
        self, id: str, cost: int | None = 2 * CENT, *, bound: int = 3 * CENT, calls: int = 1, **record: Any
    ) -> None:
        call = replace(
            CALL, bound_nanodollars=bound, cost_nanodollars=cost, **{"model_used": "gpt-5-mini-2025-08-07", **record}
        )
        counts = {meter: (call.usage or {}).get(meter) for meter in ("input_tokens", "output_tokens")}
        counts = {meter: count for meter, count in counts.items() if isinstance(count, int)}
        self.write(Settle(id=id, actual={"usd": cost or 0, "calls": calls, **counts}, call=call))

    def release(self, id: str, reason: str = "not_sent") -> None:
        self.write(Release(id=id, reason=reason, call=replace(CALL, status="not_sent")))

    def call(self, cost: int | None = 2 * CENT, *, bound: int = 3 * CENT, **record: Any) -> None:
        self.settle(self.reserve(bound), cost, bound=bound, **record)

    def terms(self, meters: Iterable[str]) -> Terms:
        return Terms.of({Account(self.scope, meter): self.limits.get(meter) for meter in meters})

    def _id(self) -> str:
        self._ids += 1
        return f"{self.scope}-{self._ids}"
