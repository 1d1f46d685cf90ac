"""
A newer rate card than the one that ships: made from an installed ``genai-prices``, or from a data file of it, into the
user's data folder. Nothing is fetched.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from msgspec import Struct

from solvent.errors import SettingsError
from solvent.prices._card import Card, newest_card
from solvent.prices._card_file import updated_rates
from solvent.prices._compile_rates import Compiled, compile_rates
from solvent.prices._data import PACKAGE, Data, package_version, read_json, read_package

COMMAND = "solvent prices update"
BYTES_MAX = 50_000_000


class UpdateReport(Struct, frozen=True, kw_only=True):
    """
    What an update did.

    Attributes:
        path: The card that was written or taken away; ``None`` where nothing had to be.
        source, before: The data of the new card and of the one before.
        models: Models that have a price in the new one.
        added, gone, changed: Models, as ``provider/model``, that have a price only now, no more, or another one.
        unknown_units: The data's names of units that this version does not know. A price per token of such a unit
            counts for all tokens of its direction where it is the dearest; others are left out.
    """

    path: Path | None
    source: str
    before: str
    models: int
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unknown_units: tuple[str, ...] = ()


def update(source: Path | None = None, *, force: bool = False, into: Path | None = None) -> UpdateReport:
    """
    Make a rate card from newer price data. Processes that run keep the card that they have.

    Args:
        source: A ``data.json`` or ``data_slim.json`` of ``genai-prices``; the installed package where there is none.
        force: Take the data also where it is older than that of the card in force, or the same.
        into: The file to write; by default the one that ``Prices`` reads.

    Raises:
        SettingsError: There is no such data, it is damaged, it is older, or the card cannot be written.
    """
    target = into or updated_rates()
    where, data, name, version = _read(source)
    before = _card_in_force(target, force=force)
    compiled, card = _compiled(data, name, version, where, target)
    if next(card.every_price(), None) is None:
        raise SettingsError(where=where, expected="data with the price of a model", got="none")
    shipped = Card().header
    if force and card.header.is_older_than(shipped):
        compiled, card = _compiled(data, name, version, where, target, forced_over=shipped.digest)
    if not force and card.header.digest == before.header.digest:
        return _report(None, card, before, compiled.unknown_units)
    if not force and card.header.is_older_than(before.header):
        raise SettingsError(
            where=where,
            expected=f"data that is not older than {before.header.source}",
            got=card.header.source,
            hint="take it all the same with --force",
        )
    try:
        _write(target, compiled.text.encode())
    except OSError as error:
        raise SettingsError(
            where=str(target), expected="a file that can be written", got=error.strerror or ""
        ) from error
    newest_card.cache_clear()
    return _report(target, card, before, compiled.unknown_units)


def reset(target: Path | None = None) -> UpdateReport:
    """
    Take an update back: the card that ships is in force for processes that start from now on.

    Args:
        target: The card to take away; by default the one that ``update`` writes.

    Raises:
        SettingsError: It cannot be taken away.
    """
    target = target or updated_rates()
    existed, before = target.exists(), _card_in_force(target, force=True)
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            where=str(target), expected="a file that can be taken away", got=error.strerror or ""
        ) from error
    newest_card.cache_clear()
    return _report(target if existed else None, Card(), before, ())


def _compiled(
    data: Data, name: str, version: str | None, where: str, target: Path, *, forced_over: str | None = None
) -> tuple[Compiled, Card]:
    """
    The card that the data makes, as text and read again.
    """
    try:
        compiled = compile_rates(data, source=name, version=version, made_by=COMMAND, forced_over=forced_over)
    except ValueError as error:
        raise _damaged(where, error) from error
    return compiled, Card(target, text=compiled.text.encode())


def _read(source: Path | None) -> tuple[str, Data, str, str | None]:
    """
    Where the data is, the data, its name for records, and its version if it has one.
    """
    if source is None:
        version = package_version()
        if version is None:
            raise SettingsError(
                where=PACKAGE,
                expected="the package to be installed, or a data.json of it to be named",
                got="neither",
                hint=f"`pip install -U {PACKAGE}`, or name a file",
            )
        try:
            return PACKAGE, read_package(), f"{PACKAGE} {version}", version
        except ImportError as error:
            raise SettingsError(
                where=f"{PACKAGE} {version}",
                expected="a whole package",
                got=f"one that cannot be imported: {error}",
                hint=f"`pip install -U {PACKAGE}`, or name a data.json of it",
            ) from error
        except ValueError as error:
            raise _damaged(f"{PACKAGE} {version}", error) from error
    where = str(source)
    try:
        if source.stat().st_size > BYTES_MAX:
            raise ValueError(f"it has more than {BYTES_MAX:,} bytes")
        text = source.read_bytes()
        return where, read_json(text), f"{PACKAGE} data {hashlib.blake2b(text, digest_size=4).hexdigest()}", None
    except OSError as error:
        raise SettingsError(
            where=where, expected="a file that can be read", got=f"an error: {error.strerror or error}"
        ) from error
    except ValueError as error:
        raise _damaged(where, error) from error


def _damaged(where: str, error: Exception) -> SettingsError:
    return SettingsError(where=where, expected=f"price data in the form of {PACKAGE}'s data.json", got=str(error))


def _card_in_force(target: Path, *, force: bool) -> Card:
    try:
        return newest_card(target)
    except SettingsError:
        if not force:
            raise
        return Card()  # What is damaged there is about to be replaced.


def _write(target: Path, text: bytes) -> None:
    """
    All of it or nothing, also when the machine stops halfway.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _report(path: Path | None, card: Card, before: Card, unknown_units: tuple[str, ...]) -> UpdateReport:
    new, old = _models(card), _models(before)
    return UpdateReport(
        path=path,
        source=card.header.source,
        before=before.header.source,
        models=len(new),
        added=tuple(sorted(new.keys() - old.keys())),
        gone=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in new.keys() & old.keys() if new[name] != old[name])),
        unknown_units=unknown_units,
    )


def _models(card: Card) -> dict[str, object]:
    return {f"{price.provider}/{price.model}": (price.rules, price.variants) for price in card.every_price()}
