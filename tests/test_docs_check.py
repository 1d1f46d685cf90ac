"""
The page on ``solvent check`` says what the command goes by and prints.
"""

import re

import pytest
from check_tables import PAGE, SECTIONS, written
from typer.testing import CliRunner

from solvent.cli import app
from solvent.policy._coverage import PARTIAL


def test_the_tables_and_the_findings_are_those_of_the_command():
    text = PAGE.read_text()

    assert text == written(text), "to mend: python tests/check_tables.py"
    assert sorted(re.findall(r"<!-- (\w+): written by", text)) == sorted(SECTIONS)


def test_partial_enforcement_has_its_rule():
    assert f"**{PARTIAL.capitalize()}** is open where" in PAGE.read_text()


@pytest.mark.slow
def test_what_the_page_shows_is_what_is_printed(monkeypatch):
    monkeypatch.chdir(PAGE.parent.parent.parent)
    pattern = r"^```\n\$ solvent (.*)\n```\n\n```text\n(Solvent check[^`]*?)  ⋮\n```"
    shown = re.findall(pattern, PAGE.read_text(), flags=re.M)

    assert len(shown) == PAGE.read_text().count("\n$ solvent check ") == 2
    for words, text in shown:
        assert CliRunner().invoke(app, words.split(), env={"COLUMNS": "80"}).stdout.startswith(text)
