"""
Logs line by line, strictly: what a line does not say as it should is an error that names the file, the line, the field
and the value.
"""

import difflib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from solvent._amounts import AMOUNT_MAX, NANODOLLARS_PER_DOLLAR
from solvent.imports._past import BadCall, Intake

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION = re.compile(r"[.,](\d+)")
_YEARS = range(1971, 2262)  # What nanoseconds in 63 bits can tell.
_TOLD_BYTES = 2**18
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")

T = TypeVar("T")


def lines(path: Path, intake: Intake) -> Iterator[tuple[int, bytes]]:
    """
    The lines of a file with their numbers, blank ones left out.
    """
    read = 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            read += len(line)
            if read >= _TOLD_BYTES:
                intake.told(read)
                read = 0
            if not line.isspace():
                yield number, line
    intake.told(read)


def is_cut(line: bytes) -> bool:
    """
    Whether it is the last line of a file that is still being written.
    """
    if line.endswith(b"\n"):
        return False
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return True
    return False


def decoded(decoder: msgspec.json.Decoder[T], line: bytes | msgspec.Raw, where: str, within: str = "") -> T:
    """
    Args:
        within: The field that ``line`` is the value of.

    Raises:
        BadCall: It is not what the decoder expects; says which field, and its value.
    """
    try:
        return decoder.decode(line)
    except msgspec.ValidationError as error:
        raise BadCall(where, _in_words(str(error), bytes(line), within, decoder.type)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadCall(where, f"it is no JSON: {error}") from None
    except RecursionError:
        raise BadCall(where, "it is nested too deep") from None


def _in_words(said: str, line: bytes, within: str, kind: object) -> str:
    """
    What msgspec says (``Expected `int`, got `float` - at `$.a.b```), with the value that it says it of.
    """
    what, _, path = said.partition(" - at ")
    path = path.strip("`").removeprefix("$")
    named = re.fullmatch(r"Object (missing required|contains unknown) field `(.+)`", what)
    if named:
        name = f"{within}{path}.{named[2]}".lstrip(".")
        if named[1].startswith("missing"):
            return f"{name} is missing"
        close = difflib.get_close_matches(named[2], getattr(kind, "__struct_fields__", ()), n=1)
        return f"{name} is no field of it{f'; did you mean {close[0]}?' if close else ''}"
    try:
        value: Any = json.loads(line, parse_float=Decimal, parse_int=Decimal)
        for field, index in _STEP.findall(path):
            value = value[int(index)] if index else value[field]
    except (ValueError, LookupError, TypeError, RecursionError):
        return f"{within}{path}: {what}".lstrip(".: ")
    kinds = what.partition(", got")[0].removeprefix("Expected ").replace("`", "").split(" | ")
    expected = " or ".join(_KINDS.get(kind, kind) for kind in kinds if kind != "null")
    shown = str(value) if isinstance(value, Decimal) else json.dumps(value, default=str)
    return f"{within}{path}: expected {expected}, got {shown:.80}".lstrip(".: ")


_KINDS = {
    "Invalid decimal string": "a number",
    "array": "a list",
    "bool": "true or false",
    "decimal": "a number",
    "int": "a whole number",
    "object": "an object",
    "str": "a text",
}


def nanoseconds(text: str | None, where: str, name: str) -> int:
    """
    A time in ISO 8601 as nanoseconds since 1970; one without a zone is UTC.

    Raises:
        BadCall: It is none.
    """
    try:
        if text is None:
            raise ValueError
        fraction = _FRACTION.search(text)
        whole = text if fraction is None else text[: fraction.start()] + text[fraction.end() :]
        at = datetime.fromisoformat(whole)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        if at.year not in _YEARS:
            raise ValueError
        parts = int(f"{fraction[1]:0<9.9}") if fraction else 0
        return (at - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + parts
    except (ValueError, OverflowError):
        expected = "a time such as 2026-03-02T10:15:00.125Z"
        raise BadCall(where, f"{name}: expected {expected}, got {json.dumps(text):.80}") from None


def dollars_up(amount: Decimal, where: str, name: str) -> int:
    """
    Dollars in whole nanodollars, exactly, a part of one rounded up.

    Raises:
        BadCall: It is negative, no number, or above what a ledger holds.
    """
    if not amount.is_finite() or amount < 0 or amount.adjusted() > 7:
        most = AMOUNT_MAX // NANODOLLARS_PER_DOLLAR
        raise BadCall(where, f"{name}: expected dollars within 0 and {most:,}, got {amount!s:.80}")
    if not amount or amount.adjusted() < -30:  # The ratio of a finer one would fill the memory.
        return int(amount > 0)
    above, below = amount.as_integer_ratio()
    nanodollars = -(-above * NANODOLLARS_PER_DOLLAR // below)
    if nanodollars > AMOUNT_MAX:
        raise BadCall(where, f"{name}: expected at most {AMOUNT_MAX} nanodollars, got {amount!s:.80} dollars")
    return nanodollars
