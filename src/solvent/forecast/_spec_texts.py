"""
How numbers are written in a workflow's file: as in a policy, and every share as a percent with its sign.
"""

import re
from fractions import Fraction

from solvent._limits import Scope
from solvent.policy import _texts

COUNT_MAX = 4_000_000  # What a count may be is listed, value by value.
MEAN_MAX = 10_000  # So is what a mean leads to, many times over, until it fits.
_NUMBER = r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,9})?"
_UNITS = {"": 1, "k": 1_000, "K": 1_000, "m": 1_000_000, "M": 1_000_000}


def check_name(name: str, bytes_max: int) -> None:
    """
    Raises:
        ValueError: As for all of these: it is none.
    """
    if "*" in name:
        raise ValueError(f"name must be a name without `*`, which stands for any name in a policy, got {name}")
    try:
        size = len(str(Scope((("run", name),))).encode()) - len("run:")
    except ValueError:
        raise ValueError(f"name must be text of at most {bytes_max} bytes, as a scope holds it, got more") from None
    if size > bytes_max:
        raise ValueError(f"name must be text of at most {bytes_max} bytes, as a scope holds it, got {size}")


def percent(text: str) -> Fraction:
    """
    Raises:
        ValueError: As for all of these: it is none.
    """
    if re.fullmatch(_NUMBER, text):
        raise ValueError(f"share must be a percent with its `%`, such as 85%, got {text}")
    found = re.fullmatch(rf"({_NUMBER}) ?%", text)
    if found is None:
        raise ValueError(f"share must be a percent such as 85%, got {text!r}")
    share = Fraction(found[1]) / 100
    if share > 1:
        raise ValueError(f"share must be at most 100%, got {text}")
    return share


def some_percent(text: str) -> Fraction:
    share = percent(text)
    if not share:
        raise ValueError(f"share must be above 0%, got {text}")
    return share


def count(text: str) -> int:
    found = _texts.count(text)
    if found > COUNT_MAX:
        raise ValueError(f"count must be at most {COUNT_MAX:,}, got {text}")
    return found


def some(text: str) -> int:
    found = count(text)
    if not found:
        raise ValueError(f"count must be 1 or more, got {text}")
    return found


def runs(text: str) -> int:
    found = _texts.count(text)
    if not found:
        raise ValueError(f"runs must be 1 or more, got {text}")
    return found


def count_or_none(text: str) -> int | None:
    """
    A cap: ``None`` where it says that there is none.
    """
    if text == "none":
        return None
    if not text[:1].isdigit():
        raise ValueError(f"cap must be a number such as 25 or 2k, or `none`, got {text!r}")
    return count(text)


def some_or_none(text: str) -> int | None:
    found = count_or_none(text)
    if found == 0:
        raise ValueError(f"cap must be 1 or more, got {text}")
    return found


def listed(text: str) -> int:
    """
    A count beside a mean.
    """
    found = count(text)
    if found > MEAN_MAX:
        raise ValueError(f"count must be at most {MEAN_MAX:,} beside a mean (`p50:` and `p95:` go further), got {text}")
    return found


def number(text: str) -> float:
    """
    A mean: a count that need not be whole.
    """
    found = re.fullmatch(rf"({_NUMBER})([kKmM]?)", text)
    if found is None:
        raise ValueError(f"mean must be a number such as 8 or 2.5, got {text!r}")
    exact = Fraction(found[1]) * _UNITS[found[2]]
    if exact > MEAN_MAX:
        raise ValueError(f"mean must be at most {MEAN_MAX:,} (`p50:` and `p95:` go further), got {text}")
    return float(exact)


def factor(text: str) -> float:
    found = number(text) if re.fullmatch(_NUMBER, text) else 0.0
    if not 1 <= found <= 1_000:
        raise ValueError(f"factor must be a number from 1 to 1,000 such as 4.5, got {text!r}")
    return found


def some_seconds_or_none(text: str) -> float | None:
    return None if text == "none" else _texts.some_seconds(text)


def cached(text: str) -> float:
    """
    The chance that a call finds its history in the cache.
    """
    if text in ("true", "false"):
        return float(text == "true")
    if "%" not in text:
        raise ValueError(f"cached must be true, false or a percent such as 90%, got {text!r}")
    return float(percent(text))


def shown(share: Fraction) -> str:
    """
    A share for people.
    """
    return f"{float(share * 100):.9g}%"
