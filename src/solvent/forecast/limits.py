"""
Limits that follow from a workflow's runs: for every layer of a policy, and so that all of them together end no more
legitimate runs than was asked for.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from solvent._amounts import AMOUNT_MAX
from solvent._limits import Meter
from solvent.forecast._caps import Cap, caps_of
from solvent.forecast._conformal import joint_limits, runs_needed, share_interval, sure_rank
from solvent.forecast._derived import GIVEN, ROUNDED, DerivedLimit, lowered, month, others, rounded_up
from solvent.forecast._limited import NANODOLLARS, Figure, Layer, figures, is_in, unbounded, untimed
from solvent.forecast._model import Degrade, Wishes, Workflow
from solvent.forecast.bounds import bounds
from solvent.forecast.simulate import Rules, Runs, simulate

_STEPPED_DOWN = 2**13  # Runs that are simulated call by call, which takes half a second.
LAYERS: tuple[Layer, ...] = ("orchestration", "agent loop", "invocation", "platform")


class Limits(Struct, frozen=True, kw_only=True):
    """
    All limits of a workflow.

    Attributes:
        may_block: The share of legitimate runs that they may end together.
        blocks: That of the simulated legitimate runs, ``runs`` in number, which they would end.
        blocks_interval: Where that of all legitimate runs lies, in 95 of 100 cases.
        caps: In the program itself, which could be smaller, or are missing.
        too_few: Why the runs do not suffice for ``may_block``, in a sentence.
        remarks: What is not limited, and why; a sentence each.
    """

    all: tuple[DerivedLimit, ...]
    may_block: float
    blocks: float
    blocks_interval: tuple[float, float]
    runs: int
    caps: tuple[Cap, ...]
    too_few: str | None
    remarks: tuple[str, ...]

    @property
    def usd(self) -> float | None:
        """
        Dollars that one run may cost.
        """
        limit = self.find("orchestration", "usd")
        return None if limit is None else limit.amount / NANODOLLARS

    def rules(self, degrade: Sequence[Degrade] = ()) -> Rules:
        """
        The same for a simulation, which knows those of runs, and of blocks in them.
        """
        steps: dict[str, dict[str, float]] = {}
        for one in self.all:
            if one.layer == "agent loop":
                amount = one.amount / NANODOLLARS if one.meter == "usd" else one.amount
                steps.setdefault(one.path, {})[one.meter] = amount
        run = {one.meter: one.amount for one in self.all if one.layer == "orchestration"}
        return Rules(
            usd=self.usd,
            tokens=run.get("tokens"),
            calls=run.get("calls"),
            retries=run.get("retries"),
            branches=run.get("branches"),
            seconds=run.get("seconds"),
            steps=steps,
            degrade=tuple(degrade),
        )

    def find(self, layer: Layer, meter: Meter, path: str = "") -> DerivedLimit | None:
        return next((one for one in self.all if (one.layer, one.meter, one.path) == (layer, meter, path)), None)


def derive(workflow: Workflow, runs: Runs) -> Limits:
    """
    The limits of a workflow.

    Args:
        runs: Of it, simulated without rules.

    Raises:
        ValueError: None of them is legitimate.
    """
    found = _of_legitimate(workflow, runs)
    limits, is_found = _joint(found, workflow.wishes)
    limits = lowered([*limits, *others(workflow, runs)])
    ended = [figure.of > limit.amount for figure, limit in zip(found, limits, strict=False)]
    limits[: len(found)] = [
        replace(limit, blocks=float(of.mean()), can_block=_can_block(workflow, limit))
        for limit, of in zip(limits, ended, strict=False)
    ]
    count, passing = len(ended[0]), int(np.any(ended, axis=0).sum())
    limits += month(workflow, runs, limits)
    derived = Limits(
        all=tuple(sorted(limits, key=lambda limit: LAYERS.index(limit.layer))),
        may_block=workflow.wishes.may_block,
        blocks=passing / count,
        blocks_interval=share_interval(passing, count),
        runs=count,
        caps=caps_of(workflow),
        too_few=None if is_found else _too_few(workflow.wishes.may_block, count),
        remarks=tuple(_remarks(workflow, limits)),
    )
    return replace(derived, remarks=(*derived.remarks, *_stepping_down(workflow, derived)))


def _stepping_down(workflow: Workflow, limits: Limits) -> Iterator[str]:
    """
    What peaks do not tell, for they are those of the models that the workflow names: whether more runs end where calls
    go on with another one, which is sent the whole history anew and has a larger bound for it.
    """
    degrade = workflow.wishes.degrade
    if not degrade:
        return
    ran = simulate(workflow, runs=_STEPPED_DOWN, rules=limits.rules(degrade))
    ended = ran.blocked[_are_legitimate(workflow, ran)]
    low, high = share_interval(int(ended.sum()), len(ended))
    if low > workflow.wishes.may_block:
        yield (
            f"with the models of `at:`, {100 * low:.2g} % to {100 * high:.2g} % of legitimate runs end: another one is "
            "sent the whole history anew, with a larger bound; let it begin later, or raise `may_block:`"
        )


def _are_legitimate(workflow: Workflow, runs: Runs) -> NDArray[np.bool_]:
    names = [name for name, _ in workflow.classes]
    wanted = [names.index(name) for name in workflow.wishes.legitimate or names]
    return np.isin(runs.class_index, wanted) if names else np.ones(len(runs.usd), np.bool_)


def _of_legitimate(workflow: Workflow, runs: Runs) -> list[Figure]:
    is_legitimate = _are_legitimate(workflow, runs)
    if not is_legitimate.any():
        raise ValueError(f"none of {len(runs.usd):,} runs is legitimate")
    return [replace(figure, of=figure.of[is_legitimate]) for figure in figures(workflow, runs)]


def _joint(found: Sequence[Figure], wishes: Wishes) -> tuple[list[DerivedLimit], bool]:
    """
    A limit for each figure, at one level; and whether there were enough runs for it.

    What a given limit ends is part of ``may_block``; where it ends more than that, the others are held to the runs that
    it leaves.
    """
    given, amount = _given(found, wishes)
    free = [figure.of for figure in found if figure is not given]
    ended = None if given is None else given.of > amount
    if ended is not None and ended.mean() > wishes.may_block:
        free, ended = [of[~ended] for of in free], None
    level = joint_limits(free, wishes.may_block, passed_anyway=ended)
    sure = joint_limits(free, wishes.may_block, passed_anyway=ended, rank_of=sure_rank)
    amounts = zip(level.limits, sure.limits, strict=True)
    return [
        _limit(figure, *((amount, amount) if figure is given else next(amounts))) for figure in found
    ], level.is_found


def _given(found: Sequence[Figure], wishes: Wishes) -> tuple[Figure | None, int]:
    """
    The figure whose limit is there already.
    """
    if wishes.usd_nanodollars is not None:
        for figure in found:
            if (figure.layer, figure.meter) == ("orchestration", "usd"):
                return figure, wishes.usd_nanodollars
    return None, 0


def _limit(figure: Figure, amount: float, sure_amount: float) -> DerivedLimit:
    is_given = isinstance(amount, int)
    is_rounded = figure.meter in ROUNDED and not is_given
    amount, sure = (rounded_up(one) if is_rounded else math.ceil(one) for one in (amount, max(amount, sure_amount)))
    return DerivedLimit(
        layer=figure.layer,
        pattern=figure.pattern,
        path=figure.path,
        meter=figure.meter,
        amount=min(amount, AMOUNT_MAX),
        sure_amount=min(sure, AMOUNT_MAX),
        derived_from=GIVEN if is_given else figure.what,
    )


def _can_block(workflow: Workflow, limit: DerivedLimit) -> bool:
    """
    Whether the workflow lets a run pass it, as far as its worst case says.
    """
    if limit.meter != "calls":
        return True
    most = bounds(workflow, "calls").nodes
    return sum(calls for path, calls in most.items() if is_in(path, limit.path)) > limit.amount


def _too_few(may_block: float, count: int) -> str:
    needed = 2 * runs_needed(may_block)  # Half of the runs are for the ranks.
    return (
        f"{count:,} legitimate runs are too few for {100 * may_block:g} %, which takes {needed:,} or more: the limits "
        "are the most that any of them came to"
    )


def _remarks(workflow: Workflow, limits: Sequence[DerivedLimit]) -> Iterator[str]:
    """
    What is not limited, and why.
    """
    blocked = max((one.blocks for one in limits if one.derived_from == GIVEN), default=0.0)
    if blocked > workflow.wishes.may_block:
        yield f"the given limit of dollars ends {100 * blocked:.2g} % of legitimate runs by itself"
    if paths := unbounded(workflow):
        yield f"no limit of dollars or tokens: the output of {', '.join(paths)} has no max"
    if paths := untimed(workflow):
        yield f"no limit of seconds: {', '.join(paths)} {'says' if len(paths) == 1 else 'say'} none"
    found = {(one.layer, one.meter) for one in limits}
    if ("orchestration", "retries") not in found:
        yield "no limit of retries: no call is repeated in this workflow, and SDKs repeat some by themselves"
    if ("orchestration", "depth") not in found:
        yield "no limit of depth: agents spawn agents without a max"
    if workflow.volume is None:
        yield "no limit of a month: the workflow does not say how many runs it has (`volume:`)"
    elif ("platform", "usd") not in found:
        yield "no limit of a month: it costs more than a limit can be, or nobody knows what"
