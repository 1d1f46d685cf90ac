"""
The workflow as nested boxes: what is done again and again, how often at most, and where the cost comes from.
"""

from collections.abc import Mapping, Sequence

from solvent.forecast._counts import ByClass
from solvent.forecast._forecast import Forecast
from solvent.forecast._model import Block, Branch, Call, Loop, Map, Par, Retry, Spawn, Tool, Workflow, every, items_of
from solvent.forecast.report._figures import chance, share, usd
from solvent.report.html._markup import NOTHING, Html, element
from solvent.report.html._markup import name as named

Shares = Mapping[str, tuple[float, float]]  # Of the mean and of the dearest runs, by the scope of a call or tool.


def graph(forecast: Forecast) -> Html:
    """
    A list of the blocks in their order, each with those in it.
    """
    shares = {node.scope: (node.share, node.share_of_dearest) for node in forecast.nodes}
    steps = _steps(forecast.workflow, forecast.workflow.graph, shares)
    told = (
        "What a run does, from top to bottom; what a box holds happens inside it. The deeper its color, the more of "
        "the mean cost comes from it. Beside it stands its share of that and of the dearest 1 % of the runs."
    )
    return element("div", element("p", told), element("div", steps, class_="graph"))


def _steps(workflow: Workflow, blocks: Sequence[Block], shares: Shares) -> Html:
    return element("ol", *(_step(workflow, block, shares) for block in blocks), class_="steps")


def _step(workflow: Workflow, block: Block, shares: Shares) -> Html:
    leaves = [shares[leaf.path] for leaf in every((block,)) if leaf.path in shares]
    mean, dearest = sum(one for one, _ in leaves), sum(one for _, one in leaves)
    heat = round(min(max(mean, 0.0), 1.0) * 100)
    kind = type(block).__name__.lower()
    small = round(mean * 100) == round(dearest * 100) == 0
    told = "" if not leaves or small else f"{share(mean)} of the mean · {share(dearest)} of the dearest"
    numbers = element("span", told, class_="parts")
    head = [element("span", _KINDS.get(kind, kind), class_="kind"), named(block.name, class_="title")]
    caps = [
        element("span", text, class_="cap none-set" if text in _MISSING else "cap") for text in _caps(workflow, block)
    ]
    top = element("div", *head, *caps, numbers, class_="step")
    return element("li", top, _inside(workflow, block, shares), class_=kind, style=f"--heat-share:{heat}%")


_KINDS = {"map": "for each", "par": "side by side", "spawn": "agent"}
_MISSING = ("no max", "no max of levels", "no max of items", "any number of children")


def _inside(workflow: Workflow, block: Block, shares: Shares) -> Html:
    match block:
        case Branch():
            if len(block.options) == 1:
                return _steps(workflow, block.options[0].do, shares)
            options = [
                element(
                    "div", element("p", _chances(option.chance), class_="when"), _steps(workflow, option.do, shares)
                )
                for option in block.options
            ]
            return element("div", *options, class_="options")
        case Par():
            parts = [element("div", _steps(workflow, part, shares)) for part in block.parts]
            return element("div", *parts, class_="parts-of")
        case Loop() | Map() | Retry() | Spawn():
            return _steps(workflow, block.do, shares)
        case _:
            return NOTHING


def _caps(workflow: Workflow, block: Block) -> list[str]:
    match block:
        case Branch(options=(option,)):
            return [_chances(option.chance)]
        case Call():
            return [block.model.name, _most_of(_most(block.output), "≤ {:,} tokens out")]
        case Tool():
            return [usd(block.cost_nanodollars / 1e9)] if block.cost_nanodollars else []
        case Retry():
            return [f"fails {_by_attempt(block.fail)}", _most_of(block.most, "≤ {:,} attempts")]
        case Loop():
            grows = ["history grows"] if block.grows else []
            return [f"again {_by_attempt(block.again)}", _most_of(block.most, "≤ {:,} rounds"), *grows]
        case Map():
            at_once = [] if block.concurrency is None else [f"{block.concurrency:,} at a time"]
            return [_over(block), _items(workflow, block), *at_once]
        case Spawn():
            return [_children(block), "no max of levels" if block.most is None else f"≤ {block.most:,} levels"]
        case _:
            return []


def _most_of(most: int | None, text: str) -> str:
    return "no max" if most is None else text.format(most)


def _most(counts: ByClass) -> int | None:
    """
    The most of any class; ``None`` where one has none.
    """
    found = [one.most for one in counts]
    return None if None in found else max(one for one in found if one is not None)


def _over(block: Map) -> str:
    return block.over if isinstance(block.over, str) else "items"


def _items(workflow: Workflow, block: Map) -> str:
    found = [one for one in (block.most, _most(items_of(workflow, block))) if one is not None]
    return f"≤ {min(found):,}" if found else "no max of items"


def _children(block: Spawn) -> str:
    most = _most(block.children)
    return "any number of children" if most is None else f"≤ {most:,} children"


def _by_attempt(chances: Sequence[tuple[float, ...]]) -> str:
    """
    By class, the first attempt and then the last; ``8 %``, ``70 / 86 / 94 %``, ``32, 98 %``.
    """
    texts = [_numbers(sorted({one[0], one[-1]}, key=one.index), ", ") for one in chances]
    return f"{texts[0]} %" if len(set(texts)) == 1 else f"{' / '.join(texts)} %"


def _chances(chances: Sequence[float]) -> str:
    return f"{_numbers(list(dict.fromkeys(chances)), ' / ')} %"


def _numbers(chances: Sequence[float], between: str) -> str:
    return between.join(chance(one).removesuffix(" %") for one in chances)
