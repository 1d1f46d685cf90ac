"""
Makes a rate card out of the data of ``genai-prices``: one line a provider, so that a process reads only the providers
that it uses. Money is in whole picodollars a unit, rounded up: the longest price of the data has 18 decimals of a
dollar per million tokens.

``python -m solvent.prices._compile`` makes the card that ships; ``solvent prices update`` a newer one.
"""

import json
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, TypeAlias

import msgspec

from solvent.prices._card_file import SCHEMA, digest
from solvent.prices._data import Constraint, Data, Model, Prices, Provider, Stepped
from solvent.prices._model import ROUTE
from solvent.prices._rates import HALF_HOUR_SECONDS, UNITS, Slot

NEWEST_DAYS = 16  # So many of the newest days on which prices begin tell older data from newer.

Amounts: TypeAlias = "dict[str, list[tuple[int, Decimal]]]"  # By key: (above so much input, dollars), the base first.

_PER_TOKEN = Decimal(10**6)  # Dollars per million tokens to picodollars per token.
_PER_USE = Decimal(10**9)  # Dollars per thousand to picodollars for one.

# The data's names of each unit; the highest of them is taken. A usage does not tell video from images, nor cached
# images from cached text: there it costs what the dearest kind costs, too high perhaps, never too low.
_KEYS: dict[str, tuple[Decimal, tuple[str, ...]]] = {
    "input": (_PER_TOKEN, ("input_mtok",)),
    "output": (_PER_TOKEN, ("output_mtok", "output_citation_mtok")),
    "cache_read": (_PER_TOKEN, ("cache_read_mtok", "cache_image_read_mtok")),
    "cache_write_5m": (_PER_TOKEN, ("cache_write_mtok",)),
    "cache_write_1h": (_PER_TOKEN, ("cache_write_1h_mtok",)),
    "audio_input": (_PER_TOKEN, ("input_audio_mtok",)),
    "audio_output": (_PER_TOKEN, ("output_audio_mtok",)),
    "audio_cache_read": (_PER_TOKEN, ("cache_audio_read_mtok",)),
    "image_input": (_PER_TOKEN, ("input_image_mtok", "input_video_mtok")),
    "image_output": (_PER_TOKEN, ("output_image_mtok", "output_video_mtok")),
    "reasoning": (_PER_TOKEN, ("output_reasoning_mtok",)),
    "request": (_PER_USE, ("requests_kcount",)),
    "web_search": (_PER_USE, ("web_searches_kcount",)),
    "file_search": (_PER_USE, ("storage_searches_kcount",)),
}
_KNOWN = {key for _, keys in _KEYS.values() for key in keys}
# Units that no token count stands for. A model with nothing but these has no price here; one that also prices tokens
# has a price for its tokens.
_NO_TOKENS = {
    "audio_hours",
    "input_annotated_document_kpages",
    "input_audio_hours",
    "input_document_kpages",
    "input_mchars",
    "input_text_messages_kcount",
}
# The request's words that select other prices. A search type (Perplexity) only makes a search cheaper: left out.
_TIERS = {"processing", "service_tier", "speed"}
_ROUTES = {"route"}
_RULES = {"contains", "ends_with", "equals", "regex", "starts_with"}


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """
    A rate card.

    Attributes:
        text: The file.
        unknown_units: The data's names of units that are new. A price per token counts as one of its direction, the
            dearest holds; of others nothing can be said.
    """

    text: str
    unknown_units: tuple[str, ...]


def compile_rates(
    data: Data, *, source: str, version: str | None, made_by: str, forced_over: str | None = None
) -> Compiled:
    """
    A rate card out of price data.

    Args:
        source: Where the data is from, for records.
        version: The data's version, if it has one.

    Raises:
        ValueError: The data says something that cannot be meant, or that has no place in a card.
    """
    unknown: set[str] = set()
    lines = [_json(_provider(provider, unknown)) for provider in data]
    body = "".join(f"{line}\n" for line in lines)
    header = {
        "made_by": made_by,
        **({"forced_over": forced_over} if forced_over else {}),
        "source": source,
        "license": "MIT, see NOTICE",
        "schema": SCHEMA,
        "version": version,
        "newest_days": _newest_days(data),
        "digest": digest(body.encode()),
        "units": list(UNITS),
        "providers": [
            [p.id, p.provider_match and _rule(p.provider_match), p.model_match and _rule(p.model_match)] for p in data
        ],
    }
    return Compiled(text=f"{_json(header)}\n{body}", unknown_units=tuple(sorted(unknown)))


