"""
What is decided before code begins: whether it may be nested so deep, and how many branches it may have.
"""

from collections.abc import Collection
from typing import Literal

from solvent import _ladder
from solvent._admit import Authorizer
from solvent._attempt import TTL_SECONDS, Flow
from solvent._booking import DONE
from solvent._calls import Calls
from solvent._clock import Clock, utc
from solvent._decide import standing
from solvent._ladder import Charges
from solvent._limits import Scope
from solvent._operations import Refusal, Reserve, Settle
from solvent._records import BRANCHES, Account, CallRecord
from solvent._standings import Look
from solvent.errors import BudgetExceeded, OutcomeUnknown, SolventError
from solvent.events import LimitPassed

Begins = Literal["code", "tool", "turn"]  # What is entered.
_OF_A_TURN = ("usd", "tokens", "input_tokens", "output_tokens", "calls", "tool_calls")


class Branches:
    """
    The flows of scopes that are entered, and of fan-outs.
    """

    def __init__(self, calls: Calls, authorizer: Authorizer, clock: Clock) -> None:
        self._calls = calls
        self._authorizer = authorizer
        self._clock = clock

    def enter(self, id: str, scope: Scope, began: float, begins: Begins) -> Flow[None]:
        """
        Refuse to begin what could make no call: it would be nested too deep, or its time is over, or what it needs is
        used up.
        """
        found = self._authorizer.on_path(scope)
        errors = [error for on_exceed, error in found.passed if on_exceed == "block"]
        if begins != "code" and not errors:
            errors = yield from self._used_up(scope, ("tool_calls",) if begins == "tool" else _OF_A_TURN)
        for error in errors[:1]:
            yield from self._calls.refuse(id, scope, CallRecord(started=self._clock.now_ns()), error, began)
            raise error

    def _used_up(self, scope: Scope, meters: Collection[str]) -> Flow[list[BudgetExceeded]]:
        for place, limit in self._authorizer.limits.of(scope):
            if limit.meter not in meters:
                continue
            account = Account(place, limit.meter, limit.window_key)
            found = {balance.account: balance for balance in (yield Look(place))}
            balance = standing(account, limit, found)
            # Replies may ask for as many tools as the limit says; under a limit of nothing calls may cost nothing.
            is_one_more = limit.meter == "tool_calls" or (limit.meter != "calls" and not balance.limit)
            if balance.limit is not None and balance.spent >= balance.limit + is_one_more:
                now = utc(self._clock.now_ns())
                return [_ladder.exceeded(balance, requested=0, source=limit.source, now=now)]
        return []

    def open(self, id: str, scope: Scope, count: int, began: float) -> Flow[bool]:
        """
        Set a fan-out's branches aside; whether a limit counts them.
        """
        rules = self._authorizer.limits.rules(scope)
        blocking, watched = [
            tuple([(place, limit) for place, limit in limits if limit.meter == "branches"])
            for limits in (rules.blocking, rules.watched)
        ]
        if not blocking and not watched:
            return False
        charges, amounts = Charges.on(scope, blocking, (), watched), {"branches": count}
        record = CallRecord(format=BRANCHES, started=self._clock.now_ns(), decision="admitted")
        try:
            answer = yield Reserve(
                id=id, scope=str(scope), terms=charges.terms, amounts=amounts, ttl_seconds=TTL_SECONDS, call=record
            )
        except OutcomeUnknown as unknown:
            yield from self._calls.refuse(id, scope, record, unknown, began)
            raise
        now = utc(self._clock.now_ns())
        if isinstance(answer, Refusal):
            error = _ladder.exceeded(
                answer.balance,
                requested=count,
                source=charges.source(answer.balance),
                now=now,
                open_count=answer.open_count,
            )
            yield from self._calls.refuse(id, scope, record, error, began)
            raise error
        self._calls.open[id] = scope
        for limit, balance in charges.passed(answer.balances, amounts):
            error = _ladder.exceeded(balance, requested=count, source=limit.source, now=now)
            self._calls.notify(LimitPassed(id=id, scope=str(scope), on_exceed=limit.on_exceed, error=error))
        return True

    def close(self, id: str, started: int) -> Flow[None]:
        """
        Book the branches that were started; the others are given back.
        """
        self._calls.open.pop(id, None)
        record = CallRecord(format=BRANCHES, ended=self._clock.now_ns(), status=DONE)
        operation = Settle(id=id, actual={"branches": started}, call=record)
        try:
            self._calls.alerts.booked((yield operation))
        except SolventError as error:
            self._calls.not_booked(operation, error)
