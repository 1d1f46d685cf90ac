"""
Pages of forecasts as Chromium shows them, at two widths, in light and in dark, and on paper.

The pictures are left in the folder that ``SOLVENT_PICTURES`` names, for people to look at.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from forecast_cases import CASES

from solvent.forecast._study import study
from solvent.forecast.report.page import page
from solvent.forecast.spec import read_workflow

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium is installed"),
]
EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "forecast").glob("*.yaml"))
NAMES = [*sorted(CASES), *(f"example_{path.stem}" for path in EXAMPLES)]

CUT_OFF_IN_THE_GRAPH = """
[...document.querySelectorAll('.graph .step, .graph .step > *, .one, p')]
  .filter(each => each.scrollWidth > each.clientWidth + 1 && each.clientWidth).map(each => each.textContent)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    with chromium.browser() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A folder of all pages, each by its name.
    """
    folder = tmp_path_factory.mktemp("pages")
    made = {name: make() for name, make in CASES.items()}
    made |= {f"example_{path.stem}": study(read_workflow(path), runs=2**14) for path in EXAMPLES}
    for name, one in made.items():
        (folder / f"{name}.html").write_text(page(one), encoding="utf-8")
    return folder


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_and_asks_for_nothing(
    browser: chromium.Browser, pages: Path, name: str, width: int, is_dark: bool
) -> None:
    browser.open(pages / f"{name}.html", width=width, dark=is_dark)

    assert browser.complaints() == []
    assert browser.run("document.documentElement.scrollWidth") == width
    for program in (*chromium.MISTAKES, CUT_OFF_IN_THE_GRAPH):
        assert browser.run(program) == [], program
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 28)" if is_dark else "rgb(255, 255, 255)")
    if folder := os.environ.get("SOLVENT_PICTURES"):
        browser.picture(Path(folder) / f"forecast-{name}-{width}-{'dark' if is_dark else 'light'}.png")


@pytest.mark.parametrize("name", NAMES)
def test_on_paper_it_is_light_and_nothing_is_cut_off(browser: chromium.Browser, pages: Path, name: str) -> None:
    browser.open(pages / f"{name}.html", width=688, dark=True, media="print")

    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("document.documentElement.scrollWidth") == 688
    assert browser.run(chromium.OVER_EACH_OTHER) == []
    if name != "hostile":  # Whose name alone is as wide as the paper.
        cut = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth + 1).length"
        assert browser.run(cut) == 0