def _newest_days(data: Data) -> list[int]:
    models = [model for provider in data for model in provider.models]
    constraints = [price.constraint for model in models for price in model.standard]
    constraints += [variant.constraint for model in models for variant in model.price_variants or ()]
    days = {one.start_date.toordinal() for one in constraints if one is not None and one.start_date is not None}
    return sorted(days, reverse=True)[:NEWEST_DAYS]


def _provider(provider: Provider, unknown: set[str]) -> dict[str, Any]:
    exact: dict[str, int] = {}
    rules: list[tuple[int, list[Any]]] = []
    for index, model in enumerate(provider.models):
        for rule in _alternatives(_rule(model.match)):
            if rule[0] == "equals":
                exact.setdefault(rule[1], index)
            else:
                rules.append((index, rule))
    return {
        "id": provider.id,
        "fallback": provider.fallback_model_providers or [],
        "models": [_model(provider, model, unknown) for model in provider.models],
        "exact": exact,
        "rules": rules,
    }


def _alternatives(rule: list[Any]) -> Iterable[list[Any]]:
    if rule[0] == "or":
        for one in rule[1]:
            yield from _alternatives(one)
    else:
        yield rule


def _rule(clause: dict[str, Any]) -> list[Any]:
    if len(clause) != 1:
        raise ValueError(f"a match must have one condition, got {clause!r:.80}")
    ((kind, what),) = clause.items()
    if kind in ("or", "and") and isinstance(what, list) and what:
        return [kind, [_rule(one) for one in what]]
    if kind not in _RULES or not isinstance(what, str):
        raise ValueError(f"a match must be of a known kind, got {clause!r:.80}")
    return [kind, what if kind == "regex" else what.lower()]


def _model(provider: Provider, model: Model, unknown: set[str]) -> list[Any]:
    try:
        return _prices_of_model(provider, model, unknown)
    except ValueError as error:
        raise ValueError(f"{provider.id}/{model.id}: {error}") from error


def _prices_of_model(provider: Provider, model: Model, unknown: set[str]) -> list[Any]:
    rules = model.standard
    if len(rules) > 1 and rules[0].constraint is not None:
        raise ValueError("the first price must hold where no other does")
    caches_like_claude = provider.id == "anthropic" or "claude" in model.id.lower()
    standards = [_amounts(rule.prices, unknown) for rule in rules]
    has_tokens = ["input_mtok" in amounts for amounts in standards]
    if any(has_tokens) and not all(has_tokens):
        raise ValueError("it has token prices at some times only")
    prices = [
        [*_constraint(rule.constraint), _slots(amounts, caches_like_claude)]
        for rule, amounts in zip(rules, standards, strict=True)
        if "input_mtok" in amounts
    ]
    return [model.id, model.context_window, prices, _variants(model, standards, caches_like_claude) if prices else []]


def _variants(model: Model, standards: Sequence[Amounts], caches_like_claude: bool) -> list[list[Any]]:
    found = []
    for variant in model.price_variants or ():
        since, *hours = _constraint(variant.constraint)
        if len(variant.when) != 1 or hours != [None, None]:
            raise ValueError(f"a variant must have one condition and no hours, got {variant.when}")
        ((key, name),) = variant.when.items()
        if variant.prices and key in _TIERS | _ROUTES:
            amounts = _with_other_kinds(_amounts(variant.prices, set()), standards)
            name = ROUTE + name.lower() if key in _ROUTES else name.lower()
            found.append([name, since, _slots(amounts, caches_like_claude)])
    return found


