"""
One ledger per process: many callers' operations become few durable steps, and a lone caller waits for no one.
"""

import asyncio
import functools
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar, overload

from solvent._ledger import Answer, Closed, Done, Extend, Note, Operation, Refusal, Release, Reserve, Reserved, Settle
from solvent.errors import SolventError
from solvent.stores._protocol import Store

BATCH_MAX = 256  # Operations in one transaction: some milliseconds of lock for the other processes.

T = TypeVar("T")


class _Ticket:
    __slots__ = ("deliver", "operation", "outcome")

    def __init__(self, operation: Operation, deliver: Callable[[], object] | None = None) -> None:
        self.operation = operation
        self.outcome: Answer | BaseException | None = None
        self.deliver = deliver


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
        self._wake = threading.Condition()
        self._flusher: threading.Thread | None = None
        self._closed = False

    @overload
    def do(self, operation: Reserve) -> Reserved | Refusal: ...
    @overload
    def do(self, operation: Settle | Release) -> Closed: ...
    @overload
    def do(self, operation: Extend | Note) -> Done: ...
    def do(self, operation: Operation) -> Answer:
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
    async def ado(self, operation: Extend | Note) -> Done: ...
    async def ado(self, operation: Operation) -> Answer:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def deliver() -> None:
            # Set once at most: the caller may have been cancelled meanwhile.
            if not done.done():
                done.set_result(None)

        ticket = _Ticket(operation, deliver=functools.partial(loop.call_soon_threadsafe, deliver))
        self._queue.append(ticket)
        self._wake_flusher()
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
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._flusher is not None:
            self._flusher.join()
        self.store.close()

    def _wake_flusher(self) -> None:
        with self._wake:
            if self._flusher is None:
                self._flusher = threading.Thread(target=self._run, name="solvent-ledger", daemon=True)
                self._flusher.start()
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._closed:
                    self._wake.wait()
                if not self._queue:
                    return
            with self._flush_lock:
                self._flush()

    def _flush(self) -> None:
        batch: list[_Ticket] = []
        while self._queue and len(batch) < BATCH_MAX:
            batch.append(self._queue.popleft())
        if not batch:
            return
        try:
            outcomes: list[Answer | BaseException] = [*self.store.apply([ticket.operation for ticket in batch])]
        except BaseException as error:  # Each caller of the batch has to hear of it, whatever it is.
            outcomes = [error] * len(batch)
        for ticket, outcome in zip(batch, outcomes, strict=True):
            ticket.outcome = outcome
            if ticket.deliver is not None:
                ticket.deliver()


def _result(ticket: _Ticket) -> Answer:
    outcome = ticket.outcome
    if isinstance(outcome, SolventError):
        raise outcome
    if isinstance(outcome, BaseException):
        raise RuntimeError("the ledger's writer failed") from outcome
    assert outcome is not None
    return outcome
