"""
The pages about the ledger: their examples run and print what is shown, and every test that they name exists.
"""

import ast
import contextlib
import io
import re
from pathlib import Path

from solvent.testing import StorePromises

ROOT = Path(__file__).parent.parent
HOW_IT_WORKS = ROOT / "docs" / "why" / "ledger.md"
GUARANTEES = ROOT / "docs" / "reference" / "guarantees.md"


def test_the_examples_of_how_the_ledger_works_print_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, names = HOW_IT_WORKS.read_text(), {}
    pairs = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", text, flags=re.M | re.S)
    assert len(pairs) == text.count("```python") == text.count("```text") > 0
    for program, shown in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, names)
        assert printed.getvalue() == shown
    names["store"].close()


def test_every_test_that_the_guarantees_name_is_there():
    named = re.findall(r"`(test_\w+\.py|StorePromises)::(\w+)`", GUARANTEES.read_text())
    assert len(named) == GUARANTEES.read_text().count("::test_") > 40
    files = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}
    for file, test in named:
        if file == "StorePromises":
            assert hasattr(StorePromises, test), test
        else:
            functions = {getattr(node, "name", "") for node in ast.walk(ast.parse(files[file].read_text()))}
            assert test in functions, f"{file}::{test}"
