"""
Where the recorded runs and exchanges are that tests read; a test that needs them is skipped where they are absent.
"""

import os
from pathlib import Path

import pytest


def recorded(name: str) -> Path:
    data = Path(os.environ.get("SOLVENT_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (data / name).is_dir():
        pytest.skip(f"no recorded data at {data / name}; set SOLVENT_TEST_DATA")
    return data / name


def recordings() -> list[str]:
    """
    The files of exchanges that were recorded with real providers, one file a provider.
    """
    return sorted(str(file) for file in recorded("provider-wire-samples").glob("*.jsonl"))
