"""
What is known of a model's price, for people and programs that ask: every price exactly, with its source.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from solvent.prices._card import limits_source
from solvent.prices._model import ROUTE, ModelPrice, Moment, Rule
from solvent.prices._rates import TOKEN_UNITS, Slots, multiplied


class UnitPrice(Struct, frozen=True, kw_only=True):
    """
    One price.

    Attributes:
        tier: The service tier; ``standard`` where none is asked for, ``any`` for a price that a user gave.
        unit: What is paid for.
        dollars: An exact decimal.
        per: For how much of it: ``1M tokens``, or ``1,000 uses``.
        above_input_tokens: The size of the whole input above which it holds.
        since: The first day on which it holds, if there is one.
        until: The day on which another one takes its place.
        hours: When in a day it holds, if not always: ``01:00-04:00 UTC``, ``outside 01:00-04:00 UTC``.
        in_force: It holds at the time that was asked for.
        source: Where it is written.
    """

    tier: str
    unit: str
    dollars: str
    per: str
    above_input_tokens: int = 0
    since: str | None = None
    until: str | None = None
    hours: str | None = None
    in_force: bool = True
    source: str


class RegionPrice(Struct, frozen=True, kw_only=True):
    """
    How many times its price a model costs in a region; ``*`` is any other region, or any other unit.
    """

    region: str
    times: dict[str, str]
    source: str


class Sheet(Struct, frozen=True, kw_only=True):
    """
    A model's price.

    Attributes:
        model, provider: By the names of the rate card.
        source: Of its prices, with the version of the data.
        by_user: A user gave it.
        input_tokens_max, output_tokens_max: The model's largest input and output; ``None`` where they are not known.
        limits_source: Where those are from.
        unit_prices: Every price, the standard ones first.
        regions: Where it costs more. A region that is not named here has no price.
        known_from: The day on which the data begins, where it begins after the time that was asked for; then nothing is
            known of that time, and the earliest prices that are known count as in force.
    """

    model: str
    provider: str
    source: str
    by_user: bool
    input_tokens_max: int | None
    output_tokens_max: int | None
    limits_source: str
    unit_prices: tuple[UnitPrice, ...]
    regions: tuple[RegionPrice, ...]
    known_from: str | None = None


def describe(price: ModelPrice, *, at: datetime, begins: date) -> Sheet:
    """
    Everything that is known of a price.

    Args:
        at: The time whose prices are in force.
        begins: The first day of which the data knows anything.
    """
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    moment = Moment(at.toordinal(), at.hour * 3_600 + at.minute * 60 + at.second)
    return Sheet(
        model=price.model,
        provider=price.provider,
        source=price.source,
        by_user=price.by_user,
        input_tokens_max=price.input_tokens_max,
        output_tokens_max=price.output_tokens_max,
        limits_source=limits_source(),
        unit_prices=(*_standard(price, moment), *_tiers(price, moment)),
        regions=tuple(
            RegionPrice(region=fact.region, times=fact.times or {}, source=_source(fact.source, fact.read))
            for fact in price.facts
            if fact.region
        ),
        known_from=begins.isoformat() if at.date() < begins and not price.by_user else None,
    )


def _standard(price: ModelPrice, at: Moment) -> Iterator[UnitPrice]:
    facts = {fact.unit: _source(fact.source, fact.read) for fact in price.facts if fact.unit}
    sources = {**price.sources, **facts}
    name = "any" if price.every_tier else "standard"
    now = price.rule_at(at)
    for place, rule in enumerate(price.rules):
        later = price.rules[place + 1 :]
        until = next((_day(other.since) for other in later if other.since is not None), None)
        hours = _hours(rule, later)
        for unit in _unit_prices(rule.slots, name, price.source, since=rule.since, in_force=rule is now):
            yield replace(unit, until=until, hours=hours, source=sources.get(unit.unit, price.source))


def _tiers(price: ModelPrice, at: Moment) -> Iterator[UnitPrice]:
    for variant in price.variants:
        has_begun = variant.since is None or at.day >= variant.since
        name = variant.name.replace(ROUTE, "region ")
        yield from _unit_prices(variant.slots, name, price.source, since=variant.since, in_force=has_begun)
    slots = {unit: slot for unit, slot in price.rule_at(at).slots.items() if unit in TOKEN_UNITS}
    for fact in price.facts:
        if fact.tier:
            times = price.tiers[fact.tier]
            yield from _unit_prices(multiplied(slots, times), fact.tier, _source(fact.source, fact.read))


def _unit_prices(
    slots: Slots, tier: str, source: str, *, since: int | None = None, in_force: bool = True
) -> Iterator[UnitPrice]:
    for unit, slot in slots.items():
        steps = [] if slot is None else [0, *slot] if isinstance(slot, list) else [0, slot]
        for above, picodollars in zip(steps[::2], steps[1::2], strict=True):
            is_token = unit in TOKEN_UNITS
            yield UnitPrice(
                tier=tier,
                unit=unit,
                dollars=_exact(picodollars, -6 if is_token else -9),
                per="1M tokens" if is_token else "1,000 uses",
                above_input_tokens=above,
                since=None if since is None else _day(since),
                in_force=in_force,
                source=source,
            )


def _hours(rule: Rule, later: Sequence[Rule]) -> str | None:
    """
    When in a day prices hold; those that always do give way to later ones that hold for some hours.
    """
    if rule.start is not None and rule.end is not None:
        return f"{_time(rule.start)}-{_time(rule.end)} UTC"
    others = [f"{_time(o.start)}-{_time(o.end)}" for o in later if o.start is not None and o.end is not None]
    return f"outside {' and '.join(others)} UTC" if others else None


def _day(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()


def _time(seconds: int) -> str:
    return f"{seconds // 3_600:02d}:{seconds % 3_600 // 60:02d}"


def _exact(picodollars: int, scale: int) -> str:
    text = f"{Decimal(picodollars).scaleb(scale):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _source(source: str, read: str) -> str:
    return f"{source}, read {read}"
