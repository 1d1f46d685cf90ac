"""
The rate card: finds a model by the name that a request spells, and the facts that are laid over its price.

Names are matched by the data's own rules, in the data's order. Nothing is guessed beyond them: a dated name that no
rule knows may cost something else than its sisters (``gpt-4o-2024-05-13`` costs twice what ``gpt-4o`` does).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path

import msgspec

from solvent.prices._card_file import ModelLine, ProviderLine, matches, read_card_file, read_provider
from solvent.prices._model import ModelPrice, Rule, Variant
from solvent.prices._overlay import Additions, Overlay, read_overlay
from solvent.prices._rates import Slot, Slots, Times

DATA = Path(__file__).parent / "data"
RATES = DATA / "rates.jsonl"

# A compact date as gateways write it, `gpt-5.2-20251211`, for the providers' `gpt-5.2-2025-12-11`.
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
# Amazon's profiles say where a call may run, so their price is the same wherever it is called from.
_PROFILE = re.compile(r"(apac|au|ca|eu|global|in|jp|us|us-gov)\.")
_ANYWHERE: Mapping[str, Times] = {"*": {"*": Fraction(1)}}
_NOBODY = {"", "litellm"}  # Providers that say nothing: the model's name begins with one.


class _Limits(msgspec.Struct):
    source: str
    providers: dict[str, dict[str, tuple[int | None, int | None]]]


_read_limits = msgspec.json.Decoder(_Limits).decode  # Made once: see ``_card_file.read_provider``.


class Card:
    """
    A rate card. Opening reads the file; a provider's part is decoded when it is first asked for.

    Args:
        text: What is to be in the file, where it is not written yet.
        overlay: Facts to lay over it; those that ship unless others are given.

    Raises:
        SettingsError: The file is damaged, or no rate card.
    """

    def __init__(self, path: Path = RATES, *, text: bytes | None = None, overlay: Overlay | None = None) -> None:
        self.path = path
        self.header, self._lines = read_card_file(path, text)
        self.overlay = read_overlay() if overlay is None else overlay
        self._line_of = {id: line for line, (id, *_) in enumerate(self.header.providers)}
        self._providers: dict[str, ProviderLine] = {}

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(self._line_of)

    def provider_id(self, name: str) -> str | None:
        """
        The card's id of a provider, which may go by another name (``gemini`` is ``google``).
        """
        name = name.lower().strip()
        if name in self._line_of:
            return name
        return next((id for id, rule, _ in self.header.providers if rule is not None and matches(rule, name)), None)

    def makers(self, model: str) -> list[str]:
        """
        The ids of the providers whose models are called so: ``gpt-…`` are those of ``openai``.
        """
        name = model.lower()
        return [id for id, _, rule in self.header.providers if rule is not None and matches(rule, name)]

    def find(self, provider: str, model: str) -> ModelPrice | None:
        """
        The price of a model as its provider, or one whose models it resells, names it.
        """
        for id, name in self._readings(provider, model):
            name = self.overlay.alias(id, name) or name
            own = self._provider(id)
            for owner in (own, *map(self._provider, own.fallback)):
                found = _find(owner, name)
                if found is not None:
                    asked = provider.lower()
                    return self._price(found, name, asked=asked, own=own, owner=owner) if found.prices else None
            found = own.by_id(name)
            if found is not None:
                return self._price(found, name, asked=provider.lower(), own=own, owner=own)
        return None

    def sellers(self, model: str) -> list[str]:
        """
        The ids of the providers that have a price for a model of this name, but for those that resell another one's.
        """
        found = []
        for own in map(self._provider, self.providers):
            line = _find(own, model.lower()) or own.by_id(model.lower())
            if line is not None and line.prices:
                found.append(own)
        ids = {own.id for own in found}
        if _PROFILE.match(model.lower()) and "aws" in ids:
            return ["aws"]  # Nobody else's names begin so; another's rules may look for what stands behind it.
        return [own.id for own in found if not ids.intersection(own.fallback)]

    def model_names(self, provider: str) -> Iterator[str]:
        """
        The priced models of a provider, by all names that its rules spell out.
        """
        id = self.provider_id(provider)
        for part in [self._provider(id), *map(self._provider, self._provider(id).fallback)] if id else ():
            for index, model in enumerate(part.models):
                if model.prices:
                    yield from (name for name in part.names(index) if not name.endswith("*"))

    @cached_property
    def begins(self) -> date:
        """
        The first day on which the data says that a price began: of the days before it, it knows nothing.
        """
        models = (model for own in map(self._provider, self.providers) for model in own.models)
        days = [since for model in models for since, *_ in model.prices if since is not None]
        return date.fromordinal(min(days)) if days else date.min

    def names_of(self, provider: str, model: str) -> list[str]:
        """
        The names that the rules of a provider spell out for one of its models.
        """
        part = self._provider(provider)
        return [name for name, index in part.exact.items() if part.models[index].id == model]

    def every_price(self, *providers: str) -> Iterator[ModelPrice]:
        """
        The price of every model that has one, of some providers or of all.
        """
        for _, price in self.listed(*providers):
            yield price

    def listed(self, *providers: str) -> Iterator[tuple[str, ModelPrice]]:
        """
        The same, each with a name that requests can call the model by.
        """
        for own in map(self._provider, providers or self.providers):
            for index, model in enumerate(own.models):
                if model.prices:
                    name = next(own.names(index), model.id)
                    yield name, self._price(model, model.id.lower(), asked=own.id, own=own, owner=own)

    def _readings(self, provider: str, model: str) -> Iterator[tuple[str, str]]:
        """
        What a name can mean: itself; ``provider/model``; ``models/model`` (Google); ``model:host`` (Hugging Face). The
        provider is the card's id.
        """
        name, asked = model.lower(), provider.lower()
        if asked == "huggingface":  # It sends a call to a host of many, each with its own price.
            name, _, host = name.rpartition(":")
            asked = f"huggingface_{host}"
        id = None if asked in _NOBODY else self.provider_id(asked)
        if id is not None:
            yield id, name
        first, _, rest = name.partition("/")
        if not rest:
            return
        if id is not None and (first == "models" or self.provider_id(first) == id):
            yield id, rest
        elif asked in _NOBODY and self.provider_id(first) is not None:
            yield self.provider_id(first) or "", rest

    def _provider(self, id: str) -> ProviderLine:
        if id not in self._providers:
            self._providers[id] = read_provider(self._lines[self._line_of[id]])
        return self._providers[id]

    def _price(self, model: ModelLine, name: str, *, asked: str, own: ProviderLine, owner: ProviderLine) -> ModelPrice:
        largest_input, largest_output = self.limits(own.id, owner.id, name, model.id, model.window)
        # Another provider's tiers say nothing of this one's.
        variants = model.variants if own is owner else []
        facts = self.overlay.facts(asked, own.id, name, model.id)
        added = Additions(facts, known_tiers={tier for tier, *_ in variants})
        source = self.header.source if own is owner else f"{self.header.source}, as {owner.id} prices it"
        return ModelPrice(
            model=model.id,
            provider=own.id,
            source=f"{source}, {self.overlay.source}" if added.facts else source,
            rules=[
                Rule(since, start, end, added.apply(self._slots(slots))) for since, start, end, slots in model.prices
            ],
            variants=[Variant(tier, since, added.times(self._slots(slots))) for tier, since, slots in variants],
            tiers=added.tiers,
            regions=_ANYWHERE if own.id == "aws" and _PROFILE.match(name) else added.regions,
            input_tokens_max=largest_input,
            output_tokens_max=largest_output,
            facts=added.facts,
        )

    def _slots(self, slots: list[Slot]) -> Slots:
        return dict(zip(self.header.units, slots, strict=False))

    def limits(
        self, provider: str, owner: str, name: str, id: str = "", window: int | None = None
    ) -> tuple[int | None, int | None]:
        """
        A model's largest input and output, as far as they are known.

        Where the two do not fill the context window, one of the sources is wrong, and the larger input holds.
        """
        limits = _limits().providers
        for whose in (provider, owner):
            known = limits.get(whose, {})
            for one in (name, id.lower()):
                if one in known:
                    largest_input, largest_output = known[one]
                    if largest_input is None or (window and largest_input + (largest_output or 0) < window):
                        largest_input = window
                    return largest_input, largest_output
        return window, None


@cache
def newest_card(updated: Path) -> Card:
    """
    The card that ships, or the one at a path where that exists and is not older, or was put in its place all the same;
    a process reads it once.

    Raises:
        SettingsError: The file there is damaged.
    """
    shipped = Card()
    if updated.exists():
        card = Card(updated)
        is_forced = card.header.forced_over == shipped.header.digest
        if is_forced or not card.header.is_older_than(shipped.header):
            return card
    return shipped


def limits_source() -> str:
    """
    Where the largest inputs and outputs are from.
    """
    return _limits().source


@cache
def _limits() -> _Limits:
    return _read_limits((DATA / "limits.json").read_bytes())


def _find(provider: ProviderLine, name: str) -> ModelLine | None:
    found = provider.find(name)
    if found is None:
        dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", name)
        found = provider.find(dashed) if dashed != name else None
    return found
