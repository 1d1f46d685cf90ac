"""
Random operations in any order, made on every store alike: all agree with a slow, obvious ledger on every answer and
balance, and with the pure rule on what is refused.
"""

import itertools
import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from mutants import MUTANTS
from oracle import Oracle
from random_steps import PATHS, RUN, WHAT_HAS_TO_HAPPEN, a_step
from store_table import STORES

from solvent._digest import digest_of
from solvent._ledger import first_failing
from solvent._operations import Extend, Note, Refusal, Release, Reserve, SetLimit, Settle, TopUp
from solvent._records import Terms
from solvent.stores import open_store
from solvent.stores.memory import MemoryStore
from solvent.testing import ManualClock

EXAMPLE_STEPS = 60


class Stores:
    """
    Every store of the table, and one file that two stores have open and use in turn.
    """

    def __init__(self, folder, clock, more=()):
        self.by_name = {name: [open_store(url(folder / name), clock=clock)] for name, url in STORES.items()}
        self.by_name["short memory"] = [MemoryStore(clock=clock, entries_max=8)]
        shared = f"sqlite:///{folder}/shared.db"
        self.by_name["two on one file"] = [open_store(shared, clock=clock), open_store(shared, clock=clock)]
        self.by_name.update({store.__name__: [store(clock=clock)] for store in more})

    def turn(self):
        """
        Each store by its name; of two on one file, the one whose turn it is.
        """
        for name, stores in self.by_name.items():
            stores.append(stores.pop(0))
            yield name, stores[0]

    def close(self):
        for stores in self.by_name.values():
            for store in stores:
                store.close()


class LedgerMachine(RuleBasedStateMachine):
    steps = 0
    marks: ClassVar[Counter] = Counter()
    more = ()

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock("2026-03-28T22:30:00")  # The day before clocks go forward in Berlin.
        self.stores = Stores(Path(self.folder.name), self.clock, self.more)
        self.oracle = Oracle(self.clock)
        self.requests = []
        self.changes = []
        self.agreed = True

    @rule(step=a_step)
    def anything(self, step):
        name, fields = step
        type(self).steps += 1
        getattr(self, name)(**fields)

    def ask(self, *operations):
        self.agreed = False
        expected = [self.by_the_rule(operation) for operation in operations]
        for name, store in self.stores.turn():
            for answer, right in zip(store.apply(operations), expected, strict=True):
                assert seen(answer) == seen(right), name
        self.agree()

    def by_the_rule(self, operation):
        """
        What the obvious ledger answers; of a new reservation the pure rule has to say the same.
        """
        is_new = isinstance(operation, Reserve) and operation.id not in self.oracle.holds
        balances = self.oracle.all_balances(operation) if is_new else []
        answer = self.oracle.apply(operation)
        if is_new:
            failing = first_failing(operation.amounts, balances)
            assert failing == (answer.balance if isinstance(answer, Refusal) else None)
        return answer

    def agree(self):
        self.agreed = False
        right = self.oracle.balances()
        for name, store in self.stores.turn():
            assert store.balances() == right, name
        self.agreed = True

    def request(self, at):
        return self.requests[-1 - at % len(self.requests)]

    def a_reservation(self, path, amount, more, base, unlimited, ttl):
        accounts = PATHS[path]
        kept = {"usd": amount, "tokens": 2 * amount, "calls": 1, "parallel": 1, "tool_calls": 0}
        meters = {account.meter for account in accounts} | ({"tokens"} if more else set())
        terms = tuple(
            None if base is None or unlimited >> position & 1 else base + position for position in range(len(accounts))
        )
        request = Reserve(
            id=f"r{len(self.requests)}",
            scope=accounts[0].scope,
            terms=Terms(accounts, terms),
            amounts={meter: amount for meter, amount in kept.items() if meter in meters},
            ttl_seconds=ttl,
        )
        self.requests.append(request)
        return request

    def reserve(self, **fields):
        self.ask(self.a_reservation(**fields))

    def reserve_again(self, at, path, amount):
        if not self.requests:
            return
        request = self.request(at)
        if path < len(PATHS):  # With other contents.
            accounts = PATHS[path]
            amounts = dict.fromkeys((account.meter for account in accounts), amount)
            terms = Terms(accounts, (None,) * len(accounts))
            request = Reserve(id=request.id, scope=accounts[0].scope, terms=terms, amounts=amounts)
        self.ask(request)

    def settle(self, at, actual):
        if self.requests:
            self.ask(Settle(id=self.request(at).id, actual=actual))

    def release(self, at):
        if self.requests:
            self.ask(Release(id=self.request(at).id, reason="not_sent"))

    def extend(self, at, so_far, ttl):
        if self.requests:
            self.ask(Extend(id=self.request(at).id, ttl_seconds=ttl, so_far=so_far))

    def a_batch(self, at, actual, **fields):
        first = self.a_reservation(**fields)
        closing = Settle(id=self.request(at).id, actual=actual)
        self.ask(first, closing, Release(id="unknown", reason=""), first, self.a_reservation(**fields))

    def note(self, kind, at):
        self.ask(Note(kind=kind, id=f"n{at}", scope=RUN))

    def change(self, kind, at, account, limit):
        id = f"c{len(self.changes)}"
        if kind == "top up":
            self.changes.append(TopUp(id=id, account=account, amount=limit or 3))
        elif kind == "set" or not self.changes:
            self.changes.append(SetLimit(id=id, account=account, limit=limit))
        elif kind == "give back":
            self.changes.append(SetLimit(id=id, account=self.changes[-1 - at % len(self.changes)].account, limit=None))
        known = self.changes[-1 - at % len(self.changes) if kind in ("again", "other") else -1]
        self.ask(TopUp(id=known.id, account=known.account, amount=13) if kind == "other" else known)

    def advance(self, seconds):
        self.clock.advance(seconds=seconds)
        # Nobody looks at the balances: what is asked next has to find the time by itself.

    def step_the_wall(self, seconds):
        self.clock.step(seconds=seconds)
        self.oracle.marks.add("the wall was set")

    def expire(self, late, at, actual):
        if late:
            self.clock.advance(seconds=121)
        right = self.oracle.expire()
        for name, store in self.stores.turn():
            assert store.expire() == right, name
        self.agree()
        if late:
            self.settle(at, actual)

    def teardown(self):
        self.marks.update(self.oracle.marks)
        try:
            if self.agreed:
                self.check_the_end()
        finally:
            self.stores.close()
            self.folder.cleanup()

    def check_the_end(self):
        for name, store in self.stores.turn():
            assert store.verify() is None, name
            entries = list(store.entries())
            if "opening_balance" not in {entry.kind for entry in entries}:
                assert store.groups() == digest_of(entries), name
            told = [(entry.kind, entry.id) for entry in entries if entry.kind != "opening_balance"]
            right = self.oracle.journal[len(self.oracle.journal) - len(told) :]
            assert in_any_order_of_expiry(told) == in_any_order_of_expiry(right), name
            assert (
                [entry.seq for entry in entries] == list(range(entries[0].seq, entries[-1].seq + 1)) if entries else 1
            )


