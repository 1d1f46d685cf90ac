"""
The FinOps Foundation's validator and a peer's export, in an environment of their own: they need a newer Python than
Solvent, and older packages.
"""

import functools
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / ".venv-focus"
# The validator pins a NumPy that later versions of pyarrow do not run with.
NEEDS = ("focus-validator==2.2.1", "pyarrow<21", "tokencur==0.11.1")
# Of the newest version whose rules are in the wheel; those of 1.3 it fetches from the network.
VERSION = "1.2"
# What is true of calls to models; there are no commitments, zones, capacity or currencies but one.
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "REGION_SUPPORTED",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)


def newer_python() -> str | None:
    """
    An interpreter of Python 3.12 or 3.13, or ``None`` where there is none.
    """
    return next(filter(_runs, _candidates()), None)


def _candidates() -> Iterator[str]:
    yield sys.executable
    yield from filter(None, map(shutil.which, ("python3.12", "python3.13")))
    # What is on the path may be a shim that starts none of them.
    yield from map(str, sorted(Path.home().glob(".pyenv/versions/3.1[23].*/bin/python")))


def _runs(python: str) -> bool:
    is_newer = "import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))"
    return subprocess.run([python, "-c", is_newer], capture_output=True, check=False).returncode == 0


@functools.cache
def environment(python: str) -> Path:
    """
    The environment's interpreter; it is made anew when what it needs has changed.
    """
    made, made_of = FOLDER / "bin" / "python", FOLDER / "made-of"
    if not made_of.exists() or made_of.read_text() != "\n".join(NEEDS):
        subprocess.run([python, "-m", "venv", "--clear", FOLDER], check=True)
        subprocess.run([made, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *NEEDS], check=True)
        made_of.write_text("\n".join(NEEDS))
    return made


def validated(python: Path, file: Path) -> dict[str, str]:
    """
    What the validator finds of each rule: ``PASS``, ``FAIL`` or ``SKIPPED``.
    """
    where = "import focus_validator, pathlib; print(pathlib.Path(focus_validator.__file__).parents[1])"
    packages = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.strip()
    words = ["--data-file", file, "--validate-version", VERSION, "--block-download"]
    command = [python.parent / "focus-validator", *words, "--applicability-criteria", ",".join(CRITERIA)]
    # It looks for its list of currencies from where it is started.
    ran = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^\S+ (\S+): (PASS|FAIL|SKIPPED) ", ran.stdout, flags=re.M))
    total = re.search(r"Total: (\d+) \| Pass: (\d+) \| Fail: (\d+) \| Skipped: (\d+)", ran.stdout)
    assert total is not None, ran.stdout + ran.stderr
    counts = Counter(found.values())
    assert [*map(int, total.groups())] == [len(found), counts["PASS"], counts["FAIL"], counts["SKIPPED"]]
    return found
