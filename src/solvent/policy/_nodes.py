"""
A YAML file as text scalars with their lines: what is not understood is told with its line and its path.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml

from solvent.errors import SettingsError

# Named in the design and not in force yet: accepting it would promise what nothing keeps.
_LATER = ("alert",)

T = TypeVar("T")


class Nodes:
    """
    The values of one file, read strictly.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: dict[int, yaml.Node] = {}  # By value, the name that it stands under, for its line.

    def parse(self, data: bytes) -> yaml.Node:
        try:
            for event in yaml.parse(data, Loader=yaml.BaseLoader):
                if isinstance(event, yaml.AliasEvent):
                    line = event.start_mark.line + 1 if event.start_mark else 0
                    raise SettingsError(where=f"{self.path}:{line}", expected="no aliases (`*name`)")
            node = yaml.compose(data, Loader=yaml.BaseLoader)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{self.path}:{mark.line + 1}" if mark else str(self.path)
            expected, got = _problem(getattr(error, "problem", None) or str(error).splitlines()[0])
            raise SettingsError(where=where, expected=expected, got=got) from error
        if node is None:
            raise SettingsError(where=str(self.path), expected="settings such as `budgets:`", got="an empty file")
        return node

    def mapping(self, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, path or "the file", "settings by name (`name: value`)", self.describe(node))
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fail(key, path or "the file", "a name", self.describe(key))
            if key.value in seen:
                self.fail(key, f"{path}.{key.value}".lstrip("."), "each name once", "it a second time")
            seen.add(key.value)
            self._keys[id(value)] = key
            yield key.value, value

    def items(self, node: yaml.Node, path: str, of: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, path, f"a list of {of}", self.describe(node))
        items: list[yaml.Node] = node.value
        return items

    def known(self, settings: dict[str, yaml.Node], path: str, known: Collection[str]) -> None:
        for name in settings:
            here = f"{path}.{name}".lstrip(".")
            line = self.key(settings[name])
            if not path and name in _LATER:
                self.fail(line, here, "a setting that is in force by now; this one comes with a later version", name)
            if name not in known:
                self.fail(line, here, f"one of {', '.join(sorted(known))}", with_the_closest(name, known))

    def text(self, node: yaml.Node, path: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, path, "one value", self.describe(node))
        return str(node.value)

    def amount(self, node: yaml.Node, path: str, read: Callable[[str], T]) -> T:
        """
        A number; one with underlines is a thousand times another one, by the reader's version of YAML.
        """
        if "_" in self.text(node, path):
            self.fail(node, path, "a number without `_`", self.text(node, path))
        return self.value(node, path, read)

    def value(self, node: yaml.Node, path: str, read: Callable[[str], T]) -> T:
        text = self.text(node, path)
        return self.checked(node, path, lambda: read(text))

    def checked(self, node: yaml.Node, path: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except ValueError as error:
            raise SettingsError(where=self.where(node, path), expected=_expectation(error)) from error

    def source(self, node: yaml.Node) -> str:
        return f"{self.path.name}:{node.start_mark.line + 1}"

    def where(self, node: yaml.Node, path: str) -> str:
        return f"{self.path}:{node.start_mark.line + 1}: {path}"

    def fail(self, node: yaml.Node, path: str, expected: str, got: str) -> NoReturn:
        raise SettingsError(where=self.where(node, path), expected=expected, got=got)

    def key(self, value: yaml.Node) -> yaml.Node:
        """
        The name that a value of a mapping stands under.
        """
        return self._keys[id(value)]

    @staticmethod
    def describe(node: yaml.Node) -> str:
        if node.value == "":
            return "nothing"
        kinds = {yaml.ScalarNode: "one value", yaml.SequenceNode: "a list", yaml.MappingNode: "settings by name"}
        return kinds[type(node)]


def with_the_closest(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"{name}; did you mean {close[0]}?" if close else name


def _problem(text: str) -> tuple[str, str]:
    """
    What the YAML reader expected, and what it got, out of its own words.
    """
    if "'\\t'" in text:
        return "spaces", "a tab"
    expected, but, got = text.partition(", but ")
    if not but:
        return f"YAML ({text})", ""
    found = re.sub("^(got|found) ", "", got)
    expected = expected.removeprefix("expected ").replace("the node content", "a value")
    return expected, "the file's end" if found == "'<stream end>'" else found


def _expectation(error: ValueError) -> str:
    return str(error).partition(" must be ")[2] or str(error)
