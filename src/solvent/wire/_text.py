"""
The most tokens that a text can be, without a tokenizer.

Byte-level and byte-fallback tokenizers never make more tokens than the text has bytes, but some normalize first, to NFC
or to NFKC, and either can make a text longer. So the bound is the largest of the three, and one more for a tokenizer
that puts a space in front.
"""

import json
from typing import Any, Literal
from unicodedata import is_normalized, normalize

import msgspec

# A run of marks is put in order in time that grows with its square, so a text is normalized in slices. Where it is cut,
# a few marks may find another letter to join than in the whole, which is worth less than these bytes.
_SLICE = 512
_CUT_BYTES = 16

_encode = msgspec.json.encode


def text_bound(text: str) -> int:
    """
    The most tokens that ``text`` can be: its UTF-8 bytes, or those of its NFC or NFKC form if they are more, and one.
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
    """
    The most bytes of a normal form, 0 where the text is in all of them.
    """
    if is_normalized("NFKC", text):  # It is in NFC as well.
        return 0
    return max(_form_size("NFKC", text), 0 if is_normalized("NFC", text) else _form_size("NFC", text))


def _form_size(form: Literal["NFC", "NFKC"], text: str) -> int:
    starts = range(0, len(text), _SLICE)
    return sum(_size(normalize(form, text[at : at + _SLICE])) for at in starts) + _CUT_BYTES * (len(starts) - 1)
