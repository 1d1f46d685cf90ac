"""
The page about a workflow's file says what is read, and its programs print what is shown.
"""

import re
from pathlib import Path

import pytest
from doc_programs import run_programs

from solvent.forecast import _spec_blocks as blocks
from solvent.forecast import _spec_models as models
from solvent.forecast import _spec_numbers as numbers
from solvent.forecast import _spec_wishes as wishes
from solvent.forecast import spec
from solvent.forecast.spec import read_workflow

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "forecast-spec.md"
TEXT = PAGE.read_text()


def section(heading):
    return re.split(r"^## ", TEXT.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.M)[0]


def table(heading, number=0):
    """
    The cells of a table, row by row.
    """
    tables = re.findall(r"^\|(?: :?-+ \|)+\n((?:\|.*\n)+)", section(heading), flags=re.M)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in tables[number].splitlines()]


def names(cell):
    return re.findall(r"`([\w ]+)", cell)


def first(heading):
    return {name for row in table(heading) for name in names(row[0])}


@pytest.fixture
def flow(tmp_path, monkeypatch):
    (text,) = re.findall(r'^```yaml title="flow.yaml"\n(.*?)^```', TEXT, flags=re.M | re.S)
    (tmp_path / "flow.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return Path("flow.yaml")


def test_the_programs_of_the_page_print_what_is_shown(flow):
    assert flow.exists()
    run_programs(TEXT)


def test_every_setting_has_its_line():
    assert first("The file") == set(spec._SETTINGS)
    assert first("Models") == {"is", *models._FIGURES, *models._MORE}
    assert first("Volume") == set(wishes._VOLUME)
    assert first("Limits") == set(wishes._LIMITS)
    forms = " ".join(row[0] for row in table("Numbers"))
    assert all(re.search(rf"\b{key}\b", forms) for key in numbers.COUNT_KEYS)


def test_every_kind_and_each_of_its_settings_has_its_line():
    assert {(names(kind)[0], (names(scope) or ["none"])[0]) for kind, scope, _ in table("Blocks")} == {
        (kind, scope if scope in ("agent", "step") else "none") for kind, (_, scope, _) in blocks.KINDS.items()
    }
    told = {(kind, name) for cell, of, _ in table("Blocks", 1) for name in names(cell)[:1] for kind in names(of)}
    read = {(kind, name) for kind, (_, _, settings) in blocks.KINDS.items() for name in settings}
    assert told == read | {("branch", "25"), ("branch", "either")}


def test_every_change_that_is_shown_can_be_made(flow):
    shown = re.findall(r"`([\w.%]+=[^`]+)`", section("Changes"))
    assert len(shown) == 7
    unchanged = read_workflow(flow)
    for change in shown:
        assert read_workflow(flow, changes=[change]) != unchanged, change
