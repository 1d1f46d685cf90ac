"""
``solvent report``: where the money of a run, of a scope or of a whole ledger went.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from solvent.cli._common import EXIT_FAILED, fail, ledger_exists, ledger_url, opened
from solvent.cli._ledger_options import scope_option
from solvent.cli._progress import READING, Progress
from solvent.cli._report_choice import NO_RUN, Choice, by_names, hours_since
from solvent.cli._report_list import last_runs, runs_table
from solvent.cli._report_views import View, check_view, one_of, show, show_trace
from solvent.report import list_json, summarize
from solvent.report._by import BY
from solvent.stores._protocol import Store


def report(
    last: Annotated[bool, typer.Option("--last", help="The last run that was opened (the default).")] = False,
    run: Annotated[str | None, typer.Option(metavar="NAME", help="The run of this name.")] = None,
    scope: Annotated[
        str | None, typer.Option(metavar="S", help="This scope and all below it, such as team:search.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of the ledger.")] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only calls that ended since: 7d, 24h, 2026-11-01, 2026-11-01T15:00 (UTC)."),
    ] = None,
    list_runs: Annotated[bool, typer.Option("--list", help="The last 20 runs, a line each.")] = False,
    tree: Annotated[bool, typer.Option("--tree", help="By scope: what each spent, holds and is limited to.")] = False,
    by: Annotated[
        str | None, typer.Option(metavar="NAMES", help=f"By some of {', '.join(BY)}, with commas between.")
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Call by call, with what the run had spent by then.")] = False,
    ledger: Annotated[str | None, typer.Option(metavar="URL", help="Its ledger, instead of the default one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, amounts exact to the nanodollar.")] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="As comma-separated values in a file; - prints them.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="As one page that needs nothing else.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
) -> None:
    """
    Show what was spent, where it went, and what was refused: of the last run, unless another or more is named.

    --since and --by mean all of the ledger where neither a run nor a scope is named.

    Example: solvent report --since 7d --by team,model
    """
    one_of(
        [
            ("--last", last),
            ("--run", run is not None),
            ("--scope", scope is not None),
            ("--all", everything),
            ("--list", list_runs),
        ]
    )
    one_of([("--tree", tree), ("--by", by is not None), ("--trace", trace), ("--list", list_runs)])
    one_of([("--json", as_json), ("--csv", csv is not None), ("--html", html is not None)])
    if list_runs and (since is not None or csv or html):
        raise typer.BadParameter("--list has no --since, --csv or --html; --json it has")
    if html is not None and str(html) == "-":
        raise typer.BadParameter("--html - is no file, and a page is no text for a terminal: give it a name")
    if html is not None:
        one_of([("--html", True), ("--tree", tree), ("--by", by is not None), ("--trace", trace)])
    choice = Choice(
        run=run,
        scope=scope_option(scope),
        is_all=everything or (not last and run is scope is None and (since is not None or by is not None)),
        hours=None if since is None else hours_since(since),
    )
    view = View(
        kind="tree" if tree else "trace" if trace else "overview" if by is None else "by",
        names=() if by is None else by_names(by),
        format="json" if as_json else "csv" if csv else "html" if html else "text",
        file=csv or html,
        force=force,
        ledger=ledger,
        url=ledger_url(ledger),
    )
    check_view(view)
    if not ledger_exists(view.url):
        fail(f"there is no ledger at {view.url} yet, so no run either.{NO_RUN}", EXIT_FAILED)
    with opened(view.url) as store:
        store.expire()  # So that what a killed run left open is charged and shown.
        if list_runs:
            _list(store, view.url, as_json)
        else:
            _show(store, choice, view)


def _show(store: Store, choice: Choice, view: View) -> None:
    scope = choice.find(store, view.url)
    if view.kind == "trace":
        show_trace(view, store, scope, choice.hours)
        return
    with Progress(READING) as progress:
        found = summarize(store, scope, hours=choice.hours, told=progress.reach)
    show(view, found, store)


def _list(store: Store, url: str, as_json: bool) -> None:
    reports, count = last_runs(store)
    if not reports:
        fail(f"no run was opened in {url} yet.{NO_RUN}", EXIT_FAILED)
    if as_json:
        print(json.dumps(list_json(reports, count), indent=2))
    else:
        print(runs_table(reports, count))
