"""
Limits that follow from a workflow's runs: for every layer of a policy, and so that all of them together end no more
legitimate runs than was asked for.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

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
from solvent.forecast._refused import without_refused
from solvent.forecast.bounds import bounds
from solvent.forecast.simulate import Rules, Runs, simulate

_STEPPED_DOWN = 2**13  # Runs that are simulated call by call, which takes half a second.
LAYERS: tuple[Layer, ...] = ("orchestration", "agent loop", "invocation", "platform")


class NoLimits(ValueError):
    """
    No run that was simulated is legitimate, so that nothing is known of those that limits are for.
    """


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
        NoLimits: None of them is legitimate.
    """
    found = _of_legitimate(workflow, runs)
    limits, too_few = _joint(found, workflow.wishes)
    limits = lowered([*limits, *others(workflow, runs)])
    limits = without_refused(workflow, [*limits, *month(workflow, runs, limits)])
    limits, ended = _counted(workflow, found, limits)
    count, passing = len(ended), int(ended.sum())
    derived = Limits(
        all=tuple(sorted(limits, key=lambda limit: LAYERS.index(limit.layer))),
        may_block=workflow.wishes.may_block,
        blocks=passing / count,
        blocks_interval=share_interval(passing, count),
        runs=count,
        caps=caps_of(workflow),
        too_few=too_few,
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
        raise NoLimits(_none_of(workflow, len(runs.usd)))
    return [replace(figure, of=figure.of[is_legitimate]) for figure in figures(workflow, runs)]


def _none_of(workflow: Workflow, runs: int) -> str:
    wishes = workflow.wishes
    share = sum(share for name, share in workflow.classes if name in wishes.legitimate)
    text = f"none of {runs:,} runs is legitimate, for {100 * share:.3g} % are: {', '.join(wishes.legitimate)}"
    if not share:
        return f"{text}. To go on: name another class in `legitimate:`"
    return f"{text}. To go on: --runs {math.ceil(_needed(wishes.may_block) / share)}"


def _counted(
    workflow: Workflow, found: Sequence[Figure], limits: Sequence[DerivedLimit]
) -> tuple[list[DerivedLimit], NDArray[np.bool_]]:
    """
    The limits with the share of runs that each of them ends, and which runs all of them end.
    """
    of = {(figure.layer, figure.path, figure.meter): figure.of for figure in found}
    most, ended = bounds(workflow, "calls").nodes, np.zeros(len(found[0].of), np.bool_)
    counted = []
    for limit in limits:
        if (figure := of.get((limit.layer, limit.path, limit.meter))) is not None:
            passing = figure > limit.amount
            ended |= passing
            limit = replace(limit, blocks=float(passing.mean()), can_block=_can_block(most, limit))
        counted.append(limit)
    return counted, ended


def _joint(found: Sequence[Figure], wishes: Wishes) -> tuple[list[DerivedLimit], str | None]:
    """
    A limit for each figure, at one level; and whether there were too few runs for it, in words.

    What a given limit ends is part of ``may_block``; where it ends more than that, the others are held to the runs that
    it leaves, or to all where it leaves none.
    """
    given, amount = _given(found, wishes)
    free = [figure.of for figure in found if figure is not given]
    ended = None if given is None else given.of > amount
    if ended is not None and ended.mean() > wishes.may_block:
        free, ended = [of if ended.all() else of[~ended] for of in free], None
    level = joint_limits(free, wishes.may_block, passed_anyway=ended)
    sure = joint_limits(free, wishes.may_block, passed_anyway=ended, rank_of=sure_rank)
    amounts = zip(level.limits, sure.limits, strict=True)
    return [
        _limit(figure, *((amount, amount) if figure is given else next(amounts))) for figure in found
    ], None if level.is_found else _too_few(wishes.may_block, len(free[0]))


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


def _can_block(most: Mapping[str, float], limit: DerivedLimit) -> bool:
    """
    Whether the workflow lets a run pass it, as far as its worst case says: so many calls of each path.
    """
    if limit.meter != "calls":
        return True
    return sum(calls for path, calls in most.items() if is_in(path, limit.path)) > limit.amount


def _too_few(may_block: float, count: int) -> str:
    return (
        f"{count:,} legitimate runs are too few for {100 * may_block:g} %, which takes {_needed(may_block):,} or more: "
        "the limits are the most that any of them came to"
    )


def _needed(may_block: float) -> int:
    return 2 * runs_needed(may_block)  # Half of the runs are for the ranks.


def _remarks(workflow: Workflow, limits: Sequence[DerivedLimit]) -> Iterator[str]:
    """
    What is not limited, and why.
    """
    given, boundless = next((one for one in limits if one.derived_from == GIVEN), None), ", ".join(unbounded(workflow))
    if given is not None and (boundless or given.blocks > workflow.wishes.may_block):
        why = f": no limit has room for a call without a bound; give the output of {boundless} a `max:`"
        ends = f"the given limit of dollars ends {100 * given.blocks:.3g} % of legitimate runs by itself"
        yield f"{ends}{why if boundless else ''}"
    if boundless:
        meters = "dollars or tokens" if given is None else "tokens"
        yield f"no limit of {meters}: the output of {boundless} has no max"
    if paths := untimed(workflow):
        yield f"no limit of seconds: {', '.join(paths)} {'says' if len(paths) == 1 else 'say'} none"
    found = {(one.layer, one.meter) for one in limits}
    yield from _refused(found, is_bounded=not boundless)
    if ("orchestration", "retries") not in found:
        yield "no limit of retries: no call is repeated in this workflow, and SDKs repeat some by themselves"
    if ("orchestration", "depth") not in found:
        yield "no limit of depth: agents spawn agents without a max"
    if workflow.volume is None:
        yield "no limit of a month: the workflow does not say how many runs it has (`volume:`)"
    elif ("platform", "usd") not in found:
        yield "no limit of a month: it costs nothing, or more than a limit can be, or nobody knows what"


def _refused(found: Collection[tuple[Layer, Meter]], *, is_bounded: bool) -> Iterator[str]:
    """
    What would forbid every call, those of other programs among them, for runs as good as never use any of it.
    """
    meters: dict[Meter, str] = {"usd": "dollars", "tokens": "tokens"} if is_bounded else {}
    left_out = [name for meter, name in {**meters, "calls": "calls"}.items() if ("orchestration", meter) not in found]
    if left_out:
        yield f"no limit of {' or '.join(left_out)} for a run: so small a one would forbid every call"
