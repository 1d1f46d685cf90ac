"""
An interrupt from the keyboard at any line of an operation, and what the ledger is good for after it.
"""

import gc
import itertools
import linecache
import random
import sys
import threading
from _thread import interrupt_main
from contextlib import suppress
from pathlib import Path

import pytest
from store_table import STORES

import solvent
from solvent._operations import Charge, Extend, Note, Release, Reserve, Reserved, SetLimit, Settle, TopUp
from solvent._records import Account
from solvent.stores import _lines, open_store
from solvent.stores._batcher import Ledger
from solvent.stores.memory import MemoryStore
from solvent.testing import ManualClock

SOURCE = str(Path(solvent.__file__).parent)

# The interpreter looks for signals after calls and where it jumps back, so never there; and one who is interrupted
# while letting go of the flush lock lets go of it with the next call.
NEVER_INTERRUPTED = (
    *("try:", "with ", "while self._flush_lock._is_owned", "self._flush_lock.release"),
    "self.first, self.last, self.until_ns, self.used",
)

EXPIRE, LATER = "expire", "40 s later"


class Interrupt:
    """
    Raises ``KeyboardInterrupt`` at the ``at``-th line of the ledger's own code that this thread comes to.
    """

    def __init__(self, at):
        self._at = self.left = at
        self.place = "nowhere"

    def __enter__(self):
        self.left = self._at
        sys.settrace(self._call)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def come(self):
        raise KeyboardInterrupt

    def _call(self, frame, _event, _argument):
        return self._line if frame.f_code.co_filename.startswith(SOURCE) else None

    def _line(self, frame, event, _argument):
        file, line = frame.f_code.co_filename, frame.f_lineno
        if event == "line" and not linecache.getline(file, line).strip().startswith(NEVER_INTERRUPTED):
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self.place = f"{file}:{line}"
                self.come()
        return self._line


class Meanwhile(Interrupt):
    """
    Does ``work`` there instead, as finalizers and signal handlers do.
    """

    def come(self):
        self.work()


def interrupts(kind=Interrupt, *, step=1):
    """
    One at the first line, one at the second, and so on until one would come too late.
    """
    for at in itertools.count(1, step):
        interrupt = kind(at)
        yield interrupt
        if interrupt.left > 0:
            return


def reserve(id, run="run:1", *, amount=1, limit=10**6, ttl_seconds=10**6):
    """
    An amount for a place for life and one by the day, and a call by the minute.
    """
    usd = [Charge(account=Account(run, "usd", window), amount=amount, limit=limit) for window in ("", "day@UTC")]
    call = Charge(account=Account(run, "calls", "minute"), amount=1, limit=10**6)
    return Reserve.of(id=f"{run} {id}", scope=run, charges=[*usd, call], ttl_seconds=ttl_seconds)


def operations(run):
    """
    Every kind of operation: by name, what was asked before it, and itself.
    """
    usd, day = Account(run, "usd"), Account(run, "usd", "day@UTC")
    a, short = (reserve("a", run, amount=40, limit=100, ttl_seconds=seconds) for seconds in (10**6, 30))
    first = reserve("first", run)
    others = [*(reserve(id, run) for id in "bcd"), Settle(id=f"{run} b", actual={})]
    settle, more = Settle(id=a.id, actual={"usd": 25}), Settle(id=a.id, actual={"usd": 130, "tokens": 7})
    extend = Extend(id=a.id, ttl_seconds=30, so_far={"usd": 70})
    opened, refused = (Note(kind=kind, id=f"{run} {kind}", scope=run, terms=a.terms) for kind in ("open", "refuse"))
    top_up, lower = TopUp(id=f"{run} more", account=day, amount=20), SetLimit(id=f"{run} less", account=usd, limit=90)
    return {
        "reserve": ([], a),
        "reserve beside others": (others, a),
        "reserve in the next window": ([a, *others, LATER, LATER], reserve("e", run)),
        "reserve what is refused": ([reserve("b", run, amount=61, limit=100)], a),
        "settle": ([a], settle),
        "settle after others": ([a, *others, Settle(id=f"{run} c", actual={})], settle),
        "settle at more": ([a], more),
        "settle long after others": ([first, Settle(id=first.id, actual={}), LATER, LATER, a, *others], settle),
        "settle when the window is over": ([a, LATER, LATER], more),
        "release": ([a], Release(id=a.id, reason="not_sent")),
        "extend": ([a], extend),
        "expire": ([short, LATER], EXPIRE),
        "correct": ([short, LATER, EXPIRE], settle),
        "correct an overrun": ([short, extend, LATER, EXPIRE], more),
        "note that a run opens": ([], opened),
        "note that it opens again": ([Note(kind="open", id=f"{run} first", scope=run)], opened),
        "note a refusal": ([a], refused),
        "top up": ([a], top_up),
        "top up once more": ([lower, TopUp(id=f"{run} first", account=day, amount=5)], top_up),
        "set a limit": ([a], lower),
        "give a limit back": ([a, lower], SetLimit(id=f"{run} back", account=usd, limit=None)),
    }