def _constraint(constraint: Constraint | None) -> list[int | None]:
    """
    The first day (as a proleptic ordinal), the first and the last second of a daily window (UTC).
    """
    if constraint is None:
        return [None, None, None]
    if constraint.start_date is not None:
        return [constraint.start_date.toordinal(), None, None]
    if constraint.start_time is None or constraint.end_time is None:
        raise ValueError("a price must begin on a day, or hold daily from a time to a time")
    seconds = []
    for time in (constraint.start_time, constraint.end_time):
        offset = time.utcoffset()
        seconds.append(time.hour * 3600 + time.minute * 60 + time.second)
        if (offset is not None and offset.total_seconds()) or seconds[-1] % HALF_HOUR_SECONDS:
            raise ValueError(f"a daily price must begin and end on half hours in UTC, got {time}")
    return [None, *seconds]


def _amounts(prices: Prices, unknown: set[str]) -> Amounts:
    """
    Each price by its key; one of a new kind of token by that of its direction.
    """
    amounts: Amounts = {}
    for key, price in prices.items():
        if price is None or key in _NO_TOKENS:
            continue
        steps = [(0, price)] if isinstance(price, Decimal) else _steps(price)
        if any(not dollars.is_finite() or dollars < 0 for _, dollars in steps):
            raise ValueError(f"{key} must be an amount of dollars from 0 up, got {price}")
        if key in _KNOWN:
            amounts[key] = steps
            continue
        unknown.add(key)
        if key.endswith("_mtok"):
            known = "output_mtok" if key.startswith("output") else "input_mtok"
            amounts[known] = _highest([amounts.get(known, steps), steps])
    return amounts


def _steps(price: Stepped) -> list[tuple[int, Decimal]]:
    steps = [(0, price.base), *sorted((tier.start, tier.price) for tier in price.tiers)]
    if any(start <= 0 for start, _ in steps[1:]):
        raise ValueError(f"a higher price must begin above some input, got {price}")
    return steps


def _with_other_kinds(variant: Amounts, standards: Sequence[Amounts]) -> Amounts:
    """
    A variant with the standard prices of those kinds that it does not name beside a kind that it does.
    """
    for _, keys in _KEYS.values():
        if any(key in variant for key in keys):
            for key in keys:
                known = [amounts[key] for amounts in standards if key in amounts]
                if key not in variant and known:
                    variant[key] = _highest(known)
    return variant


def _slots(amounts: Amounts, caches_like_claude: bool) -> list[Slot]:
    if caches_like_claude and "cache_write_mtok" in amounts and "input_mtok" in amounts:
        # Source: Anthropic's "Prompt caching", pricing: "1-hour cache write tokens are 2 times the base input tokens
        # price", as genai-prices 0.2.3 quotes it for every model where it lists that price; read 2026-11-21.
        amounts.setdefault("cache_write_1h_mtok", [(above, 2 * price) for above, price in amounts["input_mtok"]])
    slots: list[Slot] = []
    for unit in UNITS:
        per, keys = _KEYS.get(unit, (_PER_USE, ()))
        known = [amounts[key] for key in keys if key in amounts]
        slots.append(_slot(_highest(known), per) if known else None)
    while slots and slots[-1] is None:
        slots.pop()
    return slots


def _highest(prices: Sequence[list[tuple[int, Decimal]]]) -> list[tuple[int, Decimal]]:
    starts = sorted({above for steps in prices for above, _ in steps})
    highest: list[tuple[int, Decimal]] = []
    for start in starts:
        price = max([price for above, price in steps if above <= start][-1] for steps in prices)
        if not highest or price != highest[-1][1]:
            highest.append((start, price))
    return highest


def _slot(steps: list[tuple[int, Decimal]], per: Decimal) -> Slot:
    values = [int((price * per).to_integral_value(ROUND_CEILING)) for _, price in steps]
    if values != sorted(values):
        raise ValueError(f"a longer input must not make it cheaper, got {[str(price) for _, price in steps]}")
    if len(values) == 1:
        return values[0]
    higher = zip(steps[1:], values[1:], strict=True)
    return [values[0], *(part for (above, _), value in higher for part in (above, value))]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
