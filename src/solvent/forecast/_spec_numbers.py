"""
The counts, shares and times of a workflow's file, one for all inputs or one for each class of them.
"""

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TypeVar

import yaml

from solvent._limits import SEGMENT_BYTES_MAX
from solvent.forecast import _spec_texts as texts
from solvent.forecast._counts import ByClass, Count, Fixed, Lognormal, NegativeBinomial, OneOf, Rare, negative_binomial
from solvent.forecast._model import Paced, Percents, Quantiles, Seconds
from solvent.policy._nodes import Nodes
from solvent.policy._texts import seconds, some_seconds

_FORMS = {
    "p50": ("max", "p50", "p95", "rare"),
    "mean": ("max", "mean", "min", "p95", "rare"),
    "one_of": ("one_of", "rare"),
}
_PACED = ("first_token", "per_output_token")
_TIMES = ("max", "p50", "p95")
COUNT_KEYS = tuple(sorted({key for keys in _FORMS.values() for key in keys}))

T = TypeVar("T")

_fitted = functools.lru_cache(maxsize=256)(negative_binomial)  # Classes mostly share one, and it is searched for.


class NumberReader(Nodes):
    """
    Reads numbers.

    Attributes:
        classes: Of inputs, in their order, each with its share.
    """

    classes: tuple[tuple[str, float], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple([name for name, _ in self.classes])

    def scope_name(self, node: yaml.Node, path: str, of: str, *, bytes_max: int = SEGMENT_BYTES_MAX) -> str:
        """
        A name that a scope can have.
        """
        name = self.name(node, path, of)
        self.checked(node, path, functools.partial(texts.check_name, name, bytes_max))
        return name

    def given(
        self, settings: dict[str, yaml.Node], path: str, name: str, read: Callable[[yaml.Node, str], T]
    ) -> T | None:
        """
        What a setting says, if it is there.
        """
        return read(settings[name], self.at(path, name)) if name in settings else None

    def per_class(
        self, node: yaml.Node, path: str, read: Callable[[str], T], names: Sequence[str] | None = None
    ) -> tuple[T, ...]:
        """
        One value for all classes, a list in their order, or one under each of their names.

        Args:
            names: Of the classes; those of the workflow unless given. Without any there is one value.
        """
        names = self.names if names is None else names
        if isinstance(node, yaml.ScalarNode) or not names:
            return (self._single(node, path, read),) * max(1, len(names))
        if isinstance(node, yaml.SequenceNode):
            if len(node.value) != len(names):
                self.fail(node, path, f"one value for each class, {', '.join(names)}", f"a list of {len(node.value)}")
            return tuple([self.value(one, f"{path}[{place}]", read) for place, one in enumerate(node.value)])
        return tuple([self.value(one, here, read) for one, here in self._by_class(node, path)])

    def _single(self, node: yaml.Node, path: str, read: Callable[[str], T]) -> T:
        if not isinstance(node, yaml.ScalarNode):
            expected = "one value" if self.classes else "one value, for the envelope has no classes"
            self.fail(node, path, expected, self.describe(node))
        return self.value(node, path, read)

    def _by_class(self, node: yaml.Node, path: str) -> Iterator[tuple[yaml.Node, str]]:
        """
        What stands under each class, in their order, and where.
        """
        settings = dict(self.mapping(node, path))
        self.known(settings, path, self.names)
        if missing := self.missing(settings, *self.names):
            self.fail(node, path, f"one value for each class, {', '.join(self.names)}", missing)
        for name in self.names:
            yield settings[name], self.at(path, name)

    def chances(self, node: yaml.Node, path: str) -> tuple[Percents, ...]:
        """
        By class, by number of the attempt or round.
        """
        if isinstance(node, yaml.MappingNode) and self.classes:
            return tuple([self._in_order(one, here) for one, here in self._by_class(node, path)])
        return (self._in_order(node, path),) * max(1, len(self.classes))

    def _in_order(self, node: yaml.Node, path: str) -> Percents:
        if isinstance(node, yaml.ScalarNode):
            return (float(self.value(node, path, texts.percent)),)
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.fail(node, path, "a percent or a list of them", self.describe(node))
        return tuple([float(self.value(one, f"{path}[{at}]", texts.percent)) for at, one in enumerate(node.value)])

    def count(self, node: yaml.Node, path: str) -> ByClass:
        if not isinstance(node, yaml.MappingNode):
            return tuple([Count(usual=Fixed(value)) for value in self.per_class(node, path, texts.count)])
        if not any(key.value in self.names for key, _ in node.value):
            return self._form(node, path, self.names)
        return tuple([self._of_class(one, here) for one, here in self._by_class(node, path)])

    def _of_class(self, node: yaml.Node, path: str) -> Count:
        if isinstance(node, yaml.MappingNode):
            return self._form(node, path, ())[0]
        return Count(usual=Fixed(self.value(node, path, texts.count)))

    def _form(self, node: yaml.Node, path: str, names: Sequence[str]) -> ByClass:
        settings = dict(self.mapping(node, path))
        self.known(settings, path, COUNT_KEYS)
        form = next((form for form in ("one_of", "mean", "p50") if form in settings), None)
        if form is None:
            self.fail(node, path, "`p50:` and `p95:`, `mean:`, or `one_of:`", "none of them")
        self.known(settings, path, _FORMS[form])
        counts: tuple[Fixed | OneOf | Lognormal | NegativeBinomial, ...]
        if form == "one_of":
            counts = (self._one_of(settings["one_of"], f"{path}.one_of"),) * max(1, len(names))
        elif form == "mean":
            counts = self._mean(node, settings, path, names)
        else:
            counts = self._quantiles(node, settings, path, names)
        if "rare" not in settings:
            return tuple([Count(usual=usual) for usual in counts])
        rare = self._rare(settings["rare"], f"{path}.rare", counts)
        return tuple([Count(usual=usual, rare=rare) for usual in counts])

    def _quantiles(
        self, node: yaml.Node, settings: dict[str, yaml.Node], path: str, names: Sequence[str]
    ) -> tuple[Lognormal, ...]:
        if missing := self.missing(settings, "p50", "p95", "max"):
            self.fail(node, path, "`p50:`, `p95:` and `max:` (a number, or `none`)", missing)
        p50s = self.per_class(settings["p50"], f"{path}.p50", texts.some, names)
        p95s = self.per_class(settings["p95"], f"{path}.p95", texts.some, names)
        mosts = self.per_class(settings["max"], f"{path}.max", texts.some_or_none, names)
        self._check_order(settings, path, p50=p50s, p95=p95s, max=mosts)
        zipped = zip(p50s, p95s, mosts, strict=True)
        return tuple([Lognormal(p50=float(p50), p95=float(p95), most=most) for p50, p95, most in zipped])

    def _mean(
        self, node: yaml.Node, settings: dict[str, yaml.Node], path: str, names: Sequence[str]
    ) -> tuple[NegativeBinomial, ...]:
        if missing := self.missing(settings, "max"):
            self.fail(node, path, "`max:` (a number, or `none`) with `mean:`", missing)
        means = self.per_class(settings["mean"], f"{path}.mean", texts.number, names)
        mosts = self.per_class(settings["max"], f"{path}.max", texts.count_or_none, names)
        leasts: tuple[int, ...] = (0,) * len(means)
        p95s: tuple[int | None, ...] = (None,) * len(means)
        if "min" in settings:
            leasts = self.per_class(settings["min"], f"{path}.min", texts.count, names)
        if "p95" in settings:
            p95s = self.per_class(settings["p95"], f"{path}.p95", texts.listed, names)
        self._check_order(settings, path, min=leasts, mean=means, max=mosts)
        self._check_order(settings, path, min=leasts, p95=p95s, max=mosts)
        at = (settings["p95"], f"{path}.p95") if "p95" in settings else (settings["mean"], f"{path}.mean")
        return tuple(
            [
                self.checked(*at, functools.partial(_fitted, mean=mean, p95=p95, least=least, most=most))
                for mean, p95, least, most in zip(means, p95s, leasts, mosts, strict=True)
            ]
        )

    def _check_order(self, settings: dict[str, yaml.Node], path: str, **numbers: Sequence[float | None]) -> None:
        """
        Of each class, no number may be below one that is named before it.
        """
        for of_class in zip(*numbers.values(), strict=True):
            known = [(name, number) for name, number in zip(numbers, of_class, strict=True) if number is not None]
            for (lower, low), (upper, high) in pairwise(known):
                if high < low:
                    self.fail(settings[upper], f"{path}.{upper}", f"at least its {lower}, {low:,.9g}", f"{high:,.9g}")

    def _one_of(self, node: yaml.Node, path: str) -> OneOf:
        found: dict[int, Fraction] = {}
        for text, share in self.mapping(node, path):
            here = self.at(path, text)
            value = self.checked(self.key(share), here, functools.partial(texts.count, text))
            if value in found:
                self.fail(self.key(share), here, "each value once", f"{value} a second time")
            found[value] = self.value(share, here, texts.some_percent)
        self.check_whole(node, path, found.values())
        return OneOf(tuple(sorted(found)), tuple([float(found[value]) for value in sorted(found)]))

    def check_whole(self, node: yaml.Node, path: str, shares: Collection[Fraction]) -> None:
        """
        Make sure that shares are all there is.
        """
        if sum(shares) != 1:
            self.fail(node, path, "percents that add up to 100%", texts.shown(sum(shares, Fraction(0))))

    def _rare(self, node: yaml.Node, path: str, usual: Sequence[Fixed | OneOf | Lognormal | NegativeBinomial]) -> Rare:
        settings = dict(self.mapping(node, path))
        self.known(settings, path, ("from", "share", "to"))
        if missing := self.missing(settings, "share", "from", "to"):
            self.fail(node, path, "`share:`, `from:` and `to:`", missing)
        rare = Rare(
            share=float(self.value(settings["share"], f"{path}.share", texts.some_percent)),
            least=self.value(settings["from"], f"{path}.from", texts.count),
            most=self.value(settings["to"], f"{path}.to", texts.count),
        )
        if rare.most < rare.least:
            self.fail(settings["to"], f"{path}.to", f"at least its from, {rare.least:,}", f"{rare.most:,}")
        for one in usual:
            most = Count(usual=one).most
            if most is None:
                self.fail(node, path, "a `max:` of what is usual, which the rare is above", "none")
            if rare.least <= most:
                expected = f"more than what is usual, which is up to {most:,}"
                self.fail(settings["from"], f"{path}.from", expected, f"{rare.least:,}")
        return rare

    def seconds(self, node: yaml.Node, path: str) -> Quantiles:
        if isinstance(node, yaml.ScalarNode):
            always = self.value(node, path, seconds)
            return Quantiles(p50=always, p95=always, most=always)
        settings = dict(self.mapping(node, path))
        self.known(settings, path, _TIMES)
        if missing := self.missing(settings, "p50", "p95"):
            self.fail(node, path, "`p50:` and `p95:`", missing)
        p50, p95 = [self.value(settings[name], f"{path}.{name}", some_seconds) for name in ("p50", "p95")]
        most = self.value(settings["max"], f"{path}.max", texts.some_seconds_or_none) if "max" in settings else None
        self._check_order(settings, path, p50=[p50], p95=[p95], max=[most])
        return Quantiles(p50=p50, p95=p95, most=most)

    def seconds_of_call(self, node: yaml.Node, path: str) -> Seconds:
        """
        Also as a time until the first token and one for each.
        """
        if not isinstance(node, yaml.MappingNode) or any(key.value in _TIMES for key, _ in node.value):
            return self.seconds(node, path)
        settings = dict(self.mapping(node, path))
        self.known(settings, path, (*_PACED, *_TIMES))
        if missing := self.missing(settings, *_PACED):
            self.fail(node, path, "`first_token:` and `per_output_token:`, or `p50:` and `p95:`", missing)
        first, each = [self.value(settings[name], f"{path}.{name}", seconds) for name in _PACED]
        return Paced(first_token=first, per_output_token=each)
