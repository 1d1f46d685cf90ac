"""
``solvent.yaml`` as text scalars, strictly: what is not understood is an error with its line, and nothing is guessed.
"""

import difflib
import functools
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml

from solvent import _amounts
from solvent._limits import METERS, SCOPE_KINDS, WINDOWS, Limit, Meter, check_time_zone
from solvent.errors import SettingsError
from solvent.policy import Policy
from solvent.prices import UserPrice

BYTES_MAX = 1_000_000
# Named in the design and not in force yet: accepting them would promise what nothing keeps.
_LATER = ("alert", "fallback", "loops", "store_down")
_CHECKED_LATER = ("depth", "seconds")

T = TypeVar("T")


def read_policy(path: Path) -> Policy:
    """
    The policy in a file.

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
    return reader.policy(reader.parse(data))


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._time_zone = "UTC"
        self._keys: dict[int, yaml.Node] = {}  # By value, the name that it stands under, for its line.

    def parse(self, data: bytes) -> yaml.Node:
        try:
            for event in yaml.parse(data, Loader=yaml.BaseLoader):
                if isinstance(event, yaml.AliasEvent):
                    line = event.start_mark.line + 1 if event.start_mark else 0
                    raise SettingsError(where=f"{self._path}:{line}", expected="no aliases (`*name`)")
            node = yaml.compose(data, Loader=yaml.BaseLoader)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{self._path}:{mark.line + 1}" if mark else str(self._path)
            problem = getattr(error, "problem", None) or str(error).splitlines()[0]
            raise SettingsError(where=where, expected="YAML", got=problem) from error
        if node is None:
            raise SettingsError(where=str(self._path), expected="settings such as `budgets:`", got="an empty file")
        return node

    def policy(self, root: yaml.Node) -> Policy:
        settings = dict(self._mapping(root, ""))
        self._known(settings, "", _TOP)
        if "time_zone" in settings:
            self._time_zone = self._value(settings["time_zone"], "time_zone", check_time_zone)
        policy = {name: read(self, settings[name], name) for name, read in _TOP.items() if name in settings and read}
        merged: dict[str, object] = {}
        for fields in policy.values():
            merged.update(fields)
        return Policy(**merged)  # type: ignore[arg-type]  # Each reader gives fields of Policy by their names.

    def budgets(self, node: yaml.Node, path: str) -> dict[str, object]:
        budgets: list[tuple[str, Limit]] = []
        for pattern, value in self._mapping(node, path):
            here = f'{path}."{pattern}"'
            if not all(re.fullmatch(rf"({'|'.join(SCOPE_KINDS)}):[^/]+", part) for part in pattern.split("/")):
                self._fail(value, here, "a scope such as run:*, agent:researcher or org:acme/team:*", pattern)
            budgets += [(pattern, limit) for limit in self._limits(value, here, windows=True)]
        return {"budgets": tuple(budgets)}

    def call(self, node: yaml.Node, path: str) -> dict[str, object]:
        limits = self._limits(node, path, windows=False)
        for limit in limits:
            if limit.meter not in ("usd", "tokens", "input_tokens", "output_tokens"):
                self._fail(node, f"{path}.{limit.meter}", "usd, tokens, input_tokens or output_tokens", limit.meter)
        return {"call": limits}

    def _limits(self, node: yaml.Node, path: str, *, windows: bool) -> tuple[Limit, ...]:
        limits: list[Limit] = []
        for meter, value in self._mapping(node, path):
            here = f"{path}.{meter}"
            if meter in _CHECKED_LATER:
                self._fail(
                    value, here, "a meter that a policy can limit by now; for time use `solvent run --time`", meter
                )
            if meter not in METERS:
                self._fail(value, here, f"one of {', '.join(METERS)}", meter)
            for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                limits.append(self._limit(one, here, meter, windows=windows))
        return tuple(limits)

    def _limit(self, node: yaml.Node, path: str, meter: Meter, *, windows: bool) -> Limit:
        if isinstance(node, yaml.MappingNode):
            settings = dict(self._mapping(node, path))
            self._known(settings, path, {"limit": None, "on_exceed": None})
            if "on_exceed" in settings:
                self._value(settings["on_exceed"], f"{path}.on_exceed", _block)
            if "limit" not in settings:
                self._fail(node, path, "`limit:` with an amount", "none")
            return self._limit(settings["limit"], f"{path}.limit", meter, windows=windows)
        text = self._text(node, path)
        amount, slash, window = text.partition("/")
        if slash and (not windows or window not in WINDOWS[1:]):
            expected = (
                "an amount without a window"
                if not windows
                else ('an amount per minute, hour, day, week or month such as "20/day"')
            )
            self._fail(node, path, expected, f'"{text}"')
        read = _amounts.nanodollars if meter == "usd" else _amounts.count
        return Limit(
            meter=meter,
            amount=self._checked(node, path, lambda: read(amount, name="amount")),
            window=window,
            time_zone=self._time_zone,
            source=self._source(node),
        )

    def wait(self, node: yaml.Node, path: str) -> dict[str, object]:
        return {"wait_seconds": self._value(node, path, _amounts.seconds)}

    def shrink(self, node: yaml.Node, path: str) -> dict[str, object]:
        settings = dict(self._mapping(node, path))
        self._known(settings, path, {"output_tokens_min": None, "explicit": None})
        fields: dict[str, object] = {}
        if "output_tokens_min" in settings:
            here = f"{path}.output_tokens_min"
            fields["shrink_tokens_min"] = self._value(settings["output_tokens_min"], here, _amounts.count)
        if "explicit" in settings:
            fields["shrink_explicit"] = self._value(settings["explicit"], f"{path}.explicit", _boolean)
        return fields

    def unpriced(self, node: yaml.Node, path: str) -> dict[str, object]:
        if isinstance(node, yaml.MappingNode):
            settings = dict(self._mapping(node, path))
            self._known(settings, path, {"price_as": None})
            if not settings:
                self._fail(node, path, "{price_as: MODEL}", "none")
            return {"price_as": self._text(settings["price_as"], f"{path}.price_as")}
        if self._text(node, path) != "refuse":
            self._fail(node, path, "`refuse` or {price_as: MODEL}", self._text(node, path))
        return {}

    def prices(self, node: yaml.Node, path: str) -> dict[str, object]:
        prices = {}
        for model, value in self._mapping(node, path):
            here = f"{path}.{model}"
            settings = dict(self._mapping(value, here))
            self._known(settings, here, dict.fromkeys(("input", "output", "cache_read", "cache_write")))
            for name in ("input", "output"):
                if name not in settings:
                    self._fail(value, here, "`input:` and `output:` in USD per million tokens", "one of them")
            texts = {name: self._text(amount, f"{here}.{name}") for name, amount in settings.items()}
            prices[model] = self._checked(value, here, functools.partial(_user_price, texts, self._source(value)))
        return {"prices": prices}

    def ledger(self, node: yaml.Node, path: str) -> dict[str, object]:
        url = self._text(node, path)
        scheme, separator, rest = url.partition(":///")
        if scheme == "sqlite" and separator and not rest.startswith("/"):
            url = f"sqlite:///{self._path.parent.resolve() / rest}"  # Relative to this file.
        return {"ledger": url}

    def _mapping(self, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, path or "the file", "settings by name (`name: value`)", self._describe(node))
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fail(key, path or "the file", "a name", self._describe(key))
            if key.value in seen:
                self._fail(key, f"{path}.{key.value}".lstrip("."), "each name once", "it a second time")
            seen.add(key.value)
            self._keys[id(value)] = key
            yield key.value, value

    def _known(self, settings: dict[str, yaml.Node], path: str, known: Collection[str]) -> None:
        for name in settings:
            here = f"{path}.{name}".lstrip(".")
            line = self._keys[id(settings[name])]
            if not path and name in _LATER:
                self._fail(line, here, "a setting that is in force by now; this one comes with a later version", name)
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                got = f"{name}; did you mean {close[0]}?" if close else name
                self._fail(line, here, f"one of {', '.join(sorted(known))}", got)

    def _text(self, node: yaml.Node, path: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, path, "one value", self._describe(node))
        return str(node.value)

    def _value(self, node: yaml.Node, path: str, read: Callable[[str], T]) -> T:
        text = self._text(node, path)
        return self._checked(node, path, lambda: read(text))

    def _checked(self, node: yaml.Node, path: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except ValueError as error:
            raise SettingsError(where=self._where(node, path), expected=_expectation(error)) from error

    def _source(self, node: yaml.Node) -> str:
        return f"{self._path.name}:{node.start_mark.line + 1}"

    def _where(self, node: yaml.Node, path: str) -> str:
        return f"{self._path}:{node.start_mark.line + 1}: {path}"

    def _fail(self, node: yaml.Node, path: str, expected: str, got: str) -> NoReturn:
        raise SettingsError(where=self._where(node, path), expected=expected, got=got)

    @staticmethod
    def _describe(node: yaml.Node) -> str:
        kinds = {yaml.ScalarNode: "one value", yaml.SequenceNode: "a list", yaml.MappingNode: "settings by name"}
        return kinds[type(node)]


def _user_price(texts: dict[str, str], source: str) -> UserPrice:
    return UserPrice.per_million_tokens(**texts, source=source)  # type: ignore[arg-type]  # The names are checked.


def _expectation(error: ValueError) -> str:
    return str(error).partition(" must be ")[2] or str(error)


def _block(text: str) -> str:
    if text != "block":
        raise ValueError(f"on_exceed must be block (warn and log come with a later version), got {text!r}")
    return text


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"explicit must be true or false, got {text!r}")
    return text == "true"


_TOP = {
    "budgets": _Reader.budgets,
    "call": _Reader.call,
    "ledger": _Reader.ledger,
    "prices": _Reader.prices,
    "shrink": _Reader.shrink,
    "time_zone": None,  # Read before the others, which need it.
    "unpriced": _Reader.unpriced,
    "wait": _Reader.wait,
}
