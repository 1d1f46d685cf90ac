"""
One ledger per process: many callers' operations become few durable steps, and a lone caller waits for no one.
"""

import asyncio
import logging
import os
import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar, overload

from solvent._operations import (
    Answer,
    Closed,
    Done,
    Extend,
    Note,
    Operation,
    Refusal,
    Release,
    Reserve,
    Reserved,
    SetLimit,
    Settle,
    TopUp,
)
from solvent.errors import OutcomeUnknown, SolventError, StoreUnavailable
from solvent.stores._protocol import Store

SWEEP_SECONDS = 30.0
EXPIRED_MAX = 256  # Of those that expired before anybody wanted to hear of them.
TURN_SECONDS = 0.25  # After this one looks by itself: a caller that was interrupted may have taken the turn with it.
BATCH_MAX = 256  # Operations in one transaction: some milliseconds of lock for the other processes.

T = TypeVar("T")

_log = logging.getLogger("solvent")


class _Ticket:
    """
    An operation, and how the one who waits for it is told: an async caller by ``done``, a sync one by ``turn``.
    """

    __slots__ = ("done", "operation", "outcome", "turn")

    def __init__(self, operation: Operation, done: asyncio.Future[None] | None = None) -> None:
        self.operation = operation
        self.outcome: Answer | BaseException | None = None
        self.done = done
        self.turn: threading.Lock | None = None  # Free when there is something to do: take the answer, or write.


class Ledger:
    """
    A store, and the batcher before it. ``do`` is the sync face, ``ado`` the async one; both raise an operation's error.

    Whoever gets the flush lock applies what is queued by then, up to ``BATCH_MAX``, so that operations which come while
    another batch is written go into the next one together. What expired is charged when it is opened, and from the
    first reservation on every ``sweep_seconds``.

    Raises:
        StoreUnavailable: The store did not answer.
    """

    def __init__(self, store: Store, *, sweep_seconds: float = SWEEP_SECONDS) -> None:
        self.store = store
        self._sweep_seconds = sweep_seconds
        self._hear: Callable[[Closed], object] | None = None
        self._begin()
        self.expire()
        _LEDGERS.add(self)

    def _begin(self) -> None:
        """
        Also in a forked child: no thread follows it there, and what is queued is the parent's.
        """
        self._queue: deque[_Ticket] = deque()
        self._expired: deque[Closed] = deque(maxlen=EXPIRED_MAX)
        self._flush_lock = threading.RLock()  # Which knows its holder, for one who is interrupted.
        self._signals: SimpleQueue[bool] = SimpleQueue()  # True for each operation that waits, then one False.
        self._start_lock = threading.Lock()
        self._flusher: threading.Thread | None = None
        self._sweeper: threading.Thread | None = None
        self._over = threading.Event()

    @overload
    def do(self, operation: Reserve) -> Reserved | Refusal: ...
    @overload
    def do(self, operation: Settle | Release) -> Closed: ...
    @overload
    def do(self, operation: Extend | Note | TopUp | SetLimit) -> Done: ...
    def do(self, operation: Operation) -> Answer:
        return self._do(operation)

    def _do(self, operation: Operation) -> Answer:
        if self._sweeper is None and isinstance(operation, Reserve):
            self._start_sweeper()
        if not self.store.blocks:  # Nothing to share the cost of.
            return _answer(self._apply([operation])[0])
        if self._flush_lock._is_owned():  # type: ignore[attr-defined]  # The stubs lack it.
            # A finalizer, in the middle of a batch that this thread writes: it cannot wait for that.
            reason = "it is in the middle of another operation of this thread"
            raise StoreUnavailable(ledger=self.store.url, reason=reason)
        ticket = _Ticket(operation)
        ticket.turn = threading.Lock()
        ticket.turn.acquire()
        self._queue.append(ticket)
        # Each waits at a lock of its own: at the flush lock one after the other would get it, with a batch of one.
        while ticket.outcome is None:
            try:
                is_writer = self._flush_lock.acquire(blocking=False)
                if is_writer:
                    self._flush()
            finally:  # Begun before the lock is taken, for an interrupt may come right after it.
                while self._flush_lock._is_owned():  # type: ignore[attr-defined]  # The stubs lack it.
                    self._flush_lock.release()
            if is_writer:
                self._pass_on()
            else:
                ticket.turn.acquire(timeout=TURN_SECONDS)
        return _answer(ticket.outcome)

    def _pass_on(self) -> None:
        """
        Let the first who came meanwhile write the next batch.
        """
        with suppress(IndexError):  # Nobody came.
            first = self._queue[0]
            if first.turn is None:
                self._signals.put(True)
            else:
                _free(first.turn)

    @overload
    async def ado(self, operation: Reserve) -> Reserved | Refusal: ...
    @overload
    async def ado(self, operation: Settle | Release) -> Closed: ...
    @overload
    async def ado(self, operation: Extend | Note | TopUp | SetLimit) -> Done: ...
    async def ado(self, operation: Operation) -> Answer:
        if not self.store.blocks:
            return self._do(operation)
        if self._sweeper is None and isinstance(operation, Reserve):
            self._start_sweeper()
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        ticket = _Ticket(operation, done)
        self._queue.append(ticket)
        if self._flusher is None:
            self._start_flusher()
        # Not before the other tasks that are ready have queued theirs: the flusher would take the processor from them.
        loop.call_soon(self._signals.put, True)
        await done
        return _answer(ticket.outcome)

    def expire(self) -> int:
        """
        Charge what expired; how many reservations that were.
        """
        return self.store.expire(self._heard)

    def on_expired(self, hear: Callable[[Closed], object]) -> None:
        """
        Hand every reservation that expires to a function, those first that did so before.
        """
        self._hear = hear
        while self._expired:
            hear(self._expired.popleft())

    def _heard(self, closed: Closed) -> None:
        (self._hear or self._expired.append)(closed)

    async def aask(self, question: Callable[[Store], T]) -> T:
        """
        Ask the store what is no operation (its balances, ``verify``, ``expire``) without holding up the event loop.
        """
        if not self.store.blocks:
            return question(self.store)
        return await asyncio.get_running_loop().run_in_executor(None, question, self.store)

    def close(self) -> None:
        """
        Apply what is queued, end the threads and close the store.
        """
        self._over.set()
        self._signals.put(False)
        for thread in (self._flusher, self._sweeper):
            if thread is not None:
                thread.join()
        while self._queue:  # The signals of these come too late.
            with self._flush_lock:
                self._flush()
        self._flusher = None  # Who still asks starts another, and hears from the store that it is closed.
        self.store.close()

    def _start_sweeper(self) -> None:
        with self._start_lock:
            if self._sweeper is None:
                arguments = weakref.ref(self), self._over, self._sweep_seconds
                sweeper = threading.Thread(target=_sweep, args=arguments, name="solvent-sweeper", daemon=True)
                sweeper.start()
                self._sweeper = sweeper  # Not before, for an interrupt may come between: two of them harm nobody.

    def _start_flusher(self) -> None:
        with self._start_lock:
            if self._flusher is None:
                self._flusher = threading.Thread(target=self._run, name="solvent-ledger", daemon=True)
                self._flusher.start()

    def _run(self) -> None:
        # Most signals find that their operation went with an earlier batch; then there is nothing to do.
        while self._signals.get():
            with self._flush_lock:
                self._flush()
            self._pass_on()

    def _flush(self) -> None:
        batch: list[_Ticket] = []
        try:
            while self._queue and len(batch) < BATCH_MAX:
                batch.append(self._queue[0])
                self._queue.popleft()
            if batch:
                outcomes = self._apply([ticket.operation for ticket in batch])
                for ticket, outcome in zip(batch, outcomes, strict=True):
                    ticket.outcome = outcome
        except BaseException:  # Ctrl-C in the one who writes: the others are written by the next, each by its id.
            self._queue.extendleft(ticket for ticket in reversed(batch) if ticket.outcome is None)
            raise
        finally:
            _tell([ticket for ticket in batch if ticket.outcome is not None])

    def _apply(self, operations: list[Operation]) -> list[Answer | BaseException]:
        """
        The answers; where the store failed by a bug, each operation by itself, so that one does not cost the others.
        """
        try:
            return [*self.store.apply(operations)]
        except OutcomeUnknown as error:
            return [OutcomeUnknown(ledger=error.ledger, id=each.id, reason=error.reason) for each in operations]
        except SolventError as error:
            return [error] * len(operations)
        except Exception as error:  # Each caller has to hear of it, whatever it is.
            if len(operations) == 1:
                return [error]
            return [outcome for operation in operations for outcome in self._apply([operation])]


