"""
What was spent over time: a line of the running total, the limit above it, and what was refused below.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from solvent._amounts import show_dollars
from solvent.report.html._axis import moment, money_step, period, ticks
from solvent.report.html._fit import at_each_size, percent, text_width
from solvent.report.html._journal import Happened, Journal, LimitFrom
from solvent.report.html._markup import NOTHING, Html, element, join
from solvent.report.html._span import Span

HEIGHT = 220
POINTS_MAX = 1_000
_COLUMNS = POINTS_MAX // 4
_UNITS = 10_000  # Of the drawing inside, each way.
_TOP, _FOOT = 14, 44
_TICKS_MAX = 5
_OFF_SCALE = 8  # A limit that is so many times what was spent would press the line to the ground.
_TICK_WIDTH = 100
_ROOM = 50  # What part of the time is left free beside the line.
_LEAST_ROOM = 500_000_000
_Point = tuple[int, int]  # A time, and the running total from then on.


class Frame(Struct, frozen=True):
    """
    The times and the amount that the drawing reaches from and to.
    """

    begin: int
    end: int
    top: int

    def x(self, at: int) -> str:
        return percent(at - self.begin, self.end - self.begin)

    def inner_x(self, at: int) -> int:
        return max(0, min((at - self.begin) * _UNITS // (self.end - self.begin), _UNITS))

    def inner_y(self, amount: int) -> int:
        return _UNITS - max(0, min(amount * _UNITS // self.top, _UNITS))

    def y(self, amount: int) -> int:
        return _TOP + self.inner_y(amount) * HEIGHT // _UNITS


def spend(journal: Journal, during: Span | None) -> Html:
    """
    The drawing with its legend; nothing where no money was spent.
    """
    totals = list(_totals(journal.bookings))
    most = max((total for _, total in totals), default=0)
    if most <= 0 or during is None:
        return NOTHING
    begin, end = during
    limits = _clipped(journal.limits, begin, end)
    drawn_limits = [one for one in limits if one.limit is not None and one.limit <= most * _OFF_SCALE]
    reach = max([most, *(one.limit or 0 for one in drawn_limits)])
    step = money_step(reach, _TICKS_MAX)
    frame = _frame(during, journal, step, reach)
    points = thinned([(frame.begin, 0), *totals, (end, totals[-1][1])], frame.inner_x)
    plot = element(
        "svg",
        _grid(frame, step),
        _inside(points, limits if drawn_limits else [], frame, journal.is_whole),
        _limit_label(limits, frame),
        _time(frame),
        _refusals(journal.refusals, frame),
        *_marks(journal.bookings, totals, frame),
        width="100%",
        height=HEIGHT + _TOP + _FOOT,
        class_="plot",
    )
    label = (
        f"Spent over time, {period(begin, end)}: {show_dollars(totals[-1][1])} in the end. {_limits_told(limits, most)}"
    )
    chart = element("div", _amounts(frame, step), plot, class_="chart", role="img", aria_label=label)
    told = [period(begin, end), *([] if journal.is_whole else ["by the hour"]), _limits_told(limits, most)]
    caption = element("figcaption", "; ".join(part for part in told if part).rstrip(".") + ".")
    return element("figure", chart, _legend(journal, bool(drawn_limits)), caption)


def _totals(bookings: Iterable[Happened]) -> Iterator[_Point]:
    total = 0
    for booking in bookings:
        total += booking.nanodollars
        yield booking.at, total


def _frame(during: Span, journal: Journal, step: int, reach: int) -> Frame:
    """
    Room at the right, so that the last step is seen, and at the left where the first call is the beginning.
    """
    begin, end = during
    room = max((end - begin) // _ROOM, _LEAST_ROOM)
    is_first = begin == min(one.at for one in journal.bookings)
    return Frame(begin - room if is_first else begin, end + room, -(-(reach + reach // 50) // step) * step)


def _clipped(limits: Sequence[LimitFrom], begin: int, end: int) -> list[LimitFrom]:
    """
    Those in force within the time drawn; the one from before from its beginning on.
    """
    before = [one for one in limits if one.at <= begin][-1:]
    return [LimitFrom(begin, one.limit, one.kind) for one in before] + [one for one in limits if begin < one.at <= end]


def thinned(points: Sequence[_Point], column_of: Callable[[int], int]) -> list[_Point]:
    """
    Of many points the first, the lowest, the highest and the last of each column, so that none is missed by eye.
    """
    if len(points) <= POINTS_MAX:
        return list(points)
    columns: dict[int, list[_Point]] = {}
    for point in points:
        columns.setdefault(column_of(point[0]) * (_COLUMNS - 1) // _UNITS, []).append(point)
    kept = []
    for column in columns.values():
        amounts = [amount for _, amount in column]
        places = {0, amounts.index(min(amounts)), amounts.index(max(amounts)), len(column) - 1}
        kept += [column[place] for place in sorted(places)]
    return kept


def _inside(points: Sequence[_Point], limits: Sequence[LimitFrom], frame: Frame, is_whole: bool) -> Html:
    line = _path(points, frame, is_stepped=is_whole)
    paths = [
        element("path", d=f"{line}V{_UNITS}H{frame.inner_x(points[0][0])}Z", class_="area"),
        element("path", d=line, class_="spent"),
    ]
    steps: list[_Point] = []
    for one in [*limits, None]:
        if one is None or one.limit is None:
            end = frame.end if one is None else one.at
            if steps:
                paths.append(element("path", d=_path([*steps, (end, steps[-1][1])], frame), class_="limit"))
            steps = []
        else:
            steps.append((one.at, one.limit))
    return element(
        "svg",
        *paths,
        y=_TOP,
        width="100%",
        height=HEIGHT,
        viewBox=f"0 0 {_UNITS} {_UNITS}",
        preserveAspectRatio="none",
    )


def _path(points: Sequence[_Point], frame: Frame, *, is_stepped: bool = True) -> str:
    (at, amount), *rest = points
    parts = [f"M{frame.inner_x(at)} {frame.inner_y(amount)}"]
    for at, amount in rest:
        x, y = frame.inner_x(at), frame.inner_y(amount)
        parts.append(f"H{x}V{y}" if is_stepped else f"L{x} {y}")
    return "".join(parts)


def _limit_label(limits: Sequence[LimitFrom], frame: Frame) -> Html:
    """
    The last limit at its line, or with a sign that it is further up.
    """
    limit = limits[-1].limit if limits else None
    if limit is None:
        return NOTHING
    is_above = limit > frame.top
    y = _TOP - 4 if is_above else frame.y(limit) - 5
    text = f"limit {show_dollars(limit)}{' ↑' if is_above else ''}"
    return element("text", text, x="100%", y=y, text_anchor="end", class_="over-label")


def _grid(frame: Frame, step: int) -> Html:
    lines = [
        element(
            "line", x1="0", x2="100%", y1=frame.y(amount), y2=frame.y(amount), class_="grid" if amount else "ground"
        )
        for amount in range(0, frame.top + 1, step)
    ]
    return join(*lines)


def _amounts(frame: Frame, step: int) -> Html:
    amounts = [(amount, show_dollars(amount) if amount else "$0") for amount in range(0, frame.top + 1, step)]
    width = max(text_width(text) for _, text in amounts) + 8
    texts = [
        element("text", text, x=width - 8, y=frame.y(amount) + 4, text_anchor="end", class_="quiet")
        for amount, text in amounts
    ]
    return element("svg", *texts, width=width, height=HEIGHT + _TOP + _FOOT, aria_hidden="true")


def _time(frame: Frame) -> Html:
    ground = _TOP + HEIGHT

    def drawn(width: int) -> str:
        marks = []
        for tick in ticks(frame.begin, frame.end, max(width // _TICK_WIDTH, 2)):
            x = (tick.at - frame.begin) * width // (frame.end - frame.begin)
            half = max(text_width(tick.label), text_width(tick.date)) // 2 + 1
            anchor = "start" if x < half else "end" if x > width - half else "middle"
            place = frame.x(tick.at)
            marks.append(element("line", x1=place, x2=place, y1=ground, y2=ground + 12, class_="grid"))
            marks.append(element("text", tick.label, x=place, y=ground + 25, text_anchor=anchor, class_="quiet"))
            if tick.date:
                marks.append(element("text", tick.date, x=place, y=ground + 40, text_anchor=anchor, class_="quiet"))
        return join(*marks)

    return at_each_size(drawn)


def _refusals(refusals: Sequence[Happened], frame: Frame) -> Html:
    """
    A tick below the ground for each place where some were refused.
    """
    columns: dict[int, list[Happened]] = {}
    for one in refusals:
        columns.setdefault(frame.inner_x(one.at) * (_COLUMNS * 2) // _UNITS, []).append(one)
    ground = _TOP + HEIGHT
    lines = []
    for column in columns.values():
        place = frame.x(column[0].at)
        title = element("title", f"{sum(one.count for one in column):,} refused, {moment(column[-1].at)} UTC")
        lines.append(element("line", title, x1=place, x2=place, y1=ground + 1, y2=ground + 10, class_="refused"))
    return join(*lines)


_SHAPES = {"expire": ("expired", "M0-5L5 0L0 5L-5 0Z"), "correct": ("corrected", "M-4-4H4V4H-4Z")}


def _marks(bookings: Sequence[Happened], totals: Sequence[_Point], frame: Frame) -> Iterator[Html]:
    """
    One of a kind where several would cover each other.
    """
    seen: set[tuple[str, int]] = set()
    for booking, (at, total) in zip(bookings, totals, strict=True):
        place = (booking.kind, frame.inner_x(at) * _COLUMNS // _UNITS)
        if booking.kind in _SHAPES and place not in seen:
            seen.add(place)
            name, shape = _SHAPES[booking.kind]
            title = element("title", f"{name}: {show_dollars(booking.nanodollars)}, {moment(at)} UTC")
            mark = element("path", title, d=shape, class_=name)
            yield element("svg", mark, x=frame.x(at), y=frame.y(total))


def _limits_told(limits: Sequence[LimitFrom], most: int) -> str:
    told: list[str] = []
    for one in limits:
        amount = "none" if one.limit is None else show_dollars(one.limit)
        told.append(f"{amount} from {moment(one.at, date=False)} on" if told else f"limit {amount}")
    last = limits[-1].limit if limits else None
    above = f": {last // most:,} times what was spent, above this drawing" if last and last > most * _OFF_SCALE else ""
    return ", ".join(told) + above


def _legend(journal: Journal, is_limited: bool) -> Html:
    kinds = {booking.kind for booking in journal.bookings}
    entries = [("M0 6H22", "spent", "spent so far")]
    entries += [("M0 6H22", "limit", "limit")] if is_limited else []
    entries += [("M11 1V11", "refused", "refused")] if journal.refusals else []
    entries += [("M11 1L16 6L11 11L6 6Z", "expired", "expired, charged in full")] if "expire" in kinds else []
    entries += [("M7 2H15V10H7Z", "corrected", "corrected after expiring")] if "correct" in kinds else []
    items = [
        element("li", element("svg", element("path", d=shape, class_=name), width=22, height=12), words)
        for shape, name, words in entries
    ]
    return element("ul", *items, class_="legend", aria_hidden="true")
