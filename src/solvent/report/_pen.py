"""
The marks and colors that reports are drawn with.
"""

from collections.abc import Iterable, Mapping
from typing import TextIO

from msgspec import Struct

from solvent._printable import printable

_COLORS = {"bold": "1", "dim": "2", "green": "32", "red": "31", "yellow": "33"}


def has_colors(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """
    Whether it is a terminal, and colors are wanted there: ``NO_COLOR`` and ``TERM=dumb`` say that they are not.
    """
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


class Pen(Struct, frozen=True, kw_only=True):
    """
    Draws in colors or without, with ASCII or more.
    """

    color: bool
    ascii: bool

    def paint(self, color: str, text: str) -> str:
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self.color and text else text

    def plain(self, text: str) -> str:
        """
        Text from outside, such as a model's name, that can neither steer the terminal nor fail to be written.
        """
        clean = printable(text)
        return clean.encode("ascii", "replace").decode() if self.ascii else clean

    @property
    def dot(self) -> str:
        return " - " if self.ascii else " · "

    @property
    def times(self) -> str:
        return "x" if self.ascii else "×"

    @property
    def bar(self) -> tuple[str, str, str]:
        """
        The marks of what is spent, reserved and left.
        """
        return ("#", "+", ".") if self.ascii else ("█", "▒", "░")

    @property
    def thin(self) -> str:
        return "=" if self.ascii else "━"

    def branch(self, *, is_last: bool, columns: int) -> tuple[str, str]:
        """
        What leads to a branch of a tree, and what leads past it to those below it, in 2 or 3 columns.
        """
        marks = (("|- ", "|  "), ("`- ", "   ")) if self.ascii else (("├─ ", "│  "), ("└─ ", "   "))
        fork, past = marks[is_last]
        return fork[:columns], past[:columns]

    def cut(self, text: str, width: int) -> str:
        ellipsis = "..." if self.ascii else "…"
        return text if len(text) <= width else text[: width - len(ellipsis)] + ellipsis

    def pinched(self, text: str, width: int) -> str:
        """
        The text with its middle left out, for names that begin alike tell themselves apart by their ends.
        """
        if len(text) <= width:
            return text
        ellipsis = "..." if self.ascii else "…"
        kept = max(width - len(ellipsis), 2)
        return text[: kept - kept // 2] + ellipsis + text[-(kept // 2) :]

    def joined(self, parts: Iterable[str], width: int) -> list[str]:
        """
        Parts one after the other, on as many lines as it takes.
        """
        lines: list[str] = []
        for part in parts:
            if lines and len(lines[-1]) + len(self.dot) + len(part) <= width:
                lines[-1] += self.dot + part
            else:
                lines.append(part)
        return lines
