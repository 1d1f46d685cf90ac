"""
The most that a described call can use and cost: cheap first, tighter on demand.

Every part of a bound has a reason that makes it one (DESIGN §6).
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from solvent._bounds import image_tokens_max, overhead
from solvent.errors import PriceUnknown
from solvent.prices import Price, Prices
from solvent.wire._call import Call, Item

PREFIXES_MAX = 16_384  # Billed prefixes remembered by one process, some 200 bytes each.

_encode = msgspec.json.Encoder(order="deterministic", enc_hook=repr).encode


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """
    One part of a bound: its tokens or its money, and why it cannot be more.
    """

    name: str
    tokens: int | None = None
    nanodollars: int | None = None
    reason: str = ""

    def to_json(self) -> dict[str, str | int | None]:
        return {"name": self.name, "tokens": self.tokens, "nanodollars": self.nanodollars, "reason": self.reason}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
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
    def tokens(self) -> int | None:
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens

    def amount(self, meter: str) -> int | None:
        """
        The bound of one meter of tokens or money.
        """
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "tokens": self.tokens,
            "usd": self.nanodollars,
        }[meter]


class Estimator:
    """
    Bounds calls, and remembers what was billed for prompts that later calls repeat and extend.

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
        self._assumed_models: set[str] = set()
        self._billed: OrderedDict[tuple[str, bytes], int] = OrderedDict()

    def price(self, provider: str, model: str) -> Price | None:
        price = self._prices.find(provider, model)
        if price is None and self._price_as is not None:
            price = self._prices.find(provider, self._price_as)
            if price is not None and model not in self._assumed_models:
                self._assumed_models.add(model)
                self._assumed(model, self._price_as)
        return price

    def cheap(self, call: Call, *, at: datetime) -> Bound:
        """
        The bound that needs nothing but the request.
        """
        price = self.price(call.provider, call.model)
        part = self._hidden_input(call, price) if call.hidden_input else self._text_input(call, price)
        return self._bound(call, price, part, at=at)

    def tighten(self, call: Call, bound: Bound, chain: "PromptChain", *, scope: str, at: datetime) -> Bound:
        """
        The bound by what was billed for the longest part of this prompt that was sent before in the scope.
        """
        if call.hidden_input or call.server_tools or call.unbounded:
            return bound
        digests = chain.digests
        for length in range(len(digests) - 1, -1, -1):
            billed = self._billed.get((scope, digests[length]))
            if billed is None:
                continue
            added = self._items(call, call.items[length:])
            if added is None:
                return bound
            # The frame of a request is in what was billed; counted once more, it covers marks where the prefix ended.
            tokens = billed + added + overhead(_only(call, call.items[length:]))
            if bound.input_tokens is not None and tokens >= bound.input_tokens:
                return bound
            reason = f"{billed:,} billed for the first {length} messages, and the bound of the rest"
            return self._bound(call, bound.price, Part(name="input", tokens=tokens, reason=reason), at=at)
        return bound

    def capped(self, call: Call, bound: Bound, cap: int, *, at: datetime) -> Bound:
        """
        The same bound with another output cap.
        """
        input_part = next(part for part in bound.parts if part.name == "input")
        return self._bound(replace(call, output_tokens_max=cap), bound.price, input_part, at=at)

    def learn(self, chain: "PromptChain", *, scope: str, input_tokens: int) -> None:
        """
        Remember what a provider billed for a whole prompt.
        """
        key = (scope, chain.digests[-1])
        self._billed[key] = input_tokens
        self._billed.move_to_end(key)
        if len(self._billed) > PREFIXES_MAX:
            self._billed.popitem(last=False)

    def close_matches(self, call: Call) -> list[str]:
        return self._prices.close_matches(call.provider, call.model)

    def _bound(self, call: Call, price: Price | None, input_part: Part, *, at: datetime) -> Bound:
        unbounded = _unbounded(call)
        input_tokens, rounds = input_part.tokens, 1
        if unbounded:
            input_tokens = None
        elif call.server_tools:
            rounds = 1 + sum(tool.calls_max or 0 for tool in call.server_tools)
            largest = price.input_tokens_max if price else None
            input_part = Part(
                name="input",
                tokens=None if largest is None else rounds * largest,
                reason=f"{rounds} times the model's largest input, for the provider runs tools",
            )
            input_tokens = input_part.tokens
        if input_tokens is None and not unbounded:
            unbounded = f"{input_part.reason}, which is not known for {call.model}"
        output_part, cap = self._output(call, price, rounds)
        if unbounded and _unbounded(call):
            output_part, cap = replace(output_part, tokens=None), None
        bound = Bound(
            input_tokens=input_tokens,
            output_tokens=output_part.tokens,
            nanodollars=None,
            output_cap=cap,
            price=price,
            unbounded=unbounded or (output_part.reason if output_part.tokens is None else None),
            parts=(input_part, output_part),
        )
        return self._priced(call, bound, at=at)

    def _priced(self, call: Call, bound: Bound, *, at: datetime) -> Bound:
        if bound.price is None:
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
                tool_calls={tool.name: tool.calls_max or 0 for tool in call.server_tools},
            )
        except PriceUnknown as error:
            return replace(bound, price_error=error)
        money = Part(
            name="usd", nanodollars=nanodollars, reason=f"the highest price that applies: {bound.price.source}"
        )
        return replace(bound, nanodollars=nanodollars, parts=(*bound.parts, money))

    def _hidden_input(self, call: Call, price: Price | None) -> Part:
        largest = price.input_tokens_max if price else None
        return Part(name="input", tokens=largest, reason=f"the model's largest input, for {call.hidden_input}")

    def _text_input(self, call: Call, price: Price | None) -> Part:
        items = self._items(call, (call.head, *call.items))
        if items is None:
            largest = price.input_tokens_max if price else None
            return Part(name="input", tokens=largest, reason="the model's largest input, for images of unknown size")
        tokens = items + overhead(call)
        return Part(name="input", tokens=tokens, reason="UTF-8 and NFKC bytes of the text, and constants")

    def _items(self, call: Call, items: tuple[Item, ...]) -> int | None:
        images = sum(item.images for item in items)
        per_image = image_tokens_max(call) if images else 0
        if per_image is None:
            return None
        return sum(item.tokens_max for item in items) + images * per_image

    def _output(self, call: Call, price: Price | None, rounds: int) -> tuple[Part, int | None]:
        cap, reason = call.output_tokens_max, "the request's own cap"
        if cap is None:
            cap, reason = (price.output_tokens_max if price else None), "the model's largest output"
        if cap is None:
            return Part(name="output", reason="an output without a cap, of a model whose largest is not known"), None
        times = f" × {call.choices} choices" if call.choices > 1 else ""
        times += f" × {rounds} inferences" if rounds > 1 else ""
        return Part(name="output", tokens=cap * call.choices * rounds, reason=reason + times), cap


class PromptChain:
    """
    Digests of a call's prompt: of its head, and after each of its messages. Made when asked for.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    @cached_property
    def digests(self) -> list[bytes]:
        start = _encode((self._call.provider, self._call.format, self._call.model, self._call.head.value))
        digests = [hashlib.blake2b(start, digest_size=16).digest()]
        for item in self._call.items:
            digests.append(hashlib.blake2b(digests[-1] + _encode(item.value), digest_size=16).digest())
        return digests


def _only(call: Call, items: tuple[Item, ...]) -> Call:
    """
    A call of these messages alone, whose head was counted before.
    """
    return replace(call, items=items, tools=0, structured_output=False)


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
    fields = {name: getattr(usage, name) for name in usage.__dataclass_fields__}
    always = ("input_tokens", "output_tokens")
    return {name: value for name, value in fields.items() if value or name in always}
