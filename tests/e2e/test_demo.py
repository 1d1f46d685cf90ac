"""
The demo, as `make demo` runs it once everything is installed.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from servers import why_no_real_model

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


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
