"""
What a workflow's file says of limits and of a month.
"""

import re
from collections.abc import Callable, Collection
from fractions import Fraction
from functools import partial

import yaml

from solvent.forecast import _spec_texts as texts
from solvent.forecast._model import Degrade, Volume, Wishes
from solvent.forecast._spec_blocks import BlockReader
from solvent.policy._fallback import Fallback, check_chain
from solvent.policy._nodes import with_the_closest
from solvent.policy._texts import dollars

_VOLUME = ("measured_runs", "runs_per_month", "uncertainty")
_AT = "`degrade MODEL to MODEL`, or `stop` at 100%"


class WishReader(BlockReader):
    """
    Reads ``volume`` and ``limits``.
    """

    def volume(self, node: yaml.Node, path: str) -> Volume:
        settings = dict(self.mapping(node, path))
        self.known(settings, path, _VOLUME)
        if missing := self.missing(settings, "runs_per_month"):
            self.fail(node, path, "`runs_per_month:` with a number", missing)
        runs = self.value(settings["runs_per_month"], f"{path}.runs_per_month", texts.runs)
        uncertainty, measured = Fraction(0), None
        if "uncertainty" in settings:
            uncertainty = self.value(settings["uncertainty"], f"{path}.uncertainty", texts.percent)
        if "measured_runs" in settings:
            measured = self.value(settings["measured_runs"], f"{path}.measured_runs", texts.runs)
        return Volume(runs_per_month=runs, uncertainty=float(uncertainty), measured_runs=measured)

    def limits(self, node: yaml.Node, path: str) -> Wishes:
        settings = dict(self.mapping(node, path))
        self.known(settings, path, _LIMITS)
        wishes: dict[str, object] = {}
        for name, (field, read) in _LIMITS.items():
            if name in settings:
                wishes[field] = read(self, settings[name], f"{path}.{name}")
        return Wishes(**wishes)  # type: ignore[arg-type]  # Each name is a field with what was read for it.

    def may_block(self, node: yaml.Node, path: str) -> float:
        share = self.value(node, path, texts.some_percent)
        if share == 1:
            self.fail(node, path, "less than 100%", "100%")
        return float(share)

    def usd(self, node: yaml.Node, path: str) -> int:
        return self.value(node, path, _some_dollars)

    def input_bound(self, node: yaml.Node, path: str) -> float:
        return self.value(node, path, texts.factor)

    def legitimate(self, node: yaml.Node, path: str) -> tuple[str, ...]:
        names: list[str] = []
        for one in self.items(node, path, "classes of inputs"):
            name = self.name(one, path, "a class")
            if name not in self.names:
                expected = f"classes of the envelope: {', '.join(self.names) or 'it has none'}"
                self.fail(one, path, expected, with_the_closest(name, self.names))
            if name in names:
                self.fail(one, path, "each class once", f"{name} a second time")
            names.append(name)
        if not names:
            self.fail(node, path, "a list of classes of inputs", self.describe(node))
        return tuple(names)

    def at_shares(self, node: yaml.Node, path: str) -> tuple[Degrade, ...]:
        called = tuple(self.used)  # What only a step names is called by nobody.
        found: dict[Fraction, Degrade | None] = {}
        for text, value in self.mapping(node, path):
            here = self.at(path, text)
            share = self.checked(self.key(value), here, partial(texts.some_percent, text))
            if share in found:
                self.fail(self.key(value), here, "each share once", f"{text} a second time")
            found[share] = self._step(value, here, share, called)
            steps = [Fallback(model=step.model, to=step.to) for step in found.values() if step is not None]
            self.checked(value, here, partial(check_chain, steps))
        return tuple([step for _, step in sorted(found.items(), key=lambda one: one[0]) if step is not None])

    def _step(self, node: yaml.Node, path: str, share: Fraction, called: Collection[str]) -> Degrade | None:
        text = self.text(node, path)
        if text == "stop" and share == 1:
            return None
        found = re.fullmatch(r"degrade (\S+) to (\S+)", text)
        if found is None:
            self.fail(node, path, _AT, text or "nothing")
        model, to = found.groups()
        if model not in called:
            expected = f"a model that a call uses: {', '.join(called)}"
            self.fail(node, path, expected, with_the_closest(model, called))
        self.named(to, node, path)
        return Degrade(at=float(share), model=model, to=to)


def _some_dollars(text: str) -> int:
    found = dollars(text)
    if not found:
        raise ValueError(f"usd must be above $0, got {text}")
    return found


# By name: the field of the wishes, and how it is read.
_LIMITS: dict[str, tuple[str, Callable[[WishReader, yaml.Node, str], object]]] = {
    "at": ("degrade", WishReader.at_shares),
    "input_bound": ("input_bound", WishReader.input_bound),
    "legitimate": ("legitimate", WishReader.legitimate),
    "may_block": ("may_block", WishReader.may_block),
    "usd": ("usd_nanodollars", WishReader.usd),
}
