"""
Whoever looks at an SQLite ledger while others write sees one state of it.
"""

import threading

import pytest

from solvent._operations import Charge, Reserve
from solvent._records import Account
from solvent.stores import open_store

TEAM = "team:t"


@pytest.mark.slow
def test_a_path_is_seen_whole_or_not_at_all(tmp_path):
    writer, reader = (open_store(f"sqlite:///{tmp_path}/ledger.db?synchronous=normal") for _ in range(2))
    over = threading.Event()

    def write():
        for number in range(1_500):  # Each in a run of its own, so that rows are made and not only changed.
            scopes = TEAM, f"{TEAM}/run:{number}"
            charges = [Charge(account=Account(scope, "usd"), amount=1) for scope in scopes]
            writer.apply([Reserve.of(id=f"{number}", scope=scopes[-1], charges=charges)])
        over.set()

    writing = threading.Thread(target=write)
    writing.start()
    looks = 0
    while not over.is_set():
        held = {balance.account.scope: balance.reserved for balance in reader.balances()}
        assert held.pop(TEAM, 0) == sum(held.values())
        looks += 1
    writing.join()
    assert looks > 10
