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
    (shown,) = re.findall(r"^```text\n(Solvent check.*?)  ⋮\n```", PAGE.read_text(), flags=re.M | re.S)

    done = CliRunner().invoke(app, ["check", "examples/solvent.yaml"], env={"COLUMNS": "80"})
    assert done.stdout.startswith(shown)
