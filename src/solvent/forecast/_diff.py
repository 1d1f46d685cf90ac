"""
Two forecasts side by side, and conditions on how they differ that a continuous integration can fail on.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal, TypeAlias

from msgspec import Struct

from solvent.forecast._forecast import FIGURES, Forecast

_OF = ("cost_usd", "tokens", "calls", "seconds")
MONTH = "month"
_CONDITION = re.compile(
    r"\s*(?P<figure>[a-z_]+(?:\.[a-z0-9.]+)?|p[0-9.]+)\s*(?P<sign>>=|<=|>|<)\s*"
    r"(?P<amount>[+-]?\$?(?:\d+(?:,\d{3})*(?:\.\d*)?|\.\d+))\s*(?P<unit>[%kKMG]?)\s*"
)
_TIMES = {
    unit: Decimal(times)
    for unit, times in {"": "1", "%": "0.01", "k": "1e3", "K": "1e3", "M": "1e6", "G": "1e9"}.items()
}
_UNKNOWN = "seconds.worst"  # Nobody says how long a call takes at most.

Sign: TypeAlias = Literal["<", "<=", ">", ">="]


class Change(Struct, frozen=True, kw_only=True):
    """
    One figure of two forecasts.

    Attributes:
        figure: ``cost_usd.p99``; ``month`` is the mean bill of a month in dollars.
        old, new: ``None`` where there is none: the worst of what nothing caps, a month without a number of runs.
    """

    figure: str
    old: float | None
    new: float | None

    @property
    def relative(self) -> float | None:
        """
        The change as a share of the old figure; ``None`` where there is no such share.
        """
        if self.old is None or self.new is None:
            return None
        if self.old == self.new:
            return 0.0
        return None if self.old == 0 else self.new / self.old - 1


class Condition(Struct, frozen=True, kw_only=True):
    """
    What may not be: ``p99 > +20%``, ``cost_usd.mean > 0.40``, ``month > $5000``.

    Attributes:
        figure: As in ``Change``.
        is_relative: The amount is a change of the figure, as a share, and not the new figure itself.
    """

    text: str
    figure: str
    sign: Sign
    amount: float
    is_relative: bool

    def is_met(self, changes: Mapping[str, Change]) -> bool:
        """
        Whether it is so. A figure that is without a cap now is above any amount.
        """
        change = changes[self.figure]
        rises = self.sign in (">", ">=")
        if change.new is None:
            return rises and not (self.is_relative and change.old is None)
        value = change.relative if self.is_relative else change.new
        if value is None:  # It was nothing, or had no cap, and is now so much.
            return rises == (change.old == 0)
        match self.sign:
            case ">":
                return value > self.amount
            case ">=":
                return value >= self.amount
            case "<":
                return value < self.amount
            case "<=":
                return value <= self.amount


def condition(text: str) -> Condition:
    """
    A condition as it is written.

    Raises:
        ValueError: It is none; says what is.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a figure, a sign and an amount such as 'p99 > +20%' or 'mean > 0.40', got {text!r}")
    figure = found["figure"].replace("p99.9", "p999")
    if figure in FIGURES:
        figure = f"cost_usd.{figure}"
    known = {MONTH, *(f"{of}.{name}" for of in _OF for name in FIGURES)} - {_UNKNOWN}
    if figure not in known:
        raise ValueError(
            f"expected one of {', '.join(FIGURES)}, of cost_usd unless it is {', '.join(_OF[1:])} "
            f"(tokens.p99), or {MONTH}; got {found['figure']!r}"
        )
    is_relative = found["unit"] == "%"
    if not is_relative and found["amount"][0] in "+-":
        raise ValueError(f"expected a change in percent such as +20%, or an amount without a sign, got {text!r}")
    amount = Decimal(re.sub("[$,]", "", found["amount"])) * _TIMES[found["unit"]]
    sign: Sign = found["sign"]  # type: ignore[assignment]  # The pattern has no other.
    return Condition(text=text.strip(), figure=figure, sign=sign, amount=float(amount), is_relative=is_relative)


def check_known(conditions: Iterable[Condition], found: Mapping[str, Change]) -> None:
    """
    Raises:
        ValueError: One is of a month, and a workflow does not say how many runs one has.
    """
    for one in conditions:
        if one.figure == MONTH and None in (found[MONTH].old, found[MONTH].new):
            raise ValueError(f"{one.text!r} needs `volume: {{runs_per_month: N}}` in both workflows")


def changes(old: Forecast, new: Forecast) -> dict[str, Change]:
    """
    Every figure of two forecasts, by its name.
    """
    found = {}
    for of in _OF:
        before, after = getattr(old, of), getattr(new, of)
        for name in FIGURES:
            figure = f"{of}.{name}"
            found[figure] = Change(figure=figure, old=getattr(before, name), new=getattr(after, name))
    months = (None if one.month is None else one.month.mean_usd for one in (old, new))
    found[MONTH] = Change(figure=MONTH, old=next(months), new=next(months))
    return found
