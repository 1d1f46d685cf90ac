"""
``solvent ledger``: look at the ledger itself.
"""

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from solvent._limits import show_amount
from solvent._printable import printable
from solvent._records import Balance
from solvent.cli._common import EXIT_LEDGER, fail, ledger_exists, ledger_url, opened
from solvent.report._json import SCHEMA_VERSION, balance_json

app = typer.Typer(help="Look at the ledger itself.", no_args_is_help=True)

Ledger = Annotated[str | None, typer.Option(metavar="URL", help="The ledger, instead of the default one.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command()
def verify(ledger: Ledger = None, as_json: AsJson = False) -> None:
    """
    Rebuild every account from the journal and compare; code 4 at the first difference.
    """
    with opened(_existing(ledger)) as store:
        difference = store.verify()
        accounts = len(store.balances())
        entries = sum(1 for _ in store.entries())
    if as_json:
        found = {"ok": difference is None, "entries": entries, "accounts": accounts, "difference": difference}
        print(json.dumps({"schema_version": SCHEMA_VERSION, **found}))
        if difference is not None:
            raise typer.Exit(EXIT_LEDGER)
    elif difference is not None:
        fail(f"the journal and the accounts differ: {difference}.", EXIT_LEDGER)
    else:
        print(f"ok: {entries:,} entries, {accounts:,} accounts; every account is the sum of its entries.")


@app.command()
def show(
    scope: Annotated[str | None, typer.Option(metavar="S", help="Only this scope and all below it.")] = None,
    ledger: Ledger = None,
    as_json: AsJson = False,
) -> None:
    """
    Show what the accounts hold, in their present windows.
    """
    with opened(_existing(ledger)) as store:
        store.expire()
        balances = store.balances(scope)
    if as_json:
        accounts = [balance_json(balance) for balance in balances]
        print(json.dumps({"schema_version": SCHEMA_VERSION, "accounts": accounts}, indent=2))
    elif balances:
        print("\n".join(_table(balances)))
    else:
        print("no account" + (f" under {scope}" if scope else ""))


def _existing(ledger: str | None) -> str:
    url = ledger_url(ledger)
    if not ledger_exists(url):
        fail(f"there is no ledger at {url}.", EXIT_LEDGER)
    return url


def _table(balances: Sequence[Balance]) -> list[str]:
    rows = [["scope", "meter", "window", "spent", "reserved", "overrun"]]
    for balance in balances:
        account = balance.account
        amounts = balance.spent, balance.reserved, balance.overrun
        shown = [show_amount(account.meter, amount).split(" ")[0] for amount in amounts]
        rows.append([printable(account.scope), account.meter, account.window or "life", *shown])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:<{width}}" if column < 3 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
