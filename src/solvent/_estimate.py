"""
The most that a described call can use and cost: cheap first, tighter on demand.

Every part of a bound has a reason that makes it one (DESIGN §6).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from solvent._inputs import Inputs, Part, Way, inferences
from solvent._prefixes import PromptChain
from solvent.errors import PriceUnknown
from solvent.policy import Rules
from solvent.prices import Price, Prices
from solvent.wire._call import Call, Stated

__all__ = [
    "Bound",
    "Estimator",
    "Part",
    "PromptChain",
    "Way",
    "usage_json",
]


class Bound(Struct, frozen=True, kw_only=True):
    """
    The most that a call can use.

    Attributes:
        input_tokens, output_tokens: ``None`` where there is no bound; ``unbounded`` says why.
        nanodollars: ``None`` without a bound or without a price.
        output_cap: Of one reply; ``None`` when nothing caps it.
        price: ``None`` when the model has none; ``price_error`` then says so.
    """

    input_tokens: int | None
    output_tokens: int | None
    nanodollars: int | None
    output_cap: int | None
    price: Price | None
    price_error: PriceUnknown | None = None
    unbounded: str | None = None
    parts: tuple[Part, ...] = ()

    @property
    def input_parts(self) -> tuple[Part, ...]:
        return self.parts[: next(place for place, part in enumerate(self.parts) if part.name == "output")]

    @property
    def tokens(self) -> int | None:
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens

    def amount(self, meter: str) -> int | None:
        """
        The bound of one meter of tokens or money.
        """
        amount: int | None = getattr(self, "nanodollars" if meter == "usd" else meter)
        return amount


class Estimator:
    """
    Bounds calls, and learns from their bills.

    Args:
        prices: The rate card with the user's prices.
        price_as: The model whose price an unpriced one gets, by the policy; ``None`` refuses.
        assumed: Told once for each model that ``price_as`` served.
    """

    def __init__(
        self, prices: Prices, *, price_as: str | None = None, assumed: Callable[[str, str], None] = lambda *_: None
    ) -> None:
        self._prices = prices
        self._price_as = price_as
        self._assumed = assumed
        self._assumed_models: set[tuple[str, str]] = set()
        self._inputs = Inputs()

    def price(self, provider: str, model: str, rules: Rules | None = None) -> Price | None:
        """
        The price of a model.

        Args:
            rules: In force for the call; without them it is priced by what the estimator was made with.
        """
        prices, price_as = self._prices, self._price_as
        if rules is not None and rules.prices is not None:
            prices, price_as = rules.prices, rules.policy.price_as
        price = prices.find(provider, model)
        if price is None and not provider:  # A program's own call need not name it, where the model's name does.
            price = prices.find_as(provider, model, model, source="its name")
        if price is None and price_as is not None:
            price = prices.find_as(provider, model, price_as, source="unpriced.price_as")
            if price is not None and (model, price_as) not in self._assumed_models:
                self._assumed_models.add((model, price_as))
                self._assumed(model, price_as)
        return price

    def cheap(self, call: Call, *, at: datetime, rules: Rules | None = None) -> Bound:
        """
        The bound that needs nothing but the request.
        """
        if call.stated is not None:
            return self._stated(call, call.stated, at=at, rules=rules)
        price = self.price(call.provider, call.model, rules)
        return self._bound(call, price, (self._inputs.cheap(call, price),), at=at)

    def tighten(
        self, call: Call, bound: Bound, chain: PromptChain, *, scope: str, at: datetime, by: Way = "prefix"
    ) -> Bound:
        """
        The bound by what was billed for a prompt of this scope that begins as this one does, where that is tighter.

        Args:
            by: With ``tokenizer`` what was not billed before is counted by the model's own, if one is installed.
        """
        parts = self._inputs.tightest(call, bound.price, chain, scope=scope, by=by)
        return self._tighter(call, bound, parts, at=at)

    def by_count(self, call: Call, bound: Bound, counted: int, *, at: datetime) -> Bound:
        """
        The bound by what the provider's count endpoint says, where that is tighter.
        """
        part = self._inputs.counted(call, bound.price, counted)
        return self._tighter(call, bound, () if part is None else (part,), at=at)

    def capped(self, call: Call, bound: Bound, cap: int, *, at: datetime) -> Bound:
        """
        The same bound with another output cap.
        """
        return self._bound(replace(call, output_tokens_max=cap), bound.price, bound.input_parts, at=at)

    def learn(self, chain: PromptChain, *, scope: str, input_tokens: int, rules: Rules | None = None) -> None:
        """
        Remember what a provider billed for a whole prompt.
        """
        price = self.price(chain.call.provider, chain.call.model, rules)
        self._inputs.learn(chain, price, scope=scope, billed=input_tokens)

    def broken(
        self, call: Call, bound: Bound, chain: PromptChain, *, scope: str, input_tokens: int
    ) -> Mapping[str, int] | None:
        """
        Raise the constants that a bill shows to be too low, so that the next call of its kind is bounded rightly. To be
        asked before the bill is learned.

        Returns:
            ``None`` where the bound held; else, by its name, what was added by now to each constant that was raised.
        """
        if bound.input_tokens is None or input_tokens <= bound.input_tokens:
            return None
        return self._inputs.broken(call, bound.price, bound.input_parts, chain, scope=scope, billed=input_tokens)

    def close_matches(self, call: Call) -> list[str]:
        if not call.provider:
            return self._prices.close_anywhere(call.model)
        return self._prices.close_matches(call.provider, call.model)

    def close_provider(self, name: str) -> str | None:
        return self._prices.close_provider(name)

    def _stated(self, call: Call, stated: Stated, *, at: datetime, rules: Rules | None) -> Bound:
        """
        The bound that the program itself gives; of a model, its price tells what the tokens can cost.
        """
        reason = "as the program says"
        bound = Bound(
            input_tokens=stated.input_tokens,
            output_tokens=stated.output_tokens,
            nanodollars=stated.nanodollars,
            output_cap=stated.output_tokens,
            price=self.price(call.provider, call.model, rules) if stated.has_model else None,
            unbounded=f"what {call.model} can use",
            parts=(
                Part(name="input", tokens=stated.input_tokens, reason=reason),
                Part(name="output", tokens=stated.output_tokens, reason=reason),
            ),
        )
        if stated.nanodollars is not None:
            money = Part(name="usd", nanodollars=stated.nanodollars, reason=reason)
            return replace(bound, parts=(*bound.parts, money))
        return self._priced(call, bound, at=at) if stated.has_model else bound

    def _tighter(self, call: Call, bound: Bound, parts: tuple[Part, ...], *, at: datetime) -> Bound:
        tokens = _tokens(parts)
        if not parts or tokens is None or (bound.input_tokens is not None and tokens >= bound.input_tokens):
            return bound
        # The output stays as it was bounded: a cap that the ladder will set may stand where the call has none.
        return self._bound(call, bound.price, parts, (bound.parts[len(bound.input_parts)], bound.output_cap), at=at)

    def _bound(
        self,
        call: Call,
        price: Price | None,
        input_parts: tuple[Part, ...],
        output: tuple[Part, int | None] | None = None,
        *,
        at: datetime,
    ) -> Bound:
        without = _unbounded(call)
        output_part, cap = output or _output(call, price)
        input_tokens = _tokens(input_parts)
        if without:
            input_tokens, input_parts = None, tuple([replace(part, tokens=None) for part in input_parts])
            output_part, cap = replace(output_part, tokens=None), None
        elif input_tokens is None:
            without = f"{input_parts[0].reason}, which is not known for {call.model}"
        elif output_part.tokens is None:
            without = output_part.reason
        bound = Bound(
            input_tokens=input_tokens,
            output_tokens=output_part.tokens,
            nanodollars=None,
            output_cap=cap,
            price=price,
            unbounded=without,
            parts=(*input_parts, output_part),
        )
        return self._priced(call, bound, at=at)

    def _priced(self, call: Call, bound: Bound, *, at: datetime) -> Bound:
        if bound.price is None:
            if not call.model:
                return bound  # It names none that could have a price: that it has no bound says more.
            close = self.close_matches(call)
            return replace(bound, price_error=PriceUnknown(model=call.model, provider=call.provider, close=close))
        if bound.input_tokens is None or bound.output_tokens is None:
            return bound
        try:
            nanodollars = bound.price.cost_max(
                input_tokens=bound.input_tokens,
                output_tokens=bound.output_tokens,
                tier=call.tier,
                region=call.region,
                at=at,
                cache_writes=call.cache_writes,
                tool_calls=_tool_calls(call),
                has_audio=call.has_audio,
            )
        except PriceUnknown as error:
            return replace(bound, price_error=error)
        money = Part(
            name="usd", nanodollars=nanodollars, reason=f"the highest price that applies: {bound.price.source}"
        )
        return replace(bound, nanodollars=nanodollars, parts=(*bound.parts, money))


def _output(call: Call, price: Price | None) -> tuple[Part, int | None]:
    """
    The output's part of a bound, and the cap of one reply.
    """
    cap, reason = call.output_tokens_max, "the request's own cap"
    if cap == 0:
        reason = "nothing is written in reply"
    if cap is None:
        cap, reason = (price.output_tokens_max if price else None), "the model's largest output"
    if cap is None:
        return Part(name="output", reason="an output without a cap, of a model whose largest is not known"), None
    rounds = inferences(call)
    times = f" × {call.choices} choices" if call.choices > 1 else ""
    times += f" × {rounds} inferences" if rounds > 1 else ""
    return Part(name="output", tokens=cap * call.choices * rounds, reason=reason + times), cap


def _tokens(parts: tuple[Part, ...]) -> int | None:
    """
    The sum of some parts; ``None`` where one is not known.
    """
    total = 0
    for part in parts:
        if part.tokens is None:
            return None
        total += part.tokens
    return total


def _tool_calls(call: Call) -> dict[str, int]:
    """
    The most uses of each server-side tool; a name may stand for several of them.
    """
    most: dict[str, int] = {}
    for tool in call.server_tools:
        most[tool.name] = most.get(tool.name, 0) + (tool.calls_max or 0)
    return most


def _unbounded(call: Call) -> str | None:
    if call.unbounded:
        return call.unbounded[0]
    for tool in call.server_tools:
        if tool.calls_max is None:
            return f"the provider's tool {tool.name} without a cap on its uses"
    return None


def usage_json(usage: Any) -> Mapping[str, int]:
    """
    A usage by its names, zeros left out but for the two that are always told.
    """
    always = ("input_tokens", "output_tokens")
    return {name: value for name, value in asdict(usage).items() if value or name in always}
