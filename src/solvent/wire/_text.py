"""
The most tokens that a text can be, without a tokenizer.

Byte-level and byte-fallback tokenizers never make more tokens than the text has bytes, but some normalize first, and
NFKC can make a text longer. So the bound is the larger of the two, and one more for a tokenizer that puts a space in
front.
"""

import json
from typing import Any
from unicodedata import is_normalized, normalize

import msgspec

_encode = msgspec.json.encode


def text_bound(text: str) -> int:
    """
    The most tokens that ``text`` can be: ``max(UTF-8 bytes, UTF-8 bytes of its NFKC form) + 1``.
    """
    if text.isascii():
        return len(text) + 1
    return max(_size(text), _normalized_size(text)) + 1


def json_bound(value: Any) -> int:
    """
    The most tokens that a decoded JSON value can be when it is shown to a model as JSON, with a space after every
    separator, or as something shorter.
    """
    try:
        encoded = _encode(value)
    except UnicodeEncodeError:  # A lone surrogate, which JSON can spell and UTF-8 cannot.
        encoded = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
    separators = encoded.count(b",") + encoded.count(b":")
    if encoded.isascii():
        return len(encoded) + separators + 1
    return max(len(encoded), _normalized_size(encoded.decode())) + separators + 1


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _normalized_size(text: str) -> int:
    return 0 if is_normalized("NFKC", text) else _size(normalize("NFKC", text))
