"""
The rows of the systems are all tested, by tests of their name, which use nothing but public names.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from rows import SYSTEMS, names_of

HERE = Path(__file__).parent
SPECIFICATION = HERE.parents[2] / "shared" / "SYSTEMS.md"
PUBLIC = {"solvent", "solvent.errors", "solvent.events"}
HELPERS = {path.stem for folder in (HERE, HERE.parent) for path in folder.glob("*.py")}
LATER: set[str] = set()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def sources() -> Iterator[tuple[str, ast.Module]]:
    """
    The files here but this one and the table, and the programs that stand in them as texts.
    """
    for path in sorted(HERE.glob("*.py")):
        if path.stem in ("rows", Path(__file__).stem):
            continue
        tree = parsed(path)
        yield path.name, tree
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
                try:
                    yield f"{path.name}:{node.lineno}", ast.parse(node.value)
                except SyntaxError:  # No program, or a piece of one.
                    assert not re.search(r"\bsolvent[\w.]*\._[a-z]", node.value), f"{path.name}:{node.lineno}"


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def private_names(tree: ast.Module) -> Iterator[str]:
    """
    Names with an underscore before them, other than an object's own.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr"):
            yield from [
                each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
            ]


def test_the_rows_tests_use_no_private_name():
    seen = 0
    for where, tree in sources():
        names = [name for name in private_names(tree) if name.startswith("_") and not name.endswith("__")]
        assert not names, f"{where} uses {names}"
        for name in imported(tree):
            seen += name in PUBLIC
            assert name in PUBLIC or name.partition(".")[0] != "solvent", f"{where} imports {name}"
    assert seen > len(SYSTEMS)


def test_the_rows_tests_stand_on_no_helper_that_reaches_into_solvent():
    for where, tree in sources():
        for name in HELPERS & set(imported(tree)):
            path = next(folder / f"{name}.py" for folder in (HERE, HERE.parent) if (folder / f"{name}.py").exists())
            inside = {each for each in imported(parsed(path)) if each.partition(".")[0] == "solvent"}
            assert inside <= PUBLIC, f"{where} imports {name}, which imports {inside - PUBLIC}"


@pytest.mark.parametrize("file", SYSTEMS)
def test_every_row_has_tests_of_its_name_and_every_test_a_row(file):
    _, rows = SYSTEMS[file]
    tests = {row.id: names_of(file, row.id) for row in rows}
    assert [id for id, found in tests.items() if not found] == []
    tree = parsed(HERE / f"{file}.py")
    named = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    assert named == {name for found in tests.values() for name in found}


def test_no_row_is_left_out():
    if not SPECIFICATION.exists():
        pytest.skip(f"no list of the systems' rows at {SPECIFICATION}")
    found: list[str] = re.findall(r"^\| ([A-Z]\d.*?) \|", SPECIFICATION.read_text(), flags=re.M)
    wanted = [f"{letter}{number}" for each in found for letter, number in _ids(each)]
    assert len(wanted) == len(set(wanted)) > 40
    assert [row.id for _, rows in SYSTEMS.values() for row in rows] == sorted(set(wanted) - LATER, key=_place)


def _ids(cell: str) -> Iterator[tuple[str, int]]:
    """
    ``V1`` is one; ``E1–E7`` are seven.
    """
    ends = [int(number) for number in re.findall(r"\d+", cell)]
    yield from [(cell[0], number) for number in range(ends[0], ends[-1] + 1)]


def _place(id: str) -> tuple[int, int]:
    return "VFEAS".index(id[0]), int(id[1:])


def test_a_private_name_would_be_seen():
    found = ast.parse(
        "from solvent._budget import Budget\nbudget._block\nself._own\nsys.modules\ngetattr(budget, '_block')"
    )
    assert [name for name in private_names(found) if name.startswith("_")] == ["_block", "_block"]
    assert set(imported(found)) - PUBLIC == {"solvent._budget"}
    assert "solvent" in sys.modules
