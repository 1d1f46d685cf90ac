"""
The k-th call of the store fails, for every k: by an answer that it is away, or by none, before or after it was applied.
"""

import asyncio
import itertools
from collections import Counter

import pytest
from guard_world import RUN, World, chat
from mutants import ReleasedOnExpiry, RepeatedReserve, RepeatedSettle

from solvent._amounts import nanodollars
from solvent._booking import Lost, NotSent
from solvent._limits import Limit
from solvent._operations import Extend, Note, Release, SetLimit, Settle, TopUp
from solvent._records import Account
from solvent.errors import BudgetExceeded, OutcomeUnknown, SolventError, StoreUnavailable
from solvent.stores.memory import MemoryStore
from solvent.testing import FACES, ManualClock
from solvent.testing._asking import PARALLEL, TEAM_USD, USD, reserve
from solvent.testing._asking import RUN as SEARCH

FAULTS = ("away", "lost before", "lost after")


class FaultyStore:
    """
    A store that fails, once it is armed, at its ``at``-th call; when the fault is ``lasting``, at all after it too.
    """

    def __init__(self, store, *, blocks=None):
        self.store = store
        self.url = store.url
        self.blocks = store.blocks if blocks is None else blocks
        self.mend()

    def arm(self, fault, at, *, lasting=False):
        self.calls = self.failed = 0
        self._fault, self._at, self._lasting = fault, at, lasting

    def mend(self):
        self.arm("", None)

    def apply(self, operations):
        return self._call(lambda: self.store.apply(operations), operations[0].id)

    def expire(self, told=None):
        return self._call(lambda: self.store.expire(told), "")

    def __getattr__(self, name):
        return getattr(self.store, name)

    def _call(self, work, id):
        self.calls += 1
        if self._at is None or not (self.calls == self._at or (self._lasting and self.calls > self._at)):
            return work()
        self.failed += 1
        if self._fault == "away":
            raise StoreUnavailable(ledger=self.url, reason="it is away")
        if self._fault == "lost after":
            work()
        raise OutcomeUnknown(ledger=self.url, id=id, reason="the line is dead")


DAY = Account(SEARCH, "usd", "day@UTC")
EVERYTHING = (
    reserve("a", 30, more=[PARALLEL]),
    reserve("a", 30, more=[PARALLEL]),
    reserve("a", 31),
    reserve("b", 71),
    reserve("c", 40, ttl_seconds=10),
    Extend(id="a", ttl_seconds=500, so_far={"usd": 3}),
    Settle(id="a", actual={"usd": 45, "tokens": 7}),
    Settle(id="a", actual={"usd": 45, "tokens": 7}),
    Release(id="a", reason="late"),
    TopUp(id="more", account=USD, amount=20),
    SetLimit(id="less", account=TEAM_USD, limit=90),
    reserve("d", 10, ttl_seconds=500),
    Release(id="d", reason="not_sent"),
    Note(kind="refuse", id="e", scope=SEARCH),
    "expire",
    Settle(id="c", actual={"usd": 15}),
    Settle(id="c", actual={"usd": 15}),
    reserve("f", 31),
    reserve("g", 29),
)


def until_answered(face, operation, clock):
    """
    What a caller does who needs to know: ask again, with the same id.
    """
    for _ in range(3):
        try:
            if operation == "expire":
                clock.advance(seconds=11)
                return face.store.expire()
            return face.do(operation)
        except (StoreUnavailable, OutcomeUnknown):
            continue
        except SolventError as error:
            return error
    raise AssertionError(f"no answer to {operation}")


def told(face, clock):
    """
    Every answer, and what the books say at the end.
    """
    answers = [until_answered(face, operation, clock) for operation in EVERYTHING]
    assert face.store.verify() is None
    words = [
        (type(answer).__name__, getattr(answer, "state", ""), dict(getattr(answer, "overrun", {})))
        for answer, operation in zip(answers, EVERYTHING, strict=True)
        if operation != "expire"
    ]
    return words, face.store.balances(), [(entry.kind, entry.id) for entry in face.store.entries()]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_asked_again_after_a_fault_is_counted_once(open_store, fault):
    def run(at, face="apply"):
        clock = ManualClock()
        store = FaultyStore(open_store(clock))
        asked = FACES[face](store)
        store.arm(fault, at)
        try:
            return told(asked, clock), store
        finally:
            asked.close()

    right, sound = run(None)
    assert sound.calls == len(EVERYTHING)
    for at, face in zip(range(1, sound.calls + 1), itertools.cycle(FACES), strict=False):
        found, store = run(at, face)
        assert store.failed == 1
        assert found == right, f"call {at} by {face}"


