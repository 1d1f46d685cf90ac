"""
Pages as Chromium shows them, at two widths, in light and in dark, and on paper.

The pictures are left in the folder that ``SOLVENT_PICTURES`` names, for people to look at.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from golden_ledger import LONELY, TRIAGE, golden
from html_cases import CASES

from solvent.report import summarize
from solvent.report.html import page

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium is installed"),
]
GOLDEN = {"golden": TRIAGE, "golden_ledger": None, "golden_lonely": LONELY}
WIDTHS = (390, 1280)

OUTSIDE_OF_THEIR_CELLS = """
[...document.querySelectorAll('.cell text')].filter(text => {
  const box = text.getBoundingClientRect(), cell = text.closest('.cell').getBoundingClientRect()
  return box.width && (box.right > cell.right + 0.5 || box.left < cell.left || box.bottom > cell.bottom + 0.5)
}).map(text => text.textContent)
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
    ledger = golden(folder / "golden.db")
    store = ledger.open()
    for name, scope in GOLDEN.items():
        text = page(store, summarize(store, scope, clock=ledger.clock), clock=ledger.clock)
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    store.close()
    for name, make in CASES.items():
        case = make()
        text = page(case.store, summarize(case.store, case.scope, clock=case.clock), clock=case.clock)
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [*GOLDEN, *sorted(CASES)])
def test_a_page_fits_and_asks_for_nothing(
    browser: chromium.Browser, pages: Path, name: str, width: int, is_dark: bool
) -> None:
    browser.open(pages / f"{name}.html", width=width, dark=is_dark)

    assert browser.complaints() == []
    assert browser.run("document.documentElement.scrollWidth") == width
    for program in (OUTSIDE_OF_THEIR_CELLS, *chromium.MISTAKES):
        assert browser.run(program) == [], program
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 28)" if is_dark else "rgb(255, 255, 255)")
    if folder := os.environ.get("SOLVENT_PICTURES"):
        browser.picture(Path(folder) / f"{name}-{width}-{'dark' if is_dark else 'light'}.png")


@pytest.mark.parametrize("width", WIDTHS)
def test_labels_of_a_width_are_shown_at_it_and_no_others(browser: chromium.Browser, pages: Path, width: int) -> None:
    browser.open(pages / "names.html", width=width)

    shown = browser.run(
        "[...new Set([...document.querySelectorAll('.narrow, .middle, .wide')]"
        ".filter(each => getComputedStyle(each).display != 'none').map(each => each.getAttribute('class')))]"
    )
    assert shown == [{390: "narrow", 1280: "wide"}[width]]


def test_on_paper_it_is_light_and_nothing_is_cut_off(browser: chromium.Browser, pages: Path) -> None:
    browser.open(pages / "golden.html", width=688, dark=True, media="print")

    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    cut = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth + 1).length"
    assert browser.run(cut) == 0
    assert browser.run("document.querySelector('details table').checkVisibility()")
    assert browser.run(OUTSIDE_OF_THEIR_CELLS) == []
