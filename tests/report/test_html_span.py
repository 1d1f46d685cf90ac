"""
What a new reader of a page looks at first: when it was, where the line ends, and what every column says.
"""

import re
from pathlib import Path

import chromium
import pytest
from clocks import ManualClock
from golden_ledger import TRIAGE, golden
from html_cases import CASES
from html_reading import Element, read
from run_journal import START, RunJournal

from solvent.report import summarize
from solvent.report.html import _journal, page
from solvent.stores.memory import MemoryStore

SECOND = 1_000_000_000
OLD = "2026-02-01T08:30:00"


def imported() -> MemoryStore:
    """
    Calls of a month ago, and the opening of their run after them, as an import writes it.
    """
    store = MemoryStore(clock=ManualClock(START))
    old = ManualClock(OLD).now_ns()
    for place, scope in enumerate(("run:triage", "run:triage/agent:researcher")):
        usage = {"input_tokens": 900, "output_tokens": 80}
        ended = old + place * 300 * SECOND
        RunJournal(store, scope).call(started=ended, ended=ended, status="200", usage=usage)
    run = RunJournal(store)
    run.open(format=None, started=old)
    run.close(ended=old + 300 * SECOND)
    return store


def page_of(store: MemoryStore, scope: str | None) -> Element:
    return read(page(store, summarize(store, scope)))


def times(found: Element) -> tuple[str, str]:
    """
    The time in the heading and in the chart's caption.
    """
    [heading] = [each for each in found.all("p", "quiet") if each.text.endswith("UTC")]
    caption = found.all("figcaption")[-1].text
    return heading.text.rpartition(" · ")[2], caption.rstrip(".").partition("; ")[0]


def rows(found: Element) -> list[list[str]]:
    [section] = [each for each in found.all("section") if each.attributes["aria-labelledby"] == "calls"]
    body = section.all("tbody")[-1].all("tr")
    return [[cell.text for cell in row.children if isinstance(cell, Element)] for row in body]


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        (None, "2026-02-01 08:30:00 to 08:35:00 UTC"),
        ("run:triage", "2026-02-01 08:30:00 to 08:35:00 UTC"),
        ("run:triage/agent:researcher", "2026-02-01 08:35:00 UTC"),
    ],
)
def test_imported_calls_are_told_at_their_own_times(scope: str | None, told: str) -> None:
    found = page_of(imported(), scope)

    assert times(found) == (told, told)
    assert rows(found)[-1][0] == "08:35:00"


def test_the_calls_of_an_imported_run_are_on_its_page() -> None:
    assert len(rows(page_of(imported(), "run:triage"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("read_max", [20_000, 800], ids=["call by call", "by the hour"])
def test_a_whole_ledger_begins_at_its_first_call_and_ends_at_its_last(
    read_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_journal, "READ_MAX", read_max)
    case = CASES["many"]()

    found = page_of(case.store, None)

    told = "2026-03-02 10:15:04 to 11:08:20 UTC"
    assert times(found) == (told, told)
    assert rows(found)[-1][0] == "11:08:20"


@pytest.mark.parametrize("scope", [None, "run:triage"])
def test_the_last_step_stands_within_the_drawing(scope: str | None) -> None:
    found = page_of(imported(), scope)

    [line] = [each for each in found.all("path", "spent") if each.attributes["d"] != "M0 6H22"]
    steps = [int(x) for x in re.findall("H([0-9]+)", line.attributes["d"])]
    assert 0 < steps[0] < 500
    assert 9_500 < steps[-1] < 9_900


def test_what_is_reserved_of_money_is_money_also_where_it_is_nothing() -> None:
    found = page_of(imported(), "run:triage")

    cells = {row.all("th")[0].text: [cell.text for cell in row.all("td")] for row in found.all("tbody")[0].all("tr")}
    assert cells["usd"][3] == "$0.00"
    assert cells["calls"][3] == "0"


def test_a_call_is_told_by_its_place_below_the_run_of_the_page() -> None:
    store = imported()

    assert [row[1] for row in rows(page_of(store, "run:triage"))] == ["·", "agent:researcher"]
    assert [row[1] for row in rows(page_of(store, None))] == ["run:triage", "run:triage/agent:researcher"]


def test_the_cost_of_a_call_follows_its_model() -> None:
    found = page_of(imported(), None)

    [section] = [each for each in found.all("section") if each.attributes["aria-labelledby"] == "calls"]
    assert [each.text for each in section.all("thead")[0].all("th")][:4] == ["time (UTC)", "scope", "model", "cost"]


@pytest.mark.long
@pytest.mark.parametrize("width", [800, 940, 1_280])
@pytest.mark.parametrize("scope", [None, TRIAGE])
@pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium is installed")
def test_no_table_scrolls_sideways_on_half_a_screen(tmp_path: Path, scope: str | None, width: int) -> None:
    ledger = golden(tmp_path / "golden.db")
    store = ledger.open()
    text = page(store, summarize(store, scope, clock=ledger.clock), clock=ledger.clock)
    store.close()
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    wide = (
        "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth + 1)"
        ".map(each => each.getAttribute('aria-label'))"
    )

    with chromium.browser() as browser:
        browser.open(tmp_path / "page.html", width=width)
        assert browser.run(wide) == []
