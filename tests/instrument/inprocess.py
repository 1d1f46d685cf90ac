"""
Solvent in the process of the tests: what it booked, over prices that make sums easy.
"""

import threading
from collections.abc import Callable, Iterator

import pytest
from fake_provider import Rates

import solvent
from solvent._records import Balance, CallRecord
from solvent._runtime import PROCESS
from solvent.events import CallRefused, Event
from solvent.policy import Policy
from solvent.prices import UserPrice

# Nanodollars a token of the model "m"; 3,000 tokens of output are three cents.
RATES = Rates(input=0, output=10_000)
PRICE = UserPrice.per_million_tokens(input="0", output="10", output_tokens_max=16_384, input_tokens_max=100_000)


class Process:
    """
    What a test sees of Solvent's books.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def when_refused(self, count: int, do: Callable[[], object]) -> None:
        """
        Do something as soon as so many calls were refused.
        """

        def hear(event: Event) -> None:
            if isinstance(event, CallRefused) and sum(isinstance(one, CallRefused) for one in self.events) == count:
                do()

        PROCESS.runtime().guard.listeners.add(hear)

    def at_rest(self) -> None:
        """
        Wait until what finalizers left to the guard's thread is booked.
        """
        done = threading.Event()
        PROCESS.runtime().later(done.set)
        PROCESS.runtime().keep_alive()
        assert done.wait(30)

    def balances(self) -> list[Balance]:
        self.at_rest()
        return PROCESS.runtime().ledger.store.balances()

    def kinds(self) -> list[str]:
        self.at_rest()
        return [entry.kind for entry in PROCESS.runtime().ledger.store.entries()]

    def count(self, kind: str) -> int:
        return self.kinds().count(kind)

    def spent(self, meter: str = "usd") -> int:
        """
        Of all runs together.
        """
        return sum(balance.spent for balance in self.balances() if balance.account.meter == meter)

    def reserved(self) -> int:
        return sum(balance.reserved for balance in self.balances())

    def calls(self) -> list[CallRecord]:
        """
        The records of the calls that were closed, in order.
        """
        self.at_rest()
        entries = PROCESS.runtime().ledger.store.entries()
        return [entry.call for entry in entries if entry.call and entry.kind in ("release", "settle")]

    def ends(self) -> list[tuple[str | None, str | None]]:
        """
        The status of each, and why it is an estimate.
        """
        return [(call.status, call.estimated) for call in self.calls()]


@pytest.fixture
def policy() -> Policy:
    return Policy(prices={"m": PRICE, "m-2024": PRICE}, wait_seconds=0)


@pytest.fixture
def ledger() -> str:
    return "memory://"


@pytest.fixture
def guarded(policy: Policy, ledger: str) -> Iterator[Process]:
    """
    The hooks on, over a ledger of the test's own; in the end nothing may be left reserved.
    """
    PROCESS.policy, PROCESS.ledger = policy, ledger
    process = Process()
    solvent.install()
    try:
        PROCESS.runtime().guard.listeners.add(process.events.append)
        yield process
        assert process.reserved() == 0
        assert PROCESS.runtime().ledger.store.verify() is None
    finally:
        solvent.uninstall()
        PROCESS.close()
        PROCESS.ledger = None
