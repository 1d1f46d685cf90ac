"""
A journal and the bill that agrees with it, each call in both; tests then plant a difference in one of them.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from clocks import ManualClock
from msgspec import Struct, field
from msgspec.structs import replace

from solvent._amounts import Usage
from solvent._operations import Reserve, Settle
from solvent._records import Account, CallRecord, Terms
from solvent.prices import Prices
from solvent.stores._protocol import Store
from solvent.stores.memory import MemoryStore

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
DAY = (FIRST - datetime(1970, 1, 1, tzinfo=UTC)).days
RUN = "run:triage"
MINI, GPT_4O, HAIKU = "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06", "claude-haiku-4-5-20251001"
PRICES = Prices()


class Call(Struct, frozen=True, kw_only=True):
    """
    A call as its provider knows it: ``cost`` is what it really cost.
    """

    model: str = MINI
    provider: str = "openai"
    at: datetime = FIRST + timedelta(hours=12)
    tokens: Mapping[str, int] = field(default_factory=lambda: {"input_tokens": 1_000, "output_tokens": 100})
    tier: str = "default"

    @property
    def cost(self) -> int:
        return self.cost_in(self.tier)

    def cost_in(self, tier: str) -> int:
        price = PRICES.find(self.provider, self.model)
        assert price is not None
        return price.cost(Usage(**self.tokens), tier=tier, region=None, at=self.at)

    @property
    def day(self) -> int:
        return DAY + (self.at - FIRST).days

    def on(self, day: int, *, hour: int = 12, minute: int = 0) -> "Call":
        return replace(self, at=FIRST + timedelta(days=day, hours=hour, minutes=minute))


class Billing(Struct, kw_only=True):
    """
    What a provider bills for one model on one day, nanodollars.
    """

    cost: int = 0
    requests: int = 0
    tokens: dict[str, dict[str, int]] = field(default_factory=dict)  # By tier.
    credit: int = 0
    dearer: Mapping[str, Fraction] = {}  # By kind, of a bill that tells costs by kind: how many times our price.


class World:
    """
    A ledger, and the bill beside it.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or MemoryStore(clock=ManualClock("2026-12-01T00:00:00"))
        self.bill: dict[tuple[int, str], Billing] = {}
        self._ids = 0

    def call(self, call: Call) -> None:
        """
        A call that both know.
        """
        self.book(call)
        self.charge(call)

    def book(self, call: Call, cost: int | None = -1, **record: Any) -> None:
        """
        A call as the journal has it, at what it cost unless something else is said.
        """
        self._ids += 1
        id, terms = f"{self._ids:026}", Terms.of({Account(RUN, "usd"): None, Account(RUN, "calls"): None})
        booked = call.cost if cost == -1 else cost
        end = (call.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000
        told = {
            "model_asked": call.model,
            "model_used": call.model,
            "tier": call.tier,
            "usage": call.tokens,
            "status": "200",
            "price_source": None if booked is None else "the price list",
            **record,
        }
        made = CallRecord(provider=call.provider, format="openai-chat", started=end, ended=end)
        amounts = {"usd": booked or 0, "calls": 1}
        self._apply(Reserve(id=id, scope=RUN, terms=terms, amounts=amounts, call=made))
        call_record = replace(made, cost_nanodollars=booked, **told)
        self._apply(Settle(id=id, actual=amounts, call=call_record))

    def charge(self, call: Call, *, sign: int = 1, day: int | None = None) -> None:
        """
        A call as the provider bills it; with ``sign=-1`` no longer.
        """
        cell = self.cell(call.day if day is None else day, call.model)
        cell.cost += sign * call.cost
        cell.requests += sign
        tokens = cell.tokens.setdefault(call.tier, {})
        for name, count in call.tokens.items():
            tokens[name] = tokens.get(name, 0) + sign * count

    def cell(self, day: int, model: str) -> Billing:
        return self.bill.setdefault((day, model), Billing())

    def write(self, folder: Path, *, days: int = 1, decimals: int = 9, by_kind: bool = False) -> list[str]:
        """
        The bill as OpenAI's interface answers: costs, and usage.
        """
        costs_of = self._costs_by_kind if by_kind else self._costs
        costs = [_bucket(day, [*costs_of(day, decimals)]) for day in range(DAY, DAY + days)]
        usage = [_bucket(day, [*self._usage(day)]) for day in range(DAY, DAY + days)]
        paths = [folder / "costs.json", folder / "usage.json"]
        for path, data in zip(paths, (costs, usage), strict=True):
            text = json.dumps({"object": "page", "data": data, "has_more": False})
            path.write_text(text.replace('"<', "").replace('>"', ""))  # Amounts are numbers there, and exact here.
        return [str(path) for path in paths]

    def _costs(self, day: int, decimals: int) -> Any:
        for (at, model), cell in self.bill.items():
            for amount in (cell.cost, cell.credit) if at == day else ():
                shown = f"<{Decimal(amount).scaleb(-9):.{decimals}f}>"
                if amount:
                    yield {"amount": {"value": shown, "currency": "usd"}, "line_item": model}

    def _costs_by_kind(self, day: int, _: int) -> Any:
        for (at, model), cell in self.bill.items():
            tokens = cell.tokens.get("default", {}) if at == day else {}
            cached = tokens.get("cache_read_tokens", 0)
            parts = {
                "input": Usage(input_tokens=tokens.get("input_tokens", 0) - cached),
                "cached input": Usage(input_tokens=cached, cache_read_tokens=cached),
                "output": Usage(output_tokens=tokens.get("output_tokens", 0)),
            }
            for kind, usage in parts.items():
                price = PRICES.find("openai", model)
                if usage.tokens and price is not None:
                    nanodollars = price.cost(usage, tier=None, region=None, at=FIRST) * cell.dearer.get(kind, 1)
                    shown = f"<{Decimal(int(nanodollars)).scaleb(-9)}>"
                    yield {"amount": {"value": shown, "currency": "usd"}, "line_item": f"{model}, {kind}"}

    def _usage(self, day: int) -> Any:
        for (at, model), cell in self.bill.items():
            for number, (tier, tokens) in enumerate(cell.tokens.items() if at == day else ()):
                yield {
                    "object": "organization.usage.completions.result",
                    "model": model,
                    "service_tier": tier,
                    "batch": tier == "batch",
                    "num_model_requests": 0 if number else cell.requests,
                    "input_tokens": tokens.get("input_tokens", 0),
                    "input_cached_tokens": tokens.get("cache_read_tokens", 0),
                    "output_tokens": tokens.get("output_tokens", 0),
                }

    def _apply(self, operation: Reserve | Settle) -> None:
        [answer] = self.store.apply([operation])
        assert not isinstance(answer, Exception), answer


def _bucket(day: int, results: list[Any]) -> dict[str, Any]:
    return {"object": "bucket", "start_time": day * 86_400, "end_time": (day + 1) * 86_400, "results": results}
