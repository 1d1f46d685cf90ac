"""
What is to stand in a workflow's file otherwise: ``agent_loop.max=25``.
"""

import copy
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn

import yaml

from solvent.errors import SettingsError
from solvent.policy._nodes import cut, with_the_closest
from solvent.policy._yaml import compose

_OF_MODELS = ("cached", "window")  # What a model can have beside the name of the one whose price it has.


def change(root: yaml.Node, text: str, *, kinds: Collection[str], settings: Collection[str]) -> None:
    """
    Write a value into the nodes of a file, where names lead to it: that of a setting of the file or of a block, or
    those of some blocks from the outside in; then those of settings, and the places in a list, the first one 0.

    Args:
        kinds: The names under which blocks have theirs.
        settings: Those that a file may have.

    Raises:
        SettingsError: It reads otherwise, or its names lead nowhere, or to several places.
    """
    path, equals, value = text.partition("=")
    names = path.split(".")
    if not equals or not value.strip() or "" in names:
        raise SettingsError(where=cut(text), expected="a change such as agent_loop.max=25")
    new = compose(value.encode(errors="replace"), Path(cut(text)))
    if not isinstance(root, yaml.MappingNode):
        return  # The reader tells.
    if names[0] in settings and names[0] not in _keys(root) and len(names) > 1:
        root.value.append((_scalar(names[0], root), yaml.MappingNode("", [], root.start_mark, root.end_mark)))
    _Change(text, kinds, new).write(root, names, first=settings)


class _Change:
    """
    One change.

    Args:
        text: As it was asked for, for its errors.
        kinds: The names under which blocks have theirs.
        new: The value.
    """

    def __init__(self, text: str, kinds: Collection[str], new: yaml.Node) -> None:
        self._text = text
        self._kinds = kinds
        self._new = new

    def write(self, node: yaml.Node, names: list[str], *, first: Collection[str] = ()) -> None:
        """
        Args:
            first: What may stand here, where the reader does not tell.
        """
        for length in range(len(names), 0, -1):  # A name may have points of its own.
            place = self._place(node, ".".join(names[:length]))
            if place is not None:
                self._go_on(node, place, names[length:])
                return
        if isinstance(node, yaml.MappingNode) and len(names) == 1 and (not first or names[0] in first):
            node.value.append((_scalar(names[0], node), self._moved(node)))
            return
        block, rest = self._block(node, names, first)
        if not rest:
            self._fail("a setting after the name of a block, as in agent_loop.max=25", "none")
        self.write(block, rest)

    def _place(self, node: yaml.Node, name: str) -> int | None:
        """
        Where in a node something of this name stands.
        """
        if isinstance(node, yaml.MappingNode):
            return next((place for place, (key, _) in enumerate(node.value) if key.value == name), None)
        if isinstance(node, yaml.SequenceNode) and name in map(str, range(len(node.value))):
            return int(name)
        return None

    def _go_on(self, node: yaml.Node, place: int, names: list[str]) -> None:
        if isinstance(node, yaml.SequenceNode):
            if names:
                self.write(node.value[place], names)
            else:
                node.value[place] = self._moved(node.value[place])
            return
        key, value = node.value[place]
        is_option = key.value.endswith("%") and isinstance(value, yaml.SequenceNode)
        if not names and is_option and isinstance(self._new, yaml.ScalarNode):
            node.value[place] = self._moved(key), value  # Its share, which is its name.
        elif not names:
            node.value[place] = key, self._moved(key)
        elif isinstance(value, yaml.ScalarNode) and names[0] in _OF_MODELS:
            of = yaml.MappingNode("", [(_scalar("is", value), value)], value.start_mark, value.end_mark)
            node.value[place] = key, of
            self.write(of, names)
        elif isinstance(value, yaml.ScalarNode):
            self._fail(f"a value for {key.value}, which has no names in it", ".".join(names))
        else:
            self.write(value, names)

    def _block(self, node: yaml.Node, names: list[str], first: Collection[str]) -> tuple[yaml.Node, list[str]]:
        """
        The one block below a node that the first names lead to, and the names after them.
        """
        blocks = [*self._blocks(node)]
        names_of_blocks = {name for name, _ in blocks}
        lengths = [length for length in range(len(names), 0, -1) if ".".join(names[:length]) in names_of_blocks]
        if not lengths:
            what = "a block or a setting of the file" if first else "a block or a setting that is there"
            self._fail(what, with_the_closest(names[0], {*first, *_keys(node), *names_of_blocks}))
        name = ".".join(names[: lengths[0]])
        found = [block for known, block in blocks if known == name]
        if isinstance(node, yaml.SequenceNode):  # What stands in a list itself is meant, and not what is in it.
            found = [block for block in found if block in node.value] or found
        if len(found) > 1:
            self._fail(f"the names of blocks around it before {name}", f"{len(found)} blocks of this name")
        return found[0], names[lengths[0] :]

    def _blocks(self, node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
        """
        All blocks below a node, by name.
        """
        below = [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else node.value
        for one in below if isinstance(node, yaml.CollectionNode) else ():
            if isinstance(one, yaml.MappingNode) and one.value:
                kind, name = one.value[0]
                if kind.value in self._kinds and isinstance(name, yaml.ScalarNode):
                    yield name.value, one
            yield from self._blocks(one)

    def _moved(self, to: yaml.Node) -> yaml.Node:
        """
        The value, on the line of what it stands in the place of.
        """
        return _moved(self._new, to)

    def _fail(self, expected: str, got: str) -> NoReturn:
        raise SettingsError(where=cut(self._text), expected=expected, got=got)


def _keys(node: yaml.Node) -> list[str]:
    return [str(key.value) for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []


def _scalar(text: str, on: yaml.Node) -> yaml.Node:
    return yaml.ScalarNode("", text, on.start_mark, on.end_mark)


def _moved(node: yaml.Node, to: yaml.Node) -> yaml.Node:
    moved = copy.copy(node)
    moved.start_mark, moved.end_mark = to.start_mark, to.end_mark
    if isinstance(node, yaml.MappingNode):
        moved.value = [(_moved(key, to), _moved(value, to)) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        moved.value = [_moved(one, to) for one in node.value]
    return moved
