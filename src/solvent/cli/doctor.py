"""
``solvent doctor``: what of an environment, or of a program while it runs, is held to budgets, and what is not.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from solvent.cli._common import EXIT_FAILED, EXIT_LEDGER, fail

if TYPE_CHECKING:
    from solvent.cli._doctor_run import Watched


def doctor(
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", show_default=False)] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where something is uncovered.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write what is found to FILE.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """
    Tell what solvent.install() holds to budgets in this environment, what it does not see, and how to mend that.

    With a command, that Python program is run with the hooks on, and held to whatever limits apply; at its end standard
    error tells which libraries it used, how many calls were held, and what went past all hooks.

    Example: solvent doctor -- python app.py
    """
    from solvent.cli._doctor_findings import Findings, write
    from solvent.cli._doctor_look import frameworks, libraries, settings, without_cover

    told, uncovered = settings(os.environ)
    watched = _watched(command) if command else None
    found = watched.libraries if watched else libraries()
    named = watched.frameworks if watched else frameworks()
    uncovered += watched.uncovered() if watched else without_cover(found, named)
    findings = Findings(libraries=found, frameworks=named, settings=told, uncovered=uncovered, watched=watched)
    if report is None:
        write(findings, sys.stderr if watched else sys.stdout, as_json=as_json)
    else:
        try:
            with report.open("w", encoding="utf-8") as file:
                write(findings, file, as_json=as_json)
        except OSError as error:
            fail(f"what was found cannot be written to {report}: {error.strerror}", EXIT_FAILED)
    if strict and uncovered:
        raise typer.Exit(EXIT_LEDGER)
    raise typer.Exit(watched.code if watched else 0)


def _watched(command: Sequence[str]) -> "Watched":
    from solvent.cli._doctor_run import watch

    try:
        return watch(command, os.environ)
    except FileNotFoundError:
        fail(f"{command[0]}: command not found", 127)
    except OSError as error:
        fail(f"{command[0]}: {error.strerror}", 126)
