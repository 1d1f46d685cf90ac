"""
Prices that users give: by ``--price MODEL=IN/OUT``, in a policy, or in code.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from solvent._amounts import PICODOLLARS_PER_NANODOLLAR, check_amount, nanodollars

_EXPECTED = (
    "MODEL=INPUT/OUTPUT or MODEL=INPUT/OUTPUT/CACHE_READ in dollars per million tokens, such as gpt-4o=2.50/10, "
    "or MODEL=OTHER for the price of another model"
)
_NUMBER = re.compile(r"\$?[-+]?[\d._]+")
_OPTIONAL = ("cache_read", "cache_write", "cache_write_1h", "audio_input", "audio_output")
RATES = ("input", "output", *_OPTIONAL)  # What a price is made of, by the names that policies have for it.


class UserPrice(Struct, frozen=True, kw_only=True, tag=True):
    """
    What a model costs by its user's own word, in every tier and region.

    Attributes:
        input, output: Picodollars per token.
        cache_read: Picodollars per token of the input that comes out of a cache; without it what other input costs.
        cache_write, cache_write_1h: Of the input that goes into a cache of five minutes, or of an hour; without them so
            many times the input as the rate card or the provider says, and never less than the input.
        audio_input, audio_output: Of audio; without them a call that has some has no price.
        input_tokens_max, output_tokens_max: The model's largest input and output; those of the rate card unless given.
        source: Where it was given, for records.
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    input_tokens_max: int | None = None
    output_tokens_max: int | None = None
    source: str = "user"

    def __post_init__(self) -> None:
        for name in ("input", "output"):
            check_amount(name, getattr(self, name))
        for name in (*_OPTIONAL, "input_tokens_max", "output_tokens_max"):
            if getattr(self, name) is not None:
                check_amount(name, getattr(self, name))

    @classmethod
    def per_million_tokens(
        cls,
        *,
        input: str | int | float | Decimal,
        output: str | int | float | Decimal,
        cache_read: str | int | float | Decimal | None = None,
        cache_write: str | int | float | Decimal | None = None,
        cache_write_1h: str | int | float | Decimal | None = None,
        audio_input: str | int | float | Decimal | None = None,
        audio_output: str | int | float | Decimal | None = None,
        input_tokens_max: int | None = None,
        output_tokens_max: int | None = None,
        source: str = "user",
    ) -> "UserPrice":
        """
        From dollars per million tokens, exactly.

        Raises:
            ValueError: One is negative, NaN, a boolean, no number, or finer than six decimals.
        """
        return cls(
            input=_picodollars("input", input),
            output=_picodollars("output", output),
            cache_read=_optional("cache_read", cache_read),
            cache_write=_optional("cache_write", cache_write),
            cache_write_1h=_optional("cache_write_1h", cache_write_1h),
            audio_input=_optional("audio_input", audio_input),
            audio_output=_optional("audio_output", audio_output),
            input_tokens_max=input_tokens_max,
            output_tokens_max=output_tokens_max,
            source=source,
        )


class PriceAs(Struct, frozen=True, kw_only=True, tag=True):
    """
    A model costs what another one costs, by its user's own word: a deployment's name, a model that was tuned.

    Attributes:
        model: The other model, also ``provider/model``.
        source: Where it was given, for records.
    """

    model: str
    source: str = "user"


OwnPrice: TypeAlias = UserPrice | PriceAs


def parse_price(text: str) -> tuple[str, OwnPrice]:
    """
    A model and its price as ``--price`` takes them: ``gpt-4o=2.50/10``, dollars per million tokens, or the name of a
    model that costs the same: ``my-deployment=gpt-4o``.

    Returns:
        The model's name (also ``provider/model``, also with a trailing ``*``) and the price.

    Raises:
        ValueError: It reads otherwise; says what was expected.
    """
    model, equals, prices = text.rpartition("=")
    parts = [part.strip() for part in prices.split("/")]
    is_name = not any(_NUMBER.fullmatch(part) for part in parts)
    if not equals or not model.strip() or "" in parts or (len(parts) not in (2, 3) and not is_name):
        raise ValueError(f"a price must be {_EXPECTED}, got {text!r}")
    if is_name:
        return model.strip(), PriceAs(model=prices.strip(), source="--price")
    names = ("input", "output", "cache_read")
    try:
        price = UserPrice.per_million_tokens(**dict(zip(names, parts, strict=False)), source="--price")  # type: ignore[arg-type]  # The names are the fields'.
    except ValueError as exc:
        raise ValueError(f"{exc} in {text!r}; a price is {_EXPECTED}") from None
    return model.strip(), price


def find_own_price(user: Mapping[str, OwnPrice], provider: str, model: str) -> OwnPrice | None:
    """
    The price given for a model: by ``provider/model``, by its name alone, else by the longest name that ends in ``*``.
    """
    names = (f"{provider}/{model}", model)
    for name in names:
        if name in user:
            return user[name]
    patterns = [
        key for key in user if key.endswith("*") and any(name.startswith(key.removesuffix("*")) for name in names)
    ]
    return user[max(patterns, key=len)] if patterns else None


def _optional(name: str, dollars: str | int | float | Decimal | None) -> int | None:
    return None if dollars is None else _picodollars(name, dollars)


def _picodollars(name: str, dollars: str | int | float | Decimal) -> int:
    """
    Dollars per million tokens as picodollars per token: a nanodollar per million is a thousandth of one.
    """
    exact = nanodollars(dollars, name=name)
    if exact % PICODOLLARS_PER_NANODOLLAR:
        raise ValueError(f"{name} must have at most six decimals (whole picodollars a token), got {dollars!r}")
    return exact // PICODOLLARS_PER_NANODOLLAR
