"""
The tables of README and reference that say what is covered in process, and what of other systems Solvent does, written
from those that the tests use.

    python tests/coverage_tables.py
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from solvent.instrument._coverage import COVERAGE, Library
from solvent.instrument._frameworks import FRAMEWORKS

sys.path.append(str(Path(__file__).parent / "systems"))
from rows import SYSTEMS, names_of  # Found by the line above.

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "reference" / "sdks.md")
_SECTION = re.compile(r"(<!-- (\w+): written by tests/coverage_tables\.py -->\n).*?(<!-- end -->)", re.DOTALL)


def held() -> str:
    """
    What is held, in short.
    """
    rows = [[_name(one), _releases(one), ", ".join(one.ways), _refusal(one)] for one in COVERAGE if one.state == "held"]
    return _table(["library", "releases tested", "calls held", "a refusal is"], rows)


def all_held() -> str:
    """
    What is held, with where and what of it is not.
    """
    rows = [
        [_name(one), _releases(one), *_marks(one), _where(one), _refusal(one), _or_dash(one.uncovered)]
        for one in COVERAGE
        if one.state == "held"
    ]
    head = [
        "library",
        "releases tested",
        "sync",
        "async",
        "streamed",
        "held where it sends by",
        "a refusal is",
        "not held",
    ]
    return _table(head, rows)


def not_held() -> str:
    """
    What is not held, by what mends it.
    """
    by_mend: dict[str, list[str]] = {}
    for one in COVERAGE:
        if one.uncovered:
            what = f": {one.uncovered}" if one.state == "held" else ""
            by_mend.setdefault(one.mend, []).append(f"{_name(one)}{what}")
    return _table(["not held", "to have it held"], [["; ".join(names), mend] for mend, names in by_mend.items()])


def all_not_held() -> str:
    """
    The libraries of which nothing is held, with what is done about them.
    """
    rows = [
        [_name(one), _releases(one), one.uncovered, _told(one), one.mend] for one in COVERAGE if one.state != "held"
    ]
    return _table(["library", "releases tested", "not held", "`install(strict=True)`", "to have it held"], rows)


def named() -> str:
    """
    The frameworks, with what of each has a scope.
    """
    rows = [
        [f"`{one.name}`", _lines(one.tested), ", ".join(one.names), f"[{one.guide}](../guides/{one.guide}.md)"]
        for one in FRAMEWORKS
    ]
    return _table(["framework", "releases tested", "scopes of", "guide"], rows)


def systems() -> str:
    """
    What users of other systems can do, what comes of it here, and which tests hold it.
    """
    rows = []
    for file, (what, its) in SYSTEMS.items():
        rows.append(["", f"**{what}**", "", f"[{file}](tests/systems/{file}.py)"])
        for row in its:
            count = len(names_of(file, row.id))
            rows.append(
                [row.id, row.can, row.figure, f"`test_{row.id.lower()}_…`" + (f" × {count}" if count > 1 else "")]
            )
    return _table(["row", "a user can", "in Solvent", "tests"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "all_held": all_held,
    "all_not_held": all_not_held,
    "held": held,
    "named": named,
    "not_held": not_held,
    "systems": systems,
}


def written(text: str) -> str:
    """
    A page with its tables as they should be.
    """
    return _SECTION.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _name(library: Library) -> str:
    return f"`{library.name}`"


def _releases(library: Library) -> str:
    if library.is_pythons_own:
        return "Python's own"
    return _lines(library.tested) or "none"


def _lines(tested: Sequence[str]) -> str:
    return ", ".join(f"{line}.x" for line in tested)


def _marks(library: Library) -> list[str]:
    return ["yes" if way in library.ways else "–" for way in ("sync", "async", "streamed")]


def _where(library: Library) -> str:
    return ", ".join(library.over) or "itself"


def _refusal(library: Library) -> str:
    return "an answer, HTTP 402" if library.answers else "`BudgetExceeded`"


def _told(library: Library) -> str:
    return "refuses it" if library.state == "told" else "does not see it"


def _or_dash(text: str) -> str:
    return text or "–"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(written(page.read_text()))
