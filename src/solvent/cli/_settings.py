"""
What commands share that need prices: the options, and the policy that they make.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from solvent.cli._common import policy_to_look
from solvent.errors import SettingsError
from solvent.policy import Policy
from solvent.policy._find import PolicyFiles
from solvent.prices import parse_price

T = TypeVar("T")

At = Annotated[
    str | None, typer.Option(metavar="DATE", help="Prices of this day, such as 2026-03-01, or of a time in UTC.")
]
PolicyFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Limits and prices from a solvent.yaml.")]
Price = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL=IN/OUT", help="A model's price, dollars per million tokens; may be repeated."),
]


def usage(read: Callable[[], T], flag: str | None = None) -> T:
    """
    What an option says; ``flag`` names it where the error does not.
    """
    try:
        return read()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from error


def policy_of(path: Path | None, price: list[str] | None, *, only_looks: bool = False) -> Policy:
    """
    The policy of a file, or the one that is found without, with the prices of the command line over it.

    Args:
        only_looks: Nothing is held to it, so the file of the current folder need not be one that can be used.

    Raises:
        SettingsError: The file is no policy, or a price names a model that has none.
    """
    prices = usage(lambda: dict(parse_price(text) for text in price or ()), "--price")
    files = PolicyFiles.of(path, way="--policy")
    try:
        return policy_to_look(files, prices) if only_looks else files.read(prices)
    except SettingsError as error:
        if error.where.startswith("--price:"):  # Wrong usage, as any other price on the command line that is none.
            raise typer.BadParameter(f"expected {error.expected}, got {error.got}", param_hint="--price") from error
        raise


def time_of(at: str | None) -> datetime:
    """
    The time that ``--at`` means, now without it; a time without a zone is UTC.
    """
    return datetime.now(UTC) if at is None else moment(at, "--at")


def moment(text: str, flag: str) -> datetime:
    """
    A day or a time; without a zone it is UTC.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        expected = "a day such as 2026-03-01, or a time in UTC such as 2026-03-01T14:30"
        raise typer.BadParameter(f"expected {expected}, got {text!r}", param_hint=flag) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
