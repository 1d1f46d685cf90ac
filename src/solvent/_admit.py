"""
The flow of an admission, pure: a generator that yields what is to be done (an operation of the ledger, a sleep until
there may be room) and is sent the answer, until the call fits or is refused.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from solvent import _ladder
from solvent._admission import Admission
from solvent._allowance import Allowance
from solvent._attempt import Attempt, Flow
from solvent._checks import Checked, Checks
from solvent._clock import Clock, utc
from solvent._counting import Count, Counting
from solvent._estimate import Bound, Estimator
from solvent._ladder import BOUNDED_METERS, OUTPUT_METERS, OUTPUT_UNKNOWN, Charges, Obstacle, obstacle, remedy
from solvent._limits import OnExceed, Scope
from solvent._operations import Refusal, Reserved
from solvent._records import Account, Balance, CallRecord
from solvent._standings import Look, Standings
from solvent._waiting import Queues
from solvent.errors import (
    BudgetExceeded,
    DeadlinePassed,
    OutcomeUnknown,
    PriceUnknown,
    StoreUnavailable,
    Unbounded,
)
from solvent.events import LimitPassed
from solvent.policy import LimitsInForce, Policy, Rules
from solvent.wire import FORMATS, Asked, under
from solvent.wire._call import Call

SHRINK_TRIES = 3


_Flow: TypeAlias = Flow[Any]


class Authorizer:
    """
    Decides about calls: their bound, their charges, and the ladder. What it knows it is handed; what it does it yields.
    """

    def __init__(
        self,
        *,
        limits: LimitsInForce,
        checks: Checks,
        estimator: Estimator,
        queues: Queues,
        clock: Clock,
    ) -> None:
        self.limits = limits
        self.standings = Standings(clock)
        self.allowance = Allowance()
        self._checks = checks
        self._estimator = estimator
        self._queues = queues
        self._clock = clock

    def flow(
        self,
        id: str,
        call: Call,
        scope: Scope,
        record: CallRecord,
        *,
        own_host: bool,
        within: tuple[str, ...] = (),
        wait_seconds: float | None = 0,
        counting: Counting | None = None,
        asked: Asked | None = None,
    ) -> Flow[Admission]:
        at = utc(record.started or 0)
        rules = self.limits.rules(scope)
        checked = self._checks.before(scope, rules, record)
        wait_seconds = rules.wait_seconds if wait_seconds is None else wait_seconds
        if checked.deadline is not None:
            wait_seconds = min(wait_seconds, checked.deadline.seconds_left)
        charges = Charges.on(scope, rules.blocking, rules.policy.call, rules.watched)
        attempt = Attempt(
            id,
            scope,
            call,
            charges,
            self._estimator.cheap(call, at=at, rules=rules),
            record,
            at,
            within,
            wait_seconds,
            own_host=own_host,
            counting=counting,
            asked=asked,
            rules=rules,
            checked=checked,
        )
        try:
            answer = yield from self._decide(attempt)
        except (OutcomeUnknown, StoreUnavailable) as trouble:
            if not self.allowance.take(id, attempt.bound.nanodollars, most=rules.policy.open_nanodollars):
                raise
            attempt.rungs.append("store_down")
            attempt.request()  # Which writes its record.
            return self._admission(attempt, trouble=trouble)
        if isinstance(answer, Refusal):
            raise self._refused(attempt, answer)
        return self._admission(attempt, answer.balances)

    def _decide(self, attempt: Attempt) -> _Flow:
        if attempt.step_down is not None:
            yield from self._degrade_early(attempt)
        attempt.bound = self._bounded(attempt.call, attempt.bound, attempt.charges, attempt.rules, at=attempt.at)
        answer = yield from self._climb(attempt)
        self.standings.heard(answer.balances)
        return answer

    def _admission(
        self,
        attempt: Attempt,
        balances: Sequence[Balance] = (),
        trouble: OutcomeUnknown | StoreUnavailable | None = None,
    ) -> Admission:
        checked = attempt.checked
        passed = [*checked.passed, *self._passed(attempt, balances)]
        rungs, record = (*attempt.rungs, *(f"{on_exceed} {error.meter}" for on_exceed, error in passed)), attempt.record
        if rungs != (record.rungs or ()):  # What was done after the record was made: a wait.
            record = replace(record, rungs=rungs)
        return Admission(
            id=attempt.id,
            scope=attempt.scope,
            call=attempt.call,
            bound=attempt.bound,
            charges=attempt.charges,
            record=record,
            chain=attempt.chain,
            own_host=attempt.own_host,
            body=self._body(attempt),
            path=attempt.path,
            balances=balances,
            trouble=trouble,
            rules=attempt.rules,
            deadline=checked.deadline,
            notices=tuple(
                [
                    LimitPassed(id=attempt.id, scope=str(attempt.scope), on_exceed=on_exceed, error=error)
                    for on_exceed, error in passed
                ]
            ),
        )

    def _passed(self, attempt: Attempt, balances: Sequence[Balance]) -> Iterator[tuple[OnExceed, BudgetExceeded]]:
        """
        The limits of accounts that only tell, and that this reservation passes.
        """
        if not attempt.charges.watched:
            return
        amounts, now = attempt.amounts(), utc(self._clock.now_ns())
        for limit, balance in attempt.charges.passed(balances, amounts):
            requested = amounts.get(limit.meter, 0)
            yield limit.on_exceed, _ladder.exceeded(balance, requested=requested, source=limit.source, now=now)

    def _climb(self, attempt: Attempt) -> _Flow:
        """
        The ladder: tighten, wait, degrade, shrink.
        """
        while True:
            answer: Reserved | Refusal | None = None  # Others are already waiting before this call.
            if not self._queues.busy(attempt.charges.accounts):
                answer = yield from attempt.reserve()
            if not isinstance(answer, Reserved):
                answer = yield from self._tighten(attempt, answer)
            if not isinstance(answer, Reserved):
                answer = yield from self._wait_for_room(attempt, answer)
            if isinstance(answer, Reserved):
                return answer
            hindrance = self._obstacle(attempt, answer)
            if hindrance.charge.account.meter not in BOUNDED_METERS or not self._degrade(attempt):
                break
        if _may_shrink(attempt.call, attempt.rules.policy):
            answer = yield from self._shrink(attempt, answer)
        return answer

    def _degrade_early(self, attempt: Attempt) -> Flow[None]:
        """
        Go down at once where a limit on the path is used as far as the policy says.
        """
        while (step := attempt.step_down) is not None and step.at is not None:
            for account in self.standings.unknown(attempt.charges):
                self.standings.look(account, (yield Look(account.scope)))
            if not self.standings.is_reached(step.at, attempt.charges) or not self._degrade(attempt):
                return

    def _degrade(self, attempt: Attempt) -> bool:
        """
        Go on with the next model, if there is one of which everything is known that a limit needs to know.
        """
        step, asked = attempt.step_down, attempt.asked
        if step is None or asked is None:
            return False
        try:
            call, path = under(attempt.original, step.to, asked)
            bound = self._estimator.cheap(call, at=attempt.at, rules=attempt.rules)
            bound = self._bounded(call, bound, attempt.charges, attempt.rules, at=attempt.at)
        except (PriceUnknown, Unbounded, ValueError):
            return False
        attempt.degrade(call, bound, path, self._estimator)
        return True

    def _tighten(self, attempt: Attempt, answer: Reserved | Refusal | None) -> _Flow:
        """
        Every way to a tighter bound that the policy allows, until the call fits; all of them for a call that others
        wait before.
        """
        for way in attempt.rules.policy.tighten:
            if way == "count":
                tighter = yield from self._count(attempt)
            else:
                tighter = attempt.tighten(self._estimator, way)
            if tighter and answer is not None:
                answer = yield from attempt.reserve()
                if isinstance(answer, Reserved):
                    break
        return answer

    def _count(self, attempt: Attempt) -> Flow[bool]:
        counting, wire_format = attempt.counting, FORMATS.get(attempt.call.format)
        if counting is None or wire_format is None or attempt.chain is None or not attempt.own_host:
            return False
        question = wire_format.count_request(attempt.call, attempt.path or counting.path)
        reply = None if question is None else (yield Count(counting.ask, *question))
        counted = None if reply is None else wire_format.read_count(reply)
        return counted is not None and attempt.count(self._estimator, counted)

    def _wait_for_room(self, attempt: Attempt, answer: Refusal | None) -> _Flow:
        refusal = attempt.charges.call_refusal(attempt.bound)
        if refusal is not None:
            return refusal
        account = self._queues.busy(attempt.charges.accounts)
        if answer is not None:
            hindrance = self._obstacle(attempt, answer)
            if not hindrance.passes:
                return answer
            account = hindrance.charge.account
        left = attempt.wait_seconds - attempt.waited_seconds
        if left <= 0 or account is None:
            return answer if answer is not None else (yield from attempt.reserve())
        began = self._clock.uptime_ns()
        answer = yield from self._queue_up(attempt, account, left)
        attempt.waited((self._clock.uptime_ns() - began) / 1e9)
        return answer

    def _queue_up(self, attempt: Attempt, account: Account, seconds: float) -> _Flow:
        """
        Try whenever there may be room in an account and nobody is before this call, and once more when time is over.
        """
        with self._queues.join(account) as place:
            until = time.monotonic() + seconds
            while (yield from place.turn(until)):
                attempt.hold_to(self.limits.rules(attempt.scope))
                answer = yield attempt.request()
                if isinstance(answer, Reserved) or not self._obstacle(attempt, answer).passes:
                    return answer
            return (yield attempt.request())

    def _shrink(self, attempt: Attempt, answer: Refusal) -> _Flow:
        least = min(attempt.rules.policy.shrink_tokens_min, attempt.bound.output_cap or OUTPUT_UNKNOWN)
        least = max(least, attempt.call.output_tokens_min)
        if attempt.bound.output_cap != OUTPUT_UNKNOWN:
            attempt.as_written = attempt.amounts()
        for _ in range(SHRINK_TRIES):  # Others may take the room between the answer and the next try.
            cap = self._affordable(attempt, answer)
            if cap < least:
                break
            attempt.cap(cap, self._estimator)
            answer = yield from attempt.reserve()
            if isinstance(answer, Reserved):
                return answer
        attempt.cap(least, self._estimator)
        return (yield from self._wait_for_room(attempt, answer))

    def _affordable(self, attempt: Attempt, answer: Refusal) -> int:
        return _ladder.affordable(
            answer.balances,
            attempt.charges.per_call,
            most=attempt.bound.output_cap or OUTPUT_UNKNOWN,
            bound_at=lambda cap: self._estimator.capped(attempt.call, attempt.bound, cap, at=attempt.at),
        )

    def on_path(self, scope: Scope) -> Checked:
        """
        What a place alone makes of the calls that are made there.
        """
        return self._checks.on_path(scope, self.limits.rules(scope))

    def cheap_bound(self, call: Call, charges: Charges, rules: Rules, *, at: datetime) -> Bound:
        """
        The bound that a call begins with.

        Raises:
            PriceUnknown, Unbounded: A limit needs to know what no one does.
        """
        return self._bounded(call, self._estimator.cheap(call, at=at, rules=rules), charges, rules, at=at)

    def _bounded(self, call: Call, bound: Bound, charges: Charges, rules: Rules, *, at: datetime) -> Bound:
        """
        The bound, with a cap in place of none where the ladder can set one.

        Raises:
            PriceUnknown, Unbounded: A limit needs to know what no one does.
        """
        limited = charges.limited
        if "usd" in limited and bound.price_error is not None:
            raise bound.price_error
        uncapped = bound.output_tokens is None and bound.input_tokens is not None
        if uncapped and limited & OUTPUT_METERS and _may_shrink(call, rules.policy):
            bound = self._estimator.capped(call, bound, OUTPUT_UNKNOWN, at=at)
        for meter in sorted(limited & BOUNDED_METERS):
            if bound.amount(meter) is None:
                raise Unbounded(part=bound.unbounded or call.model, meter=meter, remedy=remedy(call, bound))
        return bound

    def _obstacle(self, attempt: Attempt, answer: Refusal) -> Obstacle:
        now = utc(self._clock.now_ns())
        return obstacle(answer, attempt.amounts(), wait_seconds=attempt.wait_seconds, now=now)

    def _refused(self, attempt: Attempt, answer: Refusal) -> BudgetExceeded:
        deadline = attempt.checked.deadline
        if deadline is not None and not deadline.seconds_left:  # It waited until then.
            passed = deadline.error
            return DeadlinePassed(scope=passed.scope, seconds=passed.limit, source=passed.source)
        hindrance = self._obstacle(attempt, answer)
        balance, amount = hindrance.balance, hindrance.charge.amount
        meter = balance.account.meter
        affordable = self._affordable(attempt, answer) if meter in BOUNDED_METERS else 0
        is_shrunk = attempt.is_shrunk and meter in OUTPUT_METERS
        return _ladder.exceeded(
            balance,
            requested=amount,
            source=attempt.charges.source(balance),
            now=utc(self._clock.now_ns()),
            open_count=answer.open_count,
            held=hindrance.passes and answer.fits_alone(balance, amount),
            output_tokens_affordable=affordable or None,
            output_tokens_least=attempt.cap_set if is_shrunk else None,
            as_written=attempt.as_written.get(meter) if is_shrunk else None,
        )

    def _body(self, attempt: Attempt) -> bytes | None:
        wire_format = FORMATS.get(attempt.call.format)
        if wire_format is None or attempt.original.fixed:
            return None
        own_cap = "max_completion_tokens" if attempt.own_host else "max_tokens"
        model = None if attempt.call.model == attempt.original.model else attempt.call.model
        return wire_format.rewrite(attempt.original, model=model, output_tokens_max=attempt.cap_set, own_cap=own_cap)


def _may_shrink(call: Call, policy: Policy) -> bool:
    if call.fixed or call.structured_output or call.format not in FORMATS or not policy.shrink_tokens_min:
        return False
    return call.output_tokens_max is None or call.output_cap_required or policy.shrink_explicit