def in_any_order_of_expiry(journal):
    """
    A sweep may take what is due in any order.
    """
    sweeps = itertools.groupby(journal, key=lambda line: line[0] == "expire")
    return [line for is_sweep, lines in sweeps for line in (sorted(lines) if is_sweep else lines)]


SEEN = ("id", "state", "charge", "balance", "open_count", "overrun", "run_total_nanodollars")


def seen(answer):
    """
    An answer as a caller sees it.
    """
    if isinstance(answer, Exception):
        return type(answer), vars(answer)
    standing = [list(getattr(answer, name, ())) for name in ("balances", "before")]
    return type(answer), [getattr(answer, name, None) for name in SEEN], standing


def run(machine, *, examples, derandomize, phases=tuple(Phase)):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=EXAMPLE_STEPS,
            derandomize=derandomize,
            database=None,
            deadline=None,
            phases=phases,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def machine(*more):
    return type("LedgerMachine", (LedgerMachine,), {"steps": 0, "marks": Counter(), "more": more})


@pytest.mark.slow
def test_all_stores_agree_with_the_rule_and_with_an_obvious_ledger():
    ran = machine()
    run(ran, examples=70, derandomize=True)
    assert ran.steps >= 3_000
    assert WHAT_HAS_TO_HAPPEN - ran.marks.keys() == set()


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_all_stores_agree_for_100_000_steps():
    ran = machine()
    while ran.steps < 100_000:
        run(ran, examples=70, derandomize=False)
    assert WHAT_HAS_TO_HAPPEN - ran.marks.keys() == set()


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [row.mutant for row in MUTANTS if row.is_found_by_machine], ids=lambda m: m.__name__)
def test_a_store_that_breaks_a_promise_does_not_agree(mutant):
    with pytest.raises(AssertionError, match=mutant.__name__):
        run(machine(mutant), examples=40, derandomize=True, phases=(Phase.generate,))
