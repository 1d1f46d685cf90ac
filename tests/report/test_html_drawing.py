"""
The parts that pages are drawn with: axes, labels, colors, and lines of many points.
"""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvent.report.html._axis import money_step, ticks
from solvent.report.html._fit import cut, percent, text_width
from solvent.report.html._spend import POINTS_MAX, thinned
from solvent.report.html._style import DARK, LIGHT, WRITTEN, style

SECOND = 1_000_000_000
DAY = 86_400


def at(when: str) -> int:
    return int(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()) * SECOND


def luminance(color: str) -> float:
    """
    Source:
        W3C, Web Content Accessibility Guidelines 2.2, "relative luminance" and "contrast ratio"; read 2026-11-22.
    """
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_whatever_is_written_can_be_read(colors: dict[str, str]) -> None:
    faint = {(ink, paper): contrast(colors[ink], colors[paper]) for ink, paper in WRITTEN}

    assert {pair: ratio for pair, ratio in faint.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("mark", "ground"), [("fill", "track"), ("near", "track"), ("over", "track"), ("held", "track")]
)
def test_bars_stand_out(colors: dict[str, str], mark: str, ground: str) -> None:
    assert contrast(colors[mark], colors[ground]) >= 3


def test_light_and_dark_have_the_same_colors_and_the_sheet_uses_no_other() -> None:
    assert LIGHT.keys() == DARK.keys()
    used = {part.partition(")")[0] for part in style().split("var(--")[1:]}
    assert used <= LIGHT.keys()


@pytest.mark.parametrize(
    ("begin", "end", "most", "labels"),
    [
        (
            "2026-03-01T09:00:00",
            "2026-03-01T09:00:04",
            5,
            ["09:00:00 Mar 1", "09:00:01", "09:00:02", "09:00:03", "09:00:04"],
        ),
        ("2026-03-01T09:00:00", "2026-03-01T09:10:50", 6, ["09:00 Mar 1", "09:02", "09:04", "09:06", "09:08", "09:10"]),
        ("2026-03-01T22:30:00", "2026-03-02T03:30:00", 3, ["00:00 Mar 2", "02:00"]),
        ("2026-02-26T12:00:00", "2026-03-02T12:00:00", 5, ["Feb 27 2026", "Feb 28", "Mar 1", "Mar 2"]),
        ("2026-03-01T00:00:00", "2026-03-31T00:00:00", 5, ["Mar 2 2026", "Mar 9", "Mar 16", "Mar 23", "Mar 30"]),
        ("2025-11-15T00:00:00", "2026-03-15T00:00:00", 6, ["Dec 2025", "Jan 2026", "Feb", "Mar"]),
        ("2019-11-15T00:00:00", "2026-03-15T00:00:00", 5, ["Jan 2020", "Jan 2022", "Jan 2024", "Jan 2026"]),
    ],
)
def test_an_axis_is_marked_at_round_moments(begin: str, end: str, most: int, labels: list[str]) -> None:
    found = ticks(at(begin), at(end), most)

    assert [f"{tick.label} {tick.date}".strip() for tick in found] == labels


@given(begin=st.integers(0, 4 * 10**9), span=st.integers(1, 40 * 365 * DAY), most=st.integers(2, 12))
def test_an_axis_has_marks_within_it_and_not_too_many(begin: int, span: int, most: int) -> None:
    found = [tick.at for tick in ticks(begin * SECOND, (begin + span) * SECOND, most)]

    assert len(found) <= most
    assert found == sorted(set(found))
    assert all(begin * SECOND <= each <= (begin + span) * SECOND for each in found)


@given(top=st.integers(1, 10**17))
def test_amounts_at_an_axis_are_round_and_few(top: int) -> None:
    step = money_step(top, 5)

    assert str(step).rstrip("0") in {"1", "2", "5"}
    assert top <= 5 * step
    assert step == 1 or 5 * (step // 2) < top or 5 * (step * 2 // 5) < top


@given(st.randoms(use_true_random=False), st.integers(0, 2_000))
@settings(max_examples=20)
def test_a_line_of_many_points_keeps_its_ends_and_its_extremes(random: Random, count: int) -> None:
    points = [(place, random.randrange(1_000_000)) for place in range(count)]

    kept = thinned(points, lambda at: at * 10_000 // len(points))

    assert len(kept) <= POINTS_MAX
    assert kept == sorted(kept)
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])
        amounts = [amount for _, amount in points]
        assert (max(amounts), min(amounts)) == (max(a for _, a in kept), min(a for _, a in kept))


@given(st.text(max_size=60), st.integers(0, 300))
def test_what_is_left_of_a_label_has_room(text: str, room: int) -> None:
    kept = cut(text, room)

    assert kept == "" or text_width(kept) <= room


def test_shares_are_exact_to_a_millionth() -> None:
    assert percent(1, 3) == "33.3333%"
    assert percent(2**60, 2**60) == "100.0000%"
    assert percent(5, 0) == percent(-1, 3) == "0.0000%"


def test_an_axis_over_a_leap_day_goes_on() -> None:
    begin = at("2028-02-28T00:00:00")
    end = begin + int(timedelta(days=3).total_seconds()) * SECOND

    assert [tick.label for tick in ticks(begin, end, 5)] == ["Feb 28", "Feb 29", "Mar 1", "Mar 2"]
