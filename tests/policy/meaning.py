"""
What a policy says, read apart from the reader: from texts, by rules of its own, with integers alone.
"""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from solvent.policy import Policy
from solvent.prices import PriceAs

Meaning = dict[str, Any]


def meaning(document: Any, folder: Path) -> Meaning:
    """
    What a document of texts says; an error, where it says nothing.
    """
    assert document.keys() <= _READ.keys()
    zone = document.get("time_zone", "UTC")
    found = {
        "alert": None,
        "budgets": [],
        "call": [],
        "fallback": [],
        "ledger": None,
        "loops": None,
        "open": 0,
        "price_as": None,
        "prices": {},
        "shrink": (1_024, False),
        "tighten": ["prefix", "tokenizer"],
        "wait": Fraction(30),
    }
    for name, value in document.items():
        found |= _READ[name](value, zone, folder)
    return found


def said_by(policy: Policy) -> Meaning:
    """
    The same of a policy.
    """
    alert, loops = policy.alert, policy.loops
    return {
        "alert": None if alert is None else (list(alert.at), alert.webhook, alert.secret_env),
        "budgets": [(pattern, *_facts(limit)) for pattern, limit in policy.budgets],
        "call": sorted(_facts(limit) for limit in policy.call),
        "fallback": [(step.model, step.to, step.at) for step in policy.fallback],
        "ledger": policy.ledger,
        "loops": None if loops is None else (loops.same_call, Fraction(str(loops.within_seconds)), loops.on_exceed),
        "open": policy.open_nanodollars,
        "price_as": policy.price_as,
        "prices": {
            model: price.model if isinstance(price, PriceAs) else [getattr(price, name) for name in _RATES]
            for model, price in policy.prices.items()
        },
        "shrink": (policy.shrink_tokens_min, policy.shrink_explicit),
        "tighten": list(policy.tighten),
        "wait": Fraction(str(policy.wait_seconds)),
    }


_RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "audio_input", "audio_output")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _facts(limit):
    return limit.meter, limit.amount, limit.window, limit.time_zone, limit.on_exceed


def _matched(pattern: str, text: str) -> re.Match[str]:
    match = re.fullmatch(pattern, text, re.ASCII)
    assert match is not None, f"{text!r} is none"
    return match


def _scaled(text: str, digits: int) -> int:
    whole, decimals = _matched(r"\$?((?:0|[1-9]\d*)?)(?:\.(\d+))?", text).groups(default="")
    assert whole or decimals
    assert len(decimals) <= digits
    return int((whole or "0") + decimals.ljust(digits, "0"))


def _count(text: str) -> int:
    number, unit = _matched(r"((?:0|[1-9]\d*)(?:\.\d+)?)([kmgKMG]?)", text).groups()
    exact = Fraction(number) * _UNITS[unit.lower()]
    assert exact.denominator == 1
    return exact.numerator


def _time(text: str) -> Fraction:
    if re.fullmatch(r"(?:0|[1-9]\d*)(?:\.\d+)?", text, re.ASCII):
        return Fraction(text)
    _matched(r"(?:\d+(?:\.\d+)?[smhd])+", text)
    return sum((Fraction(part) * _SECONDS[unit] for part, unit in re.findall(r"([\d.]+)([smhd])", text)), Fraction(0))


def _share(text: str) -> Fraction:
    share = Fraction(_matched(r"(\d+(?:\.\d+)?) ?%", text)[1]) / 100
    assert 0 < share <= 1
    return share


def _limits(limits, zone):
    for meter, value in limits.items():
        for one in value if isinstance(value, list) else [value]:
            given = one if isinstance(one, dict) else {"limit": one}
            assert given.keys() <= {"limit", "on_exceed"}
            amount, _, window = given["limit"].partition("/")
            assert window in ("", "minute", "hour", "day", "week", "month")
            assert not (window and meter in ("parallel", "depth", "seconds"))
            number = _scaled(amount, 9) if meter == "usd" else _time(amount) if meter == "seconds" else _count(amount)
            on_exceed = given.get("on_exceed", "block")
            assert on_exceed in ("block", "warn", "log")
            yield meter, number, window, zone, on_exceed


def _budgets(value, zone, _):
    return {"budgets": [(pattern, *facts) for pattern, limits in value.items() for facts in _limits(limits, zone)]}


def _call(value, zone, _):
    least = {}
    for facts in _limits(value, zone):
        key = facts[0], facts[4] == "block"
        if key not in least or facts[1] < least[key][1]:
            least[key] = facts
    return {"call": sorted(least.values())}


def _alert(value, *_):
    assert value.keys() <= {"at", "webhook", "secret_env"}
    return {"alert": (sorted(map(_share, value["at"])), value.get("webhook"), value.get("secret_env"))}


def _fallback(value, *_):
    assert all(step.keys() <= {"at", "from", "to"} for step in value)
    return {"fallback": [(one["from"], one["to"], _share(one["at"]) if "at" in one else None) for one in value]}


def _ledger(value, _, folder):
    url = value if "://" in value else f"sqlite:///{value}"
    scheme, _, rest = url.partition(":///")
    return {"ledger": f"sqlite:///{folder / rest}" if scheme == "sqlite" and not rest.startswith("/") else url}


def _loops(value, *_):
    assert value.keys() <= {"same_call", "within", "on_exceed"}
    within = _time(value.get("within", "60"))
    return {"loops": (_count(value["same_call"]), within, value.get("on_exceed", "warn"))}


def _prices(value, *_):
    def price(given):
        assert given.keys() <= set(_RATES)
        return [_scaled(given[name], 6) if name in given else None for name in _RATES]

    return {"prices": {model: one if isinstance(one, str) else price(one) for model, one in value.items()}}


def _shrink(value, *_):
    if value == "off":
        return {"shrink": (0, False)}
    assert value.keys() <= {"output_tokens_min", "explicit"}
    explicit = {"true": True, "false": False}[value.get("explicit", "false")]
    return {"shrink": (_count(value.get("output_tokens_min", "1024")), explicit)}


def _word(word, name, field, read):
    def of(value, *_):
        if value == word:
            return {}
        assert value.keys() == {name}
        return {field: read(value[name])}

    return of


def _tighten(value, *_):
    assert len(set(value)) == len(value)
    return {"tighten": sorted(value, key=("prefix", "tokenizer", "count").index)}


_READ = {
    "alert": _alert,
    "budgets": _budgets,
    "call": _call,
    "fallback": _fallback,
    "ledger": _ledger,
    "loops": _loops,
    "prices": _prices,
    "shrink": _shrink,
    "store_down": _word("refuse", "open", "open", lambda text: _scaled(text, 9)),
    "tighten": _tighten,
    "time_zone": lambda *_: {},
    "unpriced": _word("refuse", "price_as", "price_as", str),
    "wait": lambda value, *_: {"wait": _time(value)},
}
