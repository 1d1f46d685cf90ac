"""
The most that a described call can use and cost: cheap first, tighter on demand.

Every part of a bound has a reason that makes it one (DESIGN §6).
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from solvent._bounds import image_tokens_max, overhead
from solvent.errors import PriceUnknown
from solvent.prices import Price, Prices
from solvent.wire._call import Call, Item

PREFIXES_MAX = 16_384  # Billed prefixes remembered by one process, some 200 bytes each.

# Settings by which a provider leaves out messages that were sent, or parts of them.
_SETTINGS_THAT_CUT = ("context_management", "transforms", "truncation")

_encode = msgspec.json.Encoder(order="deterministic", enc_hook=repr).encode


class Part(Struct, frozen=True, kw_only=True):
    """
    One part of a bound: its tokens or its money, and why it cannot be more.
    """

    name: str
    tokens: int | None = None
    nanodollars: int | None = None
    reason: str = ""

    def to_json(self) -> dict[str, str | int | None]:
        return {"name": self.name, "tokens": self.tokens, "nanodollars": self.nanodollars, "reason": self.reason}


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
        return self._bound(call, price, _input(call, price), at=at)

    def tighten(self, call: Call, bound: Bound, chain: "PromptChain", *, scope: str, at: datetime) -> Bound:
        """
        The bound by what was billed for a prompt of this scope that begins as this one does, where that is tighter.
        """
        if _is_more_than_its_text(call) or call.unbounded:
            return bound
        least, tighter, added = bound.input_tokens, None, 0
        for length in range(len(call.items), -1, -1):
            more = _content(call, call.items[length : length + 1])
            if more is None or (least is not None and added + more >= least):
                break  # Counting yet more of the prompt anew gives nothing less.
            added += more
            billed = self._billed.get((scope, chain.digests[length]))
            if billed is None:
                continue
            tokens = billed + added + _overhead_of_the_rest(call, length)
            if least is None or tokens < least:
                reason = (
                    f"{billed:,} billed for a prompt that has the first {length} messages, and the bound of the rest"
                )
                least, tighter = tokens, Part(name="input", tokens=tokens, reason=reason)
        return bound if tighter is None else self._bound(call, bound.price, tighter, at=at)

    def capped(self, call: Call, bound: Bound, cap: int, *, at: datetime) -> Bound:
        """
        The same bound with another output cap.
        """
        input_part = next(part for part in bound.parts if part.name == "input")
        return self._bound(replace(call, output_tokens_max=cap), bound.price, input_part, at=at)

    def learn(self, chain: "PromptChain", *, scope: str, input_tokens: int) -> None:
        """
        Remember what a provider billed for a whole prompt.

        It is also the most that the head can be alone, and all but the last message: a conversation that starts anew
        shares the one, another question about the same text the other. The least that is known counts.
        """
        call, whole = chain.call, len(chain.call.items)
        if _is_more_than_its_text(call) or input_tokens <= whole:
            return  # With fewer tokens than messages, not all of it was counted.
        for length in {0, max(whole - 1, 0)} if _is_kept_whole(call) else {0}:
            key = (scope, chain.digests[length])
            known = min(self._billed.get(key, input_tokens), input_tokens)
            added = _content(call, call.items[length:])
            # A bill above the bound that this would have given shows that it holds no more.
            is_broken = added is not None and known + added < input_tokens
            self._remember(key, input_tokens if is_broken else known)
        self._remember((scope, chain.digests[whole]), input_tokens)

    def _remember(self, key: tuple[str, bytes], input_tokens: int) -> None:
        self._billed[key] = input_tokens
        self._billed.move_to_end(key)
        if len(self._billed) > PREFIXES_MAX:
            self._billed.popitem(last=False)

    def close_matches(self, call: Call) -> list[str]:
        return self._prices.close_matches(call.provider, call.model)

    def _bound(self, call: Call, price: Price | None, input_part: Part, *, at: datetime) -> Bound:
        without = _unbounded(call)
        output_part, cap = _output(call, price)
        if without:
            input_part, output_part, cap = replace(input_part, tokens=None), replace(output_part, tokens=None), None
        elif input_part.tokens is None:
            without = f"{input_part.reason}, which is not known for {call.model}"
        elif output_part.tokens is None:
            without = output_part.reason
        bound = Bound(
            input_tokens=input_part.tokens,
            output_tokens=output_part.tokens,
            nanodollars=None,
            output_cap=cap,
            price=price,
            unbounded=without,
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
                tool_calls=_tool_calls(call),
            )
        except PriceUnknown as error:
            return replace(bound, price_error=error)
        money = Part(
            name="usd", nanodollars=nanodollars, reason=f"the highest price that applies: {bound.price.source}"
        )
        return replace(bound, nanodollars=nanodollars, parts=(*bound.parts, money))


class PromptChain:
    """
    Digests of a call's prompt: of its head, and after each of its messages. Made when asked for.
    """

    def __init__(self, call: Call) -> None:
        self.call = call

    @cached_property
    def digests(self) -> list[bytes]:
        call = self.call
        # What the provider leaves out by these settings is not in the bill, so under others the bill says nothing.
        settings = [call.request.get(name) for name in _SETTINGS_THAT_CUT]
        start = _encode((call.provider, call.format, call.model, call.head.value, settings))
        digests = [hashlib.blake2b(start, digest_size=16).digest()]
        for item in call.items:
            digests.append(hashlib.blake2b(digests[-1] + _encode(item.value), digest_size=16).digest())
        return digests


def _input(call: Call, price: Price | None) -> Part:
    """
    The input's part of a bound that needs nothing but the request.
    """
    largest = price.input_tokens_max if price else None
    if call.server_tools:
        rounds = _rounds(call)
        tokens = None if largest is None else rounds * largest
        reason = f"{rounds} times the model's largest input, for the provider runs tools"
        return Part(name="input", tokens=tokens, reason=reason)
    if call.hidden_input:
        return Part(name="input", tokens=largest, reason=f"the model's largest input, for {call.hidden_input}")
    content = _content(call, (call.head, *call.items))
    if content is None:
        return Part(name="input", tokens=largest, reason="the model's largest input, for images of unknown size")
    tokens = content + overhead(call)
    return Part(name="input", tokens=tokens, reason="UTF-8 and NFKC bytes of the text, and constants")


def _output(call: Call, price: Price | None) -> tuple[Part, int | None]:
    """
    The output's part of a bound, and the cap of one reply.
    """
    cap, reason = call.output_tokens_max, "the request's own cap"
    if cap is None:
        cap, reason = (price.output_tokens_max if price else None), "the model's largest output"
    if cap is None:
        return Part(name="output", reason="an output without a cap, of a model whose largest is not known"), None
    rounds = _rounds(call)
    times = f" × {call.choices} choices" if call.choices > 1 else ""
    times += f" × {rounds} inferences" if rounds > 1 else ""
    return Part(name="output", tokens=cap * call.choices * rounds, reason=reason + times), cap


def _content(call: Call, items: tuple[Item, ...]) -> int | None:
    """
    The most tokens of these messages, their frames aside; ``None`` with images whose size nobody says.
    """
    images = sum(item.images for item in items)
    per_image = image_tokens_max(call) if images else 0
    return None if per_image is None else sum(item.tokens_max for item in items) + images * per_image


def _overhead_of_the_rest(call: Call, length: int) -> int:
    """
    The overhead of what follows the first messages of a prompt, where those were billed before.

    The frame of a request is in what was billed; counted once more, it covers marks where the prefix ended. Tools are
    in the head, and so in what was billed, but for those that a message brings.
    """
    rest = call.items[length:]
    brings_tools = any(isinstance(item.value, dict) and item.value.get("tools") for item in rest)
    tools = call.tools if brings_tools else 0
    return overhead(replace(call, items=rest, tools=tools, structured_output=False))


def _is_more_than_its_text(call: Call) -> bool:
    """
    What is billed for such a call is not for its text alone.
    """
    return bool(call.hidden_input or call.server_tools)


def _is_kept_whole(call: Call) -> bool:
    """
    Whether the provider surely read every message, so that the bill for all is no less than any of them costs.

    Reasoning of earlier turns is dropped when a new turn begins; some settings drop more.

    Source:
        Anthropic API guide, "Extended thinking" and "Context editing"; OpenAI API guide, "Reasoning models", and API
        reference, `truncation`; read 2026-11-21.
    """
    if any(call.request.get(name) for name in _SETTINGS_THAT_CUT):
        return False
    return not any(_has_reasoning(item.value) for item in call.items)


def _has_reasoning(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    content = value.get("content")
    parts = content if isinstance(content, list) else []
    kinds = [value.get("type"), *(part.get("type") for part in parts if isinstance(part, dict))]
    return any("reasoning" in name or "thinking" in name for name in (*value, *map(str, kinds)))


def _rounds(call: Call) -> int:
    return 1 + sum(tool.calls_max or 0 for tool in call.server_tools)


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
    fields = {name: getattr(usage, name) for name in usage.__struct_fields__}
    always = ("input_tokens", "output_tokens")
    return {name: value for name, value in fields.items() if value or name in always}
