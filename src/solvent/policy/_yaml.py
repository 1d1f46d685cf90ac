"""
YAML as far as settings need it: names, lists and texts with their lines. What reads otherwise to some YAML readers, or
could be made to grow, is an error here: aliases, tags, merge keys, several documents, and deep nesting.
"""

import re
from pathlib import Path

import yaml

from solvent.errors import SettingsError

DEPTH_MAX = 16  # A policy has five levels.

# The YAML reader's own words by what a person would say, and which line helps: where it was, or where that began.
_PROBLEMS: tuple[tuple[str, str, str], ...] = (
    (r"'\\t'", "spaces", "a tab"),
    (r"while (?:parsing|scanning) a tag", "no tags (`!name`)", ""),
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
    """

    def __init__(self, text: str, path: Path) -> None:
        super().__init__(text)
        self._path = path
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # The stubs leave its answer open.
        if getattr(event, "anchor", None) is not None:  # Of an alias, too.
            self._refuse(event, "no anchors and aliases (`&name`, `*name`)")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "no tags (`!name`)")
        if self._depth == DEPTH_MAX:
            self._refuse(event, f"at most {DEPTH_MAX} levels, one in the other")
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refuse(self, event: yaml.Event, expected: str) -> None:
        line = 0 if event.start_mark is None else event.start_mark.line
        raise SettingsError(where=f"{self._path}:{line + 1}", expected=expected)


def compose(data: bytes, path: Path) -> yaml.Node:
    """
    The one document of a file.

    Raises:
        SettingsError: It is none, or empty.
    """
    try:
        text = data.decode("utf-8-sig")
        node: yaml.Node | None = Loader(text, path).get_single_node()
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
        raise SettingsError(where=str(path), expected="settings such as `budgets:`", got="an empty file")
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
