"""
How much of a limit is admitted when many ask for it at once; the table of it as Markdown is printed by

    python tests/conformance/overshoot.py

Each caller asks, pays for what it was given, and asks again, more often together than the limit could ever bear.
"""

import asyncio
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from solvent._amounts import show_dollars
from solvent._operations import Charge, Refusal, Reserve, Settle
from solvent._records import Account
from solvent.stores import open_store
from solvent.stores._batcher import Ledger

CENT = 10_000_000
RACES = {"cents": (100 * CENT, 3 * CENT), "dimes": (30 * CENT, 10 * CENT)}  # The limit, and the price of a call.
ATTEMPTS = 48  # Of all callers together, at least.


def usd(race: str) -> Account:
    return Account(f"run:{race}", "usd")


def reserve(race: str, id: str) -> Reserve:
    limit, price = RACES[race]
    account = usd(race)
    return Reserve.of(id=id, scope=account.scope, charges=[Charge(account=account, amount=price, limit=limit)])


def call(ledger: Ledger, race: str, id: str) -> bool:
    """
    Whether one call was admitted; it costs what it was thought to.
    """
    if isinstance(ledger.do(reserve(race, id)), Refusal):
        return False
    ledger.do(Settle(id=id, actual={"usd": RACES[race][1]}))
    return True


async def async_call(ledger: Ledger, race: str, id: str) -> bool:
    if isinstance(await ledger.ado(reserve(race, id)), Refusal):
        return False
    await ledger.ado(Settle(id=id, actual={"usd": RACES[race][1]}))
    return True


def in_sequence(ledger: Ledger, race: str) -> int:
    return sum(call(ledger, race, f"{race}-{number}") for number in range(ATTEMPTS))


def in_tasks(ledger: Ledger, race: str) -> int:
    async def main() -> int:
        return sum(await asyncio.gather(*(async_call(ledger, race, f"{race}-{number}") for number in range(64))))

    return asyncio.run(main())


def in_threads(ledger: Ledger, race: str) -> int:
    start, admitted = threading.Barrier(64), []

    def work(number: int) -> None:
        start.wait()
        admitted.append(call(ledger, race, f"{race}-{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 64, "a thread failed"
    return sum(admitted)


def in_processes(count: int) -> Callable[[Ledger, str], int]:
    def race_of_processes(ledger: Ledger, race: str) -> int:
        command = [sys.executable, __file__, ledger.store.url, race, str(-(-ATTEMPTS // count))]
        processes = [
            subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for number in range(count)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:  # All at once: nobody asks before everybody could.
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        return sum(int(process.communicate()[0]) for process in processes)

    return race_of_processes


def race_as_process(url: str, race: str, attempts: str, number: str) -> None:
    ledger = Ledger(open_store(url))
    print("ready", flush=True)
    sys.stdin.read()
    print(sum(call(ledger, race, f"{race}-{number}-{attempt}") for attempt in range(int(attempts))))


WAYS: Mapping[str, Callable[[Ledger, str], int]] = {
    "in sequence": in_sequence,
    "64 asyncio tasks": in_tasks,
    "64 threads": in_threads,
    "4 processes": in_processes(4),
    "16 processes": in_processes(16),
}
STORES = ("memory", "sqlite")


def is_possible(way: str, store: str) -> bool:
    """
    Whether this can be: a ledger in memory ends at its process.
    """
    return store != "memory" or "processes" not in way


def admitted(way: str, store: str, race: str, folder: Path) -> tuple[int, int]:
    """
    How many calls were admitted, and what they cost in nanodollars by the ledger.
    """
    url = "memory://" if store == "memory" else f"sqlite:///{folder}/{race}.db"
    ledger = Ledger(open_store(url))
    try:
        count = WAYS[way](ledger, race)
        assert ledger.store.verify() is None
        (balance,) = ledger.store.balances(usd(race).scope)
        assert balance.account == usd(race)
        assert (balance.reserved, balance.overrun) == (0, 0)
        return count, balance.spent
    finally:
        ledger.close()


def table() -> str:
    """
    What every way of asking admits on every store.
    """
    lines = ["| limit, calls of | asked | " + " | ".join(STORES) + " |", "|---|---|" + "---|" * len(STORES)]
    for race in RACES:
        limit, price = (show_dollars(amount) for amount in RACES[race])
        for way in WAYS:
            cells = [_cell(way, store, race) for store in STORES]
            lines.append(f"| {limit}, {price} | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(way: str, store: str, race: str) -> str:
    if not is_possible(way, store):
        return "–"
    with tempfile.TemporaryDirectory() as folder:
        count, spent = admitted(way, store, race, Path(folder))
    return f"{show_dollars(spent)} ({count} calls)"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        race_as_process(*sys.argv[1:])
    else:
        print(table())
