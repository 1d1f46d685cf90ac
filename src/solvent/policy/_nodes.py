"""
The values of a YAML file as texts with their lines: what is not understood is told with its line and its path.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml

from solvent.errors import SettingsError
from solvent.policy._yaml import compose

TEXT_MAX = 2_048  # Characters of one value.
NAME_MAX = 256
_SHOWN_MAX = 120
_CLOSE_MAX = 64  # Characters of a name that others are compared with.
_NOTHING = ("", "~", "Null", "NULL", "null")

T = TypeVar("T")


class Nodes:
    """
    The values of one file, read strictly.

    Args:
        name: What it is called where a limit says its source.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._name = name
        self._keys: dict[int, yaml.Node] = {}  # By value, the name that it stands under, for its line.

    def parse(self, data: bytes, *, such_as: str = "budgets", aliases: bool = False) -> yaml.Node:
        return compose(data, self.path, such_as=such_as, aliases=aliases)

    def mapping(self, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, path or "the file", "settings by name (`name: value`)", self.describe(node))
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fail(key, path or "the file", "a name", self.describe(key))
            name = self.text(key, path or "the file")
            if name == "<<":
                self.fail(key, path or "the file", "no merge keys", "<<")
            if name in seen:
                self.fail(key, self.at(path, name), "each name once", "it a second time")
            seen.add(name)
            self._keys[id(value)] = key
            yield name, value

    def items(self, node: yaml.Node, path: str, of: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, path, f"a list of {of}", self.describe(node))
        items: list[yaml.Node] = node.value
        return items

    def known(self, settings: dict[str, yaml.Node], path: str, known: Collection[str]) -> None:
        for name in settings:
            if name not in known:
                expected = f"{'one of ' if len(known) > 1 else ''}{', '.join(sorted(known))}"
                self.fail(self.key(settings[name]), self.at(path, name), expected, with_the_closest(name, known))

    def missing(self, settings: dict[str, yaml.Node], *names: str) -> str:
        """
        Those names that settings do not have, as an error says it; nothing, where all are there.
        """
        return " and ".join(f"no `{name}:`" for name in names if name not in settings)

    def text(self, node: yaml.Node, path: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, path, "one value", self.describe(node))
        text = str(node.value)
        if len(text) > TEXT_MAX:
            self.fail(node, path, f"at most {TEXT_MAX:,} characters", f"{len(text):,}")
        return text

    def name(self, node: yaml.Node, path: str, of: str) -> str:
        """
        A name; what other readers of YAML take for nothing is none unless it stands in quotes.
        """
        text = self.text(node, path)
        if _is_nothing(node):
            self.fail(node, path, f"the name of {of}", "nothing")
        if len(text) > NAME_MAX:
            self.fail(node, path, f"at most {NAME_MAX} characters", f"{len(text):,}")
        return text

    def value(self, node: yaml.Node, path: str, read: Callable[[str], T]) -> T:
        text = self.text(node, path)
        return self.checked(node, path, lambda: read(text))

    def checked(self, node: yaml.Node, path: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except ValueError as error:
            raise SettingsError(where=self.where(node, path), expected=cut(_expectation(error), 400)) from error

    def source(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"

    def where(self, node: yaml.Node, path: str) -> str:
        return f"{self.path}:{node.start_mark.line + 1}: {cut(path)}"

    def fail(self, node: yaml.Node, path: str, expected: str, got: str, *, hint: str = "") -> NoReturn:
        raise SettingsError(where=self.where(node, path), expected=cut(expected, 400), got=cut(got, 400), hint=hint)

    def key(self, value: yaml.Node) -> yaml.Node:
        """
        The name that a value of a mapping stands under.
        """
        return self._keys[id(value)]

    def below(self, node: yaml.Node, name: str) -> yaml.Node:
        """
        The name itself where it stands in a mapping.
        """
        found: yaml.Node = next(key for key, _ in node.value if key.value == name)
        return found

    @staticmethod
    def at(path: str, name: str) -> str:
        """
        Where a name stands, in words.
        """
        shown = name if re.fullmatch("[A-Za-z0-9_-]+", name) else f'"{name}"'
        return f"{path}.{shown}" if path else shown

    def said(self, node: yaml.Node, path: str) -> str:
        return self.text(node, path) or "nothing"

    @staticmethod
    def describe(node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return "nothing" if _is_nothing(node) else "one value"
        if isinstance(node, yaml.SequenceNode):
            return "a list" if node.value else "an empty list"
        return "settings by name"


def _is_nothing(node: yaml.Node) -> bool:
    if not isinstance(node, yaml.ScalarNode):
        return False
    return node.value == "" or (node.style is None and node.value in _NOTHING)


def with_the_closest(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1) if len(name) <= _CLOSE_MAX else ()
    return f"{name}; did you mean {close[0]}?" if close else cut(name)


def cut(text: str, most: int = _SHOWN_MAX) -> str:
    """
    A text as long as a line may show it.
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _expectation(error: ValueError) -> str:
    said = re.sub("^.*? must (?:be|have) ", "", str(error))
    return re.sub(", got ''$", ", got nothing", said)
