"""
One ledger with some of everything, and what it must add up to: written down here, and not read from it.

Every view of it gives these amounts: reports, exports, the live view, bills.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clocks import ManualClock
from msgspec import Struct

from solvent._openings import COMMAND
from solvent._operations import Note, Operation, Release, Reserve, Settle, TopUp
from solvent._records import BRANCHES, Account, CallRecord, Terms
from solvent.errors import SolventError
from solvent.stores._owner import this_process
from solvent.stores.sqlite import SQLiteStore

START = "2026-03-01T09:00:00"  # A Sunday; the second run is a day later, the third a week.
DOLLAR = 1_000_000_000
TRIAGE = "org:acme/team:search/run:triage"
BANNER = "org:acme/team:ads/run:banner"
LONELY = "user:ann/run:lonely"
RESEARCHER, WRITER = f"{TRIAGE}/agent:researcher", f"{TRIAGE}/agent:writer"
SEARCH = f"{RESEARCHER}/step:search"
PAINTER = f"{BANNER}/agent:painter"
MIXER = f"{PAINTER}/agent:mixer"

MINI = ("openai", "openai-chat", "gpt-4o-mini", "gpt-4o-mini-2024-07-18")
GPT_4O = ("openai", "openai-responses", "gpt-4o", "gpt-4o-2024-08-06")
HAIKU = ("anthropic", "anthropic-messages", "claude-haiku-4-5", "claude-haiku-4-5-20251001")
LOCAL = ("ollama", "ollama-chat", "local-model", "local-model")
OWN = (None, "own", "my-tool", None)

# What the models cost on that day, in nanodollars a token: gpt-4o-mini 150 in, 75 cached, 600 out; gpt-4o 2,500 in,
# 10,000 out; Haiku 4.5 1,000 in, 100 cached, 1,250 written to the cache, 5,000 out.
SMALL: Mapping[str, int] = {"input_tokens": 1_000, "output_tokens": 100}
SMALL_COST = 210_000
CACHED: Mapping[str, int] = {"input_tokens": 2_000, "output_tokens": 200, "cache_read_tokens": 1_000}
CACHED_COST = 345_000


class Paid(Struct, frozen=True, kw_only=True):
    """
    A call of the golden ledger as it must be booked.
    """

    scope: str
    model: str | None
    cost: int | None
    day: str = "2026-03-01"
    tokens: Mapping[str, int] = {}
    estimated: str | None = None


class Golden(Struct, frozen=True, kw_only=True):
    """
    The file, a clock that stands at its end, and its calls in the order in which they ended.
    """

    path: Path
    clock: ManualClock
    calls: tuple[Paid, ...]

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def open(self) -> SQLiteStore:
        return SQLiteStore(self.path, clock=self.clock)

    def below(self, scope: str | None = None) -> Iterator[Paid]:
        return (call for call in self.calls if scope is None or f"{call.scope}/".startswith(f"{scope}/"))

    def cost(self, scope: str | None = None) -> int:
        return sum(call.cost or 0 for call in self.below(scope))


TRIAGE_COST, BANNER_COST, LONELY_COST = 54_970_000, 1_999_567, 0
COST = 56_969_567
RESEARCHER_COST, WRITER_COST = 2_220_000, 52_540_000
CALLS, REFUSALS, RELEASED = 17, 4, 1
OVERRUN, OPEN_RESERVED = 10_000, 3_000_000


def golden(path: Path) -> Golden:
    """
    Make the ledger in this file, which is not there yet.
    """
    clock = ManualClock(START)
    writer = _Writer(SQLiteStore(path, clock=clock, synchronous="OFF"), clock)
    writer.triage()
    clock.advance(seconds=86_400)
    writer.banner()
    clock.advance(seconds=6 * 86_400)
    writer.lonely()
    writer.store.close()
    return Golden(path=path, clock=clock, calls=tuple(writer.calls))


class _Writer:
    def __init__(self, store: SQLiteStore, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.calls: list[Paid] = []
        self._ids = 0

    def triage(self) -> None:
        self.open(TRIAGE, TRIAGE_LIMITS, format=COMMAND)
        self.call(SEARCH, MINI, SMALL, SMALL_COST)
        self.call(SEARCH, MINI, CACHED, CACHED_COST, rungs=("prefix",), stream=True)
        asked = (*MINI[:2], "gpt-4o", MINI[3])
        large = {"input_tokens": 4_000, "output_tokens": 500}
        self.call(RESEARCHER, asked, large, 900_000, rungs=("degrade gpt-4o-mini",))
        written = {
            "input_tokens": 3_000,
            "output_tokens": 400,
            "cache_read_tokens": 500,
            "cache_write_5m_tokens": 1_000,
        }
        self.call(WRITER, HAIKU, written, 4_800_000, rungs=("wait 1.5 s",))
        cut = {"input_tokens": 1_000, "output_tokens": 1_024, "reasoning_tokens": 300}
        self.call(WRITER, GPT_4O, cut, 12_740_000, rungs=("shrink 1024",), tier="default")
        self.cut_off()
        self.call(SEARCH, MINI, {}, 0, status="429")
        self.call(SEARCH, MINI, SMALL, SMALL_COST, attempt=1)
        self.call(RESEARCHER, MINI, SMALL, SMALL_COST, bound=200_000)  # Above what was reserved.
        self.expired_one()
        self.corrected_one()
        self.write(Release(id=self.reserve(RESEARCHER, MINI, 1_000_000), reason="not_sent"))
        self.branches()
        limit = Account(TRIAGE, "usd")
        self.write(TopUp(id="two-more-files", account=limit, amount=DOLLAR // 2, reason="two more files"))
        self.call(TRIAGE, MINI, SMALL, SMALL_COST, rungs=("warn usd",))
        self.refuse(
            WRITER, "budget_exceeded", "run:triage has $1.44 left of $1.50; this call needs up to $1.60.", limit
        )
        self.refuse(
            WRITER, "budget_exceeded", "run:triage has $1.44 left of $1.50; this call needs up to $1.70.", limit
        )
        self.refuse(RESEARCHER, "price_unknown", "'gpt-9' has no price.", None, model="gpt-9")
        self.close(TRIAGE, reason="budget", status="3", usage={"denied": 2})

    def banner(self) -> None:
        self.open(BANNER, BANNER_LIMITS)
        self.call(PAINTER, MINI, SMALL, SMALL_COST)
        self.call(PAINTER, MINI, SMALL, SMALL_COST)
        self.call(PAINTER, OWN, {}, 1_234_567, price_source="the program", status="done")
        self.call(MIXER, MINI, CACHED, CACHED_COST)
        self.refuse(MIXER, "loop_detected", "the same request was made 6 times in 60 s.", None)
        self.close(BANNER, reason="ValueError", status="1")

    def lonely(self) -> None:
        self.open(LONELY, {Account(LONELY, "usd"): None, Account(LONELY, "calls"): None})
        self.call(LONELY, LOCAL, {"input_tokens": 50, "output_tokens": 5}, None, bound=None)
        self.reserve(LONELY, GPT_4O, OPEN_RESERVED)

    def call(
        self,
        scope: str,
        names: tuple[str | None, ...],
        usage: Mapping[str, int],
        cost: int | None,
        *,
        bound: int | None = 50_000_000,
        **record: Any,
    ) -> None:
        id = self.reserve(scope, names, bound)
        self.clock.advance(seconds=2)
        told = {"status": "200", "price_source": "the price list", **record}
        self.settle(id, names, usage, cost, bound=bound, **told)
        self.paid(scope, names[3] or names[2], cost, usage)

    def cut_off(self) -> None:
        id = self.reserve(WRITER, GPT_4O, 30_000_000)
        call = self.record(GPT_4O, bound_nanodollars=30_000_000, cost_nanodollars=30_000_000, estimated="cut")
        tokens = {"input_tokens": 5_000, "output_tokens": 1_000}
        actual = {"usd": 30_000_000, "calls": 1, "tokens": 6_000, **tokens}
        self.write(Settle(id=id, actual=actual, call=call))
        self.paid(WRITER, GPT_4O[3], 30_000_000, tokens, estimated="cut")

    def expired_one(self) -> None:
        self.reserve(WRITER, GPT_4O, 5_000_000)
        self.clock.advance(seconds=121)
        self.store.expire()
        self.paid(WRITER, "gpt-4o", 5_000_000, {}, estimated="expired")

    def corrected_one(self) -> None:
        id = self.reserve(RESEARCHER, MINI, 5_000_000)
        self.clock.advance(seconds=121)
        self.store.expire()
        self.settle(id, MINI, CACHED, CACHED_COST, bound=5_000_000, status="200", price_source="the price list")
        self.paid(RESEARCHER, MINI[3], CACHED_COST, CACHED)

    def branches(self) -> None:
        id, terms = self.id(), Terms.of({Account(TRIAGE, "branches"): 64})
        record = CallRecord(format=BRANCHES)
        self.write(Reserve(id=id, scope=TRIAGE, terms=terms, amounts={"branches": 8}, call=record))
        self.write(Settle(id=id, actual={"branches": 5}, call=record))

    def paid(
        self, scope: str, model: str | None, cost: int | None, tokens: Mapping[str, int], estimated: str | None = None
    ) -> None:
        day = f"{datetime.fromtimestamp(self.clock.now_ns() // 10**9, UTC):%Y-%m-%d}"
        told = dict(tokens)
        self.calls.append(Paid(scope=scope, model=model, cost=cost, day=day, tokens=told, estimated=estimated))

    def reserve(self, scope: str, names: tuple[str | None, ...], bound: int | None) -> str:
        self.clock.advance(seconds=30)
        id = self.id()
        amounts = {"usd": bound or 0, "calls": 1}
        call = self.record(names, bound_nanodollars=bound, model_used=None)
        self.write(Reserve(id=id, scope=scope, terms=_terms(scope), amounts=amounts, call=call))
        return id

    def settle(
        self,
        id: str,
        names: tuple[str | None, ...],
        usage: Mapping[str, int],
        cost: int | None,
        *,
        bound: int | None,
        **record: Any,
    ) -> None:
        tokens = {name: usage.get(name, 0) for name in ("input_tokens", "output_tokens")}
        actual = {"usd": cost or 0, "calls": 1, "tokens": sum(tokens.values()), **tokens}
        call = self.record(names, usage=usage, bound_nanodollars=bound, cost_nanodollars=cost, **record)
        self.write(Settle(id=id, actual=actual, call=call))

    def record(self, names: tuple[str | None, ...], **fields: Any) -> CallRecord:
        provider, format, asked, used = names
        now = self.clock.now_ns()
        whole = {"model_used": used, "started": now, "ended": now, "decision": "admitted", "attempt": 0, **fields}
        return CallRecord(provider=provider, format=format, model_asked=asked, **whole)

    def refuse(
        self, scope: str, code: str, reason: str, account: Account | None, *, model: str = "gpt-4o-mini"
    ) -> None:
        limits = {account: DOLLAR + DOLLAR // 2} if account else None
        call = CallRecord(
            provider="openai",
            format="openai-chat",
            model_asked=model,
            bound_nanodollars=1_600_000_000 if account else None,
            decision="refused",
            status=code,
            reason=reason,
        )
        terms = Terms.of(limits) if limits else None
        self.write(Note(kind="refuse", id=self.id(), scope=scope, terms=terms, call=call))

    def open(self, scope: str, limits: Mapping[Account, int | None], *, format: str | None = None) -> None:
        call = CallRecord(format=format, started=self.clock.now_ns(), status=this_process(self.clock))
        self.write(Note(kind="open", id=self.id(), scope=scope, terms=Terms.of(limits), call=call))

    def close(self, scope: str, **record: Any) -> None:
        call = CallRecord(ended=self.clock.now_ns(), **record)
        self.write(Note(kind="close", id=self.id(), scope=scope, call=call))

    def write(self, operation: Operation) -> None:
        [answer] = self.store.apply([operation])
        assert not isinstance(answer, SolventError), answer

    def id(self) -> str:
        self._ids += 1
        return f"01GOLDEN{self._ids:018}"


TRIAGE_LIMITS: Mapping[Account, int | None] = {
    Account("org:acme", "usd", "month@UTC"): 500 * DOLLAR,
    Account("org:acme/team:search", "usd", "day@UTC"): 20 * DOLLAR,
    Account(TRIAGE, "usd"): DOLLAR,
    Account(TRIAGE, "calls"): 200,
}
BANNER_LIMITS: Mapping[Account, int | None] = {
    Account("org:acme", "usd", "month@UTC"): 500 * DOLLAR,
    Account(BANNER, "usd"): DOLLAR // 4,
    Account(BANNER, "calls"): None,
}


def _terms(scope: str) -> Terms:
    if scope.startswith(TRIAGE):
        limits = dict(TRIAGE_LIMITS)
        if scope.startswith(RESEARCHER):
            limits[Account(RESEARCHER, "usd")] = DOLLAR // 2
        return Terms.of(limits)
    return Terms.of(
        BANNER_LIMITS if scope.startswith(BANNER) else {Account(LONELY, "usd"): None, Account(LONELY, "calls"): None}
    )
