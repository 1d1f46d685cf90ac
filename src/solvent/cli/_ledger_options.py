"""
What the commands of ``solvent ledger`` are told: which ledger, whose account, how much.
"""

import difflib
import re
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from solvent._amounts import count, nanodollars
from solvent._limits import GAUGES, METERS, WINDOWS, Limit, Scope
from solvent._printable import printable
from solvent._records import Account
from solvent.cli._common import EXIT_LEDGER, fail, ledger_exists, ledger_url

ID_BYTES_MAX = 256
REASON_BYTES_MAX = 1_024

Ledger = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The ledger: a .db file or a URL. Else SOLVENT_LEDGER, else the default one."),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, amounts exact and as strings.")]
OnlyScope = Annotated[
    str | None, typer.Option("--scope", metavar="S", help="Only this scope and all below it, such as run:triage.")
]
ScopeName = Annotated[str, typer.Argument(metavar="SCOPE", help="Whose account: run:triage, org:acme/team:search.")]
MeterName = Annotated[str, typer.Argument(metavar="METER", help=f"What it counts: {', '.join(METERS)}.")]
Window = Annotated[
    str,
    typer.Option(metavar="W", help="minute, hour, day, week or month; without it the whole life of the scope."),
]
TimeZone = Annotated[
    str | None, typer.Option("--time-zone", metavar="Z", help="Where the window begins: UTC, Europe/Berlin.")
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it stands in the journal.")]
Id = Annotated[str | None, typer.Option("--id", metavar="ID", help="Repeat the change of this id: it is counted once.")]
New = Annotated[bool, typer.Option("--new", help="For an account that the ledger does not know yet.")]

T = TypeVar("T")


def existing(option: str | None) -> str:
    """
    The URL of the ledger that is meant; the command ends when there is none to be found there.
    """
    url = ledger_url(option)
    if url.startswith("memory://"):
        fail(
            "memory:// is a ledger that ends with its process; there is nothing of it to look at or to change.\n"
            "To go on: keep the ledger in a file, with --ledger or SOLVENT_LEDGER, where it is written and here.",
            EXIT_LEDGER,
        )
    if not ledger_exists(url):
        fail(
            f"there is no ledger at {printable(url)}.\n"
            "To go on: name another with --ledger or SOLVENT_LEDGER; `solvent run` makes one.",
            EXIT_LEDGER,
        )
    return url


def scope_option(text: str | None) -> str | None:
    return None if text is None else str(_usage(lambda: Scope.parse(text), "--scope"))


def account(scope: str, meter: str, window: str, time_zone: str | None) -> Account:
    """
    The account that a person means; a window may be written ``day``, ``/day`` or, as ``show`` does, ``day@UTC``.
    """
    name = str(_usage(lambda: Scope.parse(scope), "SCOPE"))
    if meter not in METERS:
        close = difflib.get_close_matches(meter, METERS, n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        raise typer.BadParameter(f"expected one of {', '.join(METERS)}, got {meter!r}{near}", param_hint="METER")
    kind, _, zone = window.removeprefix("/").partition("@")
    kind = "" if kind == "life" else kind
    if kind not in WINDOWS:
        raise typer.BadParameter(f"expected one of {', '.join(WINDOWS[1:])}, got {window!r}", param_hint="--window")
    if kind and meter in GAUGES:
        raise typer.BadParameter(f"{meter} counts what is open now, and has no window", param_hint="--window")
    if (zone or time_zone) and kind in ("", "minute"):
        raise typer.BadParameter("it goes with the windows hour, day, week and month", param_hint="--time-zone")
    if zone and time_zone and zone != time_zone:
        raise typer.BadParameter(f"got {time_zone!r}, and {window!r} names another", param_hint="--time-zone")
    limit = _usage(
        lambda: Limit(meter=meter, amount=0, window=kind, time_zone=time_zone or zone or "UTC"),
        "--time-zone",
    )
    return Account(name, meter, limit.window_key)


def amount(meter: str, text: str) -> int:
    """
    An amount of a meter as people write it: ``1.50`` dollars, ``200``, ``2M``.
    """
    if "/" in text:
        raise typer.BadParameter(f"the window goes with --window, got {text!r}", param_hint="AMOUNT")
    if text.startswith("."):
        raise typer.BadParameter(
            f"write 0{text} if that is meant; a shell makes {text} of an unquoted $1{text}, got {text!r}",
            param_hint="AMOUNT",
        )
    read: Callable[..., int] = nanodollars if meter == "usd" else count
    return _usage(lambda: read(text, name="it"), "AMOUNT")


def words(text: str, flag: str, bytes_max: int) -> str:
    """
    Text that goes into the journal as it is.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # Bytes of a command line that are no text come as such characters.
        raise typer.BadParameter(f"expected text in UTF-8, got {text!r}", param_hint=flag) from None
    if size > bytes_max:
        raise typer.BadParameter(f"expected at most {bytes_max:,} bytes, got {size:,}", param_hint=flag)
    return text


def id_option(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise typer.BadParameter(f"expected letters, digits and signs without spaces, got {text!r}", param_hint="--id")
    return words(text, "--id", ID_BYTES_MAX)


def _usage(read: Callable[[], T], flag: str) -> T:
    try:
        return read()
    except ValueError as error:
        raise typer.BadParameter(printable(str(error)), param_hint=flag) from error
    except ArithmeticError as error:  # Such as 1e999999999.
        raise typer.BadParameter("it is too large", param_hint=flag) from error
