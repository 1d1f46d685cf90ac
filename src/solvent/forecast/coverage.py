"""
Which limits contain which failures: what one run may spend at worst when something in it goes wrong.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from solvent._limits import Meter
from solvent.forecast._contained import Worst
from solvent.forecast._failures import Failure, failures
from solvent.forecast._model import Workflow
from solvent.forecast.bounds import bounds
from solvent.forecast.limits import Limits
from solvent.policy._coverage import TYPES

Column: TypeAlias = Literal["none", "step", "fan-out", "retry", "output and token", "time", "cost", "all"]


class Row(Struct, frozen=True, kw_only=True):
    """
    A failure pattern.

    Attributes:
        what: What it makes of the workflow, in words.
        worst: By the columns of the table, dollars; ``None`` where nothing ends it.
        contained_by: The kinds of limits that each by itself keep it to what the workflow may cost as it is declared.
    """

    pattern: str
    what: str
    worst: tuple[float | None, ...]
    contained_by: tuple[Column, ...]


class Coverage(Struct, frozen=True, kw_only=True):
    """
    What one run spends at worst, by failure pattern and by the kinds of limits that are in force.

    Attributes:
        declared: The most that the workflow may cost as it is declared; ``None`` where nothing bounds it.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    declared: float | None

    @property
    def open(self) -> tuple[str, ...]:
        """
        The patterns that no limit contains.
        """
        return tuple([row.pattern for row in self.rows if not row.contained_by])


# The meters of each kind of limit, as ``solvent check`` has them.
_METERS: Mapping[Column, tuple[Meter, ...]] = {
    "none": (),
    "step": (*TYPES["step"],),
    "fan-out": (*TYPES["fan-out"],),
    "retry": (*TYPES["retry"],),
    "output and token": (*TYPES["output"], *TYPES["token"]),
    "time": (*TYPES["time"],),
    "cost": (*TYPES["cost"],),
    "all": tuple([meter for meters in TYPES.values() for meter in meters]),
}


def coverage(workflow: Workflow, limits: Limits) -> Coverage:
    """
    What each kind of limit makes of each failure pattern, alone and with all others.
    """
    declared, worst = bounds(workflow, "usd").high, Worst()
    return Coverage(
        columns=tuple(_METERS),
        rows=tuple([_row(failure, limits, declared, worst) for failure in failures(workflow)]),
        declared=declared,
    )


def _row(failure: Failure, limits: Limits, declared: float | None, worst: Worst) -> Row:
    spent = {
        column: worst.under(failure, [one for one in limits.all if one.meter in meters])
        for column, meters in _METERS.items()
    }
    contained = [column for column, usd in spent.items() if usd is not None and (declared is None or usd <= declared)]
    return Row(pattern=failure.pattern, what=failure.what, worst=tuple(spent.values()), contained_by=tuple(contained))