class Calls:
    """
    A guard's calls, and what the provider would bill for those that were sent.
    """

    def __init__(self, fault, at, *, lasting, kept_by=MemoryStore):
        self.clock = ManualClock()
        self.store = FaultyStore(kept_by(clock=self.clock), blocks=True)
        limits = (Limit(meter="parallel", amount=2), Limit(meter="calls", amount=50))
        self.world = World(usd="1.00", limits=limits, store=self.store, wait_seconds=0.02)
        self.store.arm(fault, at, lasting=lasting)
        self.billed = {}
        self.outcomes = Counter()

    async def admit(self, call):
        try:
            admission = await self.world.admit(call)
        except BudgetExceeded:
            self.outcomes["no"] += 1
        except StoreUnavailable:
            self.outcomes["away"] += 1
        except OutcomeUnknown:
            self.outcomes["unknown"] += 1
        except asyncio.CancelledError:
            self.outcomes["went away"] += 1
        else:
            self.outcomes["yes"] += 1
            return admission
        return None

    async def send(self, *, output_tokens, outcome=None, max_tokens=3_000, settles=True):
        admission = await self.admit(chat(max_tokens=max_tokens))
        if admission is None:
            return
        if not isinstance(outcome, NotSent):
            self.billed[admission.id] = output_tokens * 10_000
        await asyncio.sleep(0)
        guard = self.world.guard
        await guard._adrive(guard._calls.extend(admission.id))
        if not settles:
            return
        if outcome is None:
            await self.world.settle(admission, output_tokens=output_tokens)
        else:
            await self.world.guard.asettle(admission, outcome)

    async def run(self):
        await self.send(output_tokens=1_000)
        await self.send(output_tokens=0, outcome=NotSent(reason="refused"))
        await self.send(output_tokens=2_000, outcome=Lost(reason="cut"))
        await self.send(output_tokens=1, max_tokens=200_000)  # Refused.
        await asyncio.gather(*(self.send(output_tokens=100 * n) for n in range(1, 5)))  # Two wait for the others.
        task = asyncio.create_task(self.admit(chat()))
        await asyncio.sleep(0)
        task.cancel()
        await task
        await self.send(output_tokens=9_000)  # An overrun.
        await self.send(output_tokens=3_000, settles=False)  # The program is killed.
        await self.world.guard.adrain()

    def check(self):
        store = self.store.store
        assert store.verify() is None
        entries = list(store.entries())
        counted = Counter((entry.kind, entry.id) for entry in entries)
        assert set(counted.values()) <= {1}, "counted twice"
        reserved = {entry.id for entry in entries if entry.kind == "reserve"}
        assert self.billed.keys() <= reserved, "sent without a reservation"
        self.clock.advance(seconds=121)
        store.expire()
        assert not any(balance.reserved for balance in store.balances()), "reserved for ever"
        assert store.verify() is None
        booked = Counter()
        for entry in store.entries():
            for posting in entry.postings:
                if posting.account == Account(str(RUN), "usd"):
                    booked[entry.id] += posting.spent
        bound = nanodollars("0.03")
        # An overrun is known to its settlement alone; where that is lost, the bound is what is charged.
        assert all(booked[id] >= min(amount, bound) for id, amount in self.billed.items()), "billed and not booked"
        ended = {entry.id: entry.kind for entry in store.entries() if entry.kind in ("settle", "release", "expire")}
        assert ended.keys() == reserved
        assert all(booked[id] == bound for id in reserved if ended[id] == "expire"), "not charged in full"
        balance = self.world.balance()
        assert balance.spent == sum(booked.values())
        assert balance.spent - balance.overrun <= nanodollars("1.00")


def fail_each_call(fault, *, lasting, kept_by=MemoryStore):
    """
    Run the same calls again and again, with one more call of the store before the fault, until nothing fails.
    """
    for at in itertools.count(1):
        calls = Calls(fault, at, lasting=lasting, kept_by=kept_by)
        asyncio.run(calls.run())
        failed = calls.store.failed
        calls.store.mend()
        calls.world.ledger.close()
        calls.check()
        yield calls.outcomes
        if not failed:
            break


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_call_of_the_store_fails_every_call_ends_and_is_counted_once(fault, lasting):
    outcomes = list(fail_each_call(fault, lasting=lasting))
    assert {sum(outcome.values()) for outcome in outcomes} == {11}
    assert len(outcomes) > 15  # Of some 35 operations; those of one moment are one call.
    assert outcomes[-1] == {"yes": 9, "no": 1, "went away": 1}
    word = "away" if fault == "away" else "unknown"
    # An unknown outcome that clears up in time is one that nobody hears of.
    assert any(outcome[word] for outcome in outcomes) == (fault == "away" or lasting)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "mutant"),
    [("lost after", RepeatedReserve), ("lost after", RepeatedSettle), ("away", ReleasedOnExpiry)],
    ids=["reserves again", "settles again", "releases on expiry"],
)
def test_a_store_that_counts_a_repeated_call_twice_or_forgets_one_is_noticed(fault, mutant):
    with pytest.raises(AssertionError):
        list(fail_each_call(fault, lasting=False, kept_by=mutant))
