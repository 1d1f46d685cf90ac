"""
What a page says, and that nothing from outside can say more.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import golden_ledger
import pytest
from golden_ledger import BANNER, LONELY, RESEARCHER, TRIAGE, WRITER, Golden, golden
from html_cases import CASES, SCRIPT
from html_reading import Element, check_structure, lines, read
from run_journal import CENT, RunJournal

from solvent import __version__
from solvent._digest import HOUR_NS
from solvent._records import Entry
from solvent.report import summarize
from solvent.report.html import _journal, page
from solvent.stores.memory import MemoryStore

PINNED = Path(__file__).with_name("golden_page.txt")
TAGS = {
    *("bdi", "body", "br", "caption", "code", "data", "dd", "defs", "details", "div", "dl", "dt", "figcaption"),
    *("figure", "footer", "g", "h1", "h2", "head", "header", "html", "i", "li", "line", "main", "meta", "p", "path"),
    *("pattern", "rect", "section", "span", "style", "summary", "svg", "table", "tbody", "td", "text", "tfoot", "th"),
    *("thead", "time", "title", "tr", "ul", "wbr"),
}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    return golden(tmp_path_factory.mktemp("golden") / "golden.db")


def page_of(ledger: Golden, scope: str | None, hours: tuple[int, int] | None = None) -> str:
    store = ledger.open()
    try:
        return page(store, summarize(store, scope, hours=hours, clock=ledger.clock), clock=ledger.clock)
    finally:
        store.close()


@functools.cache
def case_page(name: str) -> str:
    return made_page(name)


def made_page(name: str) -> str:
    case = CASES[name]()
    return page(case.store, summarize(case.store, case.scope, clock=case.clock), clock=case.clock)


def calls_table(text: str) -> Element:
    [section] = [each for each in read(text).all("section") if each.attributes["aria-labelledby"] == "calls"]
    return section


def costs(text: str) -> list[int]:
    """
    What the rows of the table of calls did cost; of an unknown cost 0.
    """
    cells = [row.all("td") for row in calls_table(text).all("tbody")[-1].all("tr")]
    return [row[2].amount if row[2].all("data") else 0 for row in cells]


def nodes(element: Element) -> Iterator[Element]:
    return (each for each in element.below() if "data-own-nanodollars" in each.attributes)


def test_the_page_of_the_golden_ledger_is_as_it_is_written_down(ledger: Golden) -> None:
    """
    After a change that is meant: write what this test shows over the file.
    """
    told = lines(read(page_of(ledger, TRIAGE)))

    assert "\n".join(told).replace(__version__, "VERSION") == PINNED.read_text(encoding="utf-8").rstrip("\n")


@pytest.mark.parametrize("scope", [None, TRIAGE, BANNER, LONELY, RESEARCHER, WRITER])
def test_amounts_of_the_golden_ledger_on_its_page(ledger: Golden, scope: str | None) -> None:
    text = page_of(ledger, scope)

    cost = {
        None: golden_ledger.COST,
        TRIAGE: golden_ledger.TRIAGE_COST,
        BANNER: golden_ledger.BANNER_COST,
        LONELY: golden_ledger.LONELY_COST,
        RESEARCHER: golden_ledger.RESEARCHER_COST,
        WRITER: golden_ledger.WRITER_COST,
    }[scope]
    assert sum(costs(text)) == cost == ledger.cost(scope)
    spent = read(text).all("dl", "figures")[0].all("dd", "value")[0]
    assert spent.text == "unknown" if scope == LONELY else spent.amount == cost
    top = next(nodes(read(text)))
    assert int(top.attributes["data-nanodollars"]) == cost
    assert int(top.attributes["data-calls"]) == len(list(ledger.below(scope)))


@pytest.mark.parametrize("scope", [None, TRIAGE, BANNER, RESEARCHER])
def test_below_every_scope_of_the_icicle_and_in_it_is_all_that_it_cost(ledger: Golden, scope: str | None) -> None:
    found = list(nodes(read(page_of(ledger, scope))))

    assert len(found) > 1
    for node in found:
        below = [each for each in node.children if isinstance(each, Element) and "data-calls" in each.attributes]
        own = int(node.attributes["data-own-nanodollars"])
        total = own + sum(int(each.attributes["data-nanodollars"]) for each in below)
        assert int(node.attributes["data-nanodollars"]) == total


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_icicle_of_a_hard_case_adds_up(name: str) -> None:
    for node in nodes(read(case_page(name))):
        below = [each for each in node.children if isinstance(each, Element) and "data-calls" in each.attributes]
        own = int(node.attributes["data-own-nanodollars"])
        total = own + sum(int(each.attributes["data-nanodollars"]) for each in below)
        assert int(node.attributes["data-nanodollars"]) == total


def test_running_totals_end_at_what_was_spent(ledger: Golden) -> None:
    last = calls_table(page_of(ledger, TRIAGE)).all("tr")[-1]

    assert last.all("td")[3].amount == golden_ledger.TRIAGE_COST


def test_calls_of_some_hours_add_up_to_the_report_of_these_hours(ledger: Golden) -> None:
    store = ledger.open()
    hours = sorted({facts.hour for facts in store.groups()})
    for hour in hours:
        report = summarize(store, None, hours=(hour, hour + 1), clock=ledger.clock)
        assert sum(costs(page(store, report, clock=ledger.clock))) == report.total.cost_nanodollars
    store.close()


def test_an_expiry_and_its_correction_in_two_hours_are_told_as_the_sums_tell_them(journal: RunJournal) -> None:
    clock = journal.store._clock  # type: ignore[attr-defined]  # Of both stores that the fixture makes.
    journal.open()
    id = journal.reserve(3 * CENT)
    clock.advance(seconds=3_600)
    journal.store.expire()
    expired_at = clock.now_ns()
    clock.advance(seconds=3_600)
    journal.settle(id, CENT, ended=clock.now_ns())

    for hour, cost in ((expired_at // HOUR_NS, 0), (clock.now_ns() // HOUR_NS, CENT)):
        report = summarize(journal.store, "run:triage", hours=(hour, hour + 1))
        assert report.total.cost_nanodollars == cost
        assert sum(costs(page(journal.store, report))) == cost


@pytest.mark.parametrize("name", sorted(CASES))
def test_names_from_outside_become_no_markup(name: str) -> None:
    text = case_page(name)

    elements = list(read(text).below())
    assert {each.tag for each in elements} <= TAGS
    for each in elements:
        assert not {"href", "src", "xlink:href", "action"} & set(each.attributes)
        assert not [attribute for attribute in each.attributes if attribute.startswith("on")]
    assert "<script" not in text.lower()
    assert re.findall(r"url\(([^)]*)\)", text) == ["#hatch"]
    assert name != "names" or SCRIPT in read(text).text


def test_the_page_may_ask_for_nothing(ledger: Golden) -> None:
    text = page_of(ledger, None)

    [policy] = [each for each in read(text).all("meta") if each.attributes.get("http-equiv")]
    assert policy.attributes["content"].startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert "http:" not in text
    assert "https:" not in text


def test_the_page_keeps_to_itself_where_the_ledger_is_and_what_tells_requests_apart(journal: RunJournal) -> None:
    journal.open()
    journal.call(fingerprint="f1n9e5p51n7", parent_id="somebody")

    text = page(journal.store, summarize(journal.store, "run:triage"))

    assert "f1n9e5p51n7" not in text
    assert journal.store.url.partition(":///")[2] not in text or journal.store.url.startswith("memory:")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none", "run triage exited with 0 after 3.0 s: $0.00 of $1.00, 0 calls"),
        ("one", "run triage exited with 0 after 10 s: $0.02 of $1.00, 1 call"),
        ("unpriced", "run triage exited with 0 after 38 s: cost unknown, 5 calls"),
        ("held", "run triage is running, or was killed, after 7.0 s: $0.09 of $0.40, 1 call"),
        ("names", "run triage exited with 0 after 59 s: $0.09 of $1.00, 8 calls, 2 refused"),
        ("never_opened", "the whole ledger: $0.00, 0 calls"),
    ],
)
def test_the_headline_is_the_run_in_a_sentence(name: str, told: str) -> None:
    [headline] = read(case_page(name)).all("h1")

    assert headline.text == told


def test_of_many_calls_the_dearest_and_the_last_are_listed() -> None:
    section = calls_table(case_page("many"))

    assert section.all("p")[0].text == "Of 801 calls 431 are not listed here."
    assert [each.text for each in section.all("caption")] == [
        "The 200 dearest calls, on 2026-03-02",
        "The last 200 calls, on 2026-03-02",
    ]
    dearest, last = section.all("tbody")
    assert dearest.all("tr")[0].all("td")[2].amount == 30 * CENT
    assert len(dearest.all("tr")) == len(last.all("tr")) == 200


@pytest.mark.slow
def test_of_too_many_calls_to_read_the_last_are_listed_and_hours_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = case_page("many")
    monkeypatch.setattr(_journal, "READ_MAX", 800)

    text = made_page("many")

    section = calls_table(text)
    assert section.all("p")[0].text == "Of 801 calls 601 are not listed here."
    assert [each.text for each in section.all("caption")] == ["The last 200 calls, on 2026-03-02"]
    # Running totals are counted back from the sum, and are the same.
    assert section.all("tr")[-1].text == calls_table(whole).all("tr")[-1].text
    assert section.all("tr")[1].text == calls_table(whole).all("tr")[-200].text
    assert "by the hour" in read(text).all("figcaption")[-1].text


def test_all_calls_that_are_not_listed_can_be_had_by_a_command(ledger: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.report.html._calls.ALL_MAX", 5)

    text = calls_table(page_of(ledger, TRIAGE)).all("code")[0].text

    assert text == "solvent report --run org:acme/team:search/run:triage --trace --csv FILE"


def test_the_limit_is_drawn_with_its_changes() -> None:
    found = read(case_page("many"))

    [limit] = [each for each in found.all("path", "limit") if each.attributes["d"] != "M0 6H22"]
    steps = re.findall("V([0-9]+)", limit.attributes["d"])
    assert limit.attributes["d"].startswith("M0 5000")  # $0.50 of a drawing up to $1.00.
    assert set(steps) == {"1000"}
    assert found.all("figcaption")[-1].text.endswith("limit $0.50, $0.90 from 10:48:20 on.")


def test_a_limit_far_above_what_was_spent_is_told_rather_than_drawn(ledger: Golden) -> None:
    near, far = read(case_page("held")), read(page_of(ledger, TRIAGE))

    assert len(near.all("path", "limit")) == 2  # In the drawing and its legend.
    assert not far.all("path", "limit")
    assert [each.text for each in near.all("text", "over-label")] == ["limit $0.40"]
    assert [each.text for each in far.all("text", "over-label")] == ["limit $1.50 ↑"]


@pytest.mark.slow
def test_the_last_calls_of_hours_long_ago_are_found_by_reading_little(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["many"]()
    case.clock.advance(seconds=7_200)
    late = RunJournal(case.store, "run:late", limits={})
    late.limits = {"calls": 10_000}
    for number in range(3_000):
        late.call(1, ended=case.clock.now_ns() + number)
    hour = case.store._clock.now_ns() // HOUR_NS - 3
    monkeypatch.setattr(_journal, "READ_MAX", 5)

    report = summarize(case.store, None, hours=(hour, hour + 1), clock=case.clock)
    read_of = _counting(case.store, monkeypatch)
    text = page(case.store, report, clock=case.clock)

    assert report.total.calls > 500
    assert len(calls_table(text).all("tbody")[0].all("tr")) == 200
    assert sum(read_of) < 2_000


def _counting(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """
    Ones, for each entry that is read from now on.
    """
    read_of: list[int] = []
    entries = store.entries

    def counted(**asked: object) -> Iterator[Entry]:
        for entry in entries(**asked):  # type: ignore[arg-type]  # Handed on.
            read_of.append(1)
            yield entry

    monkeypatch.setattr(store, "entries", counted)
    return read_of


def test_refusals_are_ticks_where_they_happened() -> None:
    ticks = read(case_page("many")).all("line", "refused")

    assert len(ticks) == 20
    assert ticks[0].all("title")[0].children == ["1 refused, 2026-03-02 10:15:04 UTC"]


def test_a_page_can_be_read_by_its_structure(ledger: Golden) -> None:
    found = read(page_of(ledger, None))

    check_structure(found)
    for box in found.all("div", "scroll"):
        assert box.attributes["tabindex"] == "0"
