"""
A ledger of many calls, made through the store as programs make them: 250 runs of four teams over two months of a clock
that is moved by hand, three agents and three models each, a third of the calls tightened.
"""

import random
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from solvent._limits import SECOND_NS
from solvent._operations import Note, Operation, Reserve, Settle
from solvent._records import Account, CallRecord, Terms
from solvent.errors import SolventError
from solvent.stores.sqlite import SQLiteStore
from solvent.testing import ManualClock

RUNS = 250
AGENTS = ("planner", "coder", "tester")
MODELS = (
    ("openai", "openai-chat", "gpt-5-mini", "gpt-5-mini-2025-08-07"),
    ("anthropic", "anthropic-messages", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("openai", "openai-responses", "gpt-5", "gpt-5-2025-08-07"),
)
_DOLLAR = 10**9
_AT_ONCE = 2_000
_BETWEEN_SECONDS = 5


def make(path: Path, calls: int) -> None:
    """
    Write the ledger; on a terminal, standard error tells how far it is.
    """
    clock = ManualClock("2026-10-01T00:00:00")
    store = SQLiteStore(path, clock=clock, synchronous="OFF")
    said_at, done = time.monotonic(), 0
    waiting = _operations(clock, calls)
    while operations := list(islice(waiting, _AT_ONCE)):
        wrong = [answer for answer in store.apply(operations) if isinstance(answer, SolventError)]
        if wrong:
            raise wrong[0]
        done += len(operations)
        if sys.stderr.isatty() and time.monotonic() - said_at > 1:
            print(f"\r{done // 2:,} of {calls:,} calls", end="", file=sys.stderr, flush=True)
            said_at = time.monotonic()
    store.close()


def _operations(clock: ManualClock, calls: int) -> Iterator[Operation]:
    chance, number = random.Random(1), 0
    for run_number in range(RUNS):
        team = f"org:acme/team:t{run_number % 4}"
        run = f"{team}/run:job-{run_number}"
        terms = {agent: _terms(team, run, agent) for agent in AGENTS}
        opening = CallRecord(format="command", started=clock.now_ns())
        yield Note(kind="open", id=f"open-{run_number}", scope=run, terms=terms["planner"], call=opening)
        for _ in range(calls // RUNS):
            number += 1
            yield from _call(f"call-{number}", run, terms, chance, clock.now_ns())
            clock.advance(seconds=_BETWEEN_SECONDS)
        closing = CallRecord(reason="exited", status="0", ended=clock.now_ns())
        yield Note(kind="close", id=f"close-{run_number}", scope=run, call=closing)


def _terms(team: str, run: str, agent: str) -> Terms:
    return Terms.of(
        {
            Account("org:acme", "usd", "month@UTC"): 900_000 * _DOLLAR,
            Account(team, "usd", "day@UTC"): 100_000 * _DOLLAR,
            Account(run, "usd"): 10_000 * _DOLLAR,
            Account(run, "calls"): 1_000_000,
            Account(f"{run}/agent:{agent}", "usd"): 10_000 * _DOLLAR,
        }
    )


def _call(id: str, run: str, terms: dict[str, Terms], chance: random.Random, now_ns: int) -> Iterator[Operation]:
    provider, format, asked, used = chance.choice(MODELS)
    agent = chance.choice(AGENTS)
    read, written = chance.randrange(500, 20_000), chance.randrange(20, 900)
    cost = read * 250 + written * 2_000
    record = {
        "provider": provider,
        "format": format,
        "model_asked": asked,
        "bound_nanodollars": 3 * cost,
        "decision": "admitted",
        "attempt": 0,
        "fingerprint": f"{chance.getrandbits(128):032x}",
        "started": now_ns,
        "rungs": ("prefix",) if chance.random() < 0.3 else None,
    }
    held = {"usd": 3 * cost, "calls": 1, "tokens": 2 * read + 2_000, "input_tokens": 2 * read, "output_tokens": 2_000}
    scope = f"{run}/agent:{agent}/step:round"
    yield Reserve(id=id, scope=scope, terms=terms[agent], amounts=held, call=CallRecord(**record))
    usage = {
        "input_tokens": read,
        "output_tokens": written,
        "cache_read_tokens": read // 2,
        "reasoning_tokens": written // 3,
        "tool_calls": 1,
    }
    told = CallRecord(
        **record,
        model_used=used,
        tier="default",
        usage=usage,
        cost_nanodollars=cost,
        price_source="the price list",
        ended=now_ns + 2 * SECOND_NS,
        status="200",
    )
    actual = {"usd": cost, "calls": 1, "tokens": read + written, "input_tokens": read, "output_tokens": written}
    yield Settle(id=id, actual=actual, call=told)
