"""
``solvent top``: the open budgets of a ledger, live.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from solvent._printable import printable
from solvent.cli._common import EXIT_LEDGER, fail
from solvent.cli._ledger_options import AsJson, Ledger, OnlyScope, existing, scope_option
from solvent.errors import SolventError
from solvent.stores import open_store

EVERY_MIN, EVERY_MAX = 0.1, 3_600


def top(
    ledger: Ledger = None,
    scope: OnlyScope = None,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="How often it looks.", min=EVERY_MIN, max=EVERY_MAX)
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="One picture, and end; so it is in a pipe.")] = False,
    as_json: AsJson = False,
) -> None:
    """
    Show the budgets that are open, live.

    Of each what is spent, reserved and left, how fast it is spent, and how long it lasts at this pace; and the last
    calls that were refused. It only reads, and programs go on meanwhile. q quits.
    """
    from solvent.top import Watch, is_live, show, to_json, watch  # With rich, that no other command has to wait for.

    only, url = scope_option(scope), existing(ledger)
    path = Path(url.partition(":///")[2].partition("?")[0])
    name = printable(str(path))
    watched = Watch(lambda: open_store(url), path, scope=only)
    try:
        picture = watched.look()
        if as_json:
            print(json.dumps(to_json(picture), indent=2))
            if picture.unknown is not None:
                print(f"the ledger knows no scope {picture.unknown}", file=sys.stderr)
        elif once or not is_live(sys.stdout, os.environ):
            show(picture, sys.stdout, environment=os.environ, ledger=name)
        else:
            watch(watched, sys.stdout, environment=os.environ, ledger=name, every_seconds=every)
    except SolventError as error:
        fail(error, EXIT_LEDGER)
    finally:
        with suppress(SolventError):
            watched.close()
