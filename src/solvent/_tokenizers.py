"""
Tighter bounds of text by a tokenizer, where one is installed that is known to be the model's own.

A text is cut only where each of these tokenizers begins a new piece whatever stands on either side: before a space that
follows a word, and after the end of a line that a letter follows. Between two such places a text has as many tokens in
any prompt as it has alone. Its first and last word may join what the provider puts around them, and count by bytes; so
do names of special tokens and their neighbors, which some hosts take for the tokens themselves.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any
from unicodedata import is_normalized

from msgspec import Struct

from solvent.wire._call import Call, Item
from solvent.wire._text import text_bound

Count = Callable[[str], int]

TOKENIZED_BYTES_MAX = 2 * 1024 * 1024  # Of one call: quicktok reads that in 10 to 80 ms.
_PIECE_MAX = 65_536  # Of characters in one go: on a megabyte of spaces tiktoken gives up.

_SEAM = re.compile(r"\S(?= )|\n(?=[^\W\d_])")
_PIECE = re.compile(rf"(?s:.{{0,{_PIECE_MAX}}})(?:{_SEAM.pattern})")
_SPECIAL = re.compile(r"<\||</?(?:think|tool_call|tool_response)>")
_TEXT_ITEMS = ("custom_tool_call_output", "function_call_output", "message", None)
_TEXT_KINDS = ("input_text", "output_text", "text", None)


class _Family(Struct, frozen=True):
    """
    Models that share a tokenizer.

    Attributes:
        hosts: Who serves them with it.
        models: A pattern of their names.
        roles: Whose messages stand in the prompt as they are; ``None`` for everybody's.
    """

    encoding: str
    hosts: frozenset[str]
    models: re.Pattern[str]
    roles: frozenset[str] | None = None


def _names(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:[a-z]+\.)?(?:accounts/fireworks/models/)?{pattern}(?:$|[-:].*)", re.IGNORECASE)


# OpenAI's own, by its table in tiktoken; recorded bills for plain text agree with it to the token, but for reasoning
# models, which are billed one less. Open models bring their tokenizer along: their hosts' templates add text around
# messages and write what tools return as JSON. Later families of Llama and Qwen have other tokenizers.
# Source: tiktoken 0.14.0, ``model.py``; the ``tokenizer.json`` and chat templates of openai/gpt-oss-120b,
# meta-llama/Llama-3.3-70B-Instruct and Qwen/Qwen3-32B, from memory; recorded exchanges, measured 2026-11-22.
_OWN = frozenset({"openai", "openrouter"})
_OPEN = frozenset({"bedrock", "cerebras", "fireworks", "groq", "huggingface", "openrouter", "together"})
_ROLES = frozenset[str]({"assistant", "developer", "system", "user"})
_FAMILIES = (
    _Family("cl100k_base", _OWN, _names(r"(?:openai/|ft:)?(?:gpt-4|gpt-3\.5-turbo)")),
    _Family("llama3", _OPEN, _names(r"(?:meta\.|meta-llama/(?:meta-)?)?llama-?v?3(?:[.p-][0-3])?-\d+b"), _ROLES),
    _Family("o200k_base", _OPEN, _names(r"(?:openai[./])?gpt-oss"), _ROLES),
    _Family("o200k_base", _OWN, _names(r"(?:openai/|ft:)?(?:(?:chat)?gpt-4o|gpt-4\.[15]|gpt-5(?:\.\d)?)")),
    _Family("o200k_base", _OWN, _names(r"(?:openai/)?(?:o1|o3|o4-mini)")),
    _Family("qwen3", _OPEN, _names(r"(?:qwen[./])?qwen-?3-(?:coder-|next-)?\d+b"), _ROLES),
)


class TextCounter:
    """
    Counts the text of one call's messages, up to a size, and everything else by its bytes.

    Attributes:
        name: Of the encoding.
    """

    def __init__(self, name: str, count: Count, call: Call, roles: frozenset[str] | None) -> None:
        self.name = name
        self._count = count
        self._head = call.head
        self._roles = roles
        self._left = TOKENIZED_BYTES_MAX

    def item(self, item: Item) -> int:
        """
        The most tokens of a message or a head, images aside.
        """
        if item.tokens_max > self._left:
            return item.tokens_max
        self._left -= item.tokens_max
        # However a text was counted in there, it was for no less than its bytes.
        saved = (_size(text) - self.text(text) for text in self._texts(item))
        return item.tokens_max - sum(tokens for tokens in saved if tokens > 0)

    def text(self, text: str) -> int:
        """
        The most tokens that a text adds to any prompt.
        """
        try:
            text.encode()
        except UnicodeEncodeError:  # A lone surrogate, which JSON can spell and UTF-8 cannot.
            return text_bound(text)
        parts = _SPECIAL.split(text)
        special = len(text) - sum(map(len, parts))  # Names of special tokens are ASCII.
        return special + sum(map(self._plain, parts))

    def _plain(self, text: str) -> int:
        if self.name == "qwen3" and not is_normalized("NFC", text):
            return text_bound(text)  # It would be normalized first, marks in time that grows with their square.
        total, at = 0, 0
        while seam := _SEAM.search(text, at):  # The first word, and any that is longer than a piece may be.
            total += text_bound(text[at : seam.end()])
            at = seam.end()
            while piece := _PIECE.match(text, at):
                total += self._count(piece[0])
                at = piece.end()
        return total + text_bound(text[at:])

    def _texts(self, item: Item) -> Iterator[str]:
        """
        What stands in the prompt as it is: the text of a message, what a tool returned, the system prompt in a head.
        """
        value, is_head = item.value, item is self._head
        if not isinstance(value, dict) or not (is_head or self._stands_as_it_is(value)):
            return
        for name in ("instructions", "system") if is_head else ("content", "output"):
            content = value.get(name)
            for part in content if isinstance(content, list) else [{"text": content}]:
                text = part.get("text") if isinstance(part, dict) and part.get("type") in _TEXT_KINDS else None
                if isinstance(text, str):
                    yield text

    def _stands_as_it_is(self, message: Mapping[str, Any]) -> bool:
        return message.get("type") in _TEXT_ITEMS and (self._roles is None or message.get("role") in self._roles)


def counter_for(call: Call) -> TextCounter | None:
    """
    What counts the text of a call as its provider does; ``None`` where nobody knows, or no tokenizer is installed.
    """
    for family in _FAMILIES:
        if call.provider in family.hosts and family.models.fullmatch(call.model):
            count = _loaded(family.encoding)
            return None if count is None else TextCounter(family.encoding, count, call, family.roles)
    return None


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


@cache
def _loaded(encoding: str) -> Count | None:
    """
    A tokenizer, imported at its first use.
    """
    return _quicktok(encoding) or _tiktoken(encoding)


def _quicktok(encoding: str) -> Count | None:
    try:
        count: Count = import_module("quicktok").get_encoding(encoding).count
    except (ImportError, RuntimeError):  # It is not installed, or its files are not whole.
        return None
    return count


def _tiktoken(encoding: str) -> Count | None:
    """
    tiktoken, where its vocabulary is in ``TIKTOKEN_CACHE_DIR``: it downloads what is not there, or not whole.
    """
    name, digest = _VOCABULARIES.get(encoding, ("", ""))
    try:
        vocabulary = Path(os.environ.get("TIKTOKEN_CACHE_DIR", ""), name).read_bytes()
        if sha256(vocabulary).hexdigest() != digest:
            return None
        encode = import_module("tiktoken").get_encoding(encoding).encode_ordinary
    except (ImportError, OSError):
        return None
    return lambda text: len(encode(text))


# The names and contents of the files. Source: tiktoken 0.14.0, ``load.py`` and ``openai_public.py``, read 2026-11-22.
_VOCABULARIES = {
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}
