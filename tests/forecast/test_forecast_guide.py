"""
The guide to forecasts does what it says.
"""

import pytest
from forecast_guide import PAGE, led, written


@pytest.mark.slow
def test_all_that_the_guide_shows_comes_out_of_what_it_does():
    text = PAGE.read_text()
    with led():
        assert written(text) == text, "to mend: python tests/forecast/forecast_guide.py"
