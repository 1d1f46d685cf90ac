"""
``solvent report``: the report of a run, again.
"""

import json
import os
import sys
from typing import Annotated

import typer

from solvent._limits import Scope
from solvent._openings import run_of
from solvent.cli._common import EXIT_FAILED, fail, ledger_exists, ledger_url, opened
from solvent.cli._report_list import last_runs, runs_table
from solvent.report import list_json, summarize, to_json, write
from solvent.stores._protocol import Store

_NO_RUN = "\nTo go on: start one with `solvent run --usd 2 -- COMMAND`, or name another ledger with --ledger."


def report(
    last: Annotated[bool, typer.Option("--last", help="The last run that was opened (the default).")] = False,
    run: Annotated[str | None, typer.Option(metavar="NAME", help="The run of this name.")] = None,
    list_runs: Annotated[bool, typer.Option("--list", help="The last 20 runs, a line each.")] = False,
    ledger: Annotated[str | None, typer.Option(metavar="URL", help="Its ledger, instead of the default one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, amounts exact to the nanodollar.")] = False,
) -> None:
    """
    Show what a run spent and what was refused.
    """
    if last + (run is not None) + list_runs > 1:
        raise typer.BadParameter("--last, --run and --list exclude each other")
    url = ledger_url(ledger)
    if not ledger_exists(url):
        fail(f"there is no ledger at {url} yet, so no run either.{_NO_RUN}", EXIT_FAILED)
    with opened(url) as store:
        store.expire()  # So that what a killed run left open is charged and shown.
        if list_runs:
            _list(store, url, as_json)
            return
        found = summarize(store, _last(store, url) if run is None else _named(store, run, url))
    if as_json:
        print(json.dumps(to_json(found), indent=2))
    else:
        write(found, sys.stdout, environment=os.environ, ledger=ledger)


def _list(store: Store, url: str, as_json: bool) -> None:
    reports, count = last_runs(store)
    if not reports:
        fail(f"no run was opened in {url} yet.{_NO_RUN}", EXIT_FAILED)
    if as_json:
        print(json.dumps(list_json(reports, count), indent=2))
    else:
        print(runs_table(reports, count))


def _last(store: Store, url: str) -> str:
    opened = store.last_opened()
    if opened is None:
        fail(f"no run was opened in {url} yet.{_NO_RUN}", EXIT_FAILED)
    return run_of(opened)


def _named(store: Store, run: str, url: str) -> str:
    """
    The scope that a person means by ``triage``, ``run:triage`` or ``org:acme/run:triage``.
    """
    readings = _readings(run)
    found = [scope for scope in readings if any(True for _ in store.entries(scope=scope))]
    if not found:
        runs = {run_of(entry) for entry in store.entries() if entry.kind == "open"}
        found = sorted(scope for scope in runs if scope.rpartition("/")[2] in readings)
        if len(found) != 1:
            close = found or _close_matches(run, runs)
            near = f" Close: {', '.join(close)}." if close else ""
            hint = "To go on: see the last ones with `solvent report --list`."
            fail(f"no run {run!r} is in {url}.{near}\n{hint}", EXIT_FAILED)
    return found[0]


def _readings(run: str) -> list[str]:
    readings = []
    for read in (Scope.parse, _run_named):
        try:
            readings.append(str(read(run)))
        except ValueError:
            continue  # It is not written that way; an unknown name is answered above.
    return readings


def _run_named(name: str) -> Scope:
    return Scope((("run", name),))


def _close_matches(run: str, runs: set[str]) -> list[str]:
    import difflib

    by_name = {Scope.parse(scope).parts[-1][1]: scope for scope in sorted(runs)}
    name = run.rpartition("/")[2].removeprefix("run:")
    return [by_name[match] for match in difflib.get_close_matches(name, by_name, n=3)]
