"""
Every price that the card has, in every tier and region, and usages to hold against them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from solvent._amounts import Usage
from solvent.errors import PriceUnknown
from solvent.prices._card import Card
from solvent.prices._model import ROUTE, ModelPrice

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)

# What is left out of a usage where the model has no price for a unit, by what the error calls it.
_UNITS = {
    "audio input": {"audio_input_tokens": 0, "audio_cache_read_tokens": 0},
    "audio output": {"audio_output_tokens": 0},
    "output": {"output_tokens": 0, "reasoning_tokens": 0, "audio_output_tokens": 0, "image_output_tokens": None},
    "web search": {"web_searches": 0},
    "web search preview": {"web_searches_preview": 0},
    "file search": {"file_searches": 0},
    "map search": {"map_searches": 0},
    "code session": {"code_sessions": 0},
}
TOOLS = {
    "web_searches": "web_search_20250305",
    "web_searches_preview": "web_search_preview",
    "file_searches": "file_search",
    "map_searches": "google_maps",
    "code_sessions": "code_interpreter",
}


class Priced(NamedTuple):
    """
    A price in one tier and region.
    """

    price: ModelPrice
    tier: str | None
    region: str | None

    def cost(self, usage: Usage, at: datetime) -> int:
        return self.price.cost(usage, tier=self.tier, region=self.region, at=at)

    def has_begun(self, at: datetime) -> bool:
        try:
            self.cost(Usage(), at)
        except PriceUnknown as unknown:
            if "at that time" in unknown.what:
                return False
            raise
        return True

    def within(self, usage: Usage, at: datetime) -> Usage:
        """
        The usage without the units that have no price.
        """
        while True:
            try:
                self.cost(usage, at)
            except PriceUnknown as unknown:
                usage = replace(usage, **_UNITS[unknown.what])
            else:
                return usage


def every_price() -> list[Priced]:
    """
    Of every model of the card, and of every name that the overlay has something to say about.
    """
    return [one for price in _prices() for one in _variants(price)]


def _prices() -> Iterator[ModelPrice]:
    card = Card()
    yield from card.every_price()
    known = {(id, price.model.lower()) for id in card.providers for price in card.every_price(id)}
    for provider, name in sorted(card.overlay.names() - known):
        price = card.find(provider, name)
        if price is not None:
            yield price


def _variants(price: ModelPrice) -> Iterator[Priced]:
    names = [variant.name for variant in price.variants]
    tiers = [None, *dict.fromkeys(name for name in names if not name.startswith(ROUTE)), *price.tiers]
    regions = [None, *(name.removeprefix(ROUTE) for name in names if name.startswith(ROUTE)), *price.regions]
    yield from (Priced(price, tier, region) for tier in tiers for region in dict.fromkeys(regions))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """
    Parts may overlap: audio can be in a cache, reasoning can be spoken.
    """
    whole, output = draw(st.integers(0, 2_000_000)), draw(st.integers(0, 200_000))
    read = draw(st.integers(0, whole))
    write_5m = draw(st.integers(0, whole - read))
    audio = draw(st.integers(0, whole))
    some = st.integers(0, 3)
    return Usage(
        input_tokens=whole,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=draw(st.integers(0, whole - read - write_5m)),
        reasoning_tokens=draw(st.integers(0, output)),
        audio_input_tokens=audio,
        audio_output_tokens=draw(st.integers(0, output)),
        audio_cache_read_tokens=draw(st.integers(0, min(audio, read))),
        image_input_tokens=draw(st.none() | st.integers(0, whole)),
        image_output_tokens=draw(st.none() | st.integers(0, output)),
        web_searches=draw(some),
        web_searches_preview=draw(some),
        file_searches=draw(some),
        map_searches=draw(some),
        code_sessions=draw(some),
    )


def times() -> st.SearchStrategy[datetime]:
    """
    Minutes of the years that the data knows.
    """
    return st.integers(0, 4 * 365 * 24 * 60).map(
        lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    )
