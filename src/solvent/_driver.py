"""
The two drivers of the guard's flows: they do what a flow asks for, and send it the answers and the failures.
"""

from typing import Any, TypeVar

from solvent._attempt import Flow
from solvent._counting import Count
from solvent._operations import Operation
from solvent._standings import Look
from solvent._waiting import Sleep
from solvent.errors import OutcomeUnknown, SolventError
from solvent.stores._batcher import Ledger

STORE_TRIES = 3

T = TypeVar("T")


class Driver:
    """
    Drives flows against a ledger, for synchronous callers and for asynchronous ones.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def run(self, flow: Flow[T]) -> T:
        """
        The synchronous driver: do what the flow asks for, and send it the answers and the failures.
        """
        try:
            effect = next(flow)
            while True:
                try:
                    answer = self._do(effect)
                except SolventError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            flow.close()

    async def arun(self, flow: Flow[T]) -> T:
        """
        The asynchronous driver.
        """
        try:
            effect = next(flow)
            while True:
                try:
                    answer = await self._ado(effect)
                except SolventError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            flow.close()

    def _do(self, effect: Operation | Sleep | Count | Look) -> Any:
        """
        Sleep, ask, or apply one operation; an unknown outcome is asked for again with the same id.
        """
        if isinstance(effect, Sleep):
            return effect.place.sleep(effect.seconds)
        if isinstance(effect, Count):
            return effect.do()
        if isinstance(effect, Look):
            return effect.balances(self._ledger.store)
        for _ in range(STORE_TRIES - 1):
            try:
                return self._ledger.do(effect)
            except OutcomeUnknown:
                continue
        return self._ledger.do(effect)

    async def _ado(self, effect: Operation | Sleep | Count | Look) -> Any:
        if isinstance(effect, Sleep):
            return await effect.place.asleep(effect.seconds)
        if isinstance(effect, Count):
            return await effect.ado()
        if isinstance(effect, Look):
            return await self._ledger.aask(effect.balances)
        for _ in range(STORE_TRIES - 1):
            try:
                return await self._ledger.ado(effect)
            except OutcomeUnknown:
                continue
        return await self._ledger.ado(effect)
