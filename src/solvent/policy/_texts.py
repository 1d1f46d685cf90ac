"""
How amounts, times and words are written in a policy, narrower than in code and flags: what is another number to some
readers of YAML (``1_000``, ``017``, ``1e3``) is none here.
"""

import re

from solvent import _amounts
from solvent._limits import ON_EXCEED, OnExceed

_NUMBER = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
DOLLARS = rf"\$?(?:{_NUMBER}|\.[0-9]+)"
COUNT = rf"(?:0|[1-9][0-9]*|{_NUMBER}[kKmMgG])"
TIME = rf"(?:{_NUMBER}|(?:[0-9]+(?:\.[0-9]+)?[smhd])+)"

CHARACTERS_MAX = 64  # Of an amount or a time.
SAME_CALL_MAX = 1_000  # Times of a request that are remembered.
TIME_SECONDS_MAX = 366 * 86_400

# What a number may not have, by how it is called.
_MISREAD = {
    "`_`": re.compile(r".*_"),
    "a leading 0": re.compile(r"\$?0[0-9]"),
    "an exponent": re.compile(r"\$?[0-9.]+[eE]"),
    "a sign": re.compile(r"\$?\+"),
}


def dollars(text: str) -> int:
    """
    Raises:
        ValueError: As for all of these: it is none that a policy may have.
    """
    _check_plain(text)
    if re.fullmatch(DOLLARS, text) and len(text.partition(".")[2]) > 9:
        raise ValueError(f"amount must have at most nine decimals, got {text}")
    found = _amounts.nanodollars(text, name="amount")
    _check_grammar(DOLLARS, text, "an amount of dollars such as 2 or 0.50")
    return found


def count(text: str) -> int:
    _check_plain(text)
    found = _amounts.count(text, name="amount")
    _check_grammar(COUNT, text, "a whole number such as 200, 500k or 2M")
    return found


def seconds(text: str) -> float:
    if not text.endswith(("s", "m", "h", "d")):
        _check_plain(text)
    _check_length(text)
    found = _amounts.seconds(text, name="time")
    _check_grammar(TIME, text, "a length of time such as 30s, 10m or 1h30m")
    if found > TIME_SECONDS_MAX:
        raise ValueError(f"time must be at most 366d, got {text}")
    return found


def whole_seconds(text: str) -> int:
    seconds(text)
    return _amounts.whole_seconds(text, name="time")


def some_seconds(text: str) -> float:
    found = seconds(text)
    if not found:
        raise ValueError(f"time must be above 0, got {text}")
    return found


def same_call(text: str) -> int:
    times = count(text)
    if not 1 <= times <= SAME_CALL_MAX:
        raise ValueError(f"same_call must be within 1 and {SAME_CALL_MAX:,}, got {times}")
    return times


def tokens_min(text: str) -> int:
    tokens = count(text)
    if not tokens:
        raise ValueError("output_tokens_min must be 1 or more (`shrink: off` shrinks no call), got 0")
    return tokens


def boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"explicit must be true or false, got {text!r}")
    return text == "true"


def on_exceed(text: str) -> OnExceed:
    for known in ON_EXCEED:
        if text == known:
            return known
    raise ValueError(f"on_exceed must be block, warn or log, got {text!r}")


def _check_plain(text: str) -> None:
    _check_length(text)
    for what, is_there in _MISREAD.items():
        if is_there.match(text):
            raise ValueError(f"amount must be a number without {what}, got {text}")


def _check_length(text: str) -> None:
    if len(text) > CHARACTERS_MAX:
        raise ValueError(f"amount must be at most {CHARACTERS_MAX} characters, got {len(text):,}")


def _check_grammar(grammar: str, text: str, expected: str) -> None:
    if re.fullmatch(grammar, text) is None:  # Spaces in quotes, or digits of another script.
        raise ValueError(f"amount must be {expected}, got {text!r}")
