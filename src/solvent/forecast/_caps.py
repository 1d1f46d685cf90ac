"""
Caps that stand in the program itself, where a limit of a policy would come too late: of attempts, and of outputs.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from solvent.forecast._chances import chances
from solvent.forecast._counts import ByClass, Count, Lognormal, OneOf
from solvent.forecast._limited import most_of
from solvent.forecast._model import Call, Retry, Workflow, chance, every

MIN_GAIN = 0.02  # An attempt that succeeds less often is not worth making.
_ATTEMPTS = 1_000  # Nobody makes more.
_ROUNDING = 1e-12
CapKind: TypeAlias = Literal["attempts", "output_tokens"]


class Cap(Struct, frozen=True, kw_only=True):
    """
    A cap that would do.

    Attributes:
        declared: ``None`` where there is none.
        why: What is lost by it, in words.
    """

    path: str
    kind: CapKind
    declared: int | None
    enough: int
    why: str


def caps_of(workflow: Workflow, *, min_gain: float = MIN_GAIN) -> tuple[Cap, ...]:
    """
    The caps of a workflow that could be smaller, or are missing.

    Args:
        min_gain: How often one more attempt must succeed at least to be worth it.
    """
    found = [*_of_retries(workflow, min_gain), *_of_outputs(workflow)]
    return tuple([cap for cap in found if cap.declared is None or cap.enough < cap.declared])


def _of_retries(workflow: Workflow, min_gain: float) -> Iterator[Cap]:
    for block in every(workflow.graph):
        if isinstance(block, Retry):
            number, gain = _last_worth_it(workflow, block, min_gain)
            if number is not None:
                why = f"one more attempt would succeed in {gain:.2g} of 100 cases"
                yield Cap(path=block.path, kind="attempts", declared=block.most, enough=number, why=why)


def _last_worth_it(workflow: Workflow, block: Retry, min_gain: float) -> tuple[int | None, float]:
    """
    After which attempt another one succeeds too seldom, and in how many of 100 cases; none where each is worth it.

    The classes are weighed by how many of their runs have failed until then.
    """
    failing = list(workflow.shares)
    for number in range(1, min(block.most or _ATTEMPTS, _ATTEMPTS)):
        failing = [share * chance(fail, number - 1) for share, fail in zip(failing, block.fail, strict=True)]
        again = sum(share * chance(fail, number) for share, fail in zip(failing, block.fail, strict=True))
        total = sum(failing)
        if total and 1 - again / total < min_gain:
            return number, 100 * (1 - again / total)
    return None, 0.0


def _of_outputs(workflow: Workflow) -> Iterator[Cap]:
    may_cut = workflow.wishes.may_block
    for block in every(workflow.graph):
        if isinstance(block, Call):
            cut = _quantile(workflow, block.output, may_cut)
            why = f"it cuts {100 * may_cut:g} of 100 replies at most"
            yield Cap(path=block.path, kind="output_tokens", declared=most_of(block.output), enough=cut, why=why)


def _quantile(workflow: Workflow, count: ByClass, above: float) -> int:
    """
    The smallest number above which at most this share lies, over all classes.
    """
    reached = [_reached(one) for one in count]

    def is_enough(number: int) -> bool:
        return (
            sum(share * of(number) for of, share in zip(reached, workflow.shares, strict=True)) >= 1 - above - _ROUNDING
        )

    high = 1
    while not is_enough(high):
        high *= 2
    return bisect_left(range(high), True, key=is_enough)


def _reached(count: Count) -> Callable[[int], float]:
    """
    The chance of at most so many.
    """
    usual, rare = _reached_usually(count), count.rare
    if rare is None:
        return usual

    def reached(number: int) -> float:
        of_rare = min(max(number + 1 - rare.least, 0) / (rare.most + 1 - rare.least), 1.0)
        return (1 - rare.share) * usual(number) + rare.share * of_rare

    return reached


def _reached_usually(count: Count) -> Callable[[int], float]:
    """
    Without a table where there is a formula: the table may be too long to be listed.
    """
    usual = count.usual
    if isinstance(usual, Lognormal) and usual.sigma > 0:
        most = math.inf if usual.most is None else usual.most
        normal = NormalDist(usual.mu, usual.sigma)
        return lambda number: 1.0 if number >= most else normal.cdf(math.log(number)) if number else 0.0
    if isinstance(usual, OneOf):
        pairs = list(zip(usual.values, usual.chances, strict=True))
        return lambda number: math.fsum(chance for value, chance in pairs if value <= number)
    table = chances(replace(count, rare=None))
    total = np.append(0.0, np.cumsum(table.of))
    return lambda number: float(total[min(max(number + 1 - table.least, 0), len(table.of))])
