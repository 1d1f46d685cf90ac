"""
Workflows of any shape, in which chance has no say: what a run does is known before, and all runs are alike.
"""

from itertools import count

from hypothesis import strategies as st

from solvent.forecast._counts import Count, Fixed
from solvent.forecast._model import (
    Branch,
    Call,
    Compaction,
    Loop,
    Map,
    Model,
    Option,
    Paced,
    Par,
    Quantiles,
    Rate,
    Retry,
    Spawn,
    Tool,
    Wishes,
    Workflow,
)

_MODELS = (
    Model(name="plain", rates=(Rate(input=3_000_000, output=15_000_000, cache_read=3_000_000, cache_write=3_000_000),)),
    Model(
        name="cached",
        rates=(Rate(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000),),
        cached=1.0,
    ),
    Model(
        name="by_size",
        rates=(
            Rate(input=1_000_000, output=10_000_000, cache_read=100_000, cache_write=1_250_000),
            Rate(above=120, input=2_500_000, output=15_000_000, cache_read=250_000, cache_write=2_500_000),
            Rate(above=400, input=4_000_000, output=16_000_000, cache_read=400_000, cache_write=5_000_000),
        ),
        cached=1.0,
    ),
)


def _counts(draw, least, most, classes):
    return tuple(Count(usual=Fixed(draw(st.integers(least, most)))) for _ in range(classes))


def _seconds(draw):
    p50 = draw(st.sampled_from((0.25, 1.0, 3.0)))
    quantiles = Quantiles(p50=p50, p95=p50, most=draw(st.sampled_from((None, 0.5))))
    return draw(st.sampled_from((None, quantiles, Paced(first_token=0.5, per_output_token=0.01))))


def _chances(draw, classes, most):
    """
    Chances of another round or attempt, all of them 0 or 1, and at most so many in all.
    """
    found = []
    for _ in range(classes):
        ones = draw(st.integers(0, 4))
        found.append((1.0,) * ones + ((0.0,) if most is None or draw(st.booleans()) else (1.0,)))
    return tuple(found)


class _Maker:
    """
    Draws blocks, each with a name of its own.
    """

    def __init__(self, draw, classes):
        self._draw, self._classes, self._numbers = draw, classes, count()

    def counts(self, least, most):
        return _counts(self._draw, least, most, self._classes)

    def some(self, parent, depth, *, grows=False, least=1):
        return tuple(self.block(parent, depth, grows) for _ in range(self._draw(st.integers(least, 3))))

    def block(self, parent, depth, grows):
        kinds = ["call", "tool"] + ["branch", "retry", "loop", "map", "par", "spawn"] * (depth > 0)
        kind = self._draw(st.sampled_from(kinds))
        name = f"{kind}{next(self._numbers)}"
        own = f"{'agent' if kind == 'spawn' else 'step'}:{name}"
        path = f"{parent}/{own}" if parent else own
        return getattr(self, kind)(name, path, parent, depth, grows)

    def call(self, name, path, _parent, _depth, grows):
        return Call(
            name=name,
            path=path,
            model=self._draw(st.sampled_from(_MODELS)),
            prompt=self.counts(0, 200),
            output=self.counts(0, 80),
            history=grows and self._draw(st.integers(0, 3)) > 0,
            seconds=_seconds(self._draw),
        )

    def tool(self, name, path, _parent, _depth, grows):
        return Tool(
            name=name,
            path=path,
            cost_nanodollars=self._draw(st.sampled_from((0, 500_000))),
            result=self.counts(0, 90) if grows and self._draw(st.booleans()) else None,
            seconds=_seconds(self._draw),
        )

    def branch(self, name, _path, parent, depth, grows):
        arms = self._draw(st.integers(1, 3))
        taken = [self._draw(st.integers(0, arms)) for _ in range(self._classes)]
        options = [
            Option(chance=tuple(float(one == arm) for one in taken), do=self.some(parent, depth - 1, grows=grows))
            for arm in range(arms)
        ]
        return Branch(name=name, path=f"{parent}/branch:{name}".lstrip("/"), options=tuple(options))

    def retry(self, name, path, _parent, depth, grows):
        most = self._draw(st.sampled_from((None, 1, 2, 3)))
        fail = _chances(self._draw, self._classes, most)
        return Retry(name=name, path=path, fail=fail, most=most, do=self.some(path, depth - 1, grows=grows))

    def loop(self, name, path, _parent, depth, _grows):
        most, grows = self._draw(st.sampled_from((None, 1, 3, 5))), self._draw(st.booleans())
        compaction = Compaction(at=self._draw(st.integers(50, 400)), to=self.counts(0, 60))
        return Loop(
            name=name,
            path=path,
            again=_chances(self._draw, self._classes, most),
            most=most,
            grows=grows,
            compaction=compaction if grows and self._draw(st.booleans()) else None,
            do=self.some(path, depth - 1, grows=grows),
        )

    def map(self, name, path, _parent, depth, _grows):
        return Map(
            name=name,
            path=path,
            over=self._draw(st.sampled_from(("documents", self.counts(0, 4)))),
            most=self._draw(st.sampled_from((None, 2, 3))),
            concurrency=self._draw(st.sampled_from((None, 1, 2, 3))),
            do=self.some(path, depth - 1),
        )

    def par(self, name, _path, parent, depth, _grows):
        parts = [self.some(parent, depth - 1) for _ in range(self._draw(st.integers(1, 3)))]
        return Par(name=name, path=f"{parent}/par:{name}".lstrip("/"), parts=tuple(parts))

    def spawn(self, name, path, _parent, depth, _grows):
        return Spawn(
            name=name,
            path=path,
            children=self.counts(0, 2),
            most=self._draw(st.integers(1, 3)),
            concurrency=self._draw(st.sampled_from((None, 1, 2))),
            do=self.some(path, depth - 1),
        )


@st.composite
def settled(draw, *, depth=3):
    """
    A workflow in which nothing but the class of input is up to chance.
    """
    classes = draw(st.sampled_from((1, 2)))
    maker = _Maker(draw, classes)
    inputs = {"documents": maker.counts(0, 5)}
    return Workflow(
        name="w",
        graph=maker.some("", depth),
        models={model.name: model for model in _MODELS},
        classes=(("easy", 0.5), ("hard", 0.5)) if classes == 2 else (),
        inputs=inputs,
        wishes=Wishes(input_bound=draw(st.sampled_from((1.0, 4.5)))),
    )
