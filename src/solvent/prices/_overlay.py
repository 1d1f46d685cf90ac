"""
What the rate card does not say: facts from other public sources, laid over its prices. Each names its source and the
day on which it was read; ``_compile_overlay.py`` makes the file.
"""

from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path

import msgspec

from solvent.prices._rates import FEES, Slots, Times, multiplied

OVERLAY = Path(__file__).parent / "data" / "overlay.json"
_PICODOLLARS_PER_DOLLAR = 10**12


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """
    One fact about some models of one provider.

    Attributes:
        provider: The card's id of the provider, or its name in calls where that says more (``vertex``).
        models: Names in lower case, as a request spells them or as the card does; ``*`` is every model.
        tier, region: Where it holds; a region is ``*`` for any that is not named. With neither it always holds.
        times: How many times the price each unit of tokens costs; ``*`` is every other unit.
        unit: The unit that has a price.
        dollars: The price of one.
        same_as: The unit whose price it has.
        alias: The model that the names stand for.
        source: Where it is written.
        read: The day on which it was read there.
    """

    provider: str
    models: tuple[str, ...]
    tier: str | None = None
    region: str | None = None
    times: dict[str, str] | None = None
    unit: str | None = None
    dollars: str | None = None
    same_as: str | None = None
    alias: str | None = None
    source: str
    read: str


class _File(msgspec.Struct):
    source: str
    facts: tuple[Fact, ...]


_read_file = msgspec.json.Decoder(_File).decode  # Made once: see ``_card_file.read_provider``.


class Overlay:
    """
    The facts, by whom and what they are about.
    """

    def __init__(self, facts: tuple[Fact, ...] = (), source: str = "") -> None:
        self.source = source
        self._facts: dict[tuple[str, str], list[Fact]] = {}
        for fact in facts:
            for model in fact.models:
                self._facts.setdefault((fact.provider, model), []).append(fact)

    def facts(self, provider: str, id: str, name: str, model: str) -> Iterator[Fact]:
        """
        The facts about a model, those that name it most closely first.

        Args:
            provider, id: The provider as a call names it, and as the card does.
            name, model: The model as a request names it, and as the card does.
        """
        for key in dict.fromkeys((name, model.lower(), "*")):
            for whose in dict.fromkeys((provider, id)):
                yield from self._facts.get((whose, key), ())

    def names(self) -> set[tuple[str, str]]:
        """
        The providers and the models that facts name.
        """
        return {(provider, model) for provider, model in self._facts if model != "*"}

    def alias(self, id: str, name: str) -> str | None:
        """
        The model that a name stands for at a provider.
        """
        return next((fact.alias for fact in self._facts.get((id, name), ()) if fact.alias), None)


class Additions:
    """
    What facts add to the price of one model.

    Args:
        known_tiers: Tiers that the card itself has prices of, which win.
    """

    def __init__(self, facts: Iterator[Fact], *, known_tiers: Collection[str] = ()) -> None:
        self.facts: list[Fact] = []  # Those that count: of several on one thing, the closest.
        self.tiers: dict[str, Times] = {}
        self.regions: dict[str, Times] = {}
        self.units: dict[str, Fact] = {}
        self.always: Times | None = None
        for fact in facts:
            if fact.tier not in known_tiers and self._add(fact):
                self.facts.append(fact)

    def _add(self, fact: Fact) -> bool:
        if fact.unit:
            return self.units.setdefault(fact.unit, fact) is fact
        if fact.times is None:
            return False
        times = times_of(fact.times)
        if fact.tier:
            return self.tiers.setdefault(fact.tier, times) is times
        if fact.region:
            return self.regions.setdefault(fact.region, times) is times
        self.always = self.always or times
        return self.always is times

    def times(self, slots: Slots) -> Slots:
        """
        Prices as this name has them, which may cost more than the card says.
        """
        return slots if self.always is None else multiplied(slots, self.always)

    def apply(self, slots: Slots) -> Slots:
        """
        Prices of all units with those that the facts add or put in the place of others.
        """
        found = dict(self.times(slots))
        for unit, fact in self.units.items():
            if unit in FEES and found.get("output") is None:
                continue  # What writes nothing, such as an embedding, uses no tools.
            if fact.dollars is not None:
                found[unit] = picodollars(fact.dollars)
            elif found.get(unit) is None and fact.same_as:
                found[unit] = found.get(fact.same_as)
        return found


def times_of(texts: Mapping[str, str]) -> Times:
    return {unit: Fraction(text) for unit, text in texts.items()}


def picodollars(dollars: str) -> int:
    """
    Rounded up to a whole one.
    """
    exact = Fraction(dollars) * _PICODOLLARS_PER_DOLLAR
    return -(-exact.numerator // exact.denominator)


@cache
def read_overlay(path: Path = OVERLAY) -> Overlay:
    file = _read_file(path.read_bytes())
    return Overlay(file.facts, file.source)
