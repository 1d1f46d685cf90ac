"""
The price of one model: which of its rates holds at a moment and in a service tier.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from solvent._amounts import PICODOLLARS_PER_NANODOLLAR, Nanodollars, Usage
from solvent.errors import PriceUnknown
from solvent.prices._rates import (
    HALF_HOUR_SECONDS,
    Ceilings,
    Slot,
    Steps,
    Unpriced,
    ceilings_of,
    cost_max_picodollars,
    cost_picodollars,
    steps_of,
)

# No provider uses one of these names for anything but the price that its list gives first, so they hold for all.
# "auto" is what the account is set to; where that is another tier the reply names it, and the reply is what is booked.
# A tier that one provider sells at its standard price ("flex" at Groq) is not among them: elsewhere it costs otherwise.
# Source, all read 2026-11-21: the parameter's text in openai 3 ("auto" is the project's tier, "default" unless
# configured; "default" is "standard pricing"; the reply names the tier that served) and in anthropic 2 (requests
# "auto", "standard_only"; replies "standard"); https://console.groq.com/docs/service-tiers ("on_demand").
STANDARD_TIERS = frozenset({None, "", "auto", "default", "on_demand", "standard", "standard_only"})

# Source: https://platform.claude.com/docs/en/build-with-claude/data-residency, "global" is the default of
# `inference_geo`, read 2026-11-21; recorded replies also say "not_available" and "". Whatever else may cost more.
STANDARD_REGIONS = frozenset({None, "", "default", "global", "not_available"})

_DAY_SECONDS = 86_400
_HOUR_SECONDS = 3_600
_KEPT = 64  # Ceilings kept per model; each serves one tier for one hour.


class Rule(NamedTuple):
    """
    Prices and when they hold: from a day (a proleptic ordinal), in a daily window of UTC seconds, or always.
    """

    since: int | None
    start: int | None
    end: int | None
    slots: Mapping[str, Slot]

    def is_active(self, day: int, second: int) -> bool:
        if self.since is not None:
            return day >= self.since
        if self.start is None or self.end is None:
            return True
        if self.end < self.start:
            return second >= self.start or second < self.end
        return self.start <= second < self.end


class Variant(NamedTuple):
    """
    Prices that replace some of the standard ones in a service tier, from a day on.
    """

    name: str
    since: int | None
    slots: Mapping[str, Slot]


class ModelPrice:
    """
    The price of one model of one provider: a ``Price``.

    Args:
        rules: Standard prices; the last that is active holds, and the first where none is.
        variants: For each price of a tier, the first that is active holds.
        every_tier: The price holds in any tier and region, for whoever gave it says what the model costs.
    """

    __slots__ = (
        "_ceilings",
        "_every_tier",
        "_flat",
        "_rules",
        "_steps",
        "_variants",
        "input_tokens_max",
        "model",
        "output_tokens_max",
        "provider",
        "source",
    )

    def __init__(
        self,
        *,
        model: str,
        provider: str,
        source: str,
        rules: Sequence[Rule],
        variants: Sequence[Variant] = (),
        input_tokens_max: int | None = None,
        output_tokens_max: int | None = None,
        every_tier: bool = False,
    ) -> None:
        self.model = model
        self.provider = provider
        self.source = source
        self.input_tokens_max = input_tokens_max
        self.output_tokens_max = output_tokens_max
        self._rules = tuple(rules)
        self._variants = tuple(variants)
        self._every_tier = every_tier
        self._flat = steps_of(self._rules[0].slots) if len(self._rules) == 1 else None
        self._steps: dict[tuple[int, tuple[int, ...]], Steps] = {}
        self._ceilings: dict[tuple[str | None, int], Ceilings] = {}

    def __repr__(self) -> str:
        return f"ModelPrice({self.provider}/{self.model}, {self.source})"

    def fee(self, unit: str) -> Slot:
        """
        What the model's last standard prices say of one unit.
        """
        return self._rules[-1].slots.get(unit)

    @property
    def by_user(self) -> bool:
        return self._every_tier

    def cost(self, usage: Usage, *, tier: str | None, region: str | None, at: datetime) -> Nanodollars:
        """
        What the usage costs, rounded up to whole nanodollars once.

        Raises:
            PriceUnknown: The tier, region or a used unit has no price.
        """
        steps = self._flat
        if steps is None or tier not in STANDARD_TIERS or region not in STANDARD_REGIONS:
            day, second = _day_and_second(at)
            steps = self._steps_at(self._variant(tier, region), day, second)
        try:
            picodollars = cost_picodollars(steps, usage)
        except Unpriced as unpriced:
            raise self._unknown(str(unpriced)) from None
        return Nanodollars(-(-picodollars // PICODOLLARS_PER_NANODOLLAR))

    def cost_max(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        tier: str | None,
        region: str | None,
        at: datetime,
        cache_writes: Collection[str] | None,
        tool_calls: Mapping[str, int],
    ) -> Nanodollars:
        """
        The most that a call can cost whose tokens are at most these: the highest price that can apply to each token.

        A price that changes within a day, or a daily window within an hour, counts too: the call may be billed by
        the provider's own day and when it ends. So does the standard price under another tier, for a provider may
        serve the request there.

        Raises:
            PriceUnknown: As for ``cost``.
        """
        try:
            picodollars = cost_max_picodollars(
                self._ceilings_at(self._variant(tier, region), at),
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cache_writes=cache_writes,
                tool_calls=tool_calls,
            )
        except Unpriced as unpriced:
            raise self._unknown(str(unpriced)) from None
        return Nanodollars(-(-picodollars // PICODOLLARS_PER_NANODOLLAR))

    def _variant(self, tier: str | None, region: str | None) -> str | None:
        """
        The name of the variant that a tier and a region ask for; ``None`` is the standard price.
        """
        if self._every_tier:
            return None
        names = {variant.name for variant in self._variants}
        asked = [
            name for name, standard in ((tier, STANDARD_TIERS), (region, STANDARD_REGIONS)) if name not in standard
        ]
        if not asked:
            return None
        for what, name in (("service tier", tier), ("region", region)):
            if name in asked and (name not in names or len(asked) > 1):
                raise self._unknown(f"{what} {name!r}")
        return asked[0]

    def _steps_at(self, name: str | None, day: int, second: int) -> Steps:
        """
        The rates that hold at one moment.

        Raises:
            PriceUnknown: The variant has no price yet at that time.
        """
        active = [index for index, rule in enumerate(self._rules) if rule.is_active(day, second)]
        variants = tuple(
            index
            for index, variant in enumerate(self._variants)
            if variant.name == name and (variant.since is None or day >= variant.since)
        )
        if name is not None and not variants:
            raise self._unknown(f"service tier {name!r} at that time")
        key = (active[-1] if active else 0, variants)
        if key not in self._steps:
            slots = dict(self._rules[key[0]].slots)
            for index in reversed(variants):  # The first wins, so it is laid on last.
                slots.update((unit, slot) for unit, slot in self._variants[index].slots.items() if slot is not None)
            self._steps[key] = steps_of(slots)
        return self._steps[key]

    def _ceilings_at(self, name: str | None, at: datetime) -> Ceilings:
        if self._flat is not None and name is None:
            key: tuple[str | None, int] = (None, 0)
            if key not in self._ceilings:
                self._ceilings[key] = ceilings_of([self._flat])
            return self._ceilings[key]
        day, second = _day_and_second(at)
        key = (name, day * 24 + second // _HOUR_SECONDS)
        if key not in self._ceilings:
            if len(self._ceilings) >= _KEPT:
                self._ceilings.clear()
            self._ceilings[key] = ceilings_of(self._versions_about(name, day, second // _HOUR_SECONDS * _HOUR_SECONDS))
        return self._ceilings[key]

    def _versions_about(self, name: str | None, day: int, hour: int) -> list[Steps]:
        """
        All rates that can apply to a call of this hour: the day before to the day after, an hour before to one after.
        """
        versions = [self._steps_at(name, day, hour)]
        for one_day in (day - 1, day, day + 1):
            for second in range(hour - _HOUR_SECONDS, hour + 2 * _HOUR_SECONDS, HALF_HOUR_SECONDS):
                versions.append(self._steps_at(None, one_day, second % _DAY_SECONDS))
                if name is not None and one_day >= day:
                    versions.append(self._steps_at(name, one_day, second % _DAY_SECONDS))
        return list(dict.fromkeys(versions))

    def _unknown(self, what: str) -> PriceUnknown:
        return PriceUnknown(model=self.model, provider=self.provider, what=what)


def _day_and_second(at: datetime) -> tuple[int, int]:
    """
    The UTC day and the second in it; a time without a zone is UTC.
    """
    if at.tzinfo is not None:
        at = at.astimezone(UTC)
    return at.toordinal(), at.hour * _HOUR_SECONDS + at.minute * 60 + at.second
