"""
The ledger in an SQLite file: a pair beside two bare commits, and many callers of one process beside a lone one.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import apsw
from _goals import Verdict, verdict
from _ledger_workload import (
    ACTUAL,
    ANSWERED,
    ASKED,
    HELD,
    Contender,
    Part,
    interleaved,
    p10,
    pairs_on,
    ratio,
    terms_of,
)

from solvent._operations import Reserve, Settle
from solvent.stores._batcher import Ledger
from solvent.stores.sqlite import SQLiteStore

MODES = {"NORMAL": 2.5, "FULL": 1.5}  # And the most that a pair may take of two bare commits.
CALLERS = 64
_FRAME_BYTES, _HEADER_BYTES = 1_024 + 24, 32  # Of the write-ahead log: a page with its header, and the log's own.


def pair_part(folder: Path, *, rounds: int, pairs: int = 100) -> Part:
    lines = [f"  {'':34}{'p10':>10}{'median':>11}{'of two commits':>17}{'pages':>8}"]
    figures, goals = {}, []
    for mode, goal in MODES.items():
        floor, ledger = f"{mode}: two commits of one row", f"{mode}: a pair of the ledger"
        bare = _bare(folder / f"bare-{mode}.db", mode)
        store = SQLiteStore(folder / f"pair-{mode}.db", synchronous=mode)
        contenders = {floor: _two_commits(bare), ledger: pairs_on(store, terms_of())}
        taken: dict[Contender, list[float]] = {contender: [] for contender in contenders.values()}
        found = interleaved(contenders, rounds=rounds, measure=partial(_median_us, pairs=pairs, taken=taken))
        of = ratio(found[ledger], found[floor])
        pages = {name: _pages(_log_of(folder, name, mode), contender) for name, contender in contenders.items()}
        for name, contender in contenders.items():
            share = of if name == ledger else 1.0
            low, middle = p10(taken[contender]), median(taken[contender])
            lines.append(f"  {name:34}{low:>7.0f} µs{middle:>8.0f} µs{share:>15.2f} ×{pages[name]:>8.0f}")
        figures[mode] = {"us": found, "ratio": of, "pages": pages}
        goals.append(verdict(f"SQLite {mode}, a pair, of two commits", of, " ×", goal, most=True))
        bare.close()
        store.close()
    title = f"SQLite: a pair in 5 places × 4 meters; {rounds} rounds of {pairs} pairs, pages of 1 KiB written a pair"
    return Part(title=title, lines=lines, figures=figures, goals=goals)


def _bare(path: Path, mode: str) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    for pragma in ("page_size=1024", "journal_mode=WAL", f"synchronous={mode}"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    return connection


def _two_commits(connection: apsw.Connection) -> Contender:
    def pair() -> None:
        connection.execute("INSERT INTO line (text) VALUES (?)", ("a reservation",))
        connection.execute("INSERT INTO line (text) VALUES (?)", ("its settlement",))

    return pair


def _median_us(contender: Contender, *, pairs: int, taken: dict[Contender, list[float]]) -> float:
    found = []
    for _ in range(pairs):
        began = time.perf_counter_ns()
        contender()
        found.append((time.perf_counter_ns() - began) / 1e3)
    taken[contender] += found
    return median(found)


def _log_of(folder: Path, name: str, mode: str) -> Path:
    return folder / f"{'bare' if 'commits' in name else 'pair'}-{mode}.db-wal"


def _pages(log: Path, pair: Contender, *, pairs: int = 20) -> float:
    """
    How many pages a pair writes, by the growth of a log that was empty before.
    """
    other = apsw.Connection(str(log).removesuffix("-wal"))
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for _ in range(pairs):
        pair()
    other.close()
    return (log.stat().st_size - _HEADER_BYTES) / _FRAME_BYTES / pairs


def batcher_part(folder: Path, *, rounds: int, seconds: float) -> Part:
    ways: dict[str, Callable[..., float]] = {
        "one caller": _in_threads,
        f"{CALLERS} threads": partial(_in_threads, callers=CALLERS),
        f"{CALLERS} tasks": partial(_in_tasks, callers=CALLERS),
    }
    lines = [f"  {'':34}{'pairs/s':>10}{'of one caller':>17}"]
    figures: dict[str, dict[str, list[float]]] = {}
    goals: list[Verdict] = []
    for mode in MODES:
        ledger = Ledger(SQLiteStore(folder / f"batches-{mode}.db", synchronous=mode))
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for name, way in ways.items():
                rates[name].append(way(ledger, seconds=seconds, ids=f"{mode}-{number}-{name}"))
        ledger.close()
        alone = rates["one caller"]
        for name, rate in rates.items():
            times = ratio(rate, alone)
            lines.append(f"  {f'{mode}: {name}':34}{median(rate):>10,.0f}{times:>15.1f} ×")
            if rate is not alone:
                goals.append(verdict(f"SQLite {mode}, {name}, of one caller", times, " ×", 3, most=False))
        figures[mode] = rates
    title = f"SQLite: callers of one process, through its batcher; {rounds} rounds of {seconds:g} s"
    return Part(title=title, lines=lines, figures=figures, goals=goals)


def _operations(ids: str, caller: int, number: int) -> tuple[Reserve, Settle]:
    id = f"{ids}-{caller}-{number}"
    reserve = Reserve(id=id, scope=_TERMS.accounts[-1].scope, terms=_TERMS, amounts=HELD, call=ASKED)
    return reserve, Settle(id=id, actual=ACTUAL, call=ANSWERED)


_TERMS = terms_of()


def _in_threads(ledger: Ledger, *, seconds: float, ids: str, callers: int = 1) -> float:
    counts = [0] * callers
    begin = threading.Barrier(callers + 1)

    def work(caller: int) -> None:
        begin.wait()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            reserve, settle = _operations(ids, caller, counts[caller])
            ledger.do(reserve)
            ledger.do(settle)
            counts[caller] += 1

    threads = [threading.Thread(target=work, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    begin.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def _in_tasks(ledger: Ledger, *, seconds: float, ids: str, callers: int) -> float:
    counts = [0] * callers

    async def work(caller: int, until: float) -> None:
        while time.perf_counter() < until:
            reserve, settle = _operations(ids, caller, counts[caller])
            await ledger.ado(reserve)
            await ledger.ado(settle)
            counts[caller] += 1

    async def work_all() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(work(caller, began + seconds) for caller in range(callers)))
        return time.perf_counter() - began

    took = asyncio.run(work_all())
    return sum(counts) / took
