"""
The overlay, out of ``litellm``'s list and the facts of ``_facts.py``: what the rate card lacks of tiers, regions, tools
and kinds of tokens.

The list's own prices are not taken, only what it says of one price beside another: the card has the prices.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from solvent.prices._card import Card
from solvent.prices._compile_limits import PROVIDERS, entries_of, plain_name, version_of
from solvent.prices._facts import FACTS
from solvent.prices._model import ModelPrice, Moment
from solvent.prices._overlay import Fact
from solvent.prices._rates import Rate, Slots, steps_of

READ = "2026-11-22"  # The day on which the list was read.

# The list's names of our units, and of the tiers, which follow them.
_UNITS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "audio_input": "input_cost_per_audio_token",
    "audio_output": "output_cost_per_audio_token",
    "audio_cache_read": "cache_read_input_audio_token_cost",
    "image_input": "input_cost_per_image_token",
    "image_output": "output_cost_per_image_token",
}
_TIERS = {"batches": "batch", "flex": "flex", "priority": "priority", "ultrafast": "ultrafast"}
# Kinds of tokens, and the unit that others of their direction have.
_KINDS = {
    "audio_input": "input",
    "audio_output": "output",
    "audio_cache_read": "cache_read",
    "image_input": "input",
    "image_output": "output",
}
# OpenAI's models from this day on cost more where data residency is asked for, older ones do not.
_RESIDENCY = "https://developers.openai.com/api/docs/guides/data-residency: 10% for models released on or after"
_RESIDENCY_FROM = "2026-03-05"
_DATED = re.compile(r"-(20\d\d-\d\d-\d\d)$")


class _Listed(msgspec.Struct):
    """
    An entry of the list, and the price that the card has for it.
    """

    provider: str  # As calls name it.
    name: str
    region: str | None
    entry: Mapping[str, Any]
    price: ModelPrice

    @property
    def is_resold(self) -> bool:
        return " prices it" in self.price.source

    @property
    def slots(self) -> Slots:
        return self.price.slots_at(None, None, Moment(date.fromisoformat(READ).toordinal(), 12 * 3_600))


def compile_overlay(source: Path, *, card: Card, made_by: str) -> str:
    """
    The text of ``overlay.json``.

    Args:
        source: litellm's wheel, or the JSON file out of one.
        card: The rate card, without an overlay.
    """
    listed = list(_listed(source, card))
    by = f"litellm {version_of(source)}"
    found: list[Fact] = []
    for make in (_regions, _tiers, _fees, _kinds, _dearer):
        found += make(listed, by)
    facts = [*FACTS, *_older_at_openai(card, found), *_merged(found)]
    header = {"made_by": made_by, "source": f"overlay of {READ}", "license": "MIT, see NOTICE"}
    lines = ",\n".join(msgspec.json.encode(fact).decode() for fact in facts)
    return json.dumps(header, separators=(",", ":"))[:-1] + ',"facts":[\n' + lines + "\n]}\n"


def _listed(source: Path, card: Card) -> Iterator[_Listed]:
    for full, entry in entries_of(source).items():
        kind = str(entry.get("litellm_provider"))
        id = PROVIDERS.get(kind)
        if id is None or "-commitment/" in full:
            continue
        provider = "vertex" if kind.startswith("vertex_ai") else id
        region = re.match(r"bedrock/([a-z]+(?:-[a-z]+)+-\d)/", full)
        name = full.rpartition("/")[2] if id == "aws" else plain_name(full)
        price = card.find(provider, name)
        if price is not None and not re.match(r"(azure|azure_ai)/(eu|us|global\w*)/", full):
            yield _Listed(provider=provider, name=name, region=region and region[1], entry=entry, price=price)


def _regions(listed: Iterable[_Listed], by: str) -> Iterator[Fact]:
    for one in listed:
        entry, id = one.entry, (one.price.model.lower(),)
        special = entry.get("provider_specific_entry")
        if one.provider == "anthropic" and isinstance(special, dict) and "us" in special:
            what = f"{by}, provider_specific_entry.us"
            yield _fact(one, id, what, region="us", times={"*": _text(special["us"])})
        uplift = entry.get("regional_processing_uplift_multiplier_us")
        if one.provider == "openai" and uplift:
            what = f"{by}, regional_processing_uplift_multiplier_us; {_RESIDENCY} {_RESIDENCY_FROM}"
            yield _fact(one, id, what, region="*", times={"*": _text(uplift)})
        if one.provider == "vertex":
            uplift = entry.get("regional_endpoint_uplift_multiplier", 1)
            what = f"{by}, regional_endpoint_uplift_multiplier"
            yield _fact(one, id, what, region="*", times={"*": _text(uplift)})
        if one.region and (times := _times_of_card(one)):
            what = f"{by}, its prices of Bedrock by region"
            yield _fact(one, id, what, region=one.region, times=times)


def _tiers(listed: Iterable[_Listed], by: str) -> Iterator[Fact]:
    for one in listed:
        for suffix, tier in _TIERS.items():
            if any(variant.name == tier for variant in one.price.variants):
                continue
            times = {unit: max(found) for unit in _UNITS if (found := list(_tier_times(one.entry, unit, suffix)))}
            if times:
                # A unit that the tier does not name costs no less than usual.
                rest = max(Fraction(1), *times.values())
                texts = {unit: _text(value) for unit, value in times.items() if value != rest} | {"*": _text(rest)}
                yield _fact(one, (one.price.model.lower(),), f"{by}, …_{suffix}", tier=tier, times=texts)


def _tier_times(entry: Mapping[str, Any], unit: str, suffix: str) -> Iterator[Fraction]:
    """
    How many times the standard price a tier's is, for each length of input.
    """
    for key, value in entry.items():
        match = re.fullmatch(rf"({_UNITS[unit]}(?:_above_\d+k_tokens)?)_{suffix}", key)
        if match and entry.get(match[1]) and value is not None:
            yield Fraction(value) / Fraction(entry[match[1]])


def _fees(listed: Iterable[_Listed], by: str) -> Iterator[Fact]:
    for one in listed:
        searches = one.entry.get("search_context_cost_per_query")
        is_lacking = one.slots.get("web_search") is None and one.slots.get("request") is None
        if searches and (is_lacking or one.is_resold):
            dollars = str(max(searches.values()))  # By the size of the context; the dearest holds.
            what = f"{by}, search_context_cost_per_query"
            yield _fact(one, (one.price.model.lower(),), what, unit="web_search", dollars=dollars)
        maps = one.entry.get("google_maps_grounding_cost_per_query")
        if maps:
            what = f"{by}, google_maps_grounding_cost_per_query"
            yield _fact(one, (one.price.model.lower(),), what, unit="map_search", dollars=str(maps))


def _kinds(listed: Iterable[_Listed], by: str) -> Iterator[Fact]:
    """
    Prices of audio and images that the card lacks; audio costs what text does where the list has one price for both.
    """
    for one in listed:
        id, slots = (one.price.model.lower(),), one.slots
        for unit, text in _KINDS.items():
            dollars, base = one.entry.get(_UNITS[unit]), one.entry.get(_UNITS[text])
            if slots.get(unit) is None and dollars and base and dollars > base:
                yield _fact(one, id, f"{by}, {_UNITS[unit]}", unit=unit, dollars=_plain(dollars))
        hears = one.entry.get("supports_audio_input") or "audio" in one.entry.get("supported_modalities", ())
        if hears and slots.get("audio_input") is None and not one.entry.get(_UNITS["audio_input"]):
            yield _fact(one, id, f"{by}, supports_audio_input at one price", unit="audio_input", same_as="input")


def _dearer(listed: Iterable[_Listed], by: str) -> Iterator[Fact]:
    """
    Names that cost more than what the card finds for them: another host's price, or that of another part of the world.
    """
    for one in listed:
        is_profile = one.provider == "aws" and one.region is None
        if (is_profile or one.provider == "vertex" or (one.provider == "azure" and one.is_resold)) and (
            times := _times_of_card(one)
        ):
            yield _fact(one, (one.name,), f"{by}, its price for this name", times=times)


def _times_of_card(one: _Listed) -> dict[str, str] | None:
    """
    How many times the card's price the list's is, at least once; ``None`` where it is nowhere more.
    """
    rate: Rate = steps_of(one.slots)[0][1]
    times = {}
    for unit, ours in (("input", rate.input), ("output", rate.output)):
        theirs = one.entry.get(_UNITS[unit])
        if ours and theirs:
            times[unit] = max(Fraction(theirs) * 10**12 / ours, Fraction(1))
    if one.region is None and not any(value > 1 for value in times.values()):
        return None
    rest = max(times.values(), default=Fraction(1))
    return {unit: _text(value) for unit, value in times.items() if value != rest} | {"*": _text(rest)}


def _older_at_openai(card: Card, found: Iterable[Fact]) -> Iterator[Fact]:
    """
    OpenAI's models of which every dated name is of before the day from which regions cost more.
    """
    dearer = {model for fact in found if fact.provider == "openai" and fact.region for model in fact.models}
    older = []
    for price in card.every_price("openai"):
        dates = [match[1] for name in card.names_of("openai", price.model) if (match := _DATED.search(name))]
        if dates and max(dates) < _RESIDENCY_FROM and price.model.lower() not in dearer:
            older.append(price.model.lower())
    source = f"{_RESIDENCY} {_RESIDENCY_FROM}, and the dates in the models' names"
    yield Fact(provider="openai", models=tuple(sorted(older)), region="*", times={"*": "1"}, source=source, read=READ)


def _fact(one: _Listed, models: tuple[str, ...], source: str, **what: Any) -> Fact:
    return Fact(provider=one.provider, models=models, source=source, read=READ, **what)


def _merged(facts: Iterable[Fact]) -> list[Fact]:
    """
    One fact for all models of which the same is said; of two that contradict each other, the dearer.
    """
    dearest: dict[tuple[Any, ...], Fact] = {}
    for fact in facts:
        key = (fact.provider, fact.models, fact.tier, fact.region, fact.unit)
        if key not in dearest or _weight(fact) > _weight(dearest[key]):
            dearest[key] = fact
    merged: dict[str, list[Fact]] = {}
    for fact in dearest.values():
        merged.setdefault(repr(msgspec.structs.replace(fact, models=())), []).append(fact)
    return [
        msgspec.structs.replace(same[0], models=tuple(sorted({model for fact in same for model in fact.models})))
        for _, same in sorted(merged.items())
    ]


def _weight(fact: Fact) -> Fraction:
    return max(Fraction(text) for text in [*(fact.times or {}).values(), fact.dollars or "0"])


def _text(value: Any) -> str:
    """
    A number exactly: as a decimal where that is short, else as a fraction.
    """
    exact = Fraction(value)
    for decimals in range(5):
        if (exact * 10**decimals).denominator == 1:
            return f"{Decimal(exact.numerator) / exact.denominator:.{decimals}f}"
    return str(exact)


def _plain(dollars: Any) -> str:
    return f"{dollars:f}"
