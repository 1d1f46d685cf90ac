"""
``solvent.yaml`` as text scalars, strictly: what is not understood is an error with its line, and nothing is guessed.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import yaml
from msgspec.structs import replace

from solvent import _amounts
from solvent._limits import (
    GAUGES,
    METERS,
    ON_EXCEED,
    PATH_METERS,
    WINDOWS,
    Limit,
    Meter,
    OnExceed,
    Scope,
    check_time_zone,
)
from solvent.errors import SettingsError
from solvent.policy import TIGHTENINGS, LoopRule, Policy
from solvent.policy._fallback import Fallback, check_chain, served_apart, share
from solvent.policy._nodes import Nodes, with_the_closest
from solvent.prices import OwnPrice, PriceAs, Prices, UserPrice
from solvent.prices._user import RATES
from solvent.stores import STORES, spelled_out

BYTES_MAX = 1_000_000
SAME_CALL_MAX = 1_000  # Times of a request that are remembered.


def read_policy(path: Path, *, prices: Mapping[str, OwnPrice] = MappingProxyType({})) -> Policy:
    """
    The policy in a file.

    Args:
        prices: Given beside it, by flags or in code; they win over those of the file.

    Raises:
        SettingsError: The file cannot be read, or says something that is not understood; names the line and the path.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            where=str(path), expected="a policy file that can be read", got=error.strerror or ""
        ) from error
    if len(data) > BYTES_MAX:
        raise SettingsError(where=str(path), expected=f"at most {BYTES_MAX:,} bytes", got=f"{len(data):,}")
    reader = _Reader(path)
    return reader.policy(reader.parse(data), prices)


