"""
The flow of an admission, pure: a generator that yields what is to be done (an operation of the ledger, a sleep until
there may be room) and is sent the answer, until the call fits or is refused.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from solvent import _ladder
from solvent._amounts import exact_dollars, show_seconds
from solvent._clock import Clock, utc
from solvent._estimate import Bound, Estimator, PromptChain
from solvent._ladder import BOUNDED_METERS, OUTPUT_METERS, OUTPUT_UNKNOWN, PROMPT_METERS, Charges, Obstacle, obstacle
from solvent._ledger import carries_run_total
from solvent._limits import Scope, resets_at
from solvent._operations import Operation, Refusal, Reserve, Reserved
from solvent._records import Account, Balance, CallRecord
from solvent._waiting import Queues, Sleep
from solvent.errors import BudgetExceeded, Unbounded
from solvent.policy import LimitsInForce, Policy
from solvent.wire import FORMATS
from solvent.wire._call import Call

TTL_SECONDS = 120.0
SHRINK_TRIES = 3

T = TypeVar("T")


class Admission(Struct, frozen=True, kw_only=True):
    """
    A call that is paid for.

    Attributes:
        id: Of its reservation.
        body: What to send; ``None`` when the original bytes are right.
        balances: Of its accounts, this reservation included.
    """

    id: str
    scope: Scope
    call: Call
    bound: Bound
    charges: Charges
    record: CallRecord
    chain: PromptChain | None
    own_host: bool
    body: bytes | None = None
    balances: Sequence[Balance] = ()

    @property
    def headers(self) -> Mapping[str, str]:
        """
        The running total and what remains, for a reply that begins before the call is settled.
        """
        return reply_headers(self.id, self.balances)


Flow: TypeAlias = Generator[Operation | Sleep, Any, T]  # Yields what a driver is to do, and is sent the answer.
_Flow: TypeAlias = Flow[Any]


class Authorizer:
    """
    Decides about calls: their bound, their charges, and the ladder. What it knows it is handed; what it does it yields.
    """

    def __init__(
        self, *, policy: Policy, limits: LimitsInForce, estimator: Estimator, queues: Queues, clock: Clock
    ) -> None:
        self.policy = policy
        self.limits = limits
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
        may_wait: bool = True,
    ) -> Flow[Admission]:
        at = utc(record.started or 0)
        charges = Charges.on(scope, self.limits.of(scope), self.policy.call)
        bound = self._estimator.cheap(call, at=at)
        wait_seconds = self.policy.wait_seconds if may_wait else 0
        attempt = _Attempt(id, scope, call, charges, bound, record, at, within, wait_seconds)
        self._require_bounds(attempt)
        answer: Reserved | Refusal | None = None
        if not self._queues.busy(charges.accounts):
            answer = yield from attempt.reserve()
        if not isinstance(answer, Reserved):
            answer = yield from self._climb(attempt, answer)
        if isinstance(answer, Refusal):
            raise self._exceeded(attempt, answer)
        rungs, record = tuple(attempt.rungs), attempt.record
        if rungs != (record.rungs or ()):  # A rung that was taken after the record was made: a wait.
            record = replace(record, rungs=rungs)
        return Admission(
            id=id,
            scope=scope,
            call=attempt.call,
            bound=attempt.bound,
            charges=charges,
            record=record,
            chain=attempt.chain,
            own_host=own_host,
            body=self._body(attempt, own_host=own_host),
            balances=answer.balances,
        )

    def _climb(self, attempt: "_Attempt", answer: Reserved | Refusal | None) -> _Flow:
        """
        The ladder: tighten, wait, shrink. ``None`` says that others are already waiting before this call.
        """
        if attempt.tighten(self._estimator) and answer is not None:
            answer = yield from attempt.reserve()
        if not isinstance(answer, Reserved):
            answer = yield from self._wait_for_room(attempt, answer)
        if isinstance(answer, Refusal) and self._may_shrink(attempt.call):
            answer = yield from self._shrink(attempt, answer)
        return answer

    def _wait_for_room(self, attempt: "_Attempt", answer: Refusal | None) -> _Flow:
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

    def _queue_up(self, attempt: "_Attempt", account: Account, seconds: float) -> _Flow:
        """
        Try whenever there may be room in an account and nobody is before this call, and once more when time is over.
        """
        request = attempt.request()
        with self._queues.join(account) as place:
            until = time.monotonic() + seconds
            while (yield from place.turn(until)):
                answer = yield request
                if isinstance(answer, Reserved) or not self._obstacle(attempt, answer).passes:
                    return answer
            return (yield request)

    def _may_shrink(self, call: Call) -> bool:
        if call.structured_output or call.format not in FORMATS or not self.policy.shrink_tokens_min:
            return False
        return call.output_tokens_max is None or call.output_cap_required or self.policy.shrink_explicit

    def _shrink(self, attempt: "_Attempt", answer: Refusal) -> _Flow:
        least = min(self.policy.shrink_tokens_min, attempt.bound.output_cap or OUTPUT_UNKNOWN)
        least = max(least, attempt.call.output_tokens_min)
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

    def _affordable(self, attempt: "_Attempt", answer: Refusal) -> int:
        return _ladder.affordable(
            answer.balances,
            attempt.charges.per_call,
            most=attempt.bound.output_cap or OUTPUT_UNKNOWN,
            bound_at=lambda cap: self._estimator.capped(attempt.call, attempt.bound, cap, at=attempt.at),
        )

    def _require_bounds(self, attempt: "_Attempt") -> None:
        """
        Refuse what a limit needs to know and no one does: a price, or a bound that the ladder cannot set either.
        """
        limited, bound = attempt.charges.limited, attempt.bound
        if "usd" in limited and bound.price_error is not None:
            raise bound.price_error
        uncapped = bound.output_tokens is None and bound.input_tokens is not None
        if uncapped and limited & OUTPUT_METERS and self._may_shrink(attempt.call):
            attempt.bound = bound = self._estimator.capped(attempt.call, bound, OUTPUT_UNKNOWN, at=attempt.at)
        for meter in sorted(limited & BOUNDED_METERS):
            if bound.amount(meter) is None:
                part = bound.unbounded or f"{attempt.call.model}"
                raise Unbounded(part=part, meter=meter, remedy=_remedy(attempt.call, bound))

    def _obstacle(self, attempt: "_Attempt", answer: Refusal) -> Obstacle:
        now = utc(self._clock.now_ns())
        return obstacle(answer, attempt.amounts(), wait_seconds=attempt.wait_seconds, now=now)

    def _exceeded(self, attempt: "_Attempt", answer: Refusal) -> BudgetExceeded:
        hindrance, now = self._obstacle(attempt, answer), utc(self._clock.now_ns())
        account, balance = hindrance.charge.account, hindrance.balance
        assert balance.limit is not None
        affordable = self._affordable(attempt, answer) if account.meter in BOUNDED_METERS else 0
        return BudgetExceeded(
            scope=account.scope,
            meter=account.meter,
            window=account.window,
            limit=balance.limit,
            spent=balance.spent,
            reserved=balance.reserved,
            requested=hindrance.charge.amount,
            open_count=answer.open_count,
            source=attempt.charges.source(balance),
            resets_at=resets_at(account.window, now=now),
            held=hindrance.passes and answer.fits_alone(balance, hindrance.charge.amount),
            output_tokens_affordable=affordable or None,
            now=now,
        )

    def _body(self, attempt: "_Attempt", *, own_host: bool) -> bytes | None:
        wire_format = FORMATS.get(attempt.call.format)
        if wire_format is None:
            return None
        own_cap = "max_completion_tokens" if own_host else "max_tokens"
        return wire_format.rewrite(attempt.original, output_tokens_max=attempt.cap_set, own_cap=own_cap)


class _Attempt:
    """
    One call on its way up the ladder: its request as it stands now, and what was done to it.
    """

    def __init__(
        self,
        id: str,
        scope: Scope,
        call: Call,
        charges: Charges,
        bound: Bound,
        record: CallRecord,
        at: datetime,
        within: tuple[str, ...],
        wait_seconds: float,
    ) -> None:
        self.original = self.call = call
        self.charges = charges
        self.bound = bound
        self.record = record
        self.at = at
        self.rungs: list[str] = []
        self.cap_set: int | None = None
        self.retry = bool(record.attempt)
        self.wait_seconds = wait_seconds
        self.waited_seconds = 0.0
        self.chain = PromptChain(call) if charges.limited & PROMPT_METERS else None
        self._id = id
        self._scope = scope
        self._within = within

    def request(self) -> Reserve:
        self.record = replace(
            self.record,
            bound_nanodollars=self.bound.nanodollars,
            bound_parts=tuple(part.to_json() for part in self.bound.parts),
            price_source=self.bound.price.source if self.bound.price else None,
            decision="admitted",
            rungs=tuple(self.rungs) or None,
        )
        return Reserve(
            id=self._id,
            scope=str(self._scope),
            terms=self.charges.terms,
            amounts=self.amounts(),
            ttl_seconds=TTL_SECONDS,
            call=self.record,
            within=self._within,
        )

    def amounts(self) -> dict[str, int]:
        return self.charges.amounts(self.bound, retry=self.retry)

    def reserve(self) -> _Flow:
        refusal = self.charges.call_refusal(self.bound)
        return refusal if refusal is not None else (yield self.request())

    def tighten(self, estimator: Estimator) -> bool:
        """
        Try for a tighter bound of the input; whether there is one.
        """
        if self.chain is None:
            return False
        tighter = estimator.tighten(self.call, self.bound, self.chain, scope=str(self._scope), at=self.at)
        if tighter is self.bound:
            return False
        self.bound = tighter
        self.rungs.append("prefix")
        return True

    def waited(self, seconds: float) -> None:
        self.waited_seconds += seconds
        self.rungs = [rung for rung in self.rungs if not rung.startswith("wait")]
        self.rungs.append(f"wait {show_seconds(self.waited_seconds)}")

    def cap(self, cap: int, estimator: Estimator) -> None:
        self.rungs = [rung for rung in self.rungs if not rung.startswith("shrink")] + [f"shrink {cap}"]
        self.bound = estimator.capped(self.call, self.bound, cap, at=self.at)
        self.call = replace(self.call, output_tokens_max=cap)
        self.cap_set = cap


def _remedy(call: Call, bound: Bound) -> str:
    if call.server_tools:
        return "cap the tool's uses in the request (max_uses, max_tool_calls), or run without that limit"
    if bound.output_tokens is None and not call.unbounded:
        return f"name an output cap in the request, or give the price of {call.model} with its largest output"
    return "leave that part out, or run without that limit"


def reply_headers(id: str, balances: Sequence[Balance], *, cost: int | None = None) -> dict[str, str]:
    """
    The running total and what remains, as dollars with every nanodollar.
    """
    headers = {"x-solvent-id": id}
    if cost is not None:
        headers["x-solvent-cost-usd"] = exact_dollars(cost)
    for balance in balances:
        if carries_run_total(balance.account):
            headers["x-solvent-spent-usd"] = exact_dollars(balance.spent)
    left = [balance.remaining for balance in balances if balance.account.meter == "usd" and balance.limit is not None]
    if left:
        headers["x-solvent-remaining-usd"] = exact_dollars(min(amount for amount in left if amount is not None))
    return headers
