"""
Amounts: money in whole nanodollars, tokens and calls in whole numbers, and how people write and read them.

Everything here is an integer once it is inside. Text, ``Decimal`` and floats are accepted at the door only, and a float
is read by its shortest decimal text, so that ``0.1`` is ten cents and not the binary number beside it.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from operator import attrgetter
from typing import NewType

from msgspec import Struct

Nanodollars = NewType("Nanodollars", int)

AMOUNT_MAX = 2**53 - 1  # About $9.0 million in nanodollars: the largest integer exact in Lua and JSON.
NANODOLLARS_PER_DOLLAR = 1_000_000_000
PICODOLLARS_PER_NANODOLLAR = 1_000

_COUNT_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_SECOND_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Usage(Struct, frozen=True, kw_only=True):
    """
    What one call used, in the words of DESIGN §3, alike for every provider.

    Attributes:
        input_tokens: All tokens read, cache reads and writes included.
        output_tokens: All tokens written, reasoning included.
        cache_read_tokens: Of the input, read from the provider's cache.
        cache_write_5m_tokens: Of the input, written to a cache that lives five minutes (or the provider's only one).
        cache_write_1h_tokens: Of the input, written to a cache that lives an hour.
        reasoning_tokens: Of the output, never shown to the caller.
        audio_input_tokens: Of the input, audio.
        audio_output_tokens: Of the output, audio.
        audio_cache_read_tokens: Of the cache reads, audio.
        image_input_tokens, image_output_tokens: Of the input and the output, images and video; ``None`` where the reply
            does not tell kinds apart, and then all may be of the dearest.
        web_searches: Searches that the provider ran and charges one by one.
        web_searches_preview: Those by OpenAI's tool ``web_search_preview``, which are not in ``web_searches``.
        file_searches: Searches in files kept at the provider.
        map_searches: Questions to a map (Google).
        code_sessions: What running code is charged by: the gigabytes of each container (OpenAI, Azure), containers
            (Anthropic), or runs (xAI).
        tool_calls: Tool executions that the reply asks the caller for. Counted, not priced.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    audio_cache_read_tokens: int = 0
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    web_searches: int = 0
    web_searches_preview: int = 0
    file_searches: int = 0
    map_searches: int = 0
    code_sessions: int = 0
    tool_calls: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def check(self) -> None:
        """
        Refuse counts that no provider can mean.

        Raises:
            ValueError: A count is no whole number within ``0..AMOUNT_MAX``, or a part is larger than its whole.
        """
        for name, value in zip(_USAGE_FIELDS, _usage_values(self), strict=True):
            if value is None and name in _MAY_BE_UNTOLD:
                continue
            if type(value) is not int or not 0 <= value <= AMOUNT_MAX:
                check_amount(name, value)
        cached = self.cache_read_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens
        if cached > self.input_tokens:
            raise _above("cached tokens", cached, "input_tokens", self.input_tokens)
        for name, whole in _PARTS:
            part = getattr(self, name)
            if part and part > getattr(self, whole):
                raise _above(name, getattr(self, name), whole, getattr(self, whole))


_USAGE_FIELDS = Usage.__struct_fields__
_usage_values = attrgetter(*_USAGE_FIELDS)
_MAY_BE_UNTOLD = frozenset({"image_input_tokens", "image_output_tokens"})
_PARTS = (
    ("reasoning_tokens", "output_tokens"),
    ("audio_input_tokens", "input_tokens"),
    ("audio_output_tokens", "output_tokens"),
    ("audio_cache_read_tokens", "cache_read_tokens"),
    ("image_input_tokens", "input_tokens"),
    ("image_output_tokens", "output_tokens"),
)


def _above(name: str, part: int, whole_name: str, whole: int) -> ValueError:
    return ValueError(f"{name} must not be above {whole_name}, got {part} of {whole}")


def check_amount(name: str, value: object) -> int:
    """
    ``value`` itself when it is a whole number within ``0..AMOUNT_MAX``.

    Raises:
        ValueError: It is not: negative, NaN, infinite, boolean, text, fractional or above 2^53 - 1.
    """
    if type(value) is not int:
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if not 0 <= value <= AMOUNT_MAX:
        raise ValueError(f"{name} must be within 0 and {AMOUNT_MAX}, got {value}")
    return value


def nanodollars(dollars: str | int | float | Decimal, *, name: str = "amount") -> Nanodollars:
    """
    Dollars as whole nanodollars, exactly.

    Args:
        dollars: ``"2"``, ``"$0.50"``, ``2``, ``0.1`` or a ``Decimal``.
        name: What the error calls it.

    Raises:
        ValueError: It is negative, no number, above $9,007,199.25, or finer than a nanodollar.
    """
    amount = _decimal(name, dollars)
    if amount > Decimal(AMOUNT_MAX).scaleb(-9):
        raise ValueError(f"{name} must be at most {show_dollars(AMOUNT_MAX)}, got {dollars!r}")
    exact, rest = 0, 1
    if not amount or amount.adjusted() >= -9:  # The ratio of a finer one would fill the memory.
        above, below = amount.as_integer_ratio()  # Not a decimal product, which is rounded.
        exact, rest = divmod(above * NANODOLLARS_PER_DOLLAR, below)
    if rest:
        raise ValueError(f"{name} must be in whole nanodollars (nine decimals), got {dollars!r}")
    return Nanodollars(exact)


def count(value: str | int, *, name: str = "count") -> int:
    """
    A count as people write it: ``200``, ``"500k"``, ``"2M"``, ``"1_000"``.

    Raises:
        ValueError: It is negative, fractional, no number, or above 2^53 - 1.
    """
    if isinstance(value, str):
        match = re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)([kKmMgG]?)", value.strip())
        if match is None:
            raise ValueError(f"{name} must be a whole number such as 200, 500k or 2M, got {value!r}")
        exact = Fraction(match[1].replace("_", "")) * _COUNT_UNITS[match[2].lower()]
        if exact.denominator != 1:
            raise ValueError(f"{name} must be a whole number, got {value!r}")
        value = exact.numerator
    return check_amount(name, value)


