"""
YAML as far as settings need it: names, lists and texts with their lines. What reads otherwise to some YAML readers, or
could be made to grow, is an error here: aliases, tags, merge keys, several documents, and deep nesting. A file that may
have aliases is held to a number of nodes, counted with each alias as the copy that it stands for.
"""

import copy
import re
from pathlib import Path

import yaml

from solvent.errors import SettingsError

BYTES_MAX = 1_000_000
DEPTH_MAX = 16  # A policy has five levels.
ALIASED_DEPTH_MAX = 64
ALIASED_NODES_MAX = 10_000

# The YAML reader's own words by what a person would say, and which line helps: where it was, or where that began.
_PROBLEMS: tuple[tuple[str, str, str], ...] = (
    (r"'\\t'", "spaces", "a tab"),
    (r"while (?:parsing|scanning) a tag", "no tags (`!name`)", ""),
    (r"found undefined alias '(.+)'", r"`&\1` above", r"`*\1` alone"),
    (r"found duplicate anchor '(.+)'", "each anchor once", r"`&\1` a second time"),
    (r"while scanning an (?:alias|anchor)", "a text that begins with `*` or `&` in quotes", ""),
    (r"character '(.)' that cannot start", r"a text that begins with \1 in quotes", ""),
    (r"mapping keys are not allowed", "a text that begins with ? in quotes", ""),
    (r"quoted scalar.*unexpected end", "a quote at the end of the text that begins here", ""),
    (r"unknown escape character '(.)'", r"`\\` twice, or the text in single quotes", r"`\\\1`"),
    (r"but got '\?'", "a text with `?` in quotes", ""),
    (r"expected (',' or '.'), but got '<stream end>'", r"\1 after what begins here", "the file's end"),
    (r"expected (',' or '.'), but got '(.+)'", r"\1", r"'\2'"),
    (r"expected the node content, but found '<stream end>'", "a value", "the file's end"),
    (r"expected the node content, but found '(.+)'", "a value", r"'\1'"),
    (r"expected <block end>, but found '([]}])'", "a bracket that closes one before it", r"'\1'"),
    (r"expected <block end>", "settings of one level to be indented alike, and nothing after a closing quote", ""),
    (
        r"mapping values are not allowed",
        "each `name: value` on a line of its own, indented like its neighbors, and a text with `: ` in quotes",
        "",
    ),
    (r"sequence entries are not allowed", "each `- item` on a line of its own, indented like its neighbors", ""),
    (r"could not find expected ':'", "`name: value`", "no `:`"),
    (r"single document|expected '<document start>'", "one document", "a second one"),
)
_BEGUN = re.compile(r"quoted scalar|<stream end>")


class Loader(yaml.BaseLoader):
    """
    Composes one file, every scalar as its text.

    Args:
        aliases: Whether it may have anchors and aliases.
    """

    def __init__(self, text: str, path: Path, *, aliases: bool) -> None:
        super().__init__(text)
        self._path = path
        self._aliases = aliases
        self._depth_max = ALIASED_DEPTH_MAX if aliases else DEPTH_MAX
        self._depth = 0
        self._count = 0
        self._begun: list[str] = []  # Anchors of what is not composed to its end yet.

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # The stubs leave its answer open.
        anchor = getattr(event, "anchor", None)  # Of an alias, too.
        if anchor is not None and not self._aliases:
            self._refuse(event, "no anchors and aliases (`&name`, `*name`)")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "no tags (`!name`)")
        if isinstance(event, yaml.AliasEvent):
            if anchor in self._begun:
                self._refuse(event, "no alias inside of what it stands for", f"`*{anchor}`")
            found: yaml.Node | None = super().compose_node(parent, index)
            return None if found is None else self._copy(found, event)
        self._enter(event)
        self._begun += [anchor] if anchor is not None else []
        node: yaml.Node | None = super().compose_node(parent, index)
        self._begun = self._begun[:-1] if anchor is not None else self._begun
        self._depth -= 1
        return node

    def _copy(self, node: yaml.Node, alias: yaml.Event) -> yaml.Node:
        """
        What an alias stands for as nodes of their own, with the lines on which they are written.
        """
        self._enter(alias)
        copied = copy.copy(node)
        if isinstance(node, yaml.MappingNode):
            copied.value = [(self._copy(key, alias), self._copy(value, alias)) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            copied.value = [self._copy(one, alias) for one in node.value]
        self._depth -= 1
        return copied

    def _enter(self, event: yaml.Event) -> None:
        if self._depth == self._depth_max:
            self._refuse(event, f"at most {self._depth_max} levels, one in the other")
        self._depth += 1
        self._count += 1
        if self._aliases and self._count > ALIASED_NODES_MAX:
            self._refuse(event, f"at most {ALIASED_NODES_MAX:,} names and values, each alias with what it stands for")

    def _refuse(self, event: yaml.Event, expected: str, got: str = "") -> None:
        line = 0 if event.start_mark is None else event.start_mark.line
        raise SettingsError(where=f"{self._path}:{line + 1}", expected=expected, got=got)


def content(path: Path, what: str) -> bytes:
    """
    What stands in a file.

    Args:
        what: What the error calls it.

    Raises:
        SettingsError: It cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        got = f"an error: {error.strerror or error}"
        raise SettingsError(where=str(path), expected=f"{what} that can be read", got=got) from error
    if len(data) > BYTES_MAX:
        raise SettingsError(where=str(path), expected=f"at most {BYTES_MAX:,} bytes", got="more")
    return data


def compose(data: bytes, path: Path, *, such_as: str = "budgets", aliases: bool = False) -> yaml.Node:
    """
    The one document of a file.

    Args:
        such_as: A setting that it could have, for the error about an empty one.
        aliases: Whether it may have anchors and aliases.

    Raises:
        SettingsError: It is none, or empty.
    """
    try:
        text = data.decode("utf-8-sig")
        node: yaml.Node | None = Loader(text, path, aliases=aliases).get_single_node()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        got = f"the byte 0x{data[error.start]:02x}"
        raise SettingsError(where=f"{path}:{line}", expected="text in UTF-8", got=got) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        expected, got = "text without control characters", f"the character 0x{error.character:02x}"
        raise SettingsError(where=f"{path}:{line}", expected=expected, got=got) from error
    except yaml.MarkedYAMLError as error:
        raise _told(error, path) from error
    if node is None:
        raise SettingsError(where=str(path), expected=f"settings such as `{such_as}:`", got="an empty file")
    return node


def _told(error: yaml.MarkedYAMLError, path: Path) -> SettingsError:
    said = f"{error.context or ''}: {error.problem or ''}"
    has_begun = error.context_mark is not None and _BEGUN.search(said) is not None
    mark = error.context_mark if has_begun else error.problem_mark
    where = str(path) if mark is None else f"{path}:{mark.line + 1}"
    for pattern, expected, got in _PROBLEMS:
        found = re.search(pattern, said)
        if found is not None:
            return SettingsError(where=where, expected=found.expand(expected), got=found.expand(got))
    return SettingsError(where=where, expected=f"YAML ({said.strip(': ')})")
