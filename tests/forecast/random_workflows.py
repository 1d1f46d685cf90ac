"""
Small workflows of all kinds, as hypothesis draws them.
"""

import small
from hypothesis import strategies as st
from msgspec.structs import replace

from solvent.forecast._model import Compaction

SHARES = st.sampled_from([0.1, 0.4, 0.5, 0.75])
COUNTS = st.sampled_from([(1,), (2,), (0, 3), (1, 4)])
NUMBERS = st.sampled_from([(0, 1), (1,), (2,), (0, 2)])
MODELS = st.builds(
    small.model,
    cached=st.sampled_from([0.0, 0.0, 0.6, 1.0]),
    above=st.sampled_from([None, None, 5]),
    cache_write=st.sampled_from([1, 3]),
)


@st.composite
def workflows(draw):
    """
    With an input ``items``, that some of its maps may be over.
    """
    names = iter(range(1_000))
    graph = draw(_blocks(names, depth=2, grows=False))
    return small.workflow(*graph, inputs={"items": draw(NUMBERS.map(lambda values: small.count(*values)))})


@st.composite
def _blocks(draw, names, *, depth, grows):
    return tuple([draw(_block(names, depth=depth, grows=grows)) for _ in range(draw(st.integers(1, 2)))])


@st.composite
def _block(draw, names, *, depth, grows):
    kinds = ["call", "call", "tool"]
    if depth:
        kinds += ["branch", "retry", "loop", "growing", "map", "input", "par", "spawn"]
    kind = draw(st.sampled_from(kinds))
    # Only what is in a branch or in a retry belongs to the growing loop around it.
    do = (
        draw(_blocks(names, depth=depth - 1, grows=kind == "growing" or (grows and kind in ("branch", "retry"))))
        if (kind not in ("call", "tool"))
        else ()
    )
    match kind:
        case "call":
            block = small.call(
                prompt=draw(COUNTS), output=draw(COUNTS), of=draw(MODELS), history=grows and draw(st.booleans())
            )
        case "tool":
            block = small.tool(cost=draw(st.integers(0, 3)), result=draw(COUNTS) if grows else None)
        case "branch":
            block = small.branch((draw(SHARES), do), (0.25, (small.tool("other"),)))
        case "retry":
            block = small.retry(*do, fail=(draw(SHARES), draw(SHARES)), most=2)
        case "loop":
            block = small.loop(*do, again=(draw(SHARES),), most=2)
        case "growing":
            compaction = draw(st.sampled_from([None, None, Compaction(at=4, to=small.count(1, 2))]))
            block = small.loop(
                *do, again=(draw(SHARES),), most=draw(st.integers(1, 3)), grows=True, compaction=compaction
            )
        case "map":
            block = small.fan_out(*do, over=draw(NUMBERS))
        case "input":
            block = small.fan_out(*do, over="items", most=draw(st.sampled_from([None, 1])))
        case "par":
            block = small.par(do, (small.tool("beside"),))
        case "spawn":
            block = small.spawn(*do, children=draw(NUMBERS), most=2)
    name = f"{kind}{next(names)}"
    return replace(block, name=name, path=f"{'agent' if kind == 'spawn' else 'step'}:{name}")
