"""
Opens runs in a ledger and makes calls in them, so many a second, until it is ended; then it says how many it made.

    python benchmarks/_top_writer.py FILE RUNS CALLS_PER_SECOND
"""

import random
import signal
import sys
import time
from pathlib import Path

from solvent._clock import SystemClock
from solvent._ids import new_id
from solvent._operations import Note, Operation, Reserve, Settle
from solvent._records import Account, CallRecord, Terms
from solvent.errors import SolventError
from solvent.stores._owner import this_process
from solvent.stores.sqlite import SQLiteStore

AGENTS = ("planner", "coder", "tester")
_DOLLAR = 10**9


def terms_of(run: str, agent: str) -> Terms:
    team = run.rpartition("/")[0]
    limits = {
        Account("org:acme", "usd", "month@UTC"): 100_000 * _DOLLAR,
        Account(team, "usd", "day@UTC"): 10_000 * _DOLLAR,
        Account(run, "usd"): 100 * _DOLLAR,
        Account(run, "calls"): 100_000,
        Account(f"{run}/agent:{agent}", "usd"): 50 * _DOLLAR,
    }
    return Terms.of(limits)


def opening(run: str) -> Note:
    clock = SystemClock()
    call = CallRecord(format="command", started=clock.now_ns(), status=this_process(clock))
    return Note(kind="open", id=new_id(), scope=run, terms=terms_of(run, AGENTS[0]), call=call)


def call(run: str, agent: str) -> list[Operation]:
    id, scope, cost = new_id(), f"{run}/agent:{agent}", random.randrange(100_000, 5_000_000)
    known = {"provider": "openai", "format": "openai-chat", "model_asked": "gpt-5-mini"}
    made = CallRecord(**known, bound_nanodollars=3 * cost, decision="admitted")
    ended = CallRecord(**known, model_used="gpt-5-mini-2025-08-07", cost_nanodollars=cost, status="200")
    amounts = {"usd": 3 * cost, "calls": 1}
    return [
        Reserve(id=id, scope=scope, terms=terms_of(run, agent), amounts=amounts, call=made),
        Settle(id=id, actual={"usd": cost, "calls": 1}, call=ended),
    ]


def main(path: Path, count: int, calls_per_second: int) -> None:
    store = SQLiteStore(path, synchronous="NORMAL")
    runs = [f"org:acme/team:t{number % 4}/run:live-{number}" for number in range(count)]
    store.apply([opening(run) for run in runs])
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    print("ready", flush=True)
    made, next_at = 0, time.monotonic()
    while not ended:
        for answer in store.apply(call(random.choice(runs), random.choice(AGENTS))):
            if isinstance(answer, SolventError):
                raise answer
        made, next_at = made + 1, next_at + 1 / calls_per_second
        time.sleep(max(next_at - time.monotonic(), 0))
    store.close()
    print(made)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
