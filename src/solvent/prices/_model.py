"""
The price of one model: which of its rates holds at a moment, in a service tier and in a region.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple, TypeAlias, TypeVar

from solvent._amounts import PICODOLLARS_PER_NANODOLLAR, Nanodollars, Usage
from solvent.errors import PriceUnknown
from solvent.prices._ceilings import Ceilings, ceilings_of, cost_max_picodollars
from solvent.prices._overlay import Fact
from solvent.prices._parts import CostPart, cost_parts
from solvent.prices._rates import (
    HALF_HOUR_SECONDS,
    Slot,
    Slots,
    Steps,
    Times,
    Unpriced,
    cost_picodollars,
    multiplied,
    steps_of,
)

# No provider uses one of these names for anything but the price that its list gives first, so they hold for all.
# "auto" is what the account is set to; where that is another tier the reply names it, and the reply is what is booked.
# A tier that one provider sells at its standard price ("flex" at Groq) is not among them: elsewhere it costs otherwise.
# Source, all read 2026-11-21: the parameter's text in openai 3 ("auto" is the project's tier, "default" unless
# configured; "default" is "standard pricing"; the reply names the tier that served) and in anthropic 2 (requests
# "auto", "standard_only"; replies "standard"); https://console.groq.com/docs/service-tiers ("on_demand").
STANDARD_TIERS = frozenset({"", "auto", "default", "on_demand", "standard", "standard_only"})

# Source: https://platform.claude.com/docs/en/build-with-claude/data-residency, "global" is the default of
# `inference_geo`, read 2026-11-21; recorded replies also say "not_available" and "". Whatever else may cost more.
STANDARD_REGIONS = frozenset({"", "default", "global", "not_available"})

ROUTE = "route:"  # What the name of a variant begins with that a region selects, and not a tier.
_EVERY = "*"  # Stands for all other regions.
_DAY_SECONDS = 86_400
_HOUR_SECONDS = 3_600
_KEPT = 256  # Prices kept per model; each serves one tier and region for a while. Names come from requests.

_Asked: TypeAlias = tuple[str | None, str | None]  # A tier and a region.
_T = TypeVar("_T")
# What holds from a time until another; always, where both are None.
_Now: TypeAlias = tuple[datetime, datetime, _T] | tuple[None, None, _T]


class Rule(NamedTuple):
    """
    Prices and when they hold: from a day (a proleptic ordinal), in a daily window of UTC seconds, or always.
    """

    since: int | None
    start: int | None
    end: int | None
    slots: Slots

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
    slots: Slots


class Moment(NamedTuple):
    """
    A time as prices know it: the UTC day, as a proleptic ordinal, and the second in it.
    """

    day: int
    second: int


class ModelPrice:
    """
    The price of one model of one provider: a ``Price``.

    Args:
        rules: Standard prices; the last that is active holds, and the first where none is.
        variants: For each price of a tier, the first that is active holds.
        tiers: How many times the standard price a tier costs that has no variant.
        regions: How many times its price a region costs; ``*`` is any other region.
        every_tier: The price holds in any tier and region, for whoever gave it says what the model costs.
        by_user: A user gave it.
        facts: Those of the overlay that are in these prices.
        sources: Of units whose price is from elsewhere.
    """

    def __init__(
        self,
        *,
        model: str,
        provider: str,
        source: str,
        rules: Sequence[Rule],
        variants: Sequence[Variant] = (),
        tiers: Mapping[str, Times] = MappingProxyType({}),
        regions: Mapping[str, Times] = MappingProxyType({}),
        input_tokens_max: int | None = None,
        output_tokens_max: int | None = None,
        every_tier: bool = False,
        by_user: bool = False,
        facts: Sequence[Fact] = (),
        sources: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.model = model
        self.provider = provider
        self.source = source
        self.input_tokens_max = input_tokens_max
        self.output_tokens_max = output_tokens_max
        self.by_user = by_user
        self.facts = tuple(facts)
        self.sources = dict(sources)
        self.rules = tuple(rules)
        self.variants = tuple(variants)
        self.tiers = dict(tiers)
        self.regions = dict(regions)
        self.every_tier = every_tier
        self._has_dated_tiers = any(variant.since is not None for variant in self.variants)
        self._has_hours = any(rule.start is not None for rule in self.rules)
        self._steps: dict[tuple[_Asked, tuple[bool, ...], int], Steps] = {}
        self._steps_now: dict[_Asked, _Now[Steps]] = {}
        self._standard_now: _Now[Steps] | None = None  # The one that nearly every call asks for, at hand.
        self._ceilings_now: dict[_Asked, _Now[Ceilings]] = {}

    def __repr__(self) -> str:
        return f"ModelPrice({self.provider}/{self.model}, {self.source})"

    def renamed(self, *, model: str, provider: str, source: str, by_user: bool) -> "ModelPrice":
        """
        The same price for another model.
        """
        return ModelPrice(
            model=model,
            provider=provider,
            source=source,
            rules=self.rules,
            variants=self.variants,
            tiers=self.tiers,
            regions=self.regions,
            input_tokens_max=self.input_tokens_max,
            output_tokens_max=self.output_tokens_max,
            every_tier=self.every_tier,
            by_user=by_user,
            facts=self.facts,
            sources=self.sources,
        )

    def fee(self, unit: str) -> Slot:
        """
        What the model's last standard prices say of one unit.
        """
        return self.rules[-1].slots.get(unit)

    def cost(self, usage: Usage, *, tier: str | None, region: str | None, at: datetime) -> Nanodollars:
        """
        What the usage costs, rounded up to whole nanodollars once.

        Raises:
            PriceUnknown: The tier, region or a used unit has no price.
        """
        known = self._standard_now if tier is None and region is None else self._steps_now.get((tier, region))
        if known is None or (known[0] is not None and (at.tzinfo is None or not known[0] <= at < known[1])):
            known = self._remember(self._steps_now, (tier, region), at, HALF_HOUR_SECONDS, self._steps_for)
            self._standard_now = self._steps_now.get((None, None))
        try:
            picodollars = cost_picodollars(known[2], usage)
        except Unpriced as unpriced:
            raise self._unknown(str(unpriced)) from None
        return -(-picodollars // PICODOLLARS_PER_NANODOLLAR)  # type: ignore[return-value]  # To name the type is a call.

    def parts(self, usage: Usage, *, tier: str | None, region: str | None, at: datetime) -> tuple[CostPart, ...]:
        """
        What makes up the cost before it is rounded, unit by unit; nothing where it cannot be told apart.

        Raises:
            PriceUnknown: As for ``cost``.
        """
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        moment = Moment(at.toordinal(), at.hour * _HOUR_SECONDS + at.minute * 60)
        try:
            return cost_parts(self._steps_for(tier, region, moment), usage)
        except Unpriced as unpriced:
            raise self._unknown(str(unpriced)) from None

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
        has_audio: bool = False,
    ) -> Nanodollars:
        """
        The most that a call can cost whose tokens are at most these: the highest price that can apply to each token.

        A price that changes within a day, or a daily window within an hour, counts too: the call may be billed by
        the provider's own day and when it ends. So does the standard price under another tier, for a provider may
        serve the request there.

        Raises:
            PriceUnknown: As for ``cost``.
        """
        known = self._ceilings_now.get((tier, region))
        if known is None or (known[0] is not None and (at.tzinfo is None or not known[0] <= at < known[1])):
            known = self._remember(self._ceilings_now, (tier, region), at, _HOUR_SECONDS, self._ceilings_for)
        try:
            picodollars = cost_max_picodollars(
                known[2],
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cache_writes=cache_writes,
                tool_calls=tool_calls,
                has_audio=has_audio,
            )
        except Unpriced as unpriced:
            raise self._unknown(str(unpriced)) from None
        return Nanodollars(-(-picodollars // PICODOLLARS_PER_NANODOLLAR))

    def slots_at(self, tier: str | None, region: str | None, at: Moment) -> Slots:
        """
        The prices of all units at a moment.

        Raises:
            PriceUnknown: The tier or the region has no price, or none yet at that time.
        """
        slots = self.rule_at(at).slots
        tier, region = (tier or "").lower(), (region or "").lower()
        if not self.every_tier:
            if tier not in STANDARD_TIERS:
                slots = self._in_tier(slots, tier, at)
            if region not in STANDARD_REGIONS:
                slots = self._in_region(slots, region, at)
        return slots

    def _in_tier(self, slots: Slots, tier: str, at: Moment) -> Slots:
        if any(variant.name == tier for variant in self.variants):
            return self._varied(slots, tier, at, f"service tier {tier!r}")
        if tier not in self.tiers:
            raise self._unknown(f"service tier {tier!r}")
        return multiplied(slots, self.tiers[tier])

    def _in_region(self, slots: Slots, region: str, at: Moment) -> Slots:
        if any(variant.name == ROUTE + region for variant in self.variants):
            return self._varied(slots, ROUTE + region, at, f"region {region!r}")
        # Regions of one part of the world are alike where nothing is said of one alone: `eu-west-1`, `eu`.
        part = "us-gov" if region.startswith("us-gov-") else region.partition("-")[0]
        times = self.regions.get(region) or self.regions.get(part) or self.regions.get(_EVERY)
        if times is None:
            raise self._unknown(f"region {region!r}")
        return multiplied(slots, times)

    def _varied(self, slots: Slots, name: str, at: Moment, what: str) -> Slots:
        named = [variant for variant in self.variants if variant.name == name]
        active = [variant for variant in named if variant.since is None or at.day >= variant.since]
        if not active:
            first = date.fromordinal(min(variant.since or 0 for variant in named))
            raise self._unknown(f"{what} at that time (the data knows it from {first} on)")
        found = dict(slots)
        for variant in reversed(active):  # The first wins, so it is laid on last.
            found.update((unit, slot) for unit, slot in variant.slots.items() if slot is not None)
        return found

    def rule_at(self, at: Moment) -> Rule:
        active = [rule for rule in self.rules if rule.is_active(*at)]
        return active[-1] if active else self.rules[0]

    def _steps_for(self, tier: str | None, region: str | None, at: Moment) -> Steps:
        begun = tuple([variant.since is None or at.day >= variant.since for variant in self.variants])
        key = ((tier, region), begun, self.rules.index(self.rule_at(at)))
        if key not in self._steps:
            if len(self._steps) >= _KEPT:
                self._steps.clear()
            self._steps[key] = steps_of(self.slots_at(tier, region, at))
        return self._steps[key]

    def _ceilings_for(self, tier: str | None, region: str | None, at: Moment) -> Ceilings:
        """
        Of all rates that can apply to a call of this hour: the day before to the day after, an hour before to one
        after, in the tier and in the standard one.
        """
        versions = [self._steps_for(tier, region, at)]
        if len(self.rules) == 1 and not self._has_dated_tiers:
            return ceilings_of([*versions, self._steps_for(None, region, at)])
        for day in (at.day - 1, at.day, at.day + 1):
            for second in range(at.second - _HOUR_SECONDS, at.second + 2 * _HOUR_SECONDS, HALF_HOUR_SECONDS):
                moment = Moment(day, second % _DAY_SECONDS)
                versions.append(self._steps_for(None, region, moment))
                if day >= at.day:
                    versions.append(self._steps_for(tier, region, moment))
        return ceilings_of(dict.fromkeys(versions))

    def _remember(
        self,
        known: dict[_Asked, _Now[_T]],
        asked: _Asked,
        at: datetime,
        seconds: int,
        find: Callable[[str | None, str | None, Moment], _T],
    ) -> _Now[_T]:
        """
        What holds at a time, kept until it may change: at the end of the day, or of so many seconds.
        """
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        start, length = at.replace(hour=0, minute=0, second=0, microsecond=0), timedelta(days=1)
        if self._has_hours or seconds > HALF_HOUR_SECONDS:
            length = timedelta(seconds=seconds)
            start += (at - start) // length * length
        found = find(*asked, Moment(start.toordinal(), start.hour * _HOUR_SECONDS + start.minute * 60))
        if len(known) >= _KEPT:
            known.clear()
        is_dated = len(self.rules) > 1 or (self._has_dated_tiers and asked != (None, None))
        now: _Now[_T] = (start, start + length, found) if is_dated else (None, None, found)
        known[asked] = now
        return now

    def _unknown(self, what: str) -> PriceUnknown:
        return PriceUnknown(model=self.model, provider=self.provider, what=what)
