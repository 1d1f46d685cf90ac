"""
Inputs that are used more than once a run: what they bring about is no sum of independent parts, unless they are joined.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from msgspec.structs import replace

from solvent.forecast._history import NotExact
from solvent.forecast._model import Block, Branch, Map, Par, Workflow, parts_of

_Once: TypeAlias = dict[str, tuple[Map, ...]]


def joined(workflow: Workflow) -> Workflow:
    """
    The same for all sums, with each input used once: maps of the same input are one that does what all of them do.

    Raises:
        NotExact: What two parts of a run spend depends on the same input in another way.
    """
    maps = list(_maps(workflow.graph, repeated=False))
    shared: _Once = {}
    for name in dict.fromkeys(block.over for block, _ in maps if isinstance(block.over, str)):
        if any(repeated for block, repeated in maps if block.over == name):
            raise NotExact(f"{name} is used in something that comes again, each time with the same number")
        uses = tuple([block for block, _ in maps if block.over == name])
        if len(uses) > 1:
            shared[name] = uses
    if not shared:
        return workflow
    for name, uses in shared.items():
        if len({use.most for use in uses}) > 1 or len(uses) > len(_sure(workflow.graph, name)):
            raise NotExact(f"{name} is used {len(uses)} times, by chance or with another max, but is the same number")
    return replace(workflow, graph=_join(workflow.graph, dict(shared)))


def _maps(blocks: Sequence[Block], *, repeated: bool) -> Iterator[tuple[Map, bool]]:
    for block in blocks:
        if isinstance(block, Map) and isinstance(block.over, str):
            yield block, repeated
        for part in parts_of(block):
            yield from _maps(part, repeated=repeated or not isinstance(block, Branch | Par))


def _sure(blocks: Sequence[Block], name: str) -> list[Map]:
    """
    Those maps of an input that come in every run.
    """
    found: list[Map] = []
    for block in blocks:
        if isinstance(block, Map) and block.over == name:
            found.append(block)
        if isinstance(block, Par):
            found += [use for part in block.parts for use in _sure(part, name)]
    return found


def _join(blocks: Sequence[Block], left: _Once) -> tuple[Block, ...]:
    """
    The first map of an input does what all of them do, and the others are left out.
    """
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, Par):
            found.append(replace(block, parts=tuple([_join(part, left) for part in block.parts])))
        elif not isinstance(block, Map) or not isinstance(block.over, str) or block.over not in left:
            found.append(block)
        elif uses := left[block.over]:
            left[block.over] = ()
            found.append(replace(block, do=tuple([inner for use in uses for inner in use.do])))
    return tuple(found)
