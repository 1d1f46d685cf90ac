"""
The blocks of a workflow's file.
"""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

import yaml

from solvent._limits import SEGMENTS_MAX
from solvent.forecast import _spec_texts as texts
from solvent.forecast._counts import ByClass, Count, Fixed, Lognormal, NegativeBinomial, OneOf
from solvent.forecast._model import (
    Block,
    Branch,
    Call,
    Compaction,
    Loop,
    Map,
    Option,
    Par,
    Percents,
    Retry,
    Spawn,
    parts_of,
)
from solvent.forecast._spec_leaves import SCOPES, LeafReader, Place, Raw
from solvent.policy._nodes import with_the_closest

PATH_MAX = SEGMENTS_MAX - 1  # The run itself is one.


class BlockReader(LeafReader):
    """
    Reads blocks.

    Attributes:
        inputs: Counts of the envelope.
        counted: Those of them that a map goes over.
    """

    inputs: Mapping[str, ByClass] = MappingProxyType({})
    counted: frozenset[str] = frozenset()

    def blocks(self, node: yaml.Node, path: str, place: Place) -> tuple[Block, ...]:
        items = self.items(node, path, "blocks")
        if not items:
            self.fail(node, path, "a list of blocks", self.describe(node))
        return tuple([self._block(one, f"{path}[{number}]", place) for number, one in enumerate(items)])

    def _block(self, node: yaml.Node, path: str, place: Place) -> Block:
        settings = dict(self.mapping(node, path))
        kind = next(iter(settings), "")
        if kind not in KINDS:
            key = self.key(settings[kind]) if settings else node
            expected = f"a block that begins with its kind, one of {', '.join(KINDS)}"
            self.fail(key, path, expected, with_the_closest(kind, KINDS) or "nothing")
        read, scope, keys = KINDS[kind]
        name = self.scope_name(settings[kind], f"{path}.{kind}", "the block")
        self._check_depth(settings[kind], f"{path}.{kind}", place.depth + (scope in SCOPES))
        if name in place.names:
            self.fail(settings[kind], place.at(name), "each name once in one place", "it a second time")
        place.names.add(name)
        if keys:
            self.known(settings, place.at(name), (kind, *keys))
        return read(self, Raw(name=name, scope=scope, settings=settings, node=node, place=place))

    def _check_depth(self, node: yaml.Node, path: str, depth: int) -> None:
        if depth > PATH_MAX:
            expected = f"at most {PATH_MAX} scopes, one in the other, each level of agents one"
            self.fail(node, path, expected, f"{depth}")

    def _do(self, raw: Raw, place: Place) -> tuple[Block, ...]:
        return self.blocks(raw["do"], f"{raw.here}.do", place)

    def _cap(self, raw: Raw, name: str = "max") -> int | None:
        return self.value(raw[name], f"{raw.here}.{name}", texts.some_or_none) if name in raw else None

    def branch(self, raw: Raw) -> Branch:
        place = raw.among(grows=raw.place.grows)
        options = [(shares, self.blocks(do, path, place)) for shares, do, path in self._options(raw)]
        for of_class in zip(*[shares for shares, _ in options], strict=True):
            if sum(of_class) > 1:
                got = texts.shown(sum(of_class, Fraction(0)))
                self.fail(raw.node, raw.here, "percents that add up to at most 100%", got)
        made = [Option(chance=tuple(map(float, shares)), do=do) for shares, do in options]
        return Branch(name=raw.name, path=raw.path, options=tuple(made))

    def _options(self, raw: Raw) -> Iterator[tuple[tuple[Fraction, ...], yaml.Node, str]]:
        """
        The share of each option by class, its blocks, and where they stand.
        """
        if "either" in raw:
            self.known(raw.settings, raw.here, ("branch", "either"))
            yield from self._either(raw["either"], f"{raw.here}.either")
            return
        named = [(text, do) for text, do in raw.settings.items() if text != "branch"]
        if not named:
            self.fail(raw.node, raw.here, "options such as `25%: [BLOCKS]`, or `either:`", "none")
        for text, do in named:
            path = self.at(raw.here, text)
            share = self.checked(self.key(do), path, partial(texts.percent, text))
            yield (share,) * max(1, len(self.classes)), do, path

    def _either(self, node: yaml.Node, path: str) -> Iterator[tuple[tuple[Fraction, ...], yaml.Node, str]]:
        options = self.items(node, path, "options (`share:` and `do:`)")
        if not options:
            self.fail(node, path, "a list of options (`share:` and `do:`)", self.describe(node))
        for number, one in enumerate(options):
            here = f"{path}[{number}]"
            option = dict(self.mapping(one, here))
            self.known(option, here, ("do", "share"))
            if missing := self.missing(option, "share", "do"):
                self.fail(one, here, "`share:` and `do:`", missing)
            yield self.per_class(option["share"], f"{here}.share", texts.percent), option["do"], f"{here}.do"

    def par(self, raw: Raw) -> Par:
        self.needed(raw, "parts")
        path = f"{raw.here}.parts"
        items = self.items(raw["parts"], path, "lists of blocks")
        if len(items) < 2:
            self.fail(raw["parts"], path, "two lists of blocks or more", f"{len(items)}")
        place = raw.among(grows=False)
        parts = [self.blocks(part, f"{path}[{number}]", place) for number, part in enumerate(items)]
        return Par(name=raw.name, path=raw.path, parts=tuple(parts))

    def retry(self, raw: Raw) -> Retry:
        self.needed(raw, "fail", "max", "do")
        fail, most = self._repeats(raw, "fail")
        do = self._do(raw, raw.below(grows=raw.place.grows))
        return Retry(name=raw.name, path=raw.path, fail=fail, most=most, do=do)

    def loop(self, raw: Raw) -> Loop:
        self.needed(raw, "again", "max", "do")
        again, most = self._repeats(raw, "again")
        grows = self.word(raw, "history", "grows")
        if "compact" in raw and not grows:
            self.fail(self.key(raw["compact"]), f"{raw.here}.compact", "`history: grows` beside it", "none")
        compaction = self.given(raw.settings, raw.here, "compact", self._compaction)
        do = self._do(raw, raw.below(grows=grows))
        if grows and not _reads(do):
            expected = "a call, directly in the loop, that reads its history"
            self.fail(raw["history"], f"{raw.here}.history", expected, "none")
        return Loop(name=raw.name, path=raw.path, again=again, most=most, grows=grows, compaction=compaction, do=do)

    def _repeats(self, raw: Raw, name: str) -> tuple[tuple[Percents, ...], int | None]:
        chances, most = self.chances(raw[name], f"{raw.here}.{name}"), self._cap(raw)
        if most is None and any(of_class[-1] == 1 for of_class in chances):
            expected = "less than 100% at last, or a `max:` that ends it"
            self.fail(raw[name], f"{raw.here}.{name}", expected, "100%")
        return chances, most

    def _compaction(self, node: yaml.Node, path: str) -> Compaction:
        settings = dict(self.mapping(node, path))
        self.known(settings, path, ("at", "to"))
        if missing := self.missing(settings, "at", "to"):
            self.fail(node, path, "`at:` and `to:` with tokens", missing)
        at = self.value(settings["at"], f"{path}.at", texts.some)
        to = self.count(settings["to"], f"{path}.to")
        for count in to:
            if count.most is not None and count.most >= at:
                expected = f"fewer tokens than those at which it is done, {at:,}"
                self.fail(settings["to"], f"{path}.to", expected, f"up to {count.most:,}")
        return Compaction(at=at, to=to)

    def map(self, raw: Raw) -> Map:
        self.needed(raw, "over", "do")
        over = self._over(raw["over"], f"{raw.here}.over")
        if any(count.most is None for count in (self.inputs[over] if isinstance(over, str) else over)):
            self.needed(raw, "max")
        return Map(
            name=raw.name,
            path=raw.path,
            over=over,
            most=self._cap(raw),
            concurrency=self._cap(raw, "concurrency"),
            do=self._do(raw, raw.below()),
        )

    def _over(self, node: yaml.Node, path: str) -> str | ByClass:
        if not isinstance(node, yaml.ScalarNode) or node.value[:1].isdigit():
            return self.count(node, path)
        name = self.name(node, path, "an input")
        if name not in self.inputs:
            expected = f"a count, or an input of the envelope: {', '.join(self.inputs) or 'it has none'}"
            self.fail(node, path, expected, with_the_closest(name, self.inputs))
        self.counted |= {name}
        return name

    def spawn(self, raw: Raw) -> Spawn:
        self.needed(raw, "children", "max", "do")
        children, most = self.count(raw["children"], f"{raw.here}.children"), self._cap(raw)
        if most is None and any(_mean_at_least(count) >= 1 for count in children):
            expected = "less than one child on average, or a `max:` of levels"
            self.fail(raw["children"], f"{raw.here}.children", expected, "agents without end")
        place = raw.below(levels=(most or 1) - 1)
        self._check_depth(raw["max"], f"{raw.here}.max", place.depth)
        return Spawn(
            name=raw.name,
            path=raw.path,
            children=children,
            most=most,
            concurrency=self._cap(raw, "concurrency"),
            do=self._do(raw, place),
        )


