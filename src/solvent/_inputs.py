"""
The most tokens that a call's input can be: by its text, by earlier bills, by a tokenizer, by the provider's own count.
"""

from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from solvent._bounds import counted_max
from solvent._constants import Constants
from solvent._prefixes import Prefixes, PromptChain
from solvent._tokenizers import TextCounter, counter_for
from solvent.prices import Price
from solvent.wire._call import Call, Item

Way: TypeAlias = Literal["prefix", "tokenizer"]  # To a tighter bound that needs nobody to be asked.
WAYS: tuple[Way, ...] = ("prefix", "tokenizer")


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


class Inputs:
    """
    Bounds inputs, and remembers what bills say: about prompts that later calls repeat, and about constants too low.
    """

    def __init__(self) -> None:
        self._prefixes = Prefixes()
        self._constants = Constants()

    def cheap(self, call: Call, price: Price | None) -> Part:
        """
        The bound that needs nothing but the request.
        """
        largest = price.input_tokens_max if price else None
        if call.server_tools:
            rounds = inferences(call)
            tokens = None if largest is None else rounds * largest
            reason = f"{rounds} times the model's largest input, for the provider runs tools"
            return Part(name="input", tokens=tokens, reason=reason)
        if call.hidden_input:
            return Part(name="input", tokens=largest, reason=f"the model's largest input, for {call.hidden_input}")
        content = self._content(call, price, (call.head, *call.items))
        if content is None:
            return Part(name="input", tokens=largest, reason="the model's largest input, for images of unknown size")
        tokens = content + self._constants.overhead(call, price)
        return Part(name="input", tokens=tokens, reason="UTF-8 and NFKC bytes of the text, and constants")

    def tightest(self, call: Call, price: Price | None, chain: PromptChain, *, scope: str, by: Way) -> tuple[Part, ...]:
        """
        The parts of the tightest bound, none where there is no way to it: what was billed for the first messages and
        the bound of the others, or the whole by a tokenizer.

        Args:
            by: With ``tokenizer`` what was not billed before is counted by the model's own, if one is installed.
        """
        counter = counter_for(call) if by == "tokenizer" else None
        if not _is_its_text(call) or (by == "tokenizer" and counter is None):
            return ()
        tightest: tuple[Part, ...] = ()
        least, added = None, 0
        for length in range(len(call.items), -1, -1):
            more = self._content(call, price, call.items[length : length + 1], counter)
            if more is None or (least is not None and added + more >= least):
                return tightest  # Counting yet more of the prompt anew gives nothing less.
            added += more
            billed = self._prefixes.get(scope, chain.digests[length])
            if billed is None:
                continue
            rest = added + self._overhead_of_the_rest(call, price, length, scope, counter)
            if least is None or billed + rest < least:
                least = billed + rest
                reason = f"billed for a prompt that has the first {length} messages"
                tightest = Part(name="prefix", tokens=billed, reason=reason), _text_part(rest, counter)
        head = None if counter is None else self._content(call, price, (call.head,), counter)
        if head is not None:
            whole = added + head + self._constants.overhead(call, price)
            whole += self._constants.raised("tokenizer", call, price)
            if least is None or whole < least:
                tightest = (_text_part(whole, counter),)
        return tightest

    def counted(self, call: Call, price: Price | None, tokens: int) -> Part | None:
        """
        The bound by what the provider counted, where that speaks for the whole input.
        """
        if call.server_tools or call.unbounded or tokens <= len(call.items):
            return None  # With fewer tokens than messages, not all of it was counted.
        most = counted_max(call, tokens) + self._constants.raised("count", call, price)
        return Part(name="count", tokens=most, reason=f"{tokens:,} counted by the provider, and a margin")

    def learn(self, chain: PromptChain, price: Price | None, *, scope: str, billed: int) -> None:
        """
        Remember what a provider billed for a whole prompt.
        """
        if _is_its_text(chain.call):
            self._prefixes.learn(
                chain, scope=scope, billed=billed, content=lambda items: self._content(chain.call, price, items)
            )

    def broken(
        self,
        call: Call,
        price: Price | None,
        parts: tuple[Part, ...],
        chain: PromptChain,
        *,
        scope: str,
        billed: int,
    ) -> dict[str, int]:
        """
        Raise the constants that a bill shows to be too low; the excess counts twice, so that where it grows with the
        prompt, a few bills are enough.

        Args:
            parts: Of the input's bound that the bill broke.

        Returns:
            By its name, what was added by now to each constant that was raised.
        """
        raised: dict[str, int] = {}
        if _is_its_text(call) and self._content(call, price, (call.head, *call.items)) is not None:
            lacking = billed - (self.cheap(call, price).tokens or 0)
            if lacking > 0:
                name, tokens = self._constants.add_to_table(2 * lacking, call, price)
                raised[name] = tokens
        for way in WAYS:
            tightest = self.tightest(call, price, chain, scope=scope, by=way)
            lacking = billed - _sum(tightest)
            if tightest and lacking > 0:
                of = scope if way == "prefix" else ""
                raised[way] = self._constants.add(way, 2 * lacking, call, price, scope=of)
        if any(part.name == "count" for part in parts):
            raised["count"] = self._constants.add("count", 2 * (billed - _sum(parts)), call, price)
        return raised

    def _content(
        self, call: Call, price: Price | None, items: tuple[Item, ...], counter: TextCounter | None = None
    ) -> int | None:
        """
        The most tokens of these messages, their frames aside; ``None`` with images whose size nobody says.
        """
        images = sum([item.images for item in items])
        per_image = self._constants.image_tokens_max(call, price) if images else 0
        if per_image is None:
            return None
        sizes = [item.tokens_max for item in items] if counter is None else map(counter.item, items)
        return sum(sizes) + images * per_image

    def _overhead_of_the_rest(
        self, call: Call, price: Price | None, length: int, scope: str, counter: TextCounter | None
    ) -> int:
        """
        The overhead of what follows the first messages of a prompt, where those were billed before.

        The frame of a request is in what was billed; counted once more, it covers marks where the prefix ended. Tools
        are in the head, and so in what was billed, but for those that a message brings.
        """
        rest = call.items[length:]
        brings_tools = any(isinstance(item.value, dict) and item.value.get("tools") for item in rest)
        tools = call.tools if brings_tools else 0
        total = self._constants.overhead(replace(call, items=rest, tools=tools, structured_output=False), price)
        total += self._constants.raised("prefix", call, price, scope=scope)
        return total + (0 if counter is None else self._constants.raised("tokenizer", call, price))


def inferences(call: Call) -> int:
    """
    How often the model may run: once, and once for each use of a tool that the provider runs.
    """
    return 1 + sum(tool.calls_max or 0 for tool in call.server_tools)


def _text_part(tokens: int, counter: TextCounter | None) -> Part:
    if counter is None:
        return Part(name="input", tokens=tokens, reason="UTF-8 and NFKC bytes of what was added, and constants")
    reason = f"tokens of the text by {counter.name}, bytes of the rest, and constants"
    return Part(name="tokenizer", tokens=tokens, reason=reason)


def _sum(parts: tuple[Part, ...]) -> int:
    return sum([part.tokens or 0 for part in parts])


def _is_its_text(call: Call) -> bool:
    """
    Whether what is billed for a call is for its text and images alone.
    """
    return not (call.hidden_input or call.server_tools or call.unbounded)
