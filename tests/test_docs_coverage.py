"""
The pages that say what is covered in process are those of the table, and tell of each refusal what is raised.
"""

import re
import sys
from pathlib import Path

import pytest
import typer.main
from coverage_tables import PAGES, TABLES, written

from solvent.cli import app
from solvent.instrument._coverage import COVERAGE

sys.path.append(str(Path(__file__).parent / "instrument"))
from test_what_is_raised import TABLE

SDKS = Path(__file__).parent.parent / "docs" / "reference" / "sdks.md"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_is_said_to_be_covered_is_the_table(path):
    text = path.read_text()
    assert text == written(text), "to mend: python tests/coverage_tables.py"


def test_every_table_has_its_place():
    text = "".join(path.read_text() for path in PAGES)
    assert sorted(re.findall(r"<!-- (\w+): written by tests/coverage_tables", text)) == sorted(TABLES)
    for library in COVERAGE:
        assert f"\n| `{library.name}` |" in text


def test_every_refusal_says_what_is_raised():
    rows = re.findall(r"^\| ([\w’' ]+) \| `(\w+)`(.*?) \| (\d+), `(\w+)` \|", SDKS.read_text(), flags=re.M)
    told = {situation: (name, int(status), code) for situation, name, _, status, code in rows}
    assert told == {what: (kind.__name__, status, code) for what, (kind, status, code) in TABLE.items()}
    assert [situation for situation, _, more, *_ in rows if "held" in more] == ["open calls hold the room"]


def test_every_option_of_doctor_has_its_line():
    command = typer.main.get_command(app).commands["doctor"]
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    text = (SDKS.parent / "doctor.md").read_text()
    assert set(re.findall(r"^\| `(--\w+)[^`]*` \|", text, flags=re.M)) == options - {"--help"}
