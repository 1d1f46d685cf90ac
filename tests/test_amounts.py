import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent._amounts import (
    AMOUNT_MAX,
    Usage,
    at_the_point,
    check_amount,
    count,
    exact_dollars,
    nanodollars,
    seconds,
    show_dollars,
    show_seconds,
)


@pytest.mark.parametrize(
    ("given_amount", "expected"),
    [
        ("2", 2_000_000_000),
        ("$0.50", 500_000_000),
        (2, 2_000_000_000),
        (0.1, 100_000_000),  # Its shortest decimal text, not the binary number beside it.
        (Decimal("0.000000001"), 1),
        ("1_000", 1_000_000_000_000),
        ("0", 0),
        ("-0", 0),
    ],
)
def test_money_is_read_exactly(given_amount, expected):
    assert nanodollars(given_amount) == expected


@pytest.mark.parametrize(
    "given_amount",
    ["2usd", "", "-1", "NaN", "inf", True, -0.5, math.nan, math.inf, "0.0000000001", "10000000", "1,5", "2/day"],
)
def test_what_is_no_amount_of_money_is_refused_with_its_name(given_amount):
    with pytest.raises(ValueError, match="--usd must be"):
        nanodollars(given_amount, name="--usd")


@pytest.mark.parametrize(("text", "expected"), [("200", 200), ("500k", 500_000), ("2M", 2_000_000), ("1.5k", 1_500)])
def test_counts_are_read_as_people_write_them(text, expected):
    assert count(text) == expected


@pytest.mark.parametrize("text", ["-1", "1.5", "two", "", "1k5", "9007199254740992", "1e3", True])
def test_what_is_no_count_is_refused(text):
    with pytest.raises(ValueError, match="--calls must be"):
        count(text, name="--calls")


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("30s", 30), ("10m", 600), ("1h30m", 5_400), ("0.5s", 0.5)])
def test_times_are_read_as_people_write_them(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "-5", "5x", "inf", "nan", "m", "10m ago", True])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="--time must be a length of time"):
        seconds(text, name="--time")


@pytest.mark.parametrize("value", [True, 1.0, "1", None, math.nan, -1, AMOUNT_MAX + 1])
def test_an_amount_is_a_whole_number_within_bounds(value):
    with pytest.raises(ValueError, match="calls must be"):
        check_amount("calls", value)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (42_000_000, "$0.0420"),
        (2_000_000_000, "$2.00"),
        (5_000_000_000_000, "$5,000.00"),
        (990_000_000, "$0.99"),
        (-10_000_000, "-$0.01"),
        (1, "$0.000000001"),
        (99_000, "$0.000099"),
        (0, "$0.00"),
    ],
)
def test_money_is_shown_in_one_way(amount, shown):
    assert show_dollars(amount) == shown


@given(st.integers(0, AMOUNT_MAX))
def test_exact_dollars_lose_nothing(amount):
    assert nanodollars(exact_dollars(amount)) == amount


@pytest.mark.parametrize(
    ("value", "shown"), [(0.42, "0.4 s"), (42, "42 s"), (312, "5 min 12 s"), (18_720, "5 h 12 min"), (86_400, "1 d")]
)
def test_times_are_shown_in_one_way(value, shown):
    assert show_seconds(value) == shown


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_tokens": -1},
        {"input_tokens": 1.5},
        {"output_tokens": True},
        {"input_tokens": 2**63},
        {"input_tokens": 5, "cache_read_tokens": 6},
        {"output_tokens": 5, "reasoning_tokens": 6},
        {"input_tokens": 5, "image_input_tokens": 6},
        {"output_tokens": 5, "image_output_tokens": 6},
        {"output_tokens": 5, "image_output_tokens": -1},
        {"output_tokens": None},
        {"file_searches": None},
        {"web_searches_preview": -1},
        {"file_searches": True},
        {"map_searches": 0.5},
        {"code_sessions": 2**53},
    ],
)
def test_a_usage_that_no_provider_can_mean_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        Usage(**wrong).check()


def test_images_may_be_untold_which_is_not_none_of_them():
    Usage(input_tokens=5, output_tokens=5, image_input_tokens=5, image_output_tokens=0).check()
    Usage(input_tokens=5).check()
    assert Usage() != Usage(image_input_tokens=0)


@pytest.mark.parametrize(
    "text", ["1e999999999", "1e-999999999", "0.0000000001", "1.0000000000000000000000000000000001", "9007199.254740992"]
)
def test_dollars_are_exact_or_refused_however_long_they_are(text):
    with pytest.raises(ValueError, match="must be"):
        nanodollars(text)


def test_a_count_is_exact_or_refused_however_long_it_is():
    with pytest.raises(ValueError, match="must be a whole number"):
        count("1.0000000000000000000000000000000001k")


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        (["$0.96", "-$1,000.0420", "$0.0000225"], ["$0.96     ", "-$1,000.0420   ", "$0.0000225"]),
        (["cost", "$0.04", "$0.0420", "unpriced", "1,024"], ["cost", "$0.04  ", "$0.0420", "unpriced", "1,024"]),
        (["$0.04", "$0.0420", "$0.02 + 1 unpriced"], ["$0.04  ", "$0.0420", "$0.02 + 1 unpriced"]),
        (["cost", ""], ["cost", ""]),
        ([], []),
    ],
)
def test_money_in_a_column_stands_point_below_point(cells, column):
    assert at_the_point(cells) == column
