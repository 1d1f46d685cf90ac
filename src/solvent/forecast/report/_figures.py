"""
Estimates as people write them: with their unit, and with as many digits as they deserve.
"""

import math


def usd(amount: float | None, *, none: str = "no max") -> str:
    """
    An estimate in dollars: ``$0.1201``, ``$5.12``, ``$226``, ``$34,200``; ``None`` is that nothing bounds it.
    """
    if amount is None:
        return none
    if amount < 0:
        return f"-{usd(-amount)}"
    if amount == 0:
        return "$0"
    if amount < 0.9995:
        return _small(amount, decimals=4)
    if amount < 99.995:
        return f"${amount:.2f}"
    return f"${_rounded(amount):,.0f}" if amount < 999_500 else f"${_three(amount / 1e6)}M"


def about(amount: float) -> str:
    """
    One for a sentence, in which two digits do: ``$0.12``, ``$5.12``, ``$226``.
    """
    if amount == 0:
        return "nothing"
    return _small(amount, decimals=2) if amount < 0.9995 else usd(amount)


def _small(amount: float, *, decimals: int) -> str:
    """
    Below a dollar; two digits of it at least.
    """
    decimals = max(decimals, 1 - math.floor(math.log10(amount)))
    return f"${amount:.{decimals}f}"


def _rounded(amount: float) -> float:
    """
    To three digits of what is above ten thousand, which no estimate knows better.
    """
    if amount < 10_000:
        return round(amount)
    return round(amount, 2 - math.floor(math.log10(amount)))


_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(number: float | None, *, none: str = "no max") -> str:
    """
    Tokens or calls: ``7.4``, ``36``, ``83.2k``, ``1.21M``.
    """
    if number is None:
        return none
    for size, unit in _UNITS:
        if number >= size * 0.9995:
            return f"{_three(number / size)}{unit}"
    if number >= 99.95 or number == round(number):
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 0.0995 else f"{number:.2g}"


def _three(number: float) -> str:
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"


def seconds(number: float) -> str:
    """
    A time: ``4.2 s``, ``41 s``, ``5.2 min``, ``3.4 h``.
    """
    if number < 119.5:
        return f"{number:.1f} s" if number < 9.95 else f"{number:.0f} s"
    minutes = number / 60
    if minutes < 119.5:
        return f"{minutes:.1f} min" if minutes < 9.95 else f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"


def share(part: float) -> str:
    """
    A share in whole percents: ``82 %``, ``<1 %``.
    """
    percent = part * 100
    return "<1 %" if 0 < percent < 0.5 else f"{percent:.0f} %"


def chance(part: float) -> str:
    """
    A chance in percents, two digits of it: ``14 %``, ``1.2 %``, ``0.04 %``.
    """
    percent = part * 100
    if percent >= 9.95 or percent == 0:
        return f"{percent:.0f} %"
    return f"{percent:.2g} %" if percent >= 0.001 else "<0.001 %"


def change(relative: float) -> str:
    """
    A relative change in whole percents: ``+13 %``, ``-23 %``, ``0 %``.
    """
    percent = round(relative * 100)
    return f"{percent:+d} %" if percent else "0 %"