class _Reader(Nodes):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._time_zone = "UTC"
        self._steps: list[tuple[Fallback, yaml.Node, str]] = []  # Each with where its `to` stands.

    def policy(self, root: yaml.Node, prices: Mapping[str, OwnPrice]) -> Policy:
        settings = dict(self.mapping(root, ""))
        self.known(settings, "", _TOP)
        if "time_zone" in settings:
            self._time_zone = self.value(settings["time_zone"], "time_zone", check_time_zone)
        policy = {name: read(self, settings[name], name) for name, read in _TOP.items() if name in settings and read}
        merged: dict[str, object] = {}
        for fields in policy.values():
            merged.update(fields)
        found = Policy(**merged)  # type: ignore[arg-type]  # Each reader gives fields of Policy by their names.
        found = replace(found, prices={**found.prices, **prices})
        self._check_prices(found, settings)
        return found

    def _check_prices(self, policy: Policy, settings: Mapping[str, yaml.Node]) -> None:
        """
        A price that one model is to have from another must be known now, and not when a call needs it.
        """
        has_names = any(isinstance(price, PriceAs) for price in policy.prices.values())
        if policy.price_as is None and not has_names and not policy.fallback:
            return  # The rate card need not be read.
        known = Prices.load(policy.prices)
        known.check()
        if policy.price_as is not None:
            known.check_name(policy.price_as, where=self.where(settings["unpriced"], "unpriced.price_as"))
        for step, node, path in self._steps:
            if step.to in policy.prices:
                continue
            known.check_name(step.to, where=self.where(node, path))
            if step.model not in policy.prices and served_apart(known.card, step):
                self.fail(node, path, f"a model of the provider that serves {step.model}", step.to)

    def budgets(self, node: yaml.Node, path: str) -> dict[str, object]:
        budgets: list[tuple[str, Limit]] = []
        for pattern, value in self.mapping(node, path):
            here = f'{path}."{pattern}"'
            self._check_pattern(self.key(value), here, pattern)
            budgets += [(pattern, limit) for limit in self._limits(value, here, windows=True)]
        return {"budgets": tuple(budgets)}

    def _check_pattern(self, node: yaml.Node, path: str, pattern: str) -> None:
        """
        A pattern that no scope can have would limit nothing, and nobody would be told.
        """
        if re.search(r"[^:]\*|\*[^/]", pattern):
            self.fail(node, path, "`*` for a whole name, as in run:*", pattern)
        try:
            Scope.parse(pattern)
        except ValueError as error:
            got = f"{pattern} ({error})" if pattern not in str(error) else pattern
            self.fail(node, path, "a scope such as run:*, agent:researcher or org:acme/team:*", got)

    def call(self, node: yaml.Node, path: str) -> dict[str, object]:
        limits = self._limits(node, path, windows=False)
        for limit in limits:
            if limit.meter not in ("usd", "tokens", "input_tokens", "output_tokens"):
                self.fail(node, f"{path}.{limit.meter}", "usd, tokens, input_tokens or output_tokens", limit.meter)
        return {"call": limits}

    def _limits(self, node: yaml.Node, path: str, *, windows: bool) -> tuple[Limit, ...]:
        limits: list[Limit] = []
        for meter, value in self.mapping(node, path):
            here = f"{path}.{meter}"
            if meter not in METERS + PATH_METERS:
                self.fail(value, here, f"one of {', '.join(METERS + PATH_METERS)}", meter)
            for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                limits.append(self._limit(one, here, meter, windows=windows))
        return tuple(limits)

    def _limit(
        self, node: yaml.Node, path: str, meter: Meter, *, windows: bool, on_exceed: OnExceed = "block"
    ) -> Limit:
        if isinstance(node, yaml.MappingNode):
            settings = dict(self.mapping(node, path))
            self.known(settings, path, {"limit": None, "on_exceed": None})
            if "on_exceed" in settings:
                on_exceed = self.value(settings["on_exceed"], f"{path}.on_exceed", _on_exceed)
            if "limit" not in settings:
                self.fail(node, path, "`limit:` with an amount", "none")
            return self._limit(settings["limit"], f"{path}.limit", meter, windows=windows, on_exceed=on_exceed)
        text = self.text(node, path)
        amount, slash, window = text.partition("/")
        windows = windows and meter not in PATH_METERS and meter not in GAUGES
        if slash and (not windows or window not in WINDOWS[1:]):
            expected = (
                "an amount without a window"
                if not windows
                else ('an amount per minute, hour, day, week or month such as "20/day"')
            )
            self.fail(node, path, expected, f'"{text}"')
        read = {"usd": _amounts.nanodollars, "seconds": _amounts.whole_seconds}.get(meter, _amounts.count)
        return Limit(
            meter=meter,
            amount=self.amount(node, path, lambda _: read(amount, name="amount")),
            window=window,
            time_zone=self._time_zone,
            source=self.source(node),
            on_exceed=on_exceed,
        )

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
        for name in ("from", "to"):
            if name not in settings:
                self.fail(node, path, "`from:` and `to:` with the names of models", "one of them")
        step = Fallback(
            model=self.text(settings["from"], f"{path}.from"),
            to=self.text(settings["to"], f"{path}.to"),
            at=self.value(settings["at"], f"{path}.at", share) if "at" in settings else None,
        )
        self._steps.append((step, settings["to"], f"{path}.to"))
        return step

    def loops(self, node: yaml.Node, path: str) -> dict[str, object]:
        settings = dict(self.mapping(node, path))
        self.known(settings, path, ("on_exceed", "same_call", "within"))
        if "same_call" not in settings:
            self.fail(node, path, "`same_call:` with how often the same request may come", "none")
        rule = LoopRule(
            same_call=self.value(settings["same_call"], f"{path}.same_call", _same_call),
            source=self.source(settings["same_call"]),
        )
        if "within" in settings:
            rule = replace(rule, within_seconds=self.value(settings["within"], f"{path}.within", _amounts.seconds))
        if "on_exceed" in settings:
            rule = replace(rule, on_exceed=self.value(settings["on_exceed"], f"{path}.on_exceed", _on_exceed))
        return {"loops": rule}

    def wait(self, node: yaml.Node, path: str) -> dict[str, object]:
        return {"wait_seconds": self.value(node, path, _amounts.seconds)}

    def shrink(self, node: yaml.Node, path: str) -> dict[str, object]:
        if isinstance(node, yaml.ScalarNode):
            if node.value != "off":
                self.fail(node, path, "{output_tokens_min: N, explicit: true or false} or `off`", self.text(node, path))
            return {"shrink_tokens_min": 0}
        settings = dict(self.mapping(node, path))
        self.known(settings, path, {"output_tokens_min": None, "explicit": None})
        fields: dict[str, object] = {}
        if "output_tokens_min" in settings:
            here = f"{path}.output_tokens_min"
            fields["shrink_tokens_min"] = self.amount(settings["output_tokens_min"], here, _tokens_min)
        if "explicit" in settings:
            fields["shrink_explicit"] = self.value(settings["explicit"], f"{path}.explicit", _boolean)
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
            return {"open_nanodollars": self.amount(settings["open"], f"{path}.open", _amounts.nanodollars)}
        if self.text(node, path) != "refuse":
            self.fail(node, path, "`refuse` or {open: AMOUNT}", self.text(node, path))
        return {}

    def unpriced(self, node: yaml.Node, path: str) -> dict[str, object]:
        if isinstance(node, yaml.MappingNode):
            settings = dict(self.mapping(node, path))
            self.known(settings, path, {"price_as": None})
            if not settings:
                self.fail(node, path, "{price_as: MODEL}", "none")
            return {"price_as": self.text(settings["price_as"], f"{path}.price_as")}
        if self.text(node, path) != "refuse":
            self.fail(node, path, "`refuse` or {price_as: MODEL}", self.text(node, path))
        return {}

    def prices(self, node: yaml.Node, path: str) -> dict[str, object]:
        prices: dict[str, OwnPrice] = {}
        for model, value in self.mapping(node, path):
            here = f"{path}.{model}"
            if isinstance(value, yaml.ScalarNode) and value.value:
                prices[model] = PriceAs(model=value.value, source=self.source(value))
                continue
            settings = dict(self.mapping(value, here))
            self.known(settings, here, RATES)
            for name in ("input", "output"):
                if name not in settings:
                    self.fail(value, here, "`input:` and `output:` in USD per million tokens", "one of them")
            texts = {name: self._price(amount, f"{here}.{name}", name) for name, amount in settings.items()}
            prices[model] = self.checked(value, here, functools.partial(_user_price, texts, self.source(value)))
        return {"prices": prices}

    def _price(self, node: yaml.Node, path: str, name: str) -> str:
        """
        One figure of a price, checked alone, for the error to name it.
        """
        free = {"input": "0", "output": "0"}
        self.amount(node, path, lambda text: _user_price({**free, name: text}, ""))
        return self.text(node, path)

    def ledger(self, node: yaml.Node, path: str) -> dict[str, object]:
        url = spelled_out(self.text(node, path))
        if url.partition("://")[0] not in STORES or "://" not in url:
            self.fail(node, path, "a file that ends in .db, or a URL such as sqlite:///ledger.db", url or "nothing")
        scheme, separator, rest = url.partition(":///")
        if scheme == "sqlite" and separator and not rest.startswith("/"):
            url = f"sqlite:///{self.path.parent.resolve() / rest}"  # Relative to this file.
        return {"ledger": url}