def _sweep(ledger: "weakref.ref[Ledger]", over: threading.Event, seconds: float) -> None:
    """
    Charge what expires until the ledger is closed, or nobody has it any more.
    """
    while not over.wait(seconds):
        found = ledger()
        if found is None:
            return
        try:
            found.expire()
        except Exception:  # The next round may find the store again; until then what expired stays reserved.
            _log.exception("expired reservations could not be charged")
        del found


_LEDGERS: "weakref.WeakSet[Ledger]" = weakref.WeakSet()


def _begin_in_child() -> None:
    for ledger in list(_LEDGERS):
        ledger._begin()


os.register_at_fork(after_in_child=_begin_in_child)


def _tell(batch: Sequence[_Ticket]) -> None:
    waiting: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
    for ticket in batch:
        if ticket.turn is not None:
            _free(ticket.turn)
        if ticket.done is not None:
            waiting[ticket.done.get_loop()].append(ticket.done)
    for loop, futures in waiting.items():
        with suppress(RuntimeError):  # The loop is closed, so nobody waits any more.
            loop.call_soon_threadsafe(_deliver, futures)


def _free(turn: threading.Lock) -> None:
    with suppress(RuntimeError):  # It is free already.
        turn.release()


def _deliver(futures: Sequence[asyncio.Future[None]]) -> None:
    for done in futures:
        if not done.done():  # Else its caller was cancelled meanwhile.
            done.set_result(None)


def _answer(outcome: Answer | BaseException | None) -> Answer:
    if isinstance(outcome, SolventError):
        raise outcome
    if isinstance(outcome, BaseException):
        raise RuntimeError("the ledger's writer failed") from outcome
    assert outcome is not None
    return outcome
