"""
Where things stand in a drawing, and what text has room there: drawings are as wide as the page, which nobody knows yet.

So places are percentages, and a label is written for each of three widths, of which the style sheet shows one.
"""

import unicodedata
from collections.abc import Callable, Sequence

from solvent._printable import printable
from solvent.report.html._markup import Html, element, join

SIZES = (("narrow", 300), ("middle", 620), ("wide", 990))  # The least width of a drawing, in pixels, at each of them.
MILLION = 1_000_000
_SIZE_OF_TEXT = 12  # Pixels, as in the style sheet.
_NARROW, _WIDE = "fijlrt.,:;|'!()[]-/ ", "mwMW@%—…"


def percent(part: int, whole: int) -> str:
    """
    ``33.3333%``, in whole numbers throughout.
    """
    millionths = max(0, min(part * MILLION // whole, MILLION)) if whole > 0 else 0
    return f"{millionths // 10_000}.{millionths % 10_000:04d}%"


def text_width(text: str) -> int:
    """
    The most pixels that a text takes in the fonts of common systems.
    """
    return sum(map(_width, text)) * _SIZE_OF_TEXT // 100 + 1


def _width(character: str) -> int:
    """
    In hundredths of the size of the text.
    """
    if unicodedata.combining(character):
        return 0
    if ord(character) > 0x2E80 or unicodedata.east_asian_width(character) in "WF":
        return 125
    if character in _NARROW:
        return 45
    if character in _WIDE or character.isupper():
        return 104 if character in _WIDE else 82
    return 68


def cut(text: str, room: int, *, least: int = 4) -> str:
    """
    As much of a text as there is room for; nothing where that would be no more than a few characters of it.
    """
    text = printable(text)
    if text_width(text) <= room:
        return text
    room -= text_width("…")
    kept, used = "", 0
    for character in text:
        used += _width(character) * _SIZE_OF_TEXT
        if used > room * 100:
            break
        kept += character
    return f"{kept.rstrip()}…" if len(kept) >= least else ""


def at_each_size(drawn: Callable[[int], str]) -> Html:
    """
    What is drawn for each width of the drawing, each shown at its own; once where it is the same at all.
    """
    pictures = [(size, drawn(width)) for size, width in SIZES]
    if len({picture for _, picture in pictures}) == 1:
        return Html(pictures[0][1])
    return join(*(element("g", Html(picture), class_=classes) for classes, picture in _grouped(pictures)))


def _grouped(pictures: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(size, picture) for size, picture in pictures if picture]
