"""
The models of a workflow's file: those that it describes, and those of the price table.
"""

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import yaml
from msgspec.structs import replace

from solvent.forecast import _spec_texts as texts
from solvent.forecast._model import Model, Rate
from solvent.forecast._spec_numbers import NumberReader
from solvent.policy._nodes import cut, with_the_closest
from solvent.policy._texts import dollars
from solvent.prices import Prices, UserPrice
from solvent.prices._model import ModelPrice, Moment
from solvent.prices._rates import steps_of

_FIGURES = ("input", "output", "cache_read", "cache_write")
_MORE = ("cached", "window")


class ModelReader(NumberReader):
    """
    Reads models.

    Attributes:
        described: Those of ``models``, by name.
        used: Those that something names.
        mute: The names of those whose output has no price.
    """

    def __init__(self, path: Path, prices: Prices) -> None:
        super().__init__(path, path.name)
        self.described: dict[str, Model] = {}
        self.used: dict[str, Model] = {}
        self.mute: set[str] = set()
        self._prices = prices

    def models(self, node: yaml.Node, path: str) -> None:
        for name, value in self.mapping(node, path):
            self.name(self.key(value), path, "a model")
            self.described[name] = self._model(name, value, self.at(path, name))

    def model(self, node: yaml.Node, path: str) -> Model:
        """
        The model that a value names.
        """
        return self.named(self.name(node, path, "a model"), node, path)

    def named(self, name: str, node: yaml.Node, path: str) -> Model:
        if name not in self.used:
            self.used[name] = self.described.get(name) or self._listed(name, name, node, path)
        return self.used[name]

    def _model(self, name: str, node: yaml.Node, path: str) -> Model:
        if isinstance(node, yaml.ScalarNode):
            listed = self.name(node, path, "a model that has a price, or `input:` and `output:`")
            return self._listed(name, listed, node, path)
        settings = dict(self.mapping(node, path))
        if "is" in settings:
            self.known(settings, path, ("is", *_MORE))
            listed = self.name(settings["is"], f"{path}.is", "a model that has a price")
            model = self._listed(name, listed, settings["is"], f"{path}.is")
        else:
            self.known(settings, path, (*_FIGURES, *_MORE))
            if missing := self.missing(settings, "input", "output"):
                expected = "`input:` and `output:` in USD per million tokens, or `is:` with a model that has a price"
                self.fail(node, path, expected, missing)
            rate = self._rate(settings, path)
            model = Model(name=name, rates=(rate,), source=self.source(self.key(node)))
        if "cached" in settings:
            model = replace(model, cached=self.value(settings["cached"], f"{path}.cached", texts.cached))
        if "window" in settings:
            model = replace(model, window=self.value(settings["window"], f"{path}.window", texts.some))
        return model

    def _rate(self, settings: dict[str, yaml.Node], path: str) -> Rate:
        figures = {
            name: self.value(settings[name], f"{path}.{name}", functools.partial(_picodollars, name))
            for name in _FIGURES
            if name in settings
        }
        return Rate(**{**dict.fromkeys(_FIGURES, figures["input"]), **figures})

    def _listed(self, name: str, listed: str, node: yaml.Node, path: str) -> Model:
        """
        A model of the price table, at its standard prices of today.
        """
        now = datetime.now(UTC)
        sheet = self._prices.describe(listed, at=now)
        if sheet is None:
            self._fail_unknown(listed, node, path)
        price = self._prices.find(sheet.provider, sheet.model)
        assert isinstance(price, ModelPrice)  # As it was described.
        steps = steps_of(price.slots_at(None, None, Moment(now.toordinal(), now.hour * 3_600 + now.minute * 60)))
        if any(rate.request for _, rate in steps):
            got = f"{listed}, which has a fee for each request"
            self.fail(node, path, "a model that is paid by its tokens alone, or a price under `models:`", got)
        if any(rate.output is None for _, rate in steps):
            self.mute.add(name)
        return Model(
            name=name,
            billed_as=f"{price.provider}/{price.model}",
            rates=tuple(
                [
                    Rate(
                        above=above,
                        input=rate.input,
                        output=max(rate.output or 0, rate.kinds.reasoning or 0),  # Nobody declares how much is which.
                        cache_read=rate.cache_read,
                        cache_write=rate.cache_write_5m,
                    )
                    for above, rate in steps
                ]
            ),
            window=price.input_tokens_max,
            source=price.source,
        )

    def _fail_unknown(self, name: str, node: yaml.Node, path: str) -> NoReturn:
        got = with_the_closest(name, self.described)
        if got == cut(name) and (close := self._prices.close_anywhere(name)):
            got = f"{cut(name)}; did you mean {' or '.join(close)}?"
        hint = (
            f"give it one under `models:`, as in `{cut(name)}: {{input: 1.00, output: 5.00}}` (USD per million tokens)"
        )
        self.fail(node, path, "a model of `models:`, or one that has a price", got, hint=hint)


def _picodollars(name: str, text: str) -> int:
    """
    A figure of a price, checked alone, for the error to name it.
    """
    dollars(text)
    figures = {"input": "0", "output": "0", name: text}
    found: int = getattr(UserPrice.per_million_tokens(**figures), name)  # type: ignore[arg-type]  # Only texts are in it.
    return found
