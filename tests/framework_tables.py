"""
The table of README that says how many requests an agent framework's own limit lets through, and how many a budget
does, written from what ``tests/frameworks/run_frameworks.py`` measured.

    python tests/framework_tables.py
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "README.md"
RESULTS = ROOT / "tests" / "frameworks" / "results"
_SECTION = re.compile(r"(<!-- frameworks: written by tests/framework_tables\.py -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = ("framework", "release tested", "its own limit", "set to 3", "set to 5", "`calls=3`", "`calls=5`")


def frameworks() -> str:
    """
    The requests that reach the server under each limit.
    """
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    lines = [_HEAD, ["---"] * len(_HEAD), *map(_row, results)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def written(text: str) -> str:
    """
    The page with its table as it should be.
    """
    return _SECTION.sub(lambda found: f"{found[1]}\n{frameworks()}\n{found[2]}", text)


def _row(result: dict[str, Any]) -> list[str]:
    three, five = result["requests"]["3"], result["requests"]["5"]
    return [
        f"`{result['package']}`",
        result["version"],
        f"`{result['own_limit']}`",
        _own(three),
        _own(five),
        str(three["solvent"]),
        str(five["solvent"]),
    ]


def _own(measured: dict[str, Any]) -> str:
    ends = measured["ends"]
    return f"{measured['own']}, then {ends if ends == 'an answer' else f'`{ends}`'}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