class World:
    """
    A store, and one run in it.
    """

    def __init__(self, store, clock, run):
        self.store, self.run = store, run
        self._clock = clock

    def prepare(self, kind):
        """
        What is asked, when all before it was.
        """
        before, operation = operations(self.run)[kind]
        for each in before:
            self.ask(each)
        return operation

    def ask(self, operation):
        """
        The answer, without the names of this run.
        """
        if operation == LATER:
            return self._clock.advance(seconds=40)
        if operation == EXPIRE:
            self.store.expire()  # How many there were depends on who was interrupted.
            return None
        (answer,) = self.store.apply([operation])
        fields = [getattr(answer, name, None) for name in ("state", "overrun", "run_total_nanodollars", "open_count")]
        return type(answer), fields, [numbers(balance) for balance in getattr(answer, "balances", ())]

    def told(self):
        """
        All that the store tells of the run.
        """
        entries = [(entry.kind, [*map(numbers, entry.postings)]) for entry in self.store.entries(scope=self.run)]
        opened = self.store.last_opened(self.run)
        return [*map(numbers, self.store.balances(self.run))], entries, opened and opened.id.removeprefix(self.run)


def numbers(struct):
    """
    A balance or a posting, without the names of its run and its bucket.
    """
    names = [name for name in struct.__struct_fields__ if name not in ("account", "bucket")]
    return struct.account.meter, struct.account.window, *(getattr(struct, name) for name in names)


def in_another_thread(work):
    """
    What ``work`` returns there, for this thread may hold what it took.
    """
    found = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits"
    return found[0]


def cut_off(interrupt, work):
    with interrupt, suppress(KeyboardInterrupt):
        work()