def seconds(value: str | int | float, *, name: str = "time") -> float:
    """
    A length of time as people write it: ``90`` (seconds), ``"30s"``, ``"10m"``, ``"1h30m"``, ``"2d"``.

    Raises:
        ValueError: It is negative, infinite or no length of time.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"(\d+(\.\d+)?|(\d+(\.\d+)?[smhd])+)", text):
        raise ValueError(f"{name} must be a length of time such as 30s, 10m or 1h30m, got {value!r}")
    if text[-1] not in _SECOND_UNITS:
        return float(text)
    return float(sum(Decimal(part) * _SECOND_UNITS[unit] for part, unit in re.findall(r"([\d.]+)([smhd])", text)))


def whole_seconds(value: str | int | float, *, name: str = "time") -> int:
    """
    ``seconds`` of a length of time that is a whole number of them.

    Raises:
        ValueError: It is none.
    """
    found = seconds(value, name=name)
    if not found.is_integer():
        raise ValueError(f"{name} must be a whole number of seconds, got {value!r}")
    return check_amount(name, int(found))


def show_dollars(amount: int) -> str:
    """
    Money for people: ``$2.00``, ``$0.0420``, ``-$0.01``; more decimals only where the first four are zero.
    """
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    dollars = Decimal(amount).scaleb(-9)
    if amount % 10_000_000 == 0:
        return f"{sign}${dollars:,.2f}"
    if amount >= 100_000:
        return f"{sign}${dollars:,.4f}"
    return f"{sign}${dollars:.9f}".rstrip("0")


def at_the_point(cells: Sequence[str]) -> list[str]:
    """
    A column of amounts for people, filled up on the right so that the points of money stand below one another once it
    is aligned at its right edge. What is no money stays as it is.
    """
    is_money = re.compile(r"-?\$[\d,]+\.\d+").fullmatch
    decimals = [len(cell) - cell.index(".") if is_money(cell) else 0 for cell in cells]
    most = max(decimals, default=0)
    return [cell + " " * (most - count) if count else cell for cell, count in zip(cells, decimals, strict=True)]


def exact_dollars(amount: int) -> str:
    """
    Money for programs: dollars with every nanodollar, ``"0.990000000"``.
    """
    whole, rest = divmod(abs(amount), NANODOLLARS_PER_DOLLAR)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:09d}"


def show_seconds(value: float) -> str:
    """
    A length of time for people: ``0.4 s``, ``42 s``, ``5 min 12 s``, ``5 h 12 min``, ``3 d 4 h``.
    """
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    for unit, size, below, below_size in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // below_size
            return f"{whole // size} {unit} {rest} {below}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def _decimal(name: str, value: str | int | float | Decimal) -> Decimal:
    if isinstance(value, bool):
        raise ValueError(f"{name} must be an amount of money, got {value!r}")
    text = value.strip().removeprefix("$").replace("_", "") if isinstance(value, str) else repr(value)
    try:
        exact = value if isinstance(value, Decimal) else Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{name} must be an amount of dollars such as 2 or 0.50, got {value!r}") from None
    if not exact.is_finite() or (exact.is_signed() and exact != 0):
        raise ValueError(f"{name} must be an amount of dollars from 0 up, got {value!r}")
    return exact
