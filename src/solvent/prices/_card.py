"""
The rate card that ships with the package: reads its two data files and finds a model by the name a request spells.

Names are matched by the data's own rules, in the data's order. Nothing is guessed beyond them: a dated name that no
rule knows may cost something else than its sisters (``gpt-4o-2024-05-13`` costs twice what ``gpt-4o`` does).
"""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from solvent.prices._model import ModelPrice, Rule, Variant
from solvent.prices._rates import Slot

_DATA = Path(__file__).parent / "data"

# A compact date as gateways write it, `gpt-5.2-20251211`, for the providers' `gpt-5.2-2025-12-11`.
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class _Header(msgspec.Struct):
    source: str
    units: list[str]
    providers: list[tuple[str, list[Any] | None]]


class _Model(msgspec.Struct, array_like=True):
    id: str
    window: int | None
    prices: list[tuple[int | None, int | None, int | None, list[Slot]]]
    variants: list[tuple[str, int | None, list[Slot]]]


class _Provider(msgspec.Struct):
    id: str
    fallback: list[str]
    models: list[_Model]
    exact: dict[str, int]
    rules: list[tuple[int, list[Any]]]

    def find(self, name: str) -> _Model | None:
        """
        The first model with a rule that the name (in lower case) fulfils.
        """
        found = self.exact.get(name, len(self.models))
        for index, rule in self.rules:
            if index >= found:
                break
            if matches(rule, name):
                found = index
                break
        return self.models[found] if found < len(self.models) else None


class _Limits(msgspec.Struct):
    providers: dict[str, dict[str, tuple[int | None, int | None]]]


class Card:
    """
    The rate card. Opening reads the file; a provider's part is decoded when it is first asked for.
    """

    def __init__(self) -> None:
        self._lines = (_DATA / "rates.jsonl").read_bytes().splitlines()
        self._header = msgspec.json.decode(self._lines[0], type=_Header)
        self._line_of = {id: line for line, (id, _) in enumerate(self._header.providers, 1)}
        self._providers: dict[str, _Provider] = {}

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
        return next((id for id, rule in self._header.providers if rule is not None and matches(rule, name)), None)

    def find(self, provider: str, model: str) -> ModelPrice | None:
        """
        The price of a model as its provider, or one whose models it resells, names it.
        """
        for at, name in self._readings(provider, model):
            own = self._provider(at)
            found = _find(own, name)
            if found is not None:
                return self._price(own.id, own.id, found, name) if found.prices else None
            for other in own.fallback:
                found = _find(self._provider(other), name)
                if found is not None:
                    return self._price(own.id, other, found, name) if found.prices else None
        return None

    def model_names(self, provider: str) -> Iterator[str]:
        """
        The priced models of a provider, by the names of the card and by those that its rules spell out.
        """
        id = self.provider_id(provider)
        for part in [self._provider(id), *map(self._provider, self._provider(id).fallback)] if id else ():
            yield from (model.id for model in part.models if model.prices)
            yield from (name for name, index in part.exact.items() if part.models[index].prices)

    def every_price(self) -> Iterator[ModelPrice]:
        """
        The price of every model that has one, provider by provider.
        """
        for id in self.providers:
            yield from (
                self._price(id, id, model, model.id.lower()) for model in self._provider(id).models if model.prices
            )

    def _readings(self, provider: str, model: str) -> Iterator[tuple[str, str]]:
        """
        What a name can mean: itself; ``provider/model``; ``models/model`` (Google). The provider is the card's id.
        """
        name = model.lower()
        id = None if provider.lower() in {"", "litellm"} else self.provider_id(provider)
        if id is not None:
            yield id, name
        first, _, rest = name.partition("/")
        if not rest:
            return
        if id is not None and (first == "models" or self.provider_id(first) == id):
            yield id, rest
        elif provider.lower() in {"", "litellm"} and self.provider_id(first) is not None:
            yield self.provider_id(first) or "", rest

    def _provider(self, id: str) -> _Provider:
        if id not in self._providers:
            self._providers[id] = msgspec.json.decode(self._lines[self._line_of[id]], type=_Provider)
        return self._providers[id]

    def _price(self, provider: str, owner: str, model: _Model, name: str) -> ModelPrice:
        largest_input, largest_output = self.limits(provider, owner, name, model.id, model.window)
        units = self._header.units
        return ModelPrice(
            model=model.id,
            provider=provider,
            source=self._header.source if provider == owner else f"{self._header.source}, as {owner} prices it",
            rules=[
                Rule(since, start, end, dict(zip(units, slots, strict=False)))
                for since, start, end, slots in model.prices
            ],
            # Another provider's tiers say nothing of this one's.
            variants=[
                Variant(name, since, dict(zip(units, slots, strict=False))) for name, since, slots in model.variants
            ]
            if provider == owner
            else [],
            input_tokens_max=largest_input,
            output_tokens_max=largest_output,
        )

    def limits(
        self, provider: str, owner: str, name: str, id: str = "", window: int | None = None
    ) -> tuple[int | None, int | None]:
        """
        A model's largest input and output, as far as they are known.

        Where the two do not fill the context window, one of the sources is wrong, and the larger input holds.
        """
        for whose in (provider, owner):
            known = self._limits.get(whose, {})
            for one in (name, id.lower()):
                if one in known:
                    largest_input, largest_output = known[one]
                    if largest_input is None or (window and largest_input + (largest_output or 0) < window):
                        largest_input = window
                    return largest_input, largest_output
        return window, None

    @cached_property
    def _limits(self) -> dict[str, dict[str, tuple[int | None, int | None]]]:
        return msgspec.json.decode((_DATA / "limits.json").read_bytes(), type=_Limits).providers


def matches(rule: list[Any], text: str) -> bool:
    """
    Whether a text in lower case fulfils a rule of the data.
    """
    kind, what = rule
    match kind:
        case "equals":
            return bool(text == what)
        case "starts_with":
            return text.startswith(what)
        case "ends_with":
            return text.endswith(what)
        case "contains":
            return what in text
        case "regex":
            return re.search(what, text) is not None
        case "or":
            return any(matches(one, text) for one in what)
        case "and":
            return all(matches(one, text) for one in what)
    raise AssertionError(f"the card has an unknown rule, {kind}")


def _find(provider: _Provider, name: str) -> _Model | None:
    found = provider.find(name)
    if found is None:
        dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", name)
        found = provider.find(dashed) if dashed != name else None
    return found
