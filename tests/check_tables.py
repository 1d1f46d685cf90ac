"""
The tables and the examples of the page on ``solvent check``, written from what the command itself goes by.

    python tests/check_tables.py
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from solvent.cli._check_tables import finding_lines
from solvent.policy._cheapest import Cheapest
from solvent.policy._contradictions import CONTRADICTIONS, NOTES, contradictions
from solvent.policy._coverage import LAYERS, NOT_APPLICABLE, PATTERNS, TYPES
from solvent.policy._outranked import CALL
from solvent.policy._read import read_policy
from solvent.report._pen import Pen

sys.path.append(str(Path(__file__).parent / "policy"))
from test_contradictions import FOUND

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "check.md"
_SECTION = re.compile(r"(<!-- (\w+): written by tests/check_tables\.py -->\n).*?(<!-- end -->)", re.DOTALL)
_LEAST = Cheapest(model="PROVIDER/MODEL", nanodollars=3)


def types() -> str:
    rows = []
    for type, meters in TYPES.items():
        not_in = [layer for other, layer in NOT_APPLICABLE if other == type]
        rows.append([type, _names(meters), ", ".join(not_in) or "–"])
    return _table(["budget type", "meters", "does not apply to"], rows)


def layers() -> str:
    rows = [
        [layer, "`call:`" if kinds == (CALL,) else _names(f"{kind}:" for kind in kinds)]
        for layer, kinds in LAYERS.items()
    ]
    return _table(["layer", "entries"], rows)


def patterns() -> str:
    rows = [
        [pattern if not at else "and", need.without, f"{_names(need.meters)} in {_joined(need.layers)}"]
        for pattern, needs in PATTERNS.items()
        for at, need in enumerate(needs)
    ]
    return _table(["pattern", "what could happen", "closed by a limit of"], rows)


def findings() -> str:
    return "".join(_example(kind, meaning) for kind, meaning in CONTRADICTIONS.items())


def notes() -> str:
    return "".join(_example(kind, meaning) for kind, meaning in NOTES.items())


SECTIONS: dict[str, Callable[[], str]] = {
    "findings": findings,
    "layers": layers,
    "notes": notes,
    "patterns": patterns,
    "types": types,
}


def written(text: str) -> str:
    """
    A page with its sections as they should be.
    """
    return _SECTION.sub(lambda found: f"{found[1]}\n{SECTIONS[found[2]]().rstrip()}\n\n{found[3]}", text)


def _example(kind: str, meaning: str) -> str:
    text, *_ = FOUND[kind]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "solvent.yaml"
        path.write_text(text)
        found = contradictions(read_policy(path), find_cheapest=lambda _: _LEAST)
        (one,) = (each for each in found if each.kind == kind)
    told = "\n".join(finding_lines(one, Pen(color=False, ascii=False), 80))
    return f"### `{kind}`\n\n{meaning[0].upper()}{meaning[1:]}.\n\n```yaml\n{text}```\n\n```text\n{told}\n```\n\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
