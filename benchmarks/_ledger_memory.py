"""
The ledger in memory: a pair beside its floor and other ways to count, and what a million calls do to it.
"""

import threading
from contextlib import suppress
from decimal import Decimal
from functools import partial
from statistics import median

import psutil
from _goals import verdict
from _ledger_workload import (
    ACTUAL,
    HELD,
    METERS,
    Contender,
    Part,
    cpu_ns,
    interleaved,
    p10,
    pairs_on,
    path_of,
    ratio,
    terms_of,
)

from solvent.stores._batcher import Ledger
from solvent.stores._books import Books
from solvent.stores._lanes import pack
from solvent.stores.memory import MemoryStore

FLOOR = "floor: lock, compare, subtract; lock, add"
BARE, EVERYTHING, DAY = "the bare rule", "the whole store", "the whole store, one place by the day"
BATCHER, DECIMAL, PEER = "the store behind the batcher", "dict of Decimals, no journal", "limits: 5 hits, no settling"


def pair_part(*, rounds: int) -> Part:
    contenders: dict[str, Contender] = {
        FLOOR: _floor(),
        BARE: _bare_rule(),
        EVERYTHING: pairs_on(MemoryStore(), terms_of()),
        DAY: pairs_on(MemoryStore(), terms_of(window="day@UTC")),
        BATCHER: _behind_batcher(),
        DECIMAL: _decimals(),
    }
    with suppress(ImportError):
        contenders[PEER] = _limits_hits()
    pairs = 1_000
    found = interleaved(contenders, rounds=rounds, measure=partial(cpu_ns, pairs=pairs))
    ratios = {name: ratio(values, found[FLOOR]) for name, values in found.items()}
    lines = [f"  {'':44}{'p10':>10}{'median':>11}{'of the floor':>15}"]
    for name, values in found.items():
        low, middle = p10(values) / 1e3, median(values) / 1e3
        lines.append(f"  {name:44}{low:>7.2f} µs{middle:>8.2f} µs{ratios[name]:>13.1f} ×")
    if PEER not in found:
        lines.append("  limits is not installed; pip install limits")
    return Part(
        title=f"memory: a pair in 5 places × 4 meters, processor time; {rounds} rounds of {pairs:,} pairs",
        lines=lines,
        figures={"ns": found, "ratios": ratios},
        goals=[
            verdict("memory, the bare rule, of the floor", ratios[BARE], " ×", 4, most=True),
            verdict("memory, the whole store, of the floor", ratios[EVERYTHING], " ×", 8, most=True),
            verdict("memory, one place by the day, of the floor", ratios[DAY], " ×", 8, most=True),
        ],
    )


def _floor() -> Contender:
    lock, left = threading.Lock(), 1 << 60

    def take(amount: int) -> bool:
        nonlocal left
        with lock:
            if amount <= left:
                left -= amount
                return True
            return False

    def give(amount: int) -> None:
        nonlocal left
        with lock:
            left += amount

    def pair() -> None:
        take(42_000_000)
        give(32_700_000)

    return pair


def _bare_rule() -> Contender:
    plan, lock = Books().plan(terms_of()), threading.Lock()
    held, actual = pack(HELD), pack(ACTUAL)
    rest = actual - held

    def pair() -> None:
        with lock:
            if plan.fits(held):
                plan.post(plan.numbers, held)
        with lock:
            plan.post(plan.numbers, rest, actual)

    return pair


def _behind_batcher() -> Contender:
    ledger = Ledger(MemoryStore())

    class Direct:
        def apply(self, operations):  # type: ignore[no-untyped-def]  # Of one operation, as ``pairs_on`` makes them.
            return [ledger.do(operations[0])]

    return pairs_on(Direct(), terms_of())  # type: ignore[arg-type]  # Nothing else of a store is used.


def _decimals() -> Contender:
    """
    What one writes first: balances by scope and meter in a dict, in dollars.
    """
    scopes, lock = path_of("1"), threading.Lock()
    names = [(scope, meter) for scope in scopes for meter in METERS]
    limits = dict.fromkeys(names, Decimal(10) ** 15)
    spent, reserved = dict.fromkeys(names, Decimal(0)), dict.fromkeys(names, Decimal(0))
    held = {meter: Decimal(amount) for meter, amount in HELD.items()} | {"usd": Decimal("0.042")}
    actual = {meter: Decimal(amount) for meter, amount in ACTUAL.items()} | {"usd": Decimal("0.0093")}

    def pair() -> None:
        with lock:
            if all(spent[name] + reserved[name] + held[name[1]] <= limits[name] for name in names):
                for name in names:
                    reserved[name] += held[name[1]]
        with lock:
            for name in names:
                reserved[name] -= held[name[1]]
                spent[name] += actual[name[1]]

    return pair


def _limits_hits() -> Contender:
    """
    One counter in each of the five scopes, with fixed windows in its memory storage: its cheapest.
    """
    from limits import RateLimitItemPerDay
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter

    limiter, item = FixedWindowRateLimiter(MemoryStorage()), RateLimitItemPerDay(2**52)
    scopes = path_of("1")

    def pair() -> None:
        for scope in scopes:
            limiter.hit(item, scope)

    return pair


class _Hurried:
    """
    A clock for which every look at it is 5 ms later, so that a million calls are hours.
    """

    def __init__(self) -> None:
        self._ns = 1_795_000_000 * 10**9

    def now_ns(self) -> int:
        return self._ns

    def uptime_ns(self) -> int:
        self._ns += 5_000_000
        return self._ns

    def boot_id(self) -> str:
        return "boot"


def million_part(*, calls: int = 1_000_000, chunk: int = 100_000) -> Part:
    """
    One store through all of them: a journal that wraps, and a rolling minute whose seconds have to go.
    """
    pair = pairs_on(MemoryStore(clock=_Hurried()), terms_of(window="minute"))
    process, costs, sizes = psutil.Process(), [], []
    for _ in range(calls // chunk):
        costs.append(median(cpu_ns(pair, pairs=chunk // 20) for _ in range(20)))
        sizes.append(process.memory_info().rss)
    flat, grown = costs[-1] / costs[0], (sizes[-1] - sizes[1]) / 2**20
    lines = [f"  {'':44}{'first 100,000':>15}{'last 100,000':>14}"]
    lines.append(
        f"  {'a pair, one place by the rolling minute':44}{costs[0] / 1e3:>12.2f} µs{costs[-1] / 1e3:>11.2f} µs"
    )
    lines.append(
        f"  {'memory of the process after them':44}{sizes[0] / 2**20:>11.0f} MiB{sizes[-1] / 2**20:>10.0f} MiB"
    )
    return Part(
        title=f"memory: {calls:,} calls in one store",
        lines=lines,
        figures={"ns": costs, "bytes": sizes},
        goals=[
            verdict("a call after a million, of one at first", flat, " ×", 1.25, most=True),
            verdict("memory grown after 200,000 calls", grown, " MiB", 8, most=True),
        ],
    )
