"""
The ways into a store: its own ``apply``, and the sync and the async face of the ledger before it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, overload

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
from solvent.stores._batcher import Ledger
from solvent.stores._protocol import Store


class Face(Protocol):
    """
    One way to ask a store. ``do`` raises an operation's error; ``do_all`` has it in the operation's place.
    """

    store: Store

    @overload
    def do(self, operation: Reserve) -> Reserved | Refusal: ...
    @overload
    def do(self, operation: Settle | Release) -> Closed: ...
    @overload
    def do(self, operation: Extend | Note | TopUp | SetLimit) -> Done: ...
    def do(self, operation: Operation) -> Answer: ...

    def do_all(self, operations: Sequence[Operation]) -> list[Answer | SolventError]: ...

    def close(self) -> None: ...


class StoreFace:
    """
    The store itself.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def do(self, operation: Any) -> Any:
        (answer,) = self.store.apply([operation])
        if isinstance(answer, SolventError):
            raise answer
        return answer

    def do_all(self, operations: Sequence[Operation]) -> list[Answer | SolventError]:
        return self.store.apply(operations)

    def close(self) -> None:
        self.store.close()


class LedgerFace:
    """
    ``Ledger.do``, the sync face.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ledger = Ledger(store)

    def do(self, operation: Any) -> Any:
        return self._ledger.do(operation)

    def do_all(self, operations: Sequence[Operation]) -> list[Answer | SolventError]:
        return [self._outcome(operation) for operation in operations]

    def close(self) -> None:
        self._ledger.close()

    def _outcome(self, operation: Any) -> Answer | SolventError:
        try:
            answer: Answer = self.do(operation)
        except SolventError as error:
            return error
        return answer


class AsyncFace:
    """
    ``Ledger.ado``, the async face, in an event loop of its own.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ledger = Ledger(store)
        self._runner = asyncio.Runner()

    def do(self, operation: Any) -> Any:
        return self._runner.run(self._ledger.ado(operation))

    def do_all(self, operations: Sequence[Any]) -> list[Answer | SolventError]:
        return self._runner.run(self._gathered(operations))

    def close(self) -> None:
        self._runner.close()
        self._ledger.close()

    async def _gathered(self, operations: Sequence[Any]) -> list[Answer | SolventError]:
        outcomes = await asyncio.gather(*map(self._outcome, operations))
        return list(outcomes)

    async def _outcome(self, operation: Any) -> Answer | SolventError:
        try:
            answer: Answer = await self._ledger.ado(operation)
        except SolventError as error:
            return error
        return answer


FACES: Mapping[str, Callable[[Store], Face]] = {
    "apply": StoreFace,
    "async": AsyncFace,
    "sync": LedgerFace,
}
