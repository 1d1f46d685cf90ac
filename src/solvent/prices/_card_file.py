"""
The file of a rate card: a header, and a line of JSON for each provider.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from solvent.errors import SettingsError
from solvent.prices._rates import Slot

SCHEMA = 2  # Of the file. Another one has another name, so that no version reads a file that it does not know.


class Header(msgspec.Struct):
    """
    The first line.

    Attributes:
        source, version: Of the data; a version only where the data has one.
        newest_days: The newest days on which prices begin (proleptic ordinals), the newest first.
        digest: Of the lines that follow.
        forced_over: The digest of the card that shipped when a user took this one although it was older.
        units: What the places of a list of prices are for.
        providers: Their ids, and the rules for their own names and for those of their models.
    """

    made_by: str
    source: str
    license: str
    schema: int
    version: str | None
    newest_days: list[int]
    digest: str
    units: list[str]
    providers: list[tuple[str, list[Any] | None, list[Any] | None]]
    forced_over: str | None = None

    def is_older_than(self, other: "Header") -> bool:
        """
        By the versions where both have one, else by the days on which prices begin: data only ever gains some.
        """
        if self.version and other.version:
            return _numbers(self.version) < _numbers(other.version)
        return self.newest_days < other.newest_days


class ModelLine(msgspec.Struct, array_like=True):
    """
    One model: its prices with the day from which, or the second of the day from and until which they hold; and those
    of its tiers, with the day from which.
    """

    id: str
    window: int | None
    prices: list[tuple[int | None, int | None, int | None, list[Slot]]]
    variants: list[tuple[str, int | None, list[Slot]]]


class ProviderLine(msgspec.Struct):
    """
    One provider: its models, and the names and rules by which they are found, each with the model's place.
    """

    id: str
    fallback: list[str]
    models: list[ModelLine]
    exact: dict[str, int]
    rules: list[tuple[int, list[Any]]]

    def find(self, name: str) -> ModelLine | None:
        """
        The first model with a rule that the name (in lower case) fulfils.
        """
        found = self.exact.get(name, len(self.models))
        for index, rule in self.rules:
            if index >= found:
                break
            if matches(rule, name):
                found = index
                break
        return self.models[found] if found < len(self.models) else None

    def by_id(self, name: str) -> ModelLine | None:
        """
        The model that the data calls so, whatever requests call it.
        """
        return next((model for model in self.models if model.id.lower() == name and model.prices), None)

    def names(self, index: int) -> Iterator[str]:
        """
        What requests can call one of the models: names that find it, the data's own first. One that ends in ``*``
        stands for all that begin so.
        """
        model = self.models[index]
        begins = [what for place, (kind, what) in self.rules if place == index and kind == "starts_with"]
        parts = [what for place, (kind, what) in self.rules if place == index and kind in ("contains", "ends_with")]
        exact = [name for name, place in self.exact.items() if place == index]
        own = [model.id] if model.id[-1:] not in "-:./" else []
        for name in dict.fromkeys((*own, *exact, *(f"{what}*" for what in begins), *parts)):
            if self.find(name.lower()) is model:
                yield name


# Made here once, as all decoders of types in Solvent: what msgspec 0.22 makes of a type when it first decodes it is not
# safe from a second thread that begins the same, and such a process crashed.
read_provider = msgspec.json.Decoder(ProviderLine).decode
_read_header = msgspec.json.Decoder(Header).decode


def digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def updated_rates() -> Path:
    """
    Where ``solvent prices update`` writes a card. Another form of the file has another name.
    """
    import platformdirs  # Other commands do without it.

    return Path(platformdirs.user_data_dir("solvent")) / f"rates-{SCHEMA}.jsonl"


def read_card_file(path: Path, text: bytes | None = None) -> tuple[Header, list[bytes]]:
    """
    The header, and the lines of the providers.

    Args:
        text: What is to be in the file, where it is not written yet.

    Raises:
        SettingsError: It cannot be read, is damaged, or is no rate card.
    """
    try:
        first, _, body = (path.read_bytes() if text is None else text).partition(b"\n")
        header = _read_header(first)
        if header.schema != SCHEMA or header.digest != digest(body):
            raise ValueError("something else, or one that is damaged")
    except (OSError, ValueError) as error:
        raise SettingsError(
            where=str(path),
            expected="a whole rate card",
            got=(error.strerror or "") if isinstance(error, OSError) else str(error),
            hint="make it anew with `solvent prices update --force`, or take it away with `solvent prices reset`",
        ) from error
    return header, body.splitlines()


def matches(rule: list[Any], text: str) -> bool:
    """
    Whether a text in lower case fulfils a rule of the data.
    """
    kind, what = rule
    match kind:
        case "equals":
            return bool(text == what)
        case "starts_with":
            return text.startswith(what)
        case "ends_with":
            return text.endswith(what)
        case "contains":
            return what in text
        case "regex":
            return re.search(what, text) is not None
        case "or":
            return any(matches(one, text) for one in what)
        case "and":
            return all(matches(one, text) for one in what)
    raise AssertionError(f"the card has an unknown rule, {kind}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
