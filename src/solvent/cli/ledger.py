"""
``solvent ledger``: look at the ledger itself, and change its limits.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from solvent._amounts import show_seconds
from solvent._limits import METERS, show_amount
from solvent._printable import printable
from solvent._records import Entry
from solvent.cli._common import EXIT_LEDGER, aligned, fail, opened
from solvent.cli._ledger_export import export
from solvent.cli._ledger_limits import AmountCommand, set_limit, top_up
from solvent.cli._ledger_options import AsJson, Ledger, OnlyScope, existing, scope_option
from solvent.cli._ledger_standing import Standing, last_seq, standings
from solvent.report._json import SCHEMA_VERSION, time_json
from solvent.stores._protocol import Store

app = typer.Typer(
    help="Look at the ledger itself: its accounts, limits and journal. All spending is in it.", no_args_is_help=True
)


@app.command()
def show(
    scope: OnlyScope = None,
    reservations: Annotated[
        bool, typer.Option("--open", help="Call by call what is set aside for those that run now.")
    ] = False,
    ledger: Ledger = None,
    as_json: AsJson = False,
) -> None:
    """
    Show what the accounts hold, in their present windows.

    Spent is what calls did cost, reserved what is set aside for calls that run, and overrun how much of the spent was
    above what had been set aside. Limits come with calls; those that set-limit and top-up put in force are shown.
    """
    only = scope_option(scope)
    with opened(existing(ledger)) as store:
        store.expire()
        if reservations:
            _show_open(store, only, as_json)
            return
        found = standings(store, only)
    if as_json:
        _print_json({"accounts": [one.to_json() for one in found]})
    elif found:
        print("\n".join(_accounts_table(found)))
    else:
        print("no account" + (f" under {only}" if only else ""))


@app.command()
def verify(ledger: Ledger = None, as_json: AsJson = False) -> None:
    """
    Rebuild every account from the journal and compare.

    Says the first difference and ends with code 4 when there is one.
    """
    with opened(existing(ledger)) as store:
        difference = store.verify()
        accounts = len(store.balances())
        entries = last_seq(store)
    if as_json:
        _print_json({"ok": difference is None, "entries": entries, "accounts": accounts, "difference": difference})
        if difference is not None:
            raise typer.Exit(EXIT_LEDGER)
    elif difference is not None:
        fail(
            f"the journal and the accounts differ: {difference}.\n"
            "To go on: keep a copy of the ledger, and name a new one with --ledger or SOLVENT_LEDGER.",
            EXIT_LEDGER,
        )
    else:
        print(f"ok: {entries:,} entries, {accounts:,} accounts; every account is the sum of its entries.")


@app.command()
def expire(ledger: Ledger = None, as_json: AsJson = False) -> None:
    """
    Charge in full what nobody closed.

    That is what is past its deadline, or whose program has died. What such a call did cost is not known, so the most
    that it could counts as spent; a true cost that arrives later is booked as a correction. Commands that show amounts
    do this too.
    """
    with opened(existing(ledger)) as store:
        before = last_seq(store)
        store.expire()
        charged = [*store.entries(after=before, kinds=["expire"])]
    by_scope: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for entry in charged:
        by_scope[entry.scope].update({posting.account.meter: posting.spent for posting in entry.postings})
    counts = Counter(entry.scope for entry in charged)
    if as_json:
        scopes = [
            {"scope": scope, "expired": counts[scope], "charged": _amounts_json(amounts)}
            for scope, amounts in sorted(by_scope.items())
        ]
        _print_json({"expired": len(charged), "scopes": scopes})
    elif charged:
        print(f"{_reservations(len(charged))} charged in full:")
        rows = [
            [printable(scope), _reservations(counts[scope]), _in_words(amounts)]
            for scope, amounts in sorted(by_scope.items())
        ]
        print("\n".join(aligned(rows, right=())))
    else:
        print("nothing to expire: every open reservation is within its time, and its program is alive.")


app.command("top-up", cls=AmountCommand)(top_up)
app.command("set-limit", cls=AmountCommand)(set_limit)
app.command()(export)


def _show_open(store: Store, scope: str | None, as_json: bool) -> None:
    held = store.held(scope)
    if as_json:
        _print_json({"open": [_open_json(entry) for entry in held]})
    elif held:
        now = time.time_ns()
        rows = [["id", "scope", "model", "age", "reserved"]]
        for entry in held:
            age = show_seconds(max(now - entry.at, 0) / 1e9)
            model = printable(entry.call.model_asked or "")
            rows.append([printable(entry.id), printable(entry.scope), model, age, _in_words(_reserved(entry))])
        print("\n".join(aligned(rows, right=(3,))))
    else:
        print("nothing is reserved" + (f" under {scope}" if scope else ""))


def _reserved(entry: Entry) -> dict[str, int]:
    return {posting.account.meter: posting.reserved for posting in entry.postings}


def _open_json(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "scope": entry.scope,
        "model": entry.call.model_asked,
        "at": time_json(entry.at),
        "reserved": _amounts_json(_reserved(entry)),
    }


def _accounts_table(found: Sequence[Standing]) -> list[str]:
    head = ["scope", "meter", "window", "spent", "reserved", "overrun"]
    has_limits = any(one.limit_set is not None for one in found)
    has_top_ups = any(one.topped_up for one in found)
    rows = [head + ["limit set"] * has_limits + ["top-ups"] * has_top_ups]
    for one in found:
        account, balance = one.account, one.balance
        amounts: list[int | None] = [balance.spent, balance.reserved, balance.overrun]
        amounts += [one.limit_set] * has_limits + [one.topped_up or None] * has_top_ups
        cells = ["" if amount is None else show_amount(account.meter, amount).split(" ")[0] for amount in amounts]
        rows.append([printable(account.scope), account.meter, account.window or "life", *cells])
    return aligned(rows, right=range(3, len(rows[0])))


def _in_words(amounts: Mapping[str, int]) -> str:
    """
    ``$0.03, 1 call, 500 tokens``, in the order of meters.
    """
    return ", ".join(show_amount(meter, amounts[meter]) for meter in METERS if amounts.get(meter))


def _amounts_json(amounts: Mapping[str, int]) -> dict[str, str]:
    return {meter: str(amounts[meter]) for meter in METERS if amounts.get(meter)}


def _reservations(count: int) -> str:
    return f"{count:,} reservation{'s' if count != 1 else ''}"


def _print_json(fields: Mapping[str, object]) -> None:
    print(json.dumps({"schema_version": SCHEMA_VERSION, **fields}, indent=2))
