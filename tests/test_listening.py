"""
``solvent.listen``: every event of a process, in order, to functions that can neither break nor delay a call.
"""

import functools
import gc
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from guard_world import THREE_CENTS, World
from test_guard_sync import admit, settle

import solvent
from solvent import _listening
from solvent.errors import BudgetExceeded
from solvent.events import EVERYWHERE, CallAdmitted, CallClosed, CallRefused, PriceAssumed

PATIENCE_SECONDS = 30


@pytest.fixture(autouse=True)
def warnings_only(caplog):
    caplog.set_level(logging.WARNING, "solvent")


def event(number):
    return PriceAssumed(model=str(number), priced_as="m")


def numbers(heard):
    return [int(event.model) for event in heard]


def hanging():
    """
    A listener that hangs on the first event that it is handed, until it is freed.
    """
    heard, hangs, free = [], threading.Event(), threading.Event()

    def hear(event):
        heard.append(event)
        if len(heard) == 1:
            hangs.set()
            assert free.wait(PATIENCE_SECONDS)

    return hear, heard, hangs, free


def test_a_listener_hears_of_every_guard_in_order():
    before, heard = World(usd="1.00"), []
    with solvent.listen(heard.append):
        after = World(usd="0.01")
        settle(before, admit(before))
        with pytest.raises(BudgetExceeded):
            admit(after)
    assert [type(event) for event in heard] == [CallAdmitted, CallClosed, CallRefused]
    assert heard == before.events + after.events


def test_who_stopped_listening_hears_what_was_before_and_nothing_after():
    heard = []
    listening = solvent.listen(heard.append)
    for number in range(100):
        EVERYWHERE.tell(event(number))
    listening.stop()
    EVERYWHERE.tell(event(100))
    listening.stop()
    assert sorted(set(numbers(heard))) == list(range(100))


def test_without_a_listener_there_is_no_thread():
    world = World(usd="1.00")
    settle(world, admit(world))
    solvent.listen(print).stop()
    assert "solvent-listener" not in {thread.name for thread in threading.enumerate()}
    assert EVERYWHERE._listeners == []


def test_the_thread_of_a_listener_ends_with_it():
    listening = solvent.listen(lambda _: None)
    EVERYWHERE.tell(event(1))
    thread = listening._courier._thread
    assert listening.flush(PATIENCE_SECONDS)
    listening.stop()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_a_listener_that_hangs_delays_no_call():
    hear, heard, hangs, free = hanging()
    world = World(usd="1.00")
    with solvent.listen(hear) as listening:
        settle(world, admit(world))
        assert hangs.wait(PATIENCE_SECONDS)
        for _ in range(5):  # While it hangs: each of these is admitted, booked and over.
            settle(world, admit(world), output_tokens=THREE_CENTS)
        assert (len(heard), len(world.events)) == (1, 12)
        assert not listening.flush(0)
        free.set()
        assert listening.flush(PATIENCE_SECONDS)
    assert heard == world.events


def test_of_too_many_events_the_oldest_are_dropped_counted_and_told_once(monkeypatch, caplog):
    monkeypatch.setattr(_listening, "QUEUE_MAX", 10)
    hear, heard, hangs, free = hanging()
    with solvent.listen(hear) as listening:
        world = World()
        world.guard.listeners.tell(event(0))
        assert hangs.wait(PATIENCE_SECONDS)
        for number in range(1, 31):
            world.guard.listeners.tell(event(number))
        free.set()
        assert listening.flush(PATIENCE_SECONDS)
        assert listening.dropped == 20
    assert numbers(heard) == [0, *range(21, 31)]
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning == "events come faster than they are taken; more than 10 wait, and the oldest are dropped"


def test_a_listener_that_raises_is_logged_once_for_each_kind_of_error_and_goes_on(caplog):
    heard = []

    def hear(event):
        heard.append(event)
        raise {0: RuntimeError, 1: SystemExit}[int(event.model) % 2]("a listener's own fault")

    world = World()
    with solvent.listen(hear):
        for number in range(100):
            world.guard.listeners.tell(event(number))
    assert numbers(heard) == list(range(100))
    assert [record.getMessage() for record in caplog.records] == [
        "a listener failed on PriceAssumed; it is not told again of RuntimeError",
        "a listener failed on PriceAssumed; it is not told again of SystemExit",
    ]


def test_a_listener_may_ask_a_budget_and_make_calls_and_does_not_hear_of_its_own():
    world, own, other = World(usd="1.00"), [], []

    def hear(event):
        own.append((type(event), world.balance().spent))
        settle(world, admit(world), output_tokens=1_000)

    with solvent.listen(other.append), solvent.listen(hear) as listening:
        settle(world, admit(world))
        assert listening.flush(PATIENCE_SECONDS)
    assert [kind for kind, _ in own] == [CallAdmitted, CallClosed]
    assert len(other) == len(world.events) == 6
    assert world.balance().reserved == 0


