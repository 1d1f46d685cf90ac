"""
Limits as programs write them: an amount, one for each of several windows, or what happens when it is passed.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias, TypedDict

from solvent._limits import ON_EXCEED, Limit, Meter, OnExceed, read_limit

Amount: TypeAlias = str | int | float | Decimal  # ``0.50``, ``"$0.50"``, ``"200k"``; with a window ``"5/day"``.
LimitMap: TypeAlias = Mapping[str, Amount]  # ``{"limit": "5/day", "on_exceed": "warn", "time_zone": "Europe/Berlin"}``.
LimitSpec: TypeAlias = Amount | LimitMap | Sequence[Amount | LimitMap]

_NAMES = ("limit", "on_exceed", "time_zone")


class Limits(TypedDict, total=False):
    """
    Limits by meter, as ``budget``, ``agent``, ``step`` and their kin take them; ``None`` is no limit.
    """

    usd: LimitSpec | None
    tokens: LimitSpec | None
    input_tokens: LimitSpec | None
    output_tokens: LimitSpec | None
    calls: LimitSpec | None
    tool_calls: LimitSpec | None
    retries: LimitSpec | None
    branches: LimitSpec | None
    parallel: LimitSpec | None
    depth: LimitSpec | None
    seconds: LimitSpec | None


METERS_IN_CODE: tuple[Meter, ...] = (
    "usd",
    "tokens",
    "input_tokens",
    "output_tokens",
    "calls",
    "tool_calls",
    "retries",
    "branches",
    "parallel",
    "depth",
    "seconds",
)


def limits_of(given: Limits, *, source: str) -> tuple[Limit, ...]:
    """
    Raises:
        ValueError: A meter is none, or an amount is negative, no number, not finite, or of a window that is none.
    """
    found: list[Limit] = []
    for meter in given:
        if meter not in METERS_IN_CODE:
            raise ValueError(f"a limit must be of one of {', '.join(METERS_IN_CODE)}, got {meter!r}")
    for meter in METERS_IN_CODE:
        spec: LimitSpec | None = given.get(meter)
        if spec is not None:
            found += _limits(meter, spec, source)
    return tuple(found)


def _limits(meter: Meter, spec: LimitSpec, source: str) -> Iterator[Limit]:
    if isinstance(spec, bytes | bytearray):  # A sequence of integers, and no amount.
        raise ValueError(f"{meter} must be an amount such as {'0.50' if meter == 'usd' else '200'}, got {spec!r}")
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        if not spec:
            raise ValueError(f"{meter} must be an amount, or a list with one in it, got an empty list")
        for one in spec:
            yield _limit(meter, one, source)
    else:
        yield _limit(meter, spec, source)


def _limit(meter: Meter, spec: Amount | LimitMap, source: str) -> Limit:
    if not isinstance(spec, Mapping):
        return read_limit(meter, spec, name=meter, source=source)
    if not spec.keys() <= set(_NAMES) or "limit" not in spec:
        raise ValueError(f"{meter} must be an amount, or have limit, on_exceed and time_zone, got {dict(spec)!r}")
    zone = spec.get("time_zone", "UTC")
    if not isinstance(zone, str):
        raise ValueError(f"time_zone must be a name such as UTC or Europe/Berlin, got {zone!r}")
    on_exceed = _on_exceed(spec.get("on_exceed", "block"))
    return read_limit(meter, spec["limit"], name=meter, source=source, on_exceed=on_exceed, time_zone=zone)


def _on_exceed(given: Amount) -> OnExceed:
    for known in ON_EXCEED:
        if given == known:
            return known
    raise ValueError(f"on_exceed must be block, warn or log, got {given!r}")


def check_text(what: str, given: object) -> None:
    """
    Raises:
        ValueError: It is neither a text with something in it nor ``None``.
    """
    if given is not None and (not isinstance(given, str) or not given):
        is_amount = what == "name" and isinstance(given, int | float | Decimal) and not isinstance(given, bool)
        hint = f"; an amount is given by its meter: usd={given}" if is_amount else ""
        raise ValueError(f"{what} must be a text with something in it, got {given!r}{hint}")
