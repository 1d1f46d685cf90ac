import json
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from msgspec.structs import replace

from solvent._limits import Limit
from solvent._runtime import PROCESS

sys.path.insert(0, str(Path(__file__).parents[1] / "instrument"))

from inprocess import guarded, ledger, policy  # noqa: F401  # Found by the line above; fixtures of these tests.

_HERE = Path(__file__).parent
_OWN = f"test_{os.environ.get('SOLVENT_FRAMEWORK', 'reference').replace('-', '_')}.py"
# What is of one framework alone can be loaded in its environment alone.
collect_ignore = [path.name for path in _HERE.glob("test_*.py") if path.name not in ("test_frameworks.py", _OWN)]


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[dict[str, object]]:
    """
    What README's table says of the framework, by the limit; written to the file that ``SOLVENT_FIGURES`` names when all
    tests that ran have passed.
    """
    found: dict[str, object] = {}
    yield found
    path = os.environ.get("SOLVENT_FIGURES")
    if path and len(found) == 2 and not request.session.testsfailed:
        package = os.environ["SOLVENT_PACKAGE"]
        from test_frameworks import FRAMEWORK  # It is imported by pytest, before this.

        told = {"own_limit": FRAMEWORK.own_limit, "package": package, "version": version(package), "requests": found}
        Path(path).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


@pytest.fixture
def helper_limited(guarded: object) -> None:  # noqa: F811  # It has to be there first.
    """
    One call for the helper, by the policy.
    """
    limited = ("agent:helper", Limit(meter="calls", amount=1, source="solvent.yaml:3"))
    PROCESS.runtime().follow(replace(PROCESS.runtime().guard.policy, budgets=(limited,)))
