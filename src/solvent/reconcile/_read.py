"""
Reads the cells of a bill: money, counts and days, exactly or not at all.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from solvent.reconcile._records import BillError

EPOCH = date(1970, 1, 1).toordinal()
_DAY_SECONDS = 86_400
_DAY = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")
_SECONDS_MAX = 253_402_300_799  # The end of the year 9999.
_DIGITS_MAX = 40
# Commas stand between thousands alone: where they stand for a point, 0,21 would be read as 21.
_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d{1,3})?", re.ASCII)


def dollars(text: str, where: str, name: str) -> Decimal:
    """
    An amount as bills write it: ``12.50``, ``$1,234.56``, ``-0.50``, ``(0.50)``, ``1.65e-05``.

    Raises:
        BillError: It is none.
    """
    plain = text.strip().replace("$", "").replace(" ", "")
    negative = plain.startswith("(") and plain.endswith(")")
    amount = _number(plain.strip("()"))
    if not amount.is_finite() or abs(amount.adjusted()) > _DIGITS_MAX:
        raise BillError(f"{where}: {name}: expected an amount of dollars such as 12.50, got {text!r:.80}")
    return -amount if negative else amount


def count(text: str | Decimal, where: str, name: str) -> int:
    """
    A count as bills write it: ``1200``, ``1,200``, ``1200.0``; nothing is none.

    Raises:
        BillError: It is negative, broken or no number.
    """
    number = _number(str(text).strip() or "0")
    if not number.is_finite() or number < 0 or number.adjusted() > _DIGITS_MAX or number != number.to_integral_value():
        raise BillError(f"{where}: {name}: expected a whole number, got {str(text)!r:.80}")
    return int(number)


def day(text: str, where: str, name: str) -> int:
    """
    The UTC day of a time: seconds since 1970, ``2026-11-22``, ``2026/11/22``, ``2026-11-22T23:59:59+02:00``. A time
    without a zone is UTC.

    Raises:
        BillError: It is none, or its order of day and month could be either.
    """
    plain = text.strip()
    try:
        if re.fullmatch(r"\d{9,12}(\.\d+)?", plain):
            return min(int(plain.partition(".")[0]), _SECONDS_MAX) // _DAY_SECONDS
        if match := _DAY.fullmatch(plain):
            return date(*map(int, match.groups())).toordinal() - EPOCH
        at = datetime.fromisoformat(plain.removesuffix(" UTC"))
        return (at if at.tzinfo is None else at.astimezone(UTC)).date().toordinal() - EPOCH
    except (ValueError, OverflowError):
        raise BillError(f"{where}: {name}: expected a day such as 2026-11-22, got {text!r:.80}") from None


def check_currency(currency: str | None, where: str) -> None:
    """
    Raises:
        BillError: The bill is in another currency than dollars.
    """
    if currency and currency.strip().upper() != "USD":
        raise BillError(
            f"{where}: the bill is in {currency.strip().upper()!r:.20}, and the journal in USD.\n"
            "To go on: export it in USD, or make a CSV with its amounts in USD."
        )


def show_day(number: int) -> str:
    return date.fromordinal(number + EPOCH).isoformat()


def _number(text: str) -> Decimal:
    """
    A number with or without commas between its thousands; NaN where it is none.
    """
    try:
        return Decimal(text.replace(",", "")) if _NUMBER.fullmatch(text) else Decimal("NaN")
    except InvalidOperation:
        return Decimal("NaN")
