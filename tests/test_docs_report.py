"""
The page about reports: what stands there is what the command prints of the golden ledger, at 80 columns.
"""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from golden_ledger import golden
from typer.testing import CliRunner

from solvent.cli import app
from solvent.report._by import BY

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "report.md"
BLOCKS = re.findall(r"^```\n(\$ .*?)^```", PAGE.read_text(), flags=re.M | re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.partition("\n")[0])
def test_what_the_page_shows_is_what_is_printed(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = golden(tmp_path / "golden.db")
    monkeypatch.chdir(tmp_path)
    env = {"SOLVENT_LEDGER": made.url, "COLUMNS": "80"}
    printed = ""
    for command in re.findall(r"^\$ solvent (.*)$", block, flags=re.M):
        done = CliRunner().invoke(app, shlex.split(command), env=env)
        assert (done.exit_code, done.stderr) == (0, "")
        printed += f"$ solvent {command}\n{done.stdout}"
    assert printed == block


def test_the_program_prints_what_is_shown() -> None:
    [(program, shown)] = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {})
    assert printed.getvalue() == shown


def test_every_name_that_rows_are_told_apart_by_is_on_the_page() -> None:
    _, _, section = PAGE.read_text().partition("## By names")
    cells = re.findall(r"^\| (`.*?) \|", section.partition("## The trace")[0], flags=re.M)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(BY)
