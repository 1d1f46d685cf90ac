"""
An interrupt from the keyboard at any line of an operation, and what the ledger is good for after it.
"""

import linecache
import sys
import threading
from contextlib import suppress

import pytest

from solvent._operations import Charge, Reserve, Reserved
from solvent._records import Account
from solvent.stores import open_store
from solvent.stores._batcher import Ledger

MODULES = ("_batcher.py", "_gate.py", "_sqlite_file.py", "_sqlite_mirror.py", "sqlite.py")

# The interpreter looks for signals after calls and where it jumps back, so never there; and one who is interrupted
# while letting go of the flush lock lets go of it with the next call.
NEVER_INTERRUPTED = ("try:", "with ", "while self._flush_lock._is_owned", "self._flush_lock.release")


def reserve(id):
    return Reserve.of(id=id, scope="run:1", charges=[Charge(account=Account("run:1", "usd"), amount=1, limit=10**6)])


class Interrupt:
    """
    Raises ``KeyboardInterrupt`` at the ``at``-th line of the ledger's own code that this thread comes to.
    """

    def __init__(self, at):
        self.left = at

    def __enter__(self):
        sys.settrace(self._call)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def _call(self, frame, _event, _argument):
        return self._line if frame.f_code.co_filename.endswith(MODULES) else None

    def _line(self, frame, event, _argument):
        file, line = frame.f_code.co_filename, frame.f_lineno
        if event == "line" and not linecache.getline(file, line).strip().startswith(NEVER_INTERRUPTED):
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self.place = f"{file}:{line}"
                raise KeyboardInterrupt
        return self._line


@pytest.mark.slow
def test_wherever_a_caller_is_interrupted_the_ledger_goes_on(tmp_path):
    ledger = Ledger(open_store(f"sqlite:///{tmp_path}/ledger.db?synchronous=normal"))
    other = open_store(f"sqlite:///{tmp_path}/ledger.db?synchronous=normal")
    ledger.do(reserve("first"))
    at, interrupted = 0, True
    while interrupted:
        at += 1
        with Interrupt(at) as interrupt, suppress(KeyboardInterrupt):
            ledger.do(reserve(f"{at}"))
        interrupted = interrupt.left <= 0
        again = threading.Thread(target=ledger.do, args=(reserve(f"{at}"),), daemon=True)
        again.start()  # Another thread, as the interrupted one may hold what it took.
        again.join(10)
        assert not again.is_alive(), f"interrupted at {interrupt.place}"
        (answer,) = other.apply([reserve(f"other-{at}")])
        assert isinstance(answer, Reserved)
    assert at > 50
    assert sum(balance.reserved for balance in other.balances() if balance.account.meter == "usd") == 1 + 2 * at
    assert ledger.store.verify() is None
    ledger.close()
