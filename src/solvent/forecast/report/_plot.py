"""
The frame of a drawing: a logarithmic axis of money below, lines across, and marks at amounts with their labels above.

Drawings are as wide as the page, which nobody knows yet: places are percentages, and labels are written for three
widths, of which the style sheet shows one.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from solvent.forecast.report._range import Reach, round_amounts, round_usd
from solvent.report.html._fit import SIZES, at_each_size, text_width
from solvent.report.html._markup import NOTHING, Html, element, join

HEIGHT = 220
AXIS_WIDTH = 82  # Pixels at the left, for what the lines across say.
UNITS = 10_000  # Of what is drawn inside, each way.
_FOOT = 48
_LANE = 17
_GAP = 10
_TICK_ROOM = 66

Look = Literal["", "near", "over"]


class Mark(Struct, frozen=True):
    """
    An amount that is marked by a line from top to bottom.
    """

    label: str
    amount: float
    look: Look = ""


class Across(Struct, frozen=True):
    """
    A line across, at a height from 0 to 1.
    """

    label: str
    at: float


def place(part: float) -> str:
    """
    ``33.3333%`` for a third.
    """
    return f"{min(max(part, 0.0), 1.0) * 100:.4f}%"


class Plot(Struct, frozen=True, kw_only=True):
    """
    A drawing that is to be filled.
    """

    reach: Reach
    marks: tuple[Mark, ...] = ()
    across: tuple[Across, ...] = ()
    title: str = ""

    @property
    def top(self) -> int:
        """
        Pixels above it, for the labels of the marks.
        """
        widths = [width - AXIS_WIDTH for _, width in SIZES]
        lanes = [max(self._lanes(width), default=-1) + 1 for width in widths]
        return max(lanes) * _LANE + 6

    @property
    def ground(self) -> int:
        return self.top + HEIGHT

    def y(self, part: float) -> float:
        return round(self.ground - min(max(part, 0.0), 1.0) * HEIGHT, 2)

    def drawn(self, *inside: Html, label: str) -> Html:
        """
        The whole drawing.

        Args:
            inside: What it shows.
            label: The same in words.
        """
        height = self.ground + _FOOT
        texts = [
            element("text", line.label, x=AXIS_WIDTH - 8, y=str(self.y(line.at) + 4), text_anchor="end", class_="quiet")
            for line in self.across
        ]
        axis = element("svg", *texts, width=AXIS_WIDTH, height=height, aria_hidden="true")
        plot = element(
            "svg", *self._grid(), *inside, self._foot(), self._marked(), width="100%", height=height, class_="plot"
        )
        return join(
            element("p", self.title, class_="axis") if self.title else NOTHING,
            element("div", axis, plot, class_="chart", role="img", aria_label=label),
        )

    def inside(self, *drawn: Html) -> Html:
        """
        A part of it with units of its own, from 0 at the left and the top.
        """
        box = f"0 0 {UNITS} {UNITS}"
        return element("svg", *drawn, y=self.top, width="100%", height=HEIGHT, viewBox=box, preserveAspectRatio="none")

    def _grid(self) -> list[Html]:
        lines = [(self.y(line.at), "grid" if line.at else "ground") for line in self.across]
        lines += [] if any(not line.at for line in self.across) else [(self.y(0), "ground")]
        return [element("line", x1="0", x2="100%", y1=str(y), y2=str(y), class_=class_) for y, class_ in lines]

    def _foot(self) -> Html:
        ground = self.ground

        def drawn(size: int) -> str:
            width = size - AXIS_WIDTH
            made = []
            for amount in round_amounts(self.reach, max(width // _TICK_ROOM, 2)):
                at, text = self.reach.at(amount), round_usd(amount)
                x, anchor = place(at), _anchor(at, text, width)
                made.append(element("line", x1=x, x2=x, y1=ground, y2=ground + 6, class_="ground"))
                made.append(element("text", text, x=x, y=ground + 20, text_anchor=anchor, class_="quiet"))
            return join(*made)

        title = element("text", "cost of one run", x="50%", y=ground + 40, text_anchor="middle", class_="quiet")
        return join(at_each_size(drawn), title)

    def _marked(self) -> Html:
        lines = []
        for mark in self.marks:
            x = place(self.reach.at(mark.amount))
            lines.append(element("line", x1=x, x2=x, y1=self.top, y2=self.ground, class_=f"at {mark.look}".rstrip()))

        def drawn(size: int) -> str:
            width = size - AXIS_WIDTH
            made: list[Html] = []
            for mark, lane in zip(self.marks, self._lanes(width), strict=True):
                at = self.reach.at(mark.amount)
                x, y = place(at), self.top - 6 - lane * _LANE
                class_ = f"at {mark.look}".rstrip()
                made.insert(0, element("line", x1=x, x2=x, y1=y + 3, y2=self.top, class_=class_))
                made.append(
                    element("text", mark.label, x=x, y=y, text_anchor=_anchor(at, mark.label, width), class_=class_)
                )
            return join(*made)

        return join(*lines, at_each_size(drawn))

    def _lanes(self, width: int) -> list[int]:
        """
        How far up the label of each mark stands, so that none covers another one.
        """
        taken: list[tuple[int, float, float]] = []
        lanes = []
        for mark in self.marks:
            at = self.reach.at(mark.amount)
            begin, end = _span(at, mark.label, width)
            lane = 0
            while any(lane == other and begin < right + _GAP and left < end + _GAP for other, left, right in taken):
                lane += 1
            taken.append((lane, begin, end))
            lanes.append(lane)
        return lanes


def _anchor(at: float, text: str, width: int) -> str:
    half = text_width(text) / 2
    return "start" if at * width < half else "end" if at * width > width - half else "middle"


def _span(at: float, text: str, width: int) -> tuple[float, float]:
    whole, x = text_width(text), at * width
    begin = {"start": x, "middle": x - whole / 2, "end": x - whole}[_anchor(at, text, width)]
    return begin, begin + whole


def percents_across(top: float, most: int = 4) -> list[float]:
    """
    Round shares from 0 up to the first one that is not below the top.
    """
    size = 1e-4
    while True:
        for digit in (1, 2, 5):
            step = digit * size
            if top <= step * most:
                return [step * number for number in range(int(-(-top // step)) + 1)]
        size *= 10


def marks_in_order(found: Sequence[Mark]) -> tuple[Mark, ...]:
    return tuple(sorted(found, key=lambda mark: mark.amount))
