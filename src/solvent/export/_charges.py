"""
What a call was charged for, one charge a kind of token or fee, adding up to what was booked.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct, ValidationError, convert

from solvent._amounts import PICODOLLARS_PER_NANODOLLAR, Usage
from solvent._records import Entry
from solvent.errors import PriceUnknown
from solvent.export._source import ended
from solvent.prices import Prices
from solvent.prices._parts import CostPart

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a charge is of, and its unit, as FOCUS writes units: capitalized and in the plural.
_METERS = {
    "input": ("Input Tokens", "Tokens"),
    "output": ("Output Tokens", "Tokens"),
    "cache_read": ("Cache Read Tokens", "Tokens"),
    "cache_write_5m": ("Cache Write Tokens (5 min)", "Tokens"),
    "cache_write_1h": ("Cache Write Tokens (1 h)", "Tokens"),
    "audio_input": ("Audio Input Tokens", "Tokens"),
    "audio_output": ("Audio Output Tokens", "Tokens"),
    "audio_cache_read": ("Audio Cache Read Tokens", "Tokens"),
    "image_input": ("Image Input Tokens", "Tokens"),
    "image_output": ("Image Output Tokens", "Tokens"),
    "reasoning": ("Reasoning Tokens", "Tokens"),
    "request": ("Request Fees", "Requests"),
    "web_search": ("Web Searches", "Searches"),
    "web_search_preview": ("Web Searches (preview)", "Searches"),
    "file_search": ("File Searches", "Searches"),
    "map_search": ("Map Searches", "Searches"),
    "code_session": ("Code Sessions", "Sessions"),
}
_WHOLE, _CORRECTION = "Calls", "Corrections"


class Charge(Struct, frozen=True):
    """
    Attributes:
        meter: What it is for.
        unit: What is counted.
        consumed: How many of it were used.
        quantity, unit_picodollars: What is paid for, and the price of one.
        billed_picodollars: Its share of what was booked.
    """

    meter: str
    unit: str
    consumed: int
    quantity: int
    unit_picodollars: int
    billed_picodollars: int

    @property
    def is_part(self) -> bool:
        return self.meter not in (_WHOLE, _CORRECTION)

    @property
    def picodollars(self) -> int:
        return self.quantity * self.unit_picodollars


def charges(entry: Entry, cost: int, prices: Prices) -> Sequence[Charge]:
    """
    The charges of an entry that booked this cost, in nanodollars. It is one where its parts cannot be told: the cost is
    estimated or a correction, or is not what today's prices come to.

    Each charge is exact in picodollars. What the one rounding of the call added, less than a nanodollar, is on the
    largest.
    """
    if entry.kind == "correct":
        return (_whole(_CORRECTION, 0, -1 if cost < 0 else 1, cost),)
    parts = () if entry.call.estimated else _parts(entry, cost, prices)
    if not parts:
        return (_whole(_WHOLE, 1, 1, cost),)
    amounts = [part.quantity * part.picodollars for part in parts]
    amounts[amounts.index(max(amounts))] += cost * PICODOLLARS_PER_NANODOLLAR - sum(amounts)
    return [
        Charge(*_METERS[part.unit], part.quantity, part.quantity, part.picodollars, amount)
        for part, amount in zip(parts, amounts, strict=True)
    ]


def _whole(meter: str, consumed: int, quantity: int, cost: int) -> Charge:
    picodollars = cost * PICODOLLARS_PER_NANODOLLAR
    return Charge(meter, "Requests", consumed, quantity, abs(picodollars), picodollars)


def _parts(entry: Entry, cost: int, prices: Prices) -> Sequence[CostPart]:
    """
    The parts of a cost by the price of the model that answered, or else of the one that was asked for.
    """
    call = entry.call
    try:
        usage = convert(call.usage, Usage)
    except ValidationError:
        return ()  # Nobody told what it used.
    at = _EPOCH + timedelta(microseconds=(call.started or ended(entry)) // 1_000)
    for model in dict.fromkeys((call.model_used, call.model_asked)):
        if model is None:
            continue
        price = prices.find(call.provider or "", model)
        try:
            if price is not None and price.cost(usage, tier=call.tier, region=None, at=at) == cost:
                return price.parts(usage, tier=call.tier, region=None, at=at)
        except PriceUnknown:
            continue  # It had a price when it was booked.
    return ()
