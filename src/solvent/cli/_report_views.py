"""
The views of a report, and where they go: drawn, as JSON, as comma-separated values, as a page.
"""

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

import typer
from msgspec import Struct

from solvent._digest import Hours
from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, fail
from solvent.cli._files import check_file, replacing, with_progress
from solvent.report import Report, to_json, write
from solvent.report._csv import Table, by_table, models_table, trace_table, tree_table, write_csv
from solvent.report._draw_by import draw_by
from solvent.report._draw_trace import draw_trace
from solvent.report._draw_tree import draw_tree
from solvent.report._json import by_json, step_json
from solvent.report._terminal import Picture, pen_of, within
from solvent.report._trace import Step, trace
from solvent.stores._protocol import Store

Kind = Literal["by", "overview", "trace", "tree"]


class View(Struct, frozen=True, kw_only=True):
    """
    Attributes:
        names: Of ``by``, what rows are told apart by.
        file: Where comma-separated values go, ``-`` for standard output, or the page.
        ledger: As it was named, if it was.
        url: The ledger's.
    """

    kind: Kind = "overview"
    names: tuple[str, ...] = ()
    format: Literal["csv", "html", "json", "text"] = "text"
    file: Path | None = None
    force: bool = False
    ledger: str | None = None
    url: str


def show(view: View, report: Report, store: Store) -> None:
    """
    Show all but a trace, which needs no report.
    """
    if view.format == "json":
        found = by_json(report, view.names) if view.kind == "by" else to_json(report)
        print(json.dumps(found, indent=2))
    elif view.format == "csv":
        _write_table(view, _table(view, report))
    elif view.format == "html":
        _write_page(view, report, store)
    else:
        place = printable(view.url)
        picture, options = _picture(view)
        write(
            report,
            sys.stdout,
            environment=os.environ,
            ledger=view.ledger,
            picture=picture,
            place=place,
            options=options,
        )


def _picture(view: View) -> tuple[Picture | None, str]:
    if view.kind == "tree":
        return draw_tree, " --tree"
    return (draw_by(view.names), f" --by {','.join(view.names)}") if view.kind == "by" else (None, "")


def _table(view: View, report: Report) -> Table:
    if view.kind == "tree":
        return tree_table(report)
    return by_table(report, view.names) if view.kind == "by" else models_table(report)


def show_trace(view: View, store: Store, scope: str | None, hours: Hours | None) -> None:
    """
    Show the calls one by one, as they are read.
    """
    # Who sees them come needs no word about how far they are.
    is_seen = sys.stdout.isatty() and view.format != "csv"
    steps = trace(store, scope, hours=hours, watched=iter if is_seen else with_progress)
    if view.format == "csv":
        _write_table(view, trace_table(steps))
    elif view.format == "json":
        for step in steps:
            print(json.dumps(step_json(step), separators=(",", ":")))
    else:
        _draw_trace(steps, scope)


def _draw_trace(steps: Iterator[Step], scope: str | None) -> None:
    pen, width = pen_of(sys.stdout, os.environ)
    is_empty = True
    for line in draw_trace(steps, scope, pen, within(width)):
        print(line)
        is_empty = False
    if is_empty:
        print("no call was seen")


def _write_table(view: View, table: Table) -> None:
    with _out(view) as out:
        count = write_csv(table, out)
    if str(view.file) != "-":
        print(f"{count:,} {'row' if count == 1 else 'rows'} in {printable(str(view.file))}")


@contextmanager
def _out(view: View) -> Iterator[TextIO]:
    if str(view.file) == "-":
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="")  # As in a file, whatever the terminal's is.
        yield sys.stdout
        return
    try:
        with replacing(_path(view)) as out:
            yield out
    except OSError as error:
        _cannot_write(view, error)


def _write_page(view: View, report: Report, store: Store) -> None:
    from solvent.cli._progress import READING, Progress
    from solvent.report.html import write_page

    try:
        with Progress(READING) as progress:
            write_page(store, report, _path(view), force=view.force, told=progress.reach)
    except OSError as error:
        _cannot_write(view, error)
    print(f"the page is in {printable(str(view.file))}")


def _cannot_write(view: View, error: OSError) -> None:
    fail(f"{printable(str(view.file))} cannot be written: {error.strerror or error}.", EXIT_FAILED)


def _path(view: View) -> Path:
    assert view.file is not None
    return Path(os.path.realpath(view.file))


def check_view(view: View) -> None:
    """
    End the command where the file may not be written, before anything is read.
    """
    if view.file is None or (view.format == "csv" and str(view.file) == "-"):
        if view.force:
            raise typer.BadParameter("it goes with the FILE of --csv or --html", param_hint="--force")
        return
    check_file(view.file, _path(view), view.url, view.force)


def one_of(options: Sequence[tuple[str, bool]]) -> None:
    """
    End the command where more than one of these options was given.
    """
    given = [name for name, is_given in options if is_given]
    if len(given) > 1:
        names = [name for name, _ in options]
        raise typer.BadParameter(f"{', '.join(names[:-1])} and {names[-1]} exclude each other: give one of them")
