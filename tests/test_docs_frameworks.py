"""
What README says of agent frameworks is what was measured of each of them.
"""

import json
import sys
from pathlib import Path

import pytest
from framework_tables import PAGE, RESULTS, written

from solvent.instrument._frameworks import FRAMEWORKS

sys.path.append(str(Path(__file__).parent / "frameworks"))
from run_frameworks import ENVIRONMENTS

GUIDES = Path(__file__).parent.parent / "docs" / "guides"


def test_the_table_is_what_was_measured():
    text = PAGE.read_text()
    assert "<!-- frameworks: written by tests/framework_tables.py -->" in text
    assert text == written(text), "to mend: python tests/framework_tables.py"


def test_every_framework_was_measured_and_has_its_guide():
    names = {environment.name for environment in ENVIRONMENTS} - {"reference"}
    assert {path.stem for path in RESULTS.glob("*.json")} == names
    assert {one.guide for one in FRAMEWORKS} == names | {"langgraph"}
    assert all((GUIDES / f"{one.guide}.md").exists() for one in FRAMEWORKS)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_the_same_calls_leave_every_framework_under_the_same_limit(path):
    result = json.loads(path.read_text())
    assert {limit: measured["solvent"] for limit, measured in result["requests"].items()} == {"3": 3, "5": 5}
    (framework,) = [one for one in FRAMEWORKS if one.name == result["package"]]
    assert result["version"].partition(".")[0] in framework.tested
