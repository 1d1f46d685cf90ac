"""
Amounts of all meters in one integer: a lane for each, with a guard bit on top.

One subtraction and one mask test tell whether all of them fit. A lane holds what was used, not what is free, and is far
wider than any amount: so nothing that is booked above a limit can borrow from the lane beside it.
"""

from collections.abc import Mapping

from solvent._limits import CHECKED_METERS, GAUGES, METERS

LANE_BITS = 80  # 2^26 amounts of the largest size fit into a lane, below its guard.

_SHIFTS: dict[str, int] = {meter: position * LANE_BITS for position, meter in enumerate(METERS)}
_LANE = (1 << (LANE_BITS - 1)) - 1
_LANES = {meter: _LANE << shift for meter, shift in _SHIFTS.items()}
GUARDS = sum(1 << (shift + LANE_BITS - 1) for shift in _SHIFTS.values())
_WHOLE_LANE = (1 << LANE_BITS) - 1
_BIAS_OF_LANE = 1 << (LANE_BITS - 2)
_BIAS = sum(_BIAS_OF_LANE << shift for shift in _SHIFTS.values())
_NO_LIMITS = sum(_LANES.values()) | GUARDS
_GAUGES = sum(_LANES[meter] for meter in GAUGES)
_CANNOT_OVERRUN = sum(_LANES[meter] for meter in CHECKED_METERS)


def pack(amounts: Mapping[str, int]) -> int:
    packed = 0
    for meter, amount in amounts.items():
        packed += amount << _SHIFTS[meter]
    return packed


def unpack(packed: int) -> dict[str, int]:
    """
    The amounts that are not 0; they may be negative.
    """
    if not packed:
        return {}
    biased = packed + _BIAS
    amounts = {meter: (biased >> shift & _WHOLE_LANE) - _BIAS_OF_LANE for meter, shift in _SHIFTS.items()}
    return {meter: amount for meter, amount in amounts.items() if amount}


def lane(packed: int, meter: str) -> int:
    return packed >> _SHIFTS[meter] & _LANE


def pack_settled(held: int, actual: Mapping[str, int]) -> int:
    """
    As ``_ledger.settled`` says.
    """
    booked, named = 0, _GAUGES
    for meter, amount in actual.items():
        if meter not in GAUGES:
            booked += amount << _SHIFTS[meter]
            named |= _LANES[meter]
    return (held & ~named) + booked


def may_overrun(held: int, booked: int) -> bool:
    return ((held | _CANNOT_OVERRUN | GUARDS) - booked) & GUARDS != GUARDS


def pack_limits(limits: Mapping[str, int | None]) -> int:
    packed = _NO_LIMITS
    for meter, limit in limits.items():
        if limit is not None:
            packed -= _LANES[meter] - (limit << _SHIFTS[meter])
    return packed
