"""
The blocks of a workflow, made ready to be simulated: what is drawn there, and at what price.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from solvent.forecast._chances import chances
from solvent.forecast._model import (
    Block,
    Branch,
    Call,
    Loop,
    Map,
    Model,
    Par,
    Retry,
    Seconds,
    Spawn,
    Tool,
    Workflow,
    chance,
    every,
    items_of,
    parts_of,
)
from solvent.forecast._simulate._draws import Number, Rounds, Value, alike
from solvent.forecast._simulate._price import Price
from solvent.forecast._simulate._sobol import DIMENSIONS


@dataclass(frozen=True, kw_only=True, slots=True)
class CallSite:
    path: str
    model: str
    price: Price
    prompt: Number
    output: Number
    history: bool
    seconds: Seconds | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolSite:
    path: str
    usd: float
    result: Number | None
    seconds: Seconds | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BranchSite:
    """
    Attributes:
        reached: For each option the chance that it or one before it is taken.
        row: Of the even draws; ``None`` for plain ones. So for all sites.
    """

    reached: tuple[Value, ...]
    options: "tuple[Sites, ...]"
    row: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrySite:
    """
    Attributes:
        fail: By number of the attempt, the last one for all further.
    """

    path: str
    fail: tuple[Value, ...]
    most: int | None
    do: "Sites"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopSite:
    """
    Attributes:
        is_plain: Every round adds to the history at the same places, and nothing sums it up.
    """

    path: str
    rounds: Rounds
    row: int | None
    grows: bool
    is_plain: bool
    compact_at: int | None
    compact_to: Number | None
    do: "Sites"


@dataclass(frozen=True, kw_only=True, slots=True)
class MapSite:
    path: str
    over: str | Number
    row: int | None
    most: int | None
    concurrency: int | None
    do: "Sites"


@dataclass(frozen=True, kw_only=True, slots=True)
class ParSite:
    parts: "tuple[Sites, ...]"


@dataclass(frozen=True, kw_only=True, slots=True)
class SpawnSite:
    path: str
    children: Number
    row: int | None
    most: int | None
    concurrency: int | None
    do: "Sites"


Site: TypeAlias = BranchSite | CallSite | LoopSite | MapSite | ParSite | RetrySite | SpawnSite | ToolSite
Sites: TypeAlias = tuple[Site, ...]


@dataclass(kw_only=True, slots=True)
class Plan:
    """
    A workflow, made ready.

    Attributes:
        rows: How many counts a run draws once, the class being the first of them.
        inputs: By name, each with its row.
        paths: Of the calls and tools.
        prices: By name of the model.
    """

    shares: tuple[float, ...]
    inputs: dict[str, tuple[Number, int | None]] = field(default_factory=dict)
    sites: Sites = ()
    paths: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    prices: dict[str, Price] = field(default_factory=dict)
    rows: int = 1


def plan(workflow: Workflow) -> Plan:
    """
    Make a workflow ready.

    Raises:
        ValueError: It never ends.
    """
    made = Plan(shares=workflow.shares)
    maker = _Maker(workflow, made)
    made.inputs = {name: (Number(counts), maker.row()) for name, counts in workflow.inputs.items()}
    blocks = tuple(every(workflow.graph))
    models = {block.model.name: block.model for block in blocks if isinstance(block, Call)}
    made.prices = {name: maker.price(model) for name, model in {**models, **workflow.models}.items()}
    made.paths = tuple(dict.fromkeys(block.path for block in blocks if isinstance(block, Call | Tool)))
    made.scopes = tuple(dict.fromkeys(block.path for block in blocks if isinstance(block, Loop | Map | Spawn)))
    made.sites = maker.all_of(workflow.graph, once=True)
    return made


class _Maker:
    def __init__(self, workflow: Workflow, made: Plan) -> None:
        self._workflow, self._made = workflow, made

    def row(self, once: bool = True) -> int | None:
        """
        The next one of the even draws, for what each run draws at most once.
        """
        if not once or self._made.rows == DIMENSIONS:
            return None
        self._made.rows += 1
        return self._made.rows - 1

    def price(self, model: Model) -> Price:
        return Price(model, self._workflow.wishes.input_bound)

    def all_of(self, blocks: tuple[Block, ...], *, once: bool) -> Sites:
        return tuple([self.site(block, once=once) for block in blocks])

    def site(self, block: Block, *, once: bool) -> Site:
        match block:
            case Call():
                return CallSite(
                    path=block.path,
                    model=block.model.name,
                    price=self.price(block.model),
                    prompt=Number(block.prompt),
                    output=Number(block.output),
                    history=block.history,
                    seconds=block.seconds,
                )
            case Tool():
                return ToolSite(
                    path=block.path,
                    usd=block.cost_nanodollars / 1e9,
                    result=None if block.result is None else Number(block.result),
                    seconds=block.seconds,
                )
            case Branch():
                return self.branch(block, once=once)
            case Retry():
                return self.retry(block)
            case Loop():
                return self.loop(block, once=once)
            case Map():
                items = block.over if isinstance(block.over, str) else Number(items_of(self._workflow, block))
                return MapSite(
                    path=block.path,
                    over=items,
                    row=None if isinstance(items, str) else self.row(once),
                    most=block.most,
                    concurrency=block.concurrency,
                    do=self.all_of(block.do, once=False),
                )
            case Par():
                return ParSite(parts=tuple([self.all_of(part, once=once) for part in block.parts]))
            case Spawn():
                return self.spawn(block, once=once)

    def branch(self, block: Branch, *, once: bool) -> BranchSite:
        row = self.row(once)
        classes = range(len(self._workflow.shares))
        reached = np.cumsum([[option.chance[index] for index in classes] for option in block.options], axis=0)
        # What adds up to all of it is all of it, whatever the last digit of the sum says.
        reached[reached > 1 - 1e-12] = 1
        return BranchSite(
            reached=tuple([alike(chances.tolist()) for chances in reached]),
            options=tuple([self.all_of(option.do, once=once) for option in block.options]),
            row=row,
        )

    def retry(self, block: Retry) -> RetrySite:
        if block.most is None and any(fail[-1] == 1 for fail in block.fail):
            raise ValueError(f"{block.path} never ends: its last attempt always fails and it has no max")
        length = max(len(fail) for fail in block.fail)
        by_attempt = [[chance(fail, number) for fail in block.fail] for number in range(length)]
        return RetrySite(
            path=block.path,
            fail=tuple([alike(chances) for chances in by_attempt]),
            most=block.most,
            do=self.all_of(block.do, once=False),
        )

    def loop(self, block: Loop, *, once: bool) -> LoopSite:
        if block.most is None and any(again[-1] == 1 for again in block.again):
            raise ValueError(
                f"{block.path} never ends: its last round is always followed by another, and it has no max"
            )
        row = self.row(once)
        return LoopSite(
            path=block.path,
            rounds=Rounds(block.again, block.most),
            row=row,
            grows=block.grows,
            is_plain=block.compaction is None and not any(_adds(inner) for part in block.do for inner in _below(part)),
            compact_at=None if block.compaction is None else block.compaction.at,
            compact_to=None if block.compaction is None else Number(block.compaction.to),
            do=self.all_of(block.do, once=False),
        )

    def spawn(self, block: Spawn, *, once: bool) -> SpawnSite:
        if block.most is None and any(chances(count).mean >= 1 for count in block.children):
            raise ValueError(
                f"{block.path} may never end: each agent has at least one child on average and it has no max"
            )
        return SpawnSite(
            path=block.path,
            children=Number(block.children),
            row=self.row(once),
            most=block.most,
            concurrency=block.concurrency,
            do=self.all_of(block.do, once=False),
        )


def _below(block: Block) -> Iterator[Block]:
    """
    What is in a block and may add to the history around it.
    """
    if isinstance(block, Branch | Retry):
        for part in parts_of(block):
            for inner in part:
                yield inner
                yield from _below(inner)


def _adds(block: Block) -> bool:
    match block:
        case Call():
            return block.history
        case Tool():
            return block.result is not None
        case _:
            return False
