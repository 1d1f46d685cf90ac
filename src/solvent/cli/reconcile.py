"""
``solvent reconcile``: the journal against a provider's bill.
"""

import difflib
import json
import os
import re
import sys
from datetime import UTC, date
from decimal import Decimal
from typing import Annotated

import typer
from msgspec import Struct

from solvent._amounts import nanodollars, show_dollars
from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, fail, opened, policy_to_look
from solvent.cli._ledger_options import AsJson, Ledger, OnlyScope, existing, scope_option
from solvent.cli._progress import READING, Progress
from solvent.cli._settings import moment, usage
from solvent.cli._tables import fitted, terminal_width, wrapped
from solvent.policy._find import PolicyFiles
from solvent.prices import Prices
from solvent.reconcile import FORMATS, Bill, BillError, NothingBooked, Reconciliation, parse_columns, read_bill, to_json
from solvent.reconcile import reconcile as compare_with
from solvent.reconcile._draw import causes, rows, said, sentence
from solvent.report._pen import Pen, has_colors

EXIT_USAGE = 2
_EPOCH = date(1970, 1, 1).toordinal()


class Tolerance(Struct, frozen=True):
    """
    How far bill and journal may be apart: so much of what is billed, or so many nanodollars.
    """

    shown: str
    part: Decimal | None = None
    amount: int = 0

    def allows(self, found: Reconciliation) -> bool:
        if self.part is None:
            return found.off <= self.amount
        return found.off * 100 <= self.part * abs(found.charged)


def reconcile(
    bills: Annotated[list[str], typer.Argument(metavar="BILL…", help="Its files: JSON, JSON lines or CSV.")],
    provider: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help=f"{', '.join(sorted(FORMATS))}; else recognized by what is in it."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAME=COLUMN,…", help="Of a CSV: date=Day,model=Model,cost=Amount,input_tokens=In."),
    ] = None,
    tolerance: Annotated[
        str, typer.Option(metavar="1%|$0.05", help="How far they may be apart for exit code 0.")
    ] = "1%",
    since: Annotated[str | None, typer.Option(metavar="DAY", help="Only this day and later ones, in UTC.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Only days before this one.")] = None,
    scope: OnlyScope = None,
    ledger: Ledger = None,
    as_json: AsJson = False,
) -> None:
    """
    Compare the journal with a provider's bill, and explain what differs.

    By UTC day and model: what is billed, what is in the journal, and why they differ. Exit code 1 says that they are
    further apart than --tolerance, whether or not that is explained.

    Example: solvent reconcile costs.json usage.json --since 2026-03-01 --until 2026-04-01
    """
    if provider is not None and provider not in FORMATS:
        close = difflib.get_close_matches(provider, FORMATS, n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        expected = f"expected one of {', '.join(sorted(FORMATS))}, got {provider!r}{near}"
        raise typer.BadParameter(expected, param_hint="--provider")
    if columns is not None and provider not in (None, "csv"):
        raise typer.BadParameter(f"the format {provider} has its own", param_hint="--columns")
    mapping = None if columns is None else usage(lambda: parse_columns(columns), "--columns")
    allowed, first, end = _tolerance(tolerance), _day(since, "--since"), _day(until, "--until")
    only, url = scope_option(scope), existing(ledger)
    try:
        bill = read_bill(bills, format=provider, columns=mapping)
        found = _compared(bill, url, first, end, only)
    except BillError as error:
        code = EXIT_FAILED if isinstance(error, NothingBooked) else EXIT_USAGE
        fail("\n".join(map(printable, str(error).splitlines())), code)
    if as_json:
        print(json.dumps({**to_json(found), "tolerance": allowed.shown, "within": allowed.allows(found)}, indent=2))
    else:
        _show(found, allowed)
    if not allowed.allows(found):
        raise typer.Exit(EXIT_FAILED)


def _compared(bill: Bill, url: str, since: int | None, until: int | None, scope: str | None) -> Reconciliation:
    prices = Prices.load(policy_to_look(PolicyFiles.of()).prices)
    with opened(url) as store, Progress(READING) as progress:
        store.expire()  # So that what a killed run left open is charged and compared.
        return compare_with(bill, store, prices, since=since, until=until, scope=scope, told=progress.reach)


def _show(found: Reconciliation, allowed: Tolerance) -> None:
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    pen = Pen(color=has_colors(sys.stdout, os.environ), ascii=not encoding.startswith("utf"))
    width = terminal_width()
    blocks = [
        [line for text in said(found, pen) for line in wrapped(text, width)],
        fitted(rows(found, pen), right=(2, 3, 4), width=width),
        fitted(table, right=(1, 2), width=width) if (table := causes(found)) else [],
        wrapped(sentence(found), width),
    ]
    print("\n\n".join("\n".join(block) for block in blocks if block))
    is_within = allowed.allows(found)
    for line in wrapped(_verdict(found, allowed, is_within), width):
        print(pen.paint("green" if is_within else "red", line))


def _verdict(found: Reconciliation, allowed: Tolerance, is_within: bool) -> str:
    apart = f"Line by line they are {show_dollars(found.off)} apart"
    if found.charged > 0:
        apart += f", {_percent(found.off, found.charged)} of what is billed"
    return f"{apart}: {'within' if is_within else 'above'} the tolerance of {allowed.shown}."


def _percent(part: int, whole: int) -> str:
    shown = f"{Decimal(part) * 100 / whole:.1f} %"
    return "less than 0.1 %" if part and shown == "0.0 %" else shown


def _tolerance(text: str) -> Tolerance:
    plain = text.strip()
    if plain.endswith("%"):
        number = plain.removesuffix("%").strip()
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", number):
            raise typer.BadParameter(f"expected a part such as 1% or 0.5%, got {text!r}", param_hint="--tolerance")
        return Tolerance(f"{number}%", part=Decimal(number))
    if not re.fullmatch(r"\$?\d[\d_]*(\.\d+)?", plain):
        raise typer.BadParameter(
            f"expected a part such as 1%, or dollars such as 0.05, got {text!r}", param_hint="--tolerance"
        )
    amount = usage(lambda: nanodollars(plain, name="it"), "--tolerance")
    return Tolerance(show_dollars(amount), amount=amount)


def _day(text: str | None, flag: str) -> int | None:
    """
    Days since 1970.
    """
    return None if text is None else moment(text, flag).astimezone(UTC).date().toordinal() - _EPOCH
