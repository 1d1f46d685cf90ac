"""
Tables and lines as wide as the terminal: what is too long is folded, and the least important columns are left out.
"""

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from solvent.cli._common import aligned

_FOLDED_MIN = 24  # Columns of text that are still read with ease.
_INDENT = "    "


def terminal_width() -> int | None:
    """
    The columns of the terminal; ``None`` where nobody looks, as in a pipe, and nothing needs to be folded.
    """
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdecimal():
        return None
    return shutil.get_terminal_size().columns or None


def fitted(
    rows: Sequence[Sequence[str]], *, right: Sequence[int], least: Sequence[int] = (), width: int | None
) -> list[str]:
    """
    The lines of a table, its first row the head, its last column a text that may be folded.

    Args:
        right: The columns of numbers.
        least: Columns that may be left out, the first one first; a line then says which.
        width: The columns of the terminal.
    """
    left_out: list[int] = []
    for column in (None, *least):
        left_out += [] if column is None else [column]
        kept = [place for place in range(len(rows[0])) if place not in left_out]
        table = [[row[place] for place in kept] for row in rows]
        lines = _folded(table, [at for at, place in enumerate(kept) if place in right], width)
        if width is None or max(map(len, lines)) <= width:
            break
    if not left_out:
        return lines
    names = ", ".join(rows[0][place] for place in sorted(left_out))
    return [*lines, *wrapped(f"(left out: {names}; --json has them)", width)]


def wrapped(text: str, width: int | None) -> list[str]:
    """
    A text in lines of at most so many columns, the later ones indented.
    """
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False)


def _folded(table: list[list[str]], right: Sequence[int], width: int | None) -> list[str]:
    """
    The last column beside the others where there is room for it, else below each row.
    """
    whole = aligned(table, right=right)
    if width is None or max(map(len, whole)) <= width:
        return whole
    first = aligned([row[:-1] for row in table], right=right)
    room = width - max(map(len, first)) - 2
    if room < _FOLDED_MIN:
        below = [wrapped(_INDENT + row[-1], width) if row[-1] else [] for row in table]
        return [line for start, rest in zip(first, [[], *below[1:]], strict=True) for line in (start, *rest)]
    rows = []
    for row in table:
        head, *rest = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) or [""]
        rows += [[*row[:-1], head], *([*[""] * (len(row) - 1), line] for line in rest)]
    return aligned(rows, right=right)
