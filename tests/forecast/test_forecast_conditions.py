"""
Conditions on two forecasts, as ``--fail-if`` takes them.
"""

import re

import pytest

from solvent.forecast._diff import Change, condition

FIGURES = (
    "expected one of mean, sd, p50, p90, p95, p99, p999, worst, of cost_usd unless it is tokens, calls, seconds "
    "(tokens.p99), or month"
)


def change(old: float | None, new: float | None, figure: str = "cost_usd.p99") -> dict[str, Change]:
    return {figure: Change(figure=figure, old=old, new=new)}


@pytest.mark.parametrize(
    ("text", "old", "new", "is_met"),
    [
        ("p99 > +20%", 1.0, 1.2, False),
        ("p99 > +20%", 1.0, 1.21, True),
        ("p99>=+20%", 1.0, 1.25, True),
        ("p99 > 20%", 1.0, 1.21, True),
        ("p99 < -10%", 1.0, 0.95, False),
        ("p99 < -10%", 1.0, 0.85, True),
        ("p99 > 1.50", 9.0, 1.5, False),
        ("p99 > $1.50", 1.0, 1.51, True),
        ("p99 <= $1.50", 1.0, 1.5, True),
        ("p99 > 20 %", 1.0, 1.21, True),
        ("p99 > $1,000", 1.0, 1_001.0, True),
        ("p99 > 2M", 1.0, 1_999_999.0, False),
        ("p99 > +20%", 0.0, 1.0, True),  # From nothing to something.
        ("p99 < -20%", 0.0, 1.0, False),
        ("p99 > +20%", 0.0, 0.0, False),
        ("p99 > +20%", 1.0, None, True),  # It lost its cap.
        ("p99 > $5", 1.0, None, True),
        ("p99 < +20%", 1.0, None, False),
        ("p99 > +20%", None, None, False),  # It never had one.
        ("p99 > +20%", None, 1.0, False),  # It got one.
        ("p99 < -20%", None, 1.0, True),
    ],
)
def test_a_condition_is_met_by_what_it_says(text, old, new, is_met):
    assert condition(text).is_met(change(old, new)) is is_met


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        ("mean > 1", "cost_usd.mean"),
        ("tokens.p95 > +5%", "tokens.p95"),
        ("month > $900", "month"),
        (" p999>1", "cost_usd.p999"),
        ("tokens.p99.9 > 1", "tokens.p999"),
        ("p99.9 > 1", "cost_usd.p999"),
    ],
)
def test_a_figure_is_that_of_the_cost_unless_it_says_so(text, figure):
    assert condition(text).figure == figure


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p99", "expected a figure, a sign and an amount such as 'p99 > +20%' or 'mean > 0.40', got 'p99'"),
        ("p99 == 3", "expected a figure, a sign and an amount such as 'p99 > +20%' or 'mean > 0.40', got 'p99 == 3'"),
        (
            "p98 > 3",
            f"{FIGURES}; got 'p98'",
        ),
        (
            "dollars.p99 > 3",
            f"{FIGURES}; got 'dollars.p99'",
        ),
        ("p99 > +3", "expected a change in percent such as +20%, or an amount without a sign, got 'p99 > +3'"),
    ],
)
def test_what_is_no_condition_is_told(text, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        condition(text)