def _user_price(texts: dict[str, str], source: str) -> UserPrice:
    return UserPrice.per_million_tokens(**texts, source=source)  # type: ignore[arg-type]  # The names are checked.


def _on_exceed(text: str) -> OnExceed:
    for known in ON_EXCEED:
        if text == known:
            return known
    raise ValueError(f"on_exceed must be block, warn or log, got {text!r}")


def _same_call(text: str) -> int:
    times = _amounts.count(text, name="same_call")
    if not 1 <= times <= SAME_CALL_MAX:
        raise ValueError(f"same_call must be within 1 and {SAME_CALL_MAX:,}, got {times}")
    return times


def _tokens_min(text: str) -> int:
    tokens = _amounts.count(text, name="output_tokens_min")
    if not tokens:
        raise ValueError("output_tokens_min must be 1 or more (`shrink: off` shrinks no call), got 0")
    return tokens


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"explicit must be true or false, got {text!r}")
    return text == "true"


_TOP = {
    "budgets": _Reader.budgets,
    "call": _Reader.call,
    "fallback": _Reader.fallback,
    "ledger": _Reader.ledger,
    "loops": _Reader.loops,
    "prices": _Reader.prices,
    "shrink": _Reader.shrink,
    "store_down": _Reader.store_down,
    "tighten": _Reader.tighten,
    "time_zone": None,  # Read before the others, which need it.
    "unpriced": _Reader.unpriced,
    "wait": _Reader.wait,
}
