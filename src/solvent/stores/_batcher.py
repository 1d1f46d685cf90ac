"""
One ledger per process: many callers' operations become few durable steps, and a lone caller waits for no one.
"""

import asyncio
import threading
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
from solvent.errors import SolventError
from solvent.stores._protocol import Store

BATCH_MAX = 256  # Operations in one transaction: some milliseconds of lock for the other processes.

T = TypeVar("T")


class _Ticket:
    __slots__ = ("done", "operation", "outcome")

    def __init__(self, operation: Operation, done: asyncio.Future[None] | None = None) -> None:
        self.operation = operation
        self.outcome: Answer | BaseException | None = None
        self.done = done


class Ledger:
    """
    A store, and the batcher before it. ``do`` is the sync face, ``ado`` the async one; both raise an operation's error.

    Whoever gets the flush lock applies everything that is queued by then, so that operations which come while another
    batch is written go into the next one together.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._queue: deque[_Ticket] = deque()
        self._flush_lock = threading.Lock()
        self._signals: SimpleQueue[bool] = SimpleQueue()  # True for each operation that waits, then one False.
        self._start_lock = threading.Lock()
        self._flusher: threading.Thread | None = None

    @overload
    def do(self, operation: Reserve) -> Reserved | Refusal: ...
    @overload
    def do(self, operation: Settle | Release) -> Closed: ...
    @overload
    def do(self, operation: Extend | Note | TopUp | SetLimit) -> Done: ...
    def do(self, operation: Operation) -> Answer:
        return self._do(operation)

    def _do(self, operation: Operation) -> Answer:
        ticket = _Ticket(operation)
        self._queue.append(ticket)
        while ticket.outcome is None:
            with self._flush_lock:
                if ticket.outcome is None:
                    self._flush()
        return _result(ticket)

    @overload
    async def ado(self, operation: Reserve) -> Reserved | Refusal: ...
    @overload
    async def ado(self, operation: Settle | Release) -> Closed: ...
    @overload
    async def ado(self, operation: Extend | Note | TopUp | SetLimit) -> Done: ...
    async def ado(self, operation: Operation) -> Answer:
        if not self.store.blocks:
            return self._do(operation)
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        ticket = _Ticket(operation, done)
        self._queue.append(ticket)
        if self._flusher is None:
            self._start_flusher()
        # Not before the other tasks that are ready have queued theirs: the flusher would take the processor from them.
        loop.call_soon(self._signals.put, True)
        await done
        return _result(ticket)

    async def in_thread(self, read: Callable[[], T]) -> T:
        """
        Run something that reads the store without holding up the event loop.
        """
        return await asyncio.get_running_loop().run_in_executor(None, read)

    def close(self) -> None:
        """
        Apply what is queued, end the flusher and close the store.
        """
        self._signals.put(False)
        if self._flusher is not None:
            self._flusher.join()
        self.store.close()

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

    def _flush(self) -> None:
        batch: list[_Ticket] = []
        while self._queue and len(batch) < BATCH_MAX:
            batch.append(self._queue.popleft())
        if not batch:
            return
        outcomes = self._apply([ticket.operation for ticket in batch])
        waiting: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
        for ticket, outcome in zip(batch, outcomes, strict=True):
            ticket.outcome = outcome
            if ticket.done is not None:
                waiting[ticket.done.get_loop()].append(ticket.done)
        for loop, futures in waiting.items():
            with suppress(RuntimeError):  # The loop is closed, so nobody waits any more.
                loop.call_soon_threadsafe(_deliver, futures)

    def _apply(self, operations: list[Operation]) -> list[Answer | BaseException]:
        """
        The answers; where the store failed by a bug, each operation by itself, so that one does not cost the others.
        """
        try:
            return [*self.store.apply(operations)]
        except SolventError as error:
            return [error] * len(operations)
        except BaseException as error:  # Each caller has to hear of it, whatever it is.
            if len(operations) == 1:
                return [error]
            return [outcome for operation in operations for outcome in self._apply([operation])]


def _deliver(futures: Sequence[asyncio.Future[None]]) -> None:
    for done in futures:
        if not done.done():  # Else its caller was cancelled meanwhile.
            done.set_result(None)


def _result(ticket: _Ticket) -> Answer:
    outcome = ticket.outcome
    if isinstance(outcome, SolventError):
        raise outcome
    if isinstance(outcome, BaseException):
        raise RuntimeError("the ledger's writer failed") from outcome
    assert outcome is not None
    return outcome