@pytest.fixture
def eager_switching():
    """
    With no finalizers in between, for what is raised in one is lost.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    sys.setswitchinterval(usual)


@pytest.fixture
def open_world(request, tmp_path, monkeypatch):
    """
    Opens worlds: in memory with a store each, else with a run each in one file. A short memory forgets at once.
    """
    runs = (f"run:{number}" for number in itertools.count())
    if request.param == "sqlite-normal":
        clock = ManualClock()
        store = open_store(STORES[request.param](tmp_path), clock=clock)
        return lambda: World(store, clock, next(runs))
    sizes = {}
    if request.param == "short memory":
        sizes = {"entries_max": 2, "closed_max": 2}
        monkeypatch.setattr(_lines, "_FOLDED_BETWEEN", 1)
        monkeypatch.setattr(_lines, "_MINUTES_KEPT_SECONDS", 61)
    return lambda: World(MemoryStore(clock=(own := ManualClock()), **sizes), own, next(runs))


@pytest.mark.slow
@pytest.mark.parametrize("kind", operations("run:1"))
@pytest.mark.parametrize("open_world", ["memory", "short memory", "sqlite-normal"], indirect=True)
def test_an_operation_that_is_interrupted_anywhere_was_made_in_full_or_not_at_all(open_world, kind):
    whole, untouched = open_world(), open_world()
    answer, after = whole.ask(whole.prepare(kind)), whole.told()
    untouched.prepare(kind)
    before = untouched.told()
    for interrupt in interrupts():
        world = open_world()
        operation = world.prepare(kind)
        with interrupt, suppress(KeyboardInterrupt):
            world.ask(operation)
        assert in_another_thread(world.told) in (before, after), interrupt.place
        assert in_another_thread(lambda: world.ask(operation)) == answer, interrupt.place  # noqa: B023  # Asked at once.
        assert world.told() == after, interrupt.place
        if world.store is not whole.store:
            assert world.store.verify() is None, interrupt.place
    assert whole.store.verify() is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["settle at more", "note that it opens again", "top up once more", "give a limit back"]
)
@pytest.mark.parametrize("open_world", ["short memory"], indirect=True)
def test_one_who_finishes_what_was_cut_off_may_be_interrupted_too(open_world, kind):
    whole = open_world()
    answer, after = whole.ask(whole.prepare(kind)), whole.told()
    for first in interrupts(step=5):  # Of each loop some rounds are enough.
        for second in interrupts():
            world = open_world()
            operation = world.prepare(kind)
            cut_off(first, lambda: world.ask(operation))  # noqa: B023  # Asked at once, here and below.
            if world.store._pending is None:
                break
            in_another_thread(lambda: cut_off(second, lambda: world.store.apply([])))  # noqa: B023
            assert world.told() == after, (first.place, second.place)
            assert world.ask(operation) == answer, (first.place, second.place)
            assert world.store.verify() is None, (first.place, second.place)


@pytest.mark.slow
@pytest.mark.parametrize("kind", operations("run:1"))
@pytest.mark.parametrize("open_world", ["memory"], indirect=True)
def test_what_a_finalizer_asks_in_the_middle_of_an_operation_counts_as_well(open_world, kind):
    whole = open_world()
    whole.ask(whole.prepare(kind))
    whole.ask(reserve("other", whole.run))
    for meanwhile in interrupts(Meanwhile):
        world = open_world()
        operation = world.prepare(kind)
        meanwhile.work = lambda: world.ask(reserve("other", world.run))  # noqa: B023  # Asked at once.
        with meanwhile:
            world.ask(operation)
        world.ask(reserve("other", world.run))  # Where there was no meanwhile.
        assert world.told()[0] == whole.told()[0], meanwhile.place
        assert world.store.verify() is None, meanwhile.place


@pytest.mark.slow
@pytest.mark.parametrize("is_swallowed", [True, False], ids=["in a finalizer", "in a signal handler"])
@pytest.mark.parametrize("open_world", ["memory"], indirect=True)
def test_what_is_interrupted_in_the_middle_of_an_operation_is_finished_as_well(open_world, is_swallowed):
    whole, other = open_world(), reserve("other")
    answer, after = whole.ask(whole.prepare("settle at more")), whole.told()
    for interrupt in interrupts():
        world = open_world()
        operation, learn = world.prepare("settle at more"), world.store._known.learn

        def in_between(*entry):
            world.store._known.learn = learn  # noqa: B023  # Asked at once, as all below.
            with suppress(KeyboardInterrupt if is_swallowed else ()), interrupt:  # noqa: B023
                world.store.apply([other])  # noqa: B023
            learn(*entry)  # noqa: B023

        world.store._known.learn = in_between
        with suppress(KeyboardInterrupt):
            world.ask(operation)
        assert world.store.verify() is None, interrupt.place
        assert world.ask(operation) == answer, interrupt.place
        assert world.told() == after, interrupt.place
        assert isinstance(world.store.apply([other])[0], Reserved)
        assert world.store.verify() is None, interrupt.place


@pytest.mark.slow
@pytest.mark.parametrize("open_world", ["memory", "sqlite-normal"], indirect=True)
def test_an_extension_that_is_interrupted_tells_both_that_its_owner_lives_and_what_was_used(open_world):
    for interrupt in interrupts():
        world = open_world()
        usd = Account(world.run, "usd")
        world.ask(reserve("a", world.run, amount=40, ttl_seconds=30))
        cut_off(interrupt, lambda: world.ask(Extend(id=f"{world.run} a", ttl_seconds=60, so_far={"usd": 70})))  # noqa: B023
        world.ask(LATER)
        is_extended = not world.store.expire()
        world.ask(LATER)
        world.store.expire()
        spent = [balance.spent for balance in world.store.balances(world.run) if balance.account == usd]
        assert spent == [70 if is_extended else 40], interrupt.place


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", "sqlite-normal"])
def test_wherever_a_caller_is_interrupted_the_ledger_goes_on(store, tmp_path):
    url = STORES[store](tmp_path)
    ledger = Ledger(open_store(url))
    other = ledger.store if store == "memory" else open_store(url)
    ledger.do(reserve("first"))
    for at, interrupt in enumerate(interrupts()):
        cut_off(interrupt, lambda: ledger.do(reserve(f"{at}")))  # noqa: B023  # Asked at once.
        assert isinstance(in_another_thread(lambda: ledger.do(reserve(f"{at}"))), Reserved), interrupt.place  # noqa: B023
        (answer,) = other.apply([reserve(f"other-{at}")])
        assert isinstance(answer, Reserved)
    assert at > 50
    assert [balance.reserved for balance in other.balances() if balance.account == Account("run:1", "usd")] == [
        2 * at + 3
    ]
    assert ledger.store.verify() is None
    ledger.close()


@pytest.mark.slow
def test_a_ledger_whose_first_caller_is_interrupted_is_swept_nevertheless():
    for interrupt in interrupts():
        ledger = Ledger(MemoryStore())
        cut_off(interrupt, lambda: ledger.do(reserve("a")))  # noqa: B023  # Asked at once.
        assert isinstance(in_another_thread(lambda: ledger.do(reserve("a"))), Reserved), interrupt.place  # noqa: B023
        assert ledger._sweeper.is_alive(), interrupt.place
        ledger.close()


@pytest.mark.slow
@pytest.mark.usefixtures("eager_switching")
def test_whenever_a_signal_comes_the_books_are_what_the_journal_adds_up_to():
    store, moments, armed, over = MemoryStore(entries_max=64), random.Random(1), threading.Event(), threading.Event()
    ids = itertools.count()

    def send():
        while armed.wait(10) and not over.is_set():
            armed.clear()
            for _ in range(moments.randrange(300)):
                pass
            interrupt_main()

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    for _ in range(400):
        id = "none"
        with suppress(KeyboardInterrupt):
            armed.set()
            while True:
                id = f"{next(ids)}"
                store.apply([reserve(id)])
                store.apply([Settle(id=f"run:1 {id}", actual={"usd": 2}), reserve(f"{id} more")])
                store.apply([Release(id=f"run:1 {id} more", reason="not_sent")])
        assert store.verify() is None
        assert not in_another_thread(store.expire)
        for each in (f"{id}", f"{id} more"):
            store.apply([reserve(each), Settle(id=f"run:1 {each}", actual={"usd": 2})])
    over.set()
    armed.set()
    sender.join(10)
    assert next(ids) > 400
    assert {balance.reserved for balance in store.balances()} == {0}
