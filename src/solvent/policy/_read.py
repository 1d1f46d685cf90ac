"""
``solvent.yaml`` as text scalars, strictly: what is not understood is an error with its line, and nothing is guessed.
"""

import functools
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import yaml
from msgspec.structs import replace

from solvent._limits import (
    check_time_zone,
)
from solvent.policy import TIGHTENINGS, LoopRule, Policy
from solvent.policy._alert import Alert, variable, webhook
from solvent.policy._fallback import Fallback, check_chain, check_step, share
from solvent.policy._nodes import with_the_closest
from solvent.policy._read_limits import LimitReader
from solvent.policy._texts import boolean, dollars, on_exceed, same_call, seconds, some_seconds, tokens_min
from solvent.policy._yaml import content
from solvent.prices import OwnPrice, PriceAs, Prices, UserPrice
from solvent.prices._user import RATES
from solvent.stores import _SYNCHRONOUS as SYNCHRONOUS
from solvent.stores import STORES, spelled_out


def read_policy(
    path: Path, *, prices: Mapping[str, OwnPrice] = MappingProxyType({}), name: str | None = None
) -> Policy:
    """
    The policy in a file.

    Args:
        prices: Given beside it, by flags or in code; they win over those of the file.
        name: What the file is called where a limit says its source; the last part of its path, unless given.

    Raises:
        SettingsError: The file cannot be read, or says something that is not understood; names the line and the path.
    """
    return Reader(path, name=name).policy(prices)


