"""
One call on its way up the ladder: its request as it stands now, and what was done to it.
"""

from collections.abc import Generator
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from msgspec.structs import replace

from solvent._amounts import show_seconds
from solvent._checks import Checked
from solvent._counting import Count, Counting
from solvent._estimate import Bound, Estimator, PromptChain, Way
from solvent._ladder import PROMPT_METERS, Charges
from solvent._limits import Scope
from solvent._operations import Operation, Reserve
from solvent._records import CallRecord
from solvent._standings import Look
from solvent._waiting import Sleep
from solvent.policy import TIGHTENINGS, Rules
from solvent.policy._fallback import Fallback
from solvent.wire._call import Asked, Call

TTL_SECONDS = 120.0

T = TypeVar("T")

# Yields what a driver is to do, and is sent the answer.
Flow: TypeAlias = Generator[Operation | Sleep | Count | Look, Any, T]


class Attempt:
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
        *,
        own_host: bool,
        counting: Counting | None,
        asked: Asked | None,
        rules: Rules,
        checked: Checked,
    ) -> None:
        self.original = self.call = call
        self.charges = charges
        self.bound = bound
        self.record = record
        self.at = at
        self.asked = asked
        self.path: str | None = None  # Another than the one asked for.
        self.checked = checked
        self.rungs: list[str] = []
        self.cap_set: int | None = None
        self.as_written: dict[str, int] = {}  # What it would have been charged, where it was shrunk.
        self.retry = bool(record.attempt)
        self.wait_seconds = wait_seconds
        self.own_host = own_host
        self.counting = counting
        self.waited_seconds = 0.0
        self.chain = PromptChain(call) if charges.limited & PROMPT_METERS else None
        self.id = id
        self.scope = scope
        self.rules = rules
        self._models = {call.model}  # Those that were tried.
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
            id=self.id,
            scope=str(self.scope),
            terms=self.charges.terms,
            amounts=self.amounts(),
            ttl_seconds=TTL_SECONDS,
            call=self.record,
            within=self._within,
        )

    def hold_to(self, rules: Rules) -> None:
        """
        The limits may be others by now, for one was topped up; the policy that decides stays the one it came under.
        """
        if rules is not self.rules and rules.policy is self.rules.policy:
            self.rules = rules
            self.charges = Charges.on(self.scope, rules.blocking, rules.policy.call, rules.watched)

    def amounts(self) -> dict[str, int]:
        return self.charges.amounts(self.bound, retry=self.retry)

    def reserve(self) -> Flow[Any]:
        refusal = self.charges.call_refusal(self.bound)
        return refusal if refusal is not None else (yield self.request())

    def tighten(self, estimator: Estimator, way: Way) -> bool:
        """
        Try for a tighter bound of the input; whether there is one. What another host than the provider's own makes of
        a text nobody knows.
        """
        if self.chain is None or (way == "tokenizer" and not self.own_host):
            return False
        scope = str(self.scope)
        return self._take(way, estimator.tighten(self.call, self.bound, self.chain, scope=scope, at=self.at, by=way))

    def count(self, estimator: Estimator, counted: int) -> bool:
        """
        Take the provider's own count; whether it is tighter.
        """
        return self._take("count", estimator.by_count(self.call, self.bound, counted, at=self.at))

    def _take(self, rung: str, bound: Bound) -> bool:
        if bound is self.bound:
            return False
        self.bound = bound
        self.rungs.append(rung)
        return True

    @property
    def step_down(self) -> Fallback | None:
        """
        To the next model that this call may be made with.
        """
        step = self.rules.fallback.get(self.call.model)
        is_possible = self.asked is not None and not self.original.fixed
        return step if step is not None and is_possible and step.to not in self._models else None

    def degrade(self, call: Call, bound: Bound, path: str, estimator: Estimator) -> None:
        """
        Go on as a call for another model. A cap above what that one can write is lowered to it.
        """
        assert self.asked is not None
        self.call, self.bound = call, bound
        self.path, self.cap_set = None if path == self.asked.path else path, None
        self._models.add(call.model)
        self.chain = PromptChain(call) if self.chain is not None else None
        of_the_model = ("degrade", *TIGHTENINGS)
        self.rungs = [rung for rung in self.rungs if not rung.startswith(of_the_model)] + [f"degrade {call.model}"]
        largest = bound.price.output_tokens_max if bound.price else None
        if largest is not None and (call.output_tokens_max or 0) > largest:
            self._cap(largest, estimator)

    def waited(self, seconds: float) -> None:
        self.waited_seconds += seconds
        self.rungs = [rung for rung in self.rungs if not rung.startswith("wait")]
        self.rungs.append(f"wait {show_seconds(self.waited_seconds)}")

    def cap(self, cap: int, estimator: Estimator) -> None:
        self.rungs = [rung for rung in self.rungs if not rung.startswith("shrink")] + [f"shrink {cap}"]
        self._cap(cap, estimator)

    @property
    def is_shrunk(self) -> bool:
        return any(rung.startswith("shrink") for rung in self.rungs)

    def _cap(self, cap: int, estimator: Estimator) -> None:
        self.bound = estimator.capped(self.call, self.bound, cap, at=self.at)
        self.call = replace(self.call, output_tokens_max=cap)
        self.cap_set = cap
