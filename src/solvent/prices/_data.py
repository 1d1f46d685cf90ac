"""
The price data of ``genai-prices``, in the form of its ``data.json``: read from such a file, or from the package.

Source:
    https://github.com/pydantic/genai-prices, ``prices/new_data/v2/data.json`` and ``data_slim.json``, and the types of
    genai-prices 0.2.3, read 2026-11-22.
"""

import dataclasses
import datetime
import importlib
import importlib.metadata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

PACKAGE = "genai-prices"


class Step(msgspec.Struct, frozen=True):
    """
    A price above so much input.
    """

    start: int
    price: Decimal


class Stepped(msgspec.Struct, frozen=True):
    """
    A price that is higher for a longer input.
    """

    base: Decimal
    tiers: tuple[Step, ...]


Prices: TypeAlias = dict[str, Decimal | Stepped | None]  # Dollars, by the data's names of units.


class Constraint(msgspec.Struct, frozen=True):
    """
    When a price holds: from a day, or daily between two times.
    """

    start_date: datetime.date | None = None
    start_time: datetime.time | None = None
    end_time: datetime.time | None = None


class Conditional(msgspec.Struct, frozen=True):
    """
    Prices and when they hold.
    """

    prices: Prices
    constraint: Constraint | None = None


class PriceVariant(msgspec.Struct, frozen=True):
    """
    Prices for requests that ask for something, such as a service tier.
    """

    when: dict[str, str]
    prices: Prices
    constraint: Constraint | None = None


class Model(msgspec.Struct, frozen=True):
    """
    A model, the names that it goes by, and its prices.
    """

    id: str
    match: dict[str, Any]
    prices: Prices | tuple[Conditional, ...]
    price_variants: tuple[PriceVariant, ...] | None = None
    context_window: int | None = None

    @property
    def standard(self) -> tuple[Conditional, ...]:
        return self.prices if isinstance(self.prices, tuple) else (Conditional(self.prices),)


class Provider(msgspec.Struct, frozen=True):
    """
    A provider, the names that it and its models go by, and its models.
    """

    id: str
    models: tuple[Model, ...]
    provider_match: dict[str, Any] | None = None
    model_match: dict[str, Any] | None = None
    fallback_model_providers: tuple[str, ...] | None = None


Data: TypeAlias = tuple[Provider, ...]


def read_json(text: bytes) -> Data:
    """
    Raises:
        ValueError: It is not in the form of the data.
    """
    return msgspec.json.decode(text, type=Data)


def package_version() -> str | None:
    """
    The version of the installed ``genai-prices``; ``None`` where it is not installed.
    """
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def read_package() -> Data:
    """
    Raises:
        ValueError: It is of a version whose data has another form.
    """
    return msgspec.convert(_plain(importlib.import_module("genai_prices.data").providers), type=Data)


def _plain(value: Any) -> Any:
    """
    The package's objects as what they are in its JSON.
    """
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value) or type(value).__name__ == "ModelPrice":
        return {key.rstrip("_"): _plain(one) for key, one in vars(value).items() if one is not None}
    return value