def test_a_listener_may_open_budgets_and_stop_itself(tmp_path):
    heard, spent = [], []

    def hear(event):
        heard.append(event)
        with solvent.budget("inner", usd=1, ledger=f"sqlite:///{tmp_path}/ledger.db") as inner:
            spent.append(inner.remaining())
        listening.stop()

    world = World(usd="1.00")
    listening = solvent.listen(hear)
    settle(world, admit(world))
    assert listening.flush(PATIENCE_SECONDS)
    assert [type(event) for event in heard][:1] == [CallAdmitted]
    assert spent[0] == 10**9


def test_a_listener_that_waits_for_itself_does_not_wait():
    answers = []
    with solvent.listen(lambda _: answers.append(listening.flush(PATIENCE_SECONDS))) as listening:
        World().guard.listeners.tell(event(0))
    assert answers == [False]


async def a_coroutine_function(event): ...


class Awaits:
    async def __call__(self, event): ...


@pytest.mark.parametrize(
    "function",
    [a_coroutine_function, Awaits(), functools.partial(a_coroutine_function)],
    ids=["function", "object", "partial"],
)
def test_a_coroutine_function_is_refused_with_what_to_do(function):
    with pytest.raises(ValueError, match=r"plain function.*loop\.call_soon_threadsafe"):
        solvent.listen(function)
    assert EVERYWHERE._listeners == []


def test_what_cannot_be_called_is_refused():
    with pytest.raises(ValueError, match=r"listen must be given a function that takes an event, got 'events\.log'"):
        solvent.listen("events.log")


def test_a_coroutine_that_nobody_could_see_before_is_a_fault_of_its_listener(caplog):
    with solvent.listen(lambda event: a_coroutine_function(event)):
        World().guard.listeners.tell(event(0))
    assert [record.getMessage() for record in caplog.records] == [
        "a listener failed on PriceAssumed; it is not told again of TypeError"
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("eager_switching")
def test_64_threads_are_heard_of_in_full_and_each_in_its_order():
    heard, listeners = [], World().guard.listeners

    def work(thread):
        for number in range(50):
            listeners.tell(event(1_000 * thread + number))

    with solvent.listen(heard.append), ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64)))
    found = numbers(heard)
    assert sorted(found) == sorted(1_000 * thread + number for thread in range(64) for number in range(50))
    for thread in range(64):
        assert [number % 1_000 for number in found if number // 1_000 == thread] == list(range(50))


def test_a_finalizer_may_be_heard_of_wherever_it_comes():
    heard, listeners = [], World().guard.listeners

    class Leaves:
        def __del__(self):
            listeners.tell(event(1))

    with solvent.listen(heard.append) as listening:
        with listening._courier._lock:  # As if the collector came in the middle of it.
            Leaves()
            gc.collect()
        assert listening.flush(PATIENCE_SECONDS)
    assert numbers(heard) == [1]


@pytest.mark.slow
def test_a_forked_child_has_a_thread_of_its_own_and_nothing_of_the_parents():
    hear, heard, hangs, free = hanging()
    listeners = World().guard.listeners
    with solvent.listen(hear) as listening:
        for number in range(5):
            listeners.tell(event(number))
        assert hangs.wait(PATIENCE_SECONDS)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            heard.clear()
            heard.append(None)  # So that it does not hang here.
            listeners.tell(event(7))
            listening.flush(PATIENCE_SECONDS)
            os.write(write, repr(numbers(heard[1:])).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 100) == b"[7]"
        free.set()
    assert numbers(heard) == list(range(5))


PROGRAM = """
import sys, threading, solvent
from solvent import _courier
from solvent.events import EVERYWHERE, Listeners, PriceAssumed
hangs = sys.argv[1] == "hangs"
if hangs:
    _courier.EXIT_SECONDS = 0.1
def hear(event):
    print(event.model, flush=True)
    if hangs:
        threading.Event().wait()
solvent.listen(hear)
for number in range(3):
    Listeners().tell(PriceAssumed(model=str(number), priced_as="m"))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("how", "said"), [("takes", "0\n1\n2\n"), ("hangs", "0\n")])
def test_when_the_program_ends_what_is_queued_is_delivered_but_not_waited_for_without_end(how, said):
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


def test_the_events_are_public_and_loaded_when_they_are_asked_for():
    program = (
        "import sys, solvent; before = 'solvent.events' in sys.modules; "
        "import solvent.events; print(before, solvent.events.Event is not None)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"