def _reads(blocks: tuple[Block, ...]) -> bool:
    """
    Whether one of them, or of those in branches and retries, reads the history of the loop that they are in.
    """
    return any(
        block.history if isinstance(block, Call) else any(_reads(part) for part in parts_of(block))
        for block in blocks
        if isinstance(block, Branch | Call | Retry)
    )


def _mean_at_least(count: Count) -> float:
    """
    The mean of a count; of one whose mean is not declared, the least that it can be.
    """
    usual, rare = count.usual, count.rare
    match usual:
        case Fixed() | Lognormal():
            mean = float(Count(usual=usual).least)
        case OneOf():
            mean = sum(value * chance for value, chance in zip(usual.values, usual.chances, strict=True))
        case NegativeBinomial():
            mean = usual.mean
    return mean if rare is None else (1 - rare.share) * mean + rare.share * (rare.least + rare.most) / 2


# By kind: how it is read, the kind of its scope, and its other settings; those of a branch are its percents.
_Read: TypeAlias = Callable[[BlockReader, Raw], Block]
KINDS: dict[str, tuple[_Read, str, tuple[str, ...]]] = {
    "branch": (BlockReader.branch, "branch", ()),
    "call": (BlockReader.call, "step", ("history", "model", "output", "prompt", "seconds")),
    "loop": (BlockReader.loop, "step", ("again", "compact", "do", "history", "max")),
    "map": (BlockReader.map, "step", ("concurrency", "do", "max", "over")),
    "par": (BlockReader.par, "par", ("parts",)),
    "retry": (BlockReader.retry, "step", ("do", "fail", "max")),
    "spawn": (BlockReader.spawn, "agent", ("children", "concurrency", "do", "max")),
    "tool": (BlockReader.tool, "step", ("cost", "result", "seconds")),
}