class Reader(LimitReader):
    """
    One file.

    Attributes:
        settings: What stands in it, by the settings' names.
        fields: What each of them says, as fields of ``Policy``.
        steps: Of ``fallback``, each with where its ``to`` stands.
    """

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        super().__init__(path, name or path.name)
        self.settings = dict(self.mapping(self.parse(content(path, "a policy file")), ""))
        self.fields: dict[str, dict[str, object]] = {}
        self.steps: list[tuple[Fallback, yaml.Node, str]] = []
        self._priced_as: list[tuple[PriceAs, yaml.Node, str]] = []

    def policy(self, prices: Mapping[str, OwnPrice]) -> Policy:
        self.known(self.settings, "", SETTINGS)
        if "time_zone" in self.settings:
            self.time_zone = self.value(self.settings["time_zone"], "time_zone", check_time_zone)
        for name, read in SETTINGS.items():
            if name in self.settings and read is not None:
                self.fields[name] = read(self, self.settings[name], name)
        merged: dict[str, object] = {"files": (str(self.path.absolute()),)}
        for fields in self.fields.values():
            merged.update(fields)
        found = Policy(**merged)  # type: ignore[arg-type]  # Each reader gives fields of Policy by their names.
        found = replace(found, prices={**found.prices, **prices})
        self._check_prices(found)
        return found

    def _check_prices(self, policy: Policy) -> None:
        """
        A price that one model is to have from another must be known now, and not when a call needs it.
        """
        has_names = any(isinstance(price, PriceAs) for price in policy.prices.values())
        if policy.price_as is None and not has_names and not policy.fallback:
            return  # The rate card need not be read.
        known = Prices.load(policy.prices)
        for price, node, path in self._priced_as:
            if price in policy.prices.values():  # Else a flag has won over it.
                known.check_name(price.model, where=self.where(node, path))
        known.check()
        if policy.price_as is not None:
            known.check_name(policy.price_as, where=self.where(self.settings["unpriced"], "unpriced.price_as"))
        for step, node, path in self.steps:
            check_step(step, known, policy.prices, where=self.where(node, path))

    def fallback(self, node: yaml.Node, path: str) -> dict[str, object]:
        steps: list[Fallback] = []
        for place, one in enumerate(self.items(node, path, "steps")):
            here = f"{path}[{place}]"
            steps.append(self._step(one, here))
            self.checked(one, here, functools.partial(check_chain, steps))
        return {"fallback": tuple(steps)}

    def _step(self, node: yaml.Node, path: str) -> Fallback:
        settings = dict(self.mapping(node, path))
        self.known(settings, path, ("at", "from", "to"))
        if missing := self.missing(settings, "from", "to"):
            self.fail(node, path, "`from:` and `to:` with the names of models", missing)
        step = Fallback(
            model=self.name(settings["from"], f"{path}.from", "a model"),
            to=self.name(settings["to"], f"{path}.to", "a model"),
            at=self.value(settings["at"], f"{path}.at", share) if "at" in settings else None,
        )
        self.steps.append((step, settings["to"], f"{path}.to"))
        return step

    def loops(self, node: yaml.Node, path: str) -> dict[str, object]:
        settings = dict(self.mapping(node, path))
        self.known(settings, path, ("on_exceed", "same_call", "within"))
        if "same_call" not in settings:
            self.fail(node, path, "`same_call:` with how often the same request may come", "none")
        rule = LoopRule(
            same_call=self.value(settings["same_call"], f"{path}.same_call", same_call),
            source=self.source(settings["same_call"]),
        )
        if "within" in settings:
            rule = replace(rule, within_seconds=self.value(settings["within"], f"{path}.within", some_seconds))
        if "on_exceed" in settings:
            rule = replace(rule, on_exceed=self.value(settings["on_exceed"], f"{path}.on_exceed", on_exceed))
        return {"loops": rule}

    def alert(self, node: yaml.Node, path: str) -> dict[str, object]:
        settings = dict(self.mapping(node, path))
        self.known(settings, path, ("at", "secret_env", "webhook"))
        if "at" not in settings:
            self.fail(node, path, "`at:` with shares of a limit such as [50%, 80%, 100%]", "none")
        if "secret_env" in settings and "webhook" not in settings:
            self.fail(settings["secret_env"], f"{path}.secret_env", "`webhook:` beside it", "none")
        texts = {
            name: self.value(settings[name], f"{path}.{name}", read)
            for name, read in (("webhook", webhook), ("secret_env", variable))
            if name in settings
        }
        at = self._shares(settings["at"], f"{path}.at")
        return {"alert": Alert(at=at, source=self.source(settings["at"]), **texts)}

    def _shares(self, node: yaml.Node, path: str) -> tuple[Fraction, ...]:
        found: list[Fraction] = []
        for one in self.items(node, path, "shares of a limit such as [50%, 80%, 100%]"):
            at = self.value(one, path, share)
            if at in found:
                self.fail(one, path, "each share once", f"{self.text(one, path)} a second time")
            found.append(at)
        if not found:
            self.fail(node, path, "a list of shares of a limit such as [50%, 80%, 100%]", "none")
        return tuple(sorted(found))

    def wait(self, node: yaml.Node, path: str) -> dict[str, object]:
        return {"wait_seconds": self.value(node, path, seconds)}

    def shrink(self, node: yaml.Node, path: str) -> dict[str, object]:
        if isinstance(node, yaml.ScalarNode):
            if node.value != "off":
                self.fail(node, path, "{output_tokens_min: N, explicit: true or false} or `off`", self.said(node, path))
            return {"shrink_tokens_min": 0}
        settings = dict(self.mapping(node, path))
        self.known(settings, path, {"output_tokens_min": None, "explicit": None})
        fields: dict[str, object] = {}
        if "output_tokens_min" in settings:
            here = f"{path}.output_tokens_min"
            fields["shrink_tokens_min"] = self.value(settings["output_tokens_min"], here, tokens_min)
        if "explicit" in settings:
            fields["shrink_explicit"] = self.value(settings["explicit"], f"{path}.explicit", boolean)
        return fields

    def tighten(self, node: yaml.Node, path: str) -> dict[str, object]:
        items = self.items(node, path, ", ".join(TIGHTENINGS))
        ways = [self.text(one, path) for one in items]
        for way, one in zip(ways, items, strict=True):
            if way not in TIGHTENINGS or ways.count(way) > 1:
                got = way if way in TIGHTENINGS else with_the_closest(way, TIGHTENINGS)
                self.fail(one, path, f"each of {', '.join(TIGHTENINGS)} at most once", got)
        return {"tighten": tuple([way for way in TIGHTENINGS if way in ways])}

    def store_down(self, node: yaml.Node, path: str) -> dict[str, object]:
        if isinstance(node, yaml.MappingNode):
            settings = dict(self.mapping(node, path))
            self.known(settings, path, ("open",))
            if not settings:
                self.fail(node, path, "{open: AMOUNT}", "none")
            return {"open_nanodollars": self.value(settings["open"], f"{path}.open", dollars)}
        if self.text(node, path) != "refuse":
            self.fail(node, path, "`refuse` or {open: AMOUNT}", self.said(node, path))
        return {"open_nanodollars": 0}

    def unpriced(self, node: yaml.Node, path: str) -> dict[str, object]:
        if isinstance(node, yaml.MappingNode):
            settings = dict(self.mapping(node, path))
            self.known(settings, path, {"price_as": None})
            if not settings:
                self.fail(node, path, "{price_as: MODEL}", "none")
            return {"price_as": self.name(settings["price_as"], f"{path}.price_as", "a model")}
        if self.text(node, path) != "refuse":
            self.fail(node, path, "`refuse` or {price_as: MODEL}", self.said(node, path))
        return {"price_as": None}

    def prices(self, node: yaml.Node, path: str) -> dict[str, object]:
        prices: dict[str, OwnPrice] = {}
        for model, value in self.mapping(node, path):
            here = self.at(path, model)
            self.name(self.key(value), path, "a model")
            if isinstance(value, yaml.ScalarNode):
                named = self.name(value, here, "a model that costs the same, or `input:` and `output:`")
                price = PriceAs(model=named, source=self.source(value))
                self._priced_as.append((price, value, here))
                prices[model] = price
                continue
            settings = dict(self.mapping(value, here))
            self.known(settings, here, RATES)
            if missing := self.missing(settings, "input", "output"):
                self.fail(value, here, "`input:` and `output:` in USD per million tokens", missing)
            texts = {name: self._price(amount, f"{here}.{name}", name) for name, amount in settings.items()}
            prices[model] = self.checked(value, here, functools.partial(_user_price, texts, self.source(value)))
        return {"prices": prices}

    def _price(self, node: yaml.Node, path: str, name: str) -> str:
        """
        One figure of a price, checked alone, for the error to name it.
        """
        free = {"input": "0", "output": "0"}
        self.value(node, path, dollars)
        self.value(node, path, lambda text: _user_price({**free, name: text}, ""))
        return self.text(node, path)

    def ledger(self, node: yaml.Node, path: str) -> dict[str, object]:
        url = spelled_out(self.text(node, path))
        scheme, separator, rest = url.partition("://")
        if scheme not in STORES or not separator:
            self.fail(node, path, "a file that ends in .db, or a URL such as sqlite:///ledger.db", url or "nothing")
        if scheme != "sqlite":
            return {"ledger": url}
        file, mark, option = rest.partition("?")
        if not file.startswith("/") or file.endswith("/"):
            self.fail(node, path, "sqlite:///relative/path.db or sqlite:////absolute/path.db", url)
        if option not in SYNCHRONOUS:
            self.fail(node, path, "no option, ?synchronous=full or ?synchronous=normal", f"?{option}")
        # Relative to this file.
        return {"ledger": f"sqlite:///{self.path.parent.resolve() / file.removeprefix('/')}{mark}{option}"}


def _user_price(texts: dict[str, str], source: str) -> UserPrice:
    return UserPrice.per_million_tokens(**texts, source=source)  # type: ignore[arg-type]  # The names are checked.


SETTINGS = {
    "alert": Reader.alert,
    "budgets": Reader.budgets,
    "call": Reader.call,
    "fallback": Reader.fallback,
    "ledger": Reader.ledger,
    "loops": Reader.loops,
    "prices": Reader.prices,
    "shrink": Reader.shrink,
    "store_down": Reader.store_down,
    "tighten": Reader.tighten,
    "time_zone": None,  # Read before the others, which need it.
    "unpriced": Reader.unpriced,
    "wait": Reader.wait,
}
