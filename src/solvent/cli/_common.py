"""
What the commands share: which ledger they mean, and how they end when something is wrong.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import typer

from solvent._amounts import at_the_point
from solvent._printable import printable
from solvent.errors import SettingsError, SolventError
from solvent.policy import Policy
from solvent.policy._find import PolicyFiles
from solvent.prices import OwnPrice
from solvent.stores import default_url, open_store, spelled_out
from solvent.stores._protocol import Store

EXIT_FAILED = 1
EXIT_LEDGER = 4  # And settings (DESIGN §11).


def ledger_url(option: str | None) -> str:
    """
    The ledger that is meant: the option's, else ``SOLVENT_LEDGER``, else that of the policy that is found, else the one
    in the user's state folder. The command ends where a policy that may say so cannot be read.
    """
    try:
        url = option or os.environ.get("SOLVENT_LEDGER") or policy_to_look(PolicyFiles.of()).ledger or default_url()
        return spelled_out(url)
    except SettingsError as error:
        fail(error, EXIT_LEDGER)


def is_found_again(url: str) -> bool:
    """
    Whether ``solvent report`` looks into this ledger when it is given none.
    """
    try:
        found = os.environ.get("SOLVENT_LEDGER") or PolicyFiles.of().read_to_look()[0].ledger or default_url()
    except SettingsError:  # Of a policy that the run did not need.
        return False
    return spelled_out(url) == spelled_out(found)


def policy_to_look(files: PolicyFiles, prices: Mapping[str, OwnPrice] = MappingProxyType({})) -> Policy:
    """
    The policy for whoever only looks; where the one of the current folder cannot be used, a line says so.

    Raises:
        SettingsError: One that is named, or the user's own, cannot be read.
    """
    policy, wrong = files.read_to_look(prices)
    if wrong is not None:
        said = printable(str(wrong).partition("\n")[0])
        print(f"solvent: the policy of this folder is passed over: {said}", file=sys.stderr)
    return policy


def fail(error: Exception | str, code: int) -> NoReturn:
    """
    End the command with an error's message on standard error.
    """
    print(f"solvent: {error}", file=sys.stderr)
    raise typer.Exit(code)


def ledger_exists(url: str) -> bool:
    """
    Whether there is something to read: opening a file that is not there would make an empty ledger of a typing error.
    """
    scheme, _, rest = url.partition(":///")
    try:
        return scheme != "sqlite" or Path(rest.partition("?")[0]).exists()
    except OSError:
        return True  # The store will say what is in the way.


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """
    The ledger, open to be read; its errors end the command with their message and code 4.
    """
    try:
        store = open_store(url)
        try:
            yield store
        finally:
            store.close()
    except SolventError as error:
        fail(error, EXIT_LEDGER)


def aligned(rows: Sequence[Sequence[str]], *, right: Sequence[int]) -> list[str]:
    """
    The lines of a table, its first row the head; ``right`` are the columns of numbers.
    """
    columns = list(zip(*rows, strict=True))
    rows = list(zip(*(at_the_point(cells) if i in right else cells for i, cells in enumerate(columns)), strict=True))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:>{width}}" if column in right else f"{cell:<{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
