"""
What was billed for prompts that later calls repeat and extend.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from solvent.wire._call import Call, Item

PREFIXES_MAX = 16_384  # Billed prefixes remembered by one process, some 200 bytes each.

# Settings by which a provider leaves out messages that were sent, or parts of them.
_SETTINGS_THAT_CUT = ("context_management", "transforms", "truncation")

_encode = msgspec.json.Encoder(order="deterministic", enc_hook=repr).encode


class PromptChain:
    """
    Digests of a call's prompt: of its head, and after each of its messages. Made when asked for.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self._names_reasoning = False  # Somewhere in it, be it in a text.

    @cached_property
    def digests(self) -> list[bytes]:
        call = self.call
        # What the provider leaves out by these settings is not in the bill, so under others the bill says nothing.
        settings = [call.request.get(name) for name in _SETTINGS_THAT_CUT]
        start = _encode((call.provider, call.format, call.model, call.head.value, settings))
        digests = [hashlib.blake2b(start, digest_size=16).digest()]
        for item in call.items:
            text = _encode(item.value)
            digests.append(hashlib.blake2b(digests[-1] + text, digest_size=16).digest())
            self._names_reasoning = self._names_reasoning or b"reasoning" in text or b"thinking" in text
        return digests

    @property
    def is_kept_whole(self) -> bool:
        """
        Whether the provider surely read every message, so that the bill for all is no less than any of them costs.

        Reasoning of earlier turns is dropped when a new turn begins; some settings drop more.

        Source:
            Anthropic API guide, "Extended thinking" and "Context editing"; OpenAI API guide, "Reasoning models", and
            API reference, `truncation`; read 2026-11-21.
        """
        if any(self.call.request.get(name) for name in _SETTINGS_THAT_CUT):
            return False
        return not (self.digests and self._names_reasoning) or not any(
            _has_reasoning(item.value) for item in self.call.items
        )


class Prefixes:
    """
    By scope and digest, the input tokens that were billed for prompts that begin so.
    """

    def __init__(self) -> None:
        self._tokens: OrderedDict[tuple[str, bytes], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tokens)

    def get(self, scope: str, digest: bytes) -> int | None:
        return self._tokens.get((scope, digest))

    def learn(
        self, chain: PromptChain, *, scope: str, billed: int, content: Callable[[tuple[Item, ...]], int | None]
    ) -> None:
        """
        Remember what a provider billed for a whole prompt.

        It is also the most that the head can be alone, and all but the last message: a conversation that starts anew
        shares the one, another question about the same text the other. The least that is known counts.

        Args:
            content: The most tokens of some messages; ``None`` where nobody knows.
        """
        call, whole = chain.call, len(chain.call.items)
        if billed <= whole:
            return  # With fewer tokens than messages, not all of it was counted.
        for length in {0, max(whole - 1, 0)} if chain.is_kept_whole else {0}:
            key = (scope, chain.digests[length])
            known = min(self._tokens.get(key, billed), billed)
            if known < billed:
                added = content(call.items[length:])
                # A bill above the bound that this would have given shows that it holds no more.
                if added is not None and known + added < billed:
                    known = billed
            self._remember(key, known)
        self._remember((scope, chain.digests[whole]), billed)

    def _remember(self, key: tuple[str, bytes], billed: int) -> None:
        self._tokens[key] = billed
        self._tokens.move_to_end(key)
        if len(self._tokens) > PREFIXES_MAX:
            self._tokens.popitem(last=False)


def _has_reasoning(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    content = value.get("content")
    parts = content if isinstance(content, list) else []
    kinds = [value.get("type"), *(part.get("type") for part in parts if isinstance(part, dict))]
    return any("reasoning" in name or "thinking" in name for name in (*value, *map(str, kinds)))
