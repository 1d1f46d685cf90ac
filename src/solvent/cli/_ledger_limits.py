"""
``solvent ledger top-up`` and ``set-limit``: change what may be spent, while programs run.
"""

import json
import re
import shlex
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from solvent._ids import new_id
from solvent._limits import GAUGES, resets_at, show_amount
from solvent._operations import SetLimit, TopUp
from solvent._printable import printable
from solvent._records import Account
from solvent.cli._common import EXIT_LEDGER, fail, opened
from solvent.cli._ledger_options import (
    REASON_BYTES_MAX,
    AsJson,
    Id,
    Ledger,
    MeterName,
    New,
    Reason,
    ScopeName,
    TimeZone,
    Window,
    account,
    amount,
    existing,
    id_option,
    words,
)
from solvent.cli._ledger_standing import Standing, account_words, close_to, is_known, standing, was_counted
from solvent.errors import OutcomeUnknown, SolventError
from solvent.report._json import SCHEMA_VERSION
from solvent.stores._protocol import Store


class AmountCommand(TyperCommand):
    """
    A command that takes an amount, and says so when it is negative.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # The class of typer's contexts is private.
        negative = next((word for word in args if re.match(r"-[$.]?\d", word)), None)
        if negative is not None:  # It would be taken for an option.
            raise typer.BadParameter(f"it must be from 0 up, got {negative!r}", ctx=ctx, param_hint="AMOUNT")
        return super().parse_args(ctx, args)


def top_up(
    scope: ScopeName,
    meter: MeterName,
    more: Annotated[
        str, typer.Argument(metavar="AMOUNT", help="By how much: dollars (1.50) or a count (200, 500k, 2M).")
    ],
    window: Window = "",
    time_zone: TimeZone = None,
    reason: Reason = "",
    id: Id = None,
    new: New = False,
    ledger: Ledger = None,
    as_json: AsJson = False,
) -> None:
    """
    Raise the limit of an account by an amount, whatever it is.

    It counts at once, also for programs that run now, and until the account's window ends.

    Example: solvent ledger top-up run:triage usd 1.50 --reason "two more files"
    """
    which = account(scope, meter, window, time_zone)
    if meter in GAUGES:
        raise typer.BadParameter(
            f"{meter} counts what is open now and is never used up; give it a limit with set-limit", param_hint="METER"
        )
    added = amount(meter, more)
    if not added:
        raise typer.BadParameter(f"a top-up adds something, got {more!r}", param_hint="AMOUNT")
    operation = TopUp(id=_id(id), account=which, amount=added, reason=_reason(reason))
    done = f"{account_words(which)}: topped up by {show_amount(meter, added)}"
    _change(operation, done, is_new_id=id is None, ledger=ledger, new=new, as_json=as_json)


def set_limit(
    scope: ScopeName,
    meter: MeterName,
    limit: Annotated[
        str,
        typer.Argument(
            metavar="AMOUNT", help="Dollars (5), a count (200, 500k, 2M), or none: the callers' limits count again."
        ),
    ],
    window: Window = "",
    time_zone: TimeZone = None,
    reason: Reason = "",
    id: Id = None,
    new: New = False,
    ledger: Ledger = None,
    as_json: AsJson = False,
) -> None:
    """
    Set the limit of an account, in place of the callers' own.

    Limits come with calls, from --usd or a policy; this one holds whatever they bring. It counts at once, also for
    programs that run now, and in every window to come until it is set anew. It may be below what is spent: then nothing
    more is admitted. Top-ups count on top of it; 0 stops everything, whatever was topped up.

    Example: solvent ledger set-limit team:search usd 20 --window day
    """
    which = account(scope, meter, window, time_zone)
    wanted = None if limit == "none" else amount(meter, limit)
    operation = SetLimit(id=_id(id), account=which, limit=wanted, reason=_reason(reason))
    said = "the callers' limits count again" if wanted is None else f"limit {show_amount(meter, wanted)}"
    done = f"{account_words(which)}: {said}"
    _change(operation, done, is_new_id=id is None, ledger=ledger, new=new, as_json=as_json)


def _change(
    operation: TopUp | SetLimit, done: str, *, is_new_id: bool, ledger: str | None, new: bool, as_json: bool
) -> None:
    with opened(existing(ledger)) as store:
        if not new and not is_known(store, operation.account):
            _fail_unknown(store, operation.account)
        is_again = not is_new_id and was_counted(store, operation)
        before = standing(store, operation.account)
        _apply(store, operation)
        after = standing(store, operation.account)
    kept_before, kept_after = ((one.limit_set, one.topped_up) for one in (before, after))
    if as_json:
        found = {"id": operation.id, "changed": kept_before != kept_after}
        states = {"before": before.to_json(), "after": after.to_json()}
        print(json.dumps({"schema_version": SCHEMA_VERSION, **found, **states}, indent=2))
        return
    if kept_before == kept_after:
        why = f"the id {operation.id} was counted before" if is_again else "it was so before"
        done = f"{account_words(operation.account)}: nothing changed; {why}"
    print(f"{done}.\nbefore: {before.in_words()}\nafter:  {after.in_words()}")
    for line in _meaning(operation, after):
        print(line)
    print(f"id {operation.id}; the same again with --id {operation.id} is counted once.")


def _apply(store: Store, operation: TopUp | SetLimit) -> None:
    try:
        [answer] = store.apply([operation])
    except OutcomeUnknown as error:
        fail(f"{error}\nThe id of this change: --id {operation.id}", EXIT_LEDGER)
    if isinstance(answer, SolventError):
        raise answer


def _meaning(operation: TopUp | SetLimit, after: Standing) -> list[str]:
    lines = []
    if after.is_full:
        meter, balance = after.account.meter, after.balance
        spent, reserved, limit = (
            show_amount(meter, part or 0) for part in (balance.spent, balance.reserved, balance.limit)
        )
        if after.is_spent:
            lines.append(f"Nothing more is admitted: {spent} spent of {limit}.")
        else:
            lines.append(
                f"Nothing more is admitted while calls are open: {spent} spent, {reserved} reserved of {limit}."
            )
    if isinstance(operation, TopUp) and operation.account.window == "minute":
        lines.append("The top-up counts for 60 s.")
    elif isinstance(operation, TopUp) and operation.account.window:
        until = resets_at(operation.account.window, now=datetime.now(UTC))
        lines.append(f"The top-up counts until {until:%Y-%m-%d %H:%M} UTC, when the window begins anew.")
    return lines


def _fail_unknown(store: Store, account: Account) -> NoReturn:
    close = "".join(f"\n  {_as_typed(one)}" for one in close_to(store, account))
    near = f" Close:{close}" if close else ""
    fail(
        f"the ledger knows no account {account_words(account)}.{near}\n"
        "To go on: see them all with `solvent ledger show`, or add --new if it is meant for calls to come.",
        EXIT_LEDGER,
    )


def _as_typed(account: Account) -> str:
    window, _, zone = account.window.partition("@")
    words = [account.scope, account.meter, *(["--window", window] if window else [])]
    return printable(shlex.join([*words, *(["--time-zone", zone] if zone not in ("", "UTC") else [])]))


def _id(text: str | None) -> str:
    return new_id() if text is None else id_option(text)


def _reason(text: str) -> str:
    return words(text, "--reason", REASON_BYTES_MAX)
