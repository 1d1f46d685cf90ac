"""
A workflow's file, strictly: what is not understood is an error with its line and its path, and nothing is guessed.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import yaml

from solvent.errors import SettingsError
from solvent.forecast import _spec_texts as texts
from solvent.forecast._counts import ByClass
from solvent.forecast._model import Wishes, Workflow
from solvent.forecast._spec_blocks import KINDS
from solvent.forecast._spec_changes import change
from solvent.forecast._spec_leaves import Place
from solvent.forecast._spec_numbers import COUNT_KEYS
from solvent.forecast._spec_wishes import WishReader
from solvent.policy._nodes import cut
from solvent.policy._yaml import content
from solvent.prices import Prices

_SETTINGS = ("envelope", "graph", "limits", "models", "volume", "workflow")
CLASSES_MAX = 20
NAME_BYTES_MAX = 200  # A run's own name, which is longer by an id, has 256.


def read_workflow(path: Path, *, changes: Sequence[str] = (), prices: Prices | None = None) -> Workflow:
    """
    The workflow in a file.

    Args:
        changes: What is to stand in it otherwise, as ``agent_loop.max=25``: the name of a block, or some from the
            outside in, and then names of settings. It is read as if the file said so.
        prices: Where models have their prices from; the price table's unless given.

    Raises:
        SettingsError: The file cannot be read, or it or a change says something that is not understood; names the line
            and the path.
    """
    prices = Prices.load() if prices is None else prices
    data = content(path, "a workflow's file")
    unchanged = _Reader(path, prices, data)
    if not changes:
        return unchanged.workflow()
    changed = _Reader(path, prices, data)
    for one in changes:
        change(changed.root, one, kinds=KINDS, settings=_SETTINGS)
    try:
        return changed.workflow()
    except SettingsError as error:
        unchanged.workflow()  # What is wrong without changes is told first.
        where = f"with {cut(', '.join(changes), 400)}: {error.where}"
        raise SettingsError(where=where, expected=error.expected, got=error.got, hint=error.hint) from error


class _Reader(WishReader):
    """
    One file.
    """

    def __init__(self, path: Path, prices: Prices, data: bytes) -> None:
        super().__init__(path, prices)
        self.root = self.parse(data, such_as="workflow", aliases=True)

    def workflow(self) -> Workflow:
        settings = dict(self.mapping(self.root, ""))
        self.known(settings, "", _SETTINGS)
        if missing := self.missing(settings, "workflow", "graph"):
            self.fail(self.root, "the file", "`workflow:` with a name, and `graph:` with blocks", missing)
        name = self.scope_name(settings["workflow"], "workflow", "the workflow", bytes_max=NAME_BYTES_MAX)
        if "models" in settings:
            self.models(settings["models"], "models")
        if "envelope" in settings:
            self._envelope(settings["envelope"], "envelope")
        graph = self.blocks(settings["graph"], "graph", Place())
        if "envelope" in settings:
            self._check_inputs(settings["envelope"], "envelope")
        return Workflow(
            name=name,
            graph=graph,
            classes=self.classes,
            inputs=self.inputs,
            volume=self.given(settings, "", "volume", self.volume),
            wishes=self.given(settings, "", "limits", self.limits) or Wishes(),
            models=self.used,
            source=str(self.path),
        )

    def _envelope(self, node: yaml.Node, path: str) -> None:
        entries = dict(self.mapping(node, path))
        sets = [name for name, value in entries.items() if _is_shares(value, signed=True)]
        # Without any, numbers by name can only be shares whose signs were forgotten.
        sets = sets or [name for name, value in entries.items() if _is_shares(value, signed=False)]
        if len(sets) > 1:
            got = f"{sets[0]} and {sets[1]}"
            self.fail(self.key(entries[sets[1]]), self.at(path, sets[1]), "one set of classes of inputs", got)
        for name in sets:  # First, for every other number may be given by class.
            self.classes = self._classes(entries[name], self.at(path, name))
        inputs: dict[str, ByClass] = {}
        for name, value in entries.items():
            self.name(self.key(value), path, "an input")
            if name[:1].isdigit():
                self.fail(self.key(value), self.at(path, name), "a name that begins with no digit", cut(name))
            if name not in sets:
                inputs[name] = self.count(value, self.at(path, name))
        self.inputs = inputs

    def _classes(self, node: yaml.Node, path: str) -> tuple[tuple[str, float], ...]:
        shares: dict[str, Fraction] = {}
        for name, value in self.mapping(node, path):
            here = self.at(path, name)
            self.name(self.key(value), path, "a class")
            if name in COUNT_KEYS:
                self.fail(self.key(value), here, "a name that no count has for a number of its own", name)
            shares[name] = self.value(value, here, texts.some_percent)
        if len(shares) > CLASSES_MAX:
            self.fail(node, path, f"at most {CLASSES_MAX} classes", f"{len(shares)}")
        self.check_whole(node, path, shares.values())
        return tuple([(name, float(share)) for name, share in shares.items()])

    def _check_inputs(self, node: yaml.Node, path: str) -> None:
        for name in self.inputs:
            if name not in self.counted:
                self.fail(
                    self.below(node, name), self.at(path, name), "an input that a map is `over:`", "one that none is"
                )


def _is_shares(node: yaml.Node, *, signed: bool) -> bool:
    """
    Whether an entry of the envelope is shares by name, and no count.

    Args:
        signed: One of them at least has its percent sign.
    """
    if not isinstance(node, yaml.MappingNode) or any(key.value in COUNT_KEYS for key, _ in node.value):
        return False
    texts = [value.value for _, value in node.value if isinstance(value, yaml.ScalarNode)]
    return any(text.endswith("%") for text in texts) if signed else len(texts) == len(node.value)
