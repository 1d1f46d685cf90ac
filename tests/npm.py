"""
The packages for Node that tests stand on, installed once beside the tests that need them.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "e2e" / "node"


def needed(is_there: bool, missing: str) -> None:
    """
    Skip where something is missing, except in CI.
    """
    assert is_there or not os.environ.get("CI"), missing
    if not is_there:
        pytest.skip(missing)


def found(*commands: str) -> None:
    for command in commands:
        needed(shutil.which(command) is not None, f"not installed: {command}")


def packages() -> Path:
    """
    The folder of the packages, installed if they are not there in the versions that are asked for.
    """
    found("node", "npm")
    with _locked():
        if not _is_installed():
            install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
            done = subprocess.run(install, cwd=FOLDER, capture_output=True, text=True, timeout=120)
            needed(done.returncode == 0, f"npm could not install its packages: {done.stderr}")
    return FOLDER


def _is_installed() -> bool:
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    manifests = {name: FOLDER / "node_modules" / name / "package.json" for name in wanted}
    return all(
        manifest.exists() and json.loads(manifest.read_text())["version"] == wanted[name]
        for name, manifest in manifests.items()
    )


@contextmanager
def _locked() -> Iterator[None]:
    """
    Keep other test processes out.
    """
    descriptor = os.open(FOLDER, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
