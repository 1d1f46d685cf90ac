"""
A workflow as it is declared: blocks that call models and tools, in order, by chance, again and again, and side by side.

What a run does: a block of a sequence comes after the other. A count is drawn each time its block comes, but for those
of ``inputs`` and the prompts of a growing loop, which are drawn once a run. What differs by class of input stands in
tuples, one value a class, in the order of ``Workflow.classes``; without classes such a tuple has one value.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from solvent.forecast._counts import ByClass

Percents: TypeAlias = tuple[float, ...]  # Shares between 0 and 1, one a class of inputs.


class Rate(Struct, frozen=True, kw_only=True):
    """
    Picodollars for a token of each kind, of calls that read more than ``above`` tokens.
    """

    above: int = 0
    input: int
    output: int
    cache_read: int
    cache_write: int


class Model(Struct, frozen=True, kw_only=True):
    """
    A model as a workflow names it.

    Attributes:
        name: As the blocks name it.
        billed_as: The model and its provider whose price this is; empty where the workflow gives the price itself.
        rates: By size of input, ascending, the first above 0: a call pays the last one that it is above, in all.
        cached: The chance that a call which sends its history again finds it in the cache; 0 where nothing is cached.
        window: The most tokens that a call may read and write; ``None`` where nobody said.
        source: Where the price is from.
    """

    name: str
    billed_as: str = ""
    rates: tuple[Rate, ...]
    cached: float = 0.0
    window: int | None = None
    source: str = ""


class Quantiles(Struct, frozen=True, kw_only=True):
    """
    A time in seconds: a lognormal through both quantiles, at most ``most``; always ``p50`` where both are alike.
    """

    p50: float
    p95: float
    most: float | None = None


class Paced(Struct, frozen=True, kw_only=True):
    """
    A time in seconds that a call takes: until its first token, and for each of its output.
    """

    first_token: float
    per_output_token: float


Seconds: TypeAlias = Quantiles | Paced


class Call(Struct, frozen=True, kw_only=True):
    """
    One request to a model.

    Attributes:
        path: Its scope below the run, as ``step:agent_loop/step:agent``; so for all blocks.
        prompt: Tokens that it reads, but for a history that it sends again.
        output: Tokens that it writes.
        history: In a loop whose history grows: it reads that, and what it writes is added to it.
        seconds: ``None`` where nobody said; it then takes no time.
    """

    name: str
    path: str
    model: Model
    prompt: ByClass
    output: ByClass
    history: bool = False
    seconds: Seconds | None = None


class Tool(Struct, frozen=True, kw_only=True):
    """
    Something that is no call of a model. One that costs counts as a call all the same, for as such it is booked.

    Attributes:
        cost_nanodollars: Of each use.
        result: Tokens that are added to the history of the growing loop around it; ``None`` adds none.
    """

    name: str
    path: str
    cost_nanodollars: int = 0
    result: ByClass | None = None
    seconds: Seconds | None = None

    @property
    def is_call(self) -> bool:
        return self.cost_nanodollars > 0


class Option(Struct, frozen=True, kw_only=True):
    chance: Percents
    do: "tuple[Block, ...]"


class Branch(Struct, frozen=True, kw_only=True):
    """
    One of its options, or nothing, as far as their chances leave some. It has no scope of its own.
    """

    name: str
    path: str
    options: tuple[Option, ...]


class Retry(Struct, frozen=True, kw_only=True):
    """
    Again while it fails, at most ``most`` times in all; then the run goes on. What failed has cost as much as any.

    Attributes:
        fail: By class the chance that an attempt fails, by number of the attempt; the last one holds for all further.
        most: ``None`` for no cap.
    """

    name: str
    path: str
    fail: tuple[tuple[float, ...], ...]
    most: int | None
    do: "tuple[Block, ...]"


class Compaction(Struct, frozen=True, kw_only=True):
    """
    Before a call that would read more than ``at`` tokens, the same model is asked to sum up all of its history: it
    reads prompt and history, and what it writes, ``to`` tokens, takes the place of the history.
    """

    at: int
    to: ByClass


class Loop(Struct, frozen=True, kw_only=True):
    """
    At least once, and again by chance, at most ``most`` times; then the run goes on.

    Attributes:
        again: By class the chance of another round, by number of the round that ended; the last holds for all further.
        most: ``None`` for no cap.
        grows: Each call of it with ``history`` reads all that such calls and tools added in this loop before, in the
            rounds before and in this one. Calls and tools below another loop, map, par or spawn in it are not part.
    """

    name: str
    path: str
    again: tuple[tuple[float, ...], ...]
    most: int | None
    grows: bool = False
    compaction: Compaction | None = None
    do: "tuple[Block, ...]"


class Map(Struct, frozen=True, kw_only=True):
    """
    Once for each of some items.

    Attributes:
        over: The name of an input, which is one number in all of a run; or a count of its own, drawn each time.
        most: Items above this are left; ``None`` for no cap but that of the count.
        concurrency: How many are at work at the same time; ``None`` for all.
    """

    name: str
    path: str
    over: str | ByClass
    most: int | None
    concurrency: int | None
    do: "tuple[Block, ...]"


class Par(Struct, frozen=True, kw_only=True):
    """
    Sequences side by side; it is over when the last of them is. It has no scope of its own.
    """

    name: str
    path: str
    parts: "tuple[tuple[Block, ...], ...]"


class Spawn(Struct, frozen=True, kw_only=True):
    """
    An agent that does its own work, and then has children that are agents like itself, one level below.

    Attributes:
        children: How many each one has.
        most: Levels of agents, the first one among them: 1 has no children at all. ``None`` for no cap.
        concurrency: How many children of one agent are at work at the same time; ``None`` for all.
    """

    name: str
    path: str
    children: ByClass
    most: int | None
    concurrency: int | None = None
    do: "tuple[Block, ...]"


Block: TypeAlias = Branch | Call | Loop | Map | Par | Retry | Spawn | Tool


class Volume(Struct, frozen=True, kw_only=True):
    """
    How many runs a month has.

    Attributes:
        uncertainty: One standard deviation of their number, as a share of it.
        measured_runs: Of how many runs the numbers of the workflow were measured; ``None`` where they are declared.
    """

    runs_per_month: int
    uncertainty: float = 0.0
    measured_runs: int | None = None


class Degrade(Struct, frozen=True, kw_only=True):
    """
    From this share of the limit of dollars on, calls of one model are made with another.
    """

    at: float
    model: str
    to: str


class Wishes(Struct, frozen=True, kw_only=True):
    """
    What limits are to be like.

    Attributes:
        may_block: The share of legitimate runs that all limits together may end.
        legitimate: The classes whose runs count; all, unless the workflow says.
        degrade: In the order of their shares.
        usd_nanodollars: A limit of dollars a run that is there already; ``None`` where it is to be found.
        input_bound: How many tokens the guard sets aside for one token of input that it has not seen billed: what its
            bound in bytes says of a text, 1 with the model's own tokenizer.
    """

    may_block: float = 0.01
    legitimate: tuple[str, ...] = ()
    degrade: tuple[Degrade, ...] = ()
    usd_nanodollars: int | None = None
    input_bound: float = 4.5


class Workflow(Struct, frozen=True, kw_only=True):
    """
    A workflow.

    Attributes:
        name: Its runs are ``run:NAME-…``.
        classes: Of inputs, each with its share of runs; empty where all are alike.
        inputs: Counts by name that are drawn once a run.
        models: By name, all that its blocks and limits name.
    """

    name: str
    graph: tuple[Block, ...]
    models: Mapping[str, Model]
    classes: tuple[tuple[str, float], ...] = ()
    inputs: Mapping[str, ByClass] = {}
    volume: Volume | None = None
    wishes: Wishes = Wishes()
    source: str = ""

    @property
    def shares(self) -> tuple[float, ...]:
        """
        The share of each class; 1 where there are none.
        """
        return tuple([share for _, share in self.classes]) or (1.0,)


def parts_of(block: Block) -> tuple[tuple[Block, ...], ...]:
    """
    The sequences in a block.
    """
    match block:
        case Branch():
            return tuple([option.do for option in block.options])
        case Par():
            return block.parts
        case Loop() | Map() | Retry() | Spawn():
            return (block.do,)
        case Call() | Tool():
            return ()


def every(blocks: tuple[Block, ...]) -> Iterator[Block]:
    """
    Blocks and all that are in them, from the outside in, in their order.
    """
    for block in blocks:
        yield block
        for part in parts_of(block):
            yield from every(part)


def items_of(workflow: Workflow, block: Map) -> ByClass:
    """
    How many items a map has, before its own cap.
    """
    return workflow.inputs[block.over] if isinstance(block.over, str) else block.over


def chance(chances: tuple[float, ...], number: int) -> float:
    """
    That of the attempt or round of this number, 0 for the first.
    """
    return chances[min(number, len(chances) - 1)]


def rebuilt(blocks: tuple[Block, ...], change: Callable[[Block], Block]) -> tuple[Block, ...]:
    """
    The same blocks, each changed after all that is in it.
    """
    return tuple([change(_with_parts(block, change)) for block in blocks])


def _with_parts(block: Block, change: Callable[[Block], Block]) -> Block:
    match block:
        case Branch():
            options = [replace(option, do=rebuilt(option.do, change)) for option in block.options]
            return replace(block, options=tuple(options))
        case Par():
            return replace(block, parts=tuple([rebuilt(part, change) for part in block.parts]))
        case Loop() | Map() | Retry() | Spawn():
            return replace(block, do=rebuilt(block.do, change))
        case Call() | Tool():
            return block


def plain_path(block: Block) -> str:
    """
    A block's path as people write it, without the kinds of scopes.
    """
    return "/".join(part.partition(":")[2] for part in block.path.split("/"))
