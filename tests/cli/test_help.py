"""
The help of every command: asked for in two ways, and readable as a whole at 80 columns.
"""

from collections.abc import Iterator

import pytest
import typer.main
from typer.testing import CliRunner

from solvent.cli import app


def commands(group: object = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    group = group or typer.main.get_command(app)
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [*commands()], ids=" ".join)
def test_help_is_whole_at_80_columns(path: tuple[str, ...]) -> None:
    texts = [CliRunner().invoke(app, [*path, flag], env={"COLUMNS": "80"}).stdout for flag in ("-h", "--help")]

    assert texts[0] == texts[1]
    lines = texts[0].splitlines()
    assert not [line for line in lines if len(line) > 80 or (line.endswith("...") and not line.startswith("Usage"))]
