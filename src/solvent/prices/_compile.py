"""
Makes the rate card: ``python -m solvent.prices._compile [--limits FILE] [--into FOLDER]``.

Reads the installed ``genai-prices`` and writes ``data/rates.jsonl``; with ``--limits``, also the model limits out of
``litellm``'s wheel (``pip download --no-deps litellm``; never installed) or its JSON file into ``data/limits.json``.
Runs when the data is renewed, never in a user's process; then ``data/NOTICE`` needs the versions, too.

The card has one line a provider, so that a process reads only the providers that it uses. Money is in whole picodollars
a unit, rounded up: the longest price of the data has 18 decimals of a dollar per million tokens.
"""

import argparse
import datetime
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from genai_prices import types
from genai_prices.data import providers

from solvent.prices._compile_limits import compile_limits
from solvent.prices._rates import HALF_HOUR_SECONDS, UNITS

COMMAND = "python -m solvent.prices._compile"
DATA = Path(__file__).parent / "data"

# A price is an integer, or [base, above, price, above, price, …] where the whole call costs more above so much input.
Slot: TypeAlias = "int | list[int] | None"
Amounts: TypeAlias = "dict[str, list[tuple[int, Decimal]]]"

_PER_TOKEN = Decimal(10**6)  # Dollars per million tokens to picodollars per token.
_PER_USE = Decimal(10**9)  # Dollars per thousand to picodollars for one.

# The first key of a unit is its own; the highest of all of them is taken. Our usage does not tell images and video from
# text, so a model that prices them apart costs what its dearest kind costs: too high for its text, never too low.
_KEYS: dict[str, tuple[Decimal, tuple[str, ...]]] = {
    "input": (_PER_TOKEN, ("input_mtok", "input_image_mtok", "input_video_mtok")),
    "output": (_PER_TOKEN, ("output_mtok", "output_image_mtok", "output_video_mtok", "output_citation_mtok")),
    "cache_read": (_PER_TOKEN, ("cache_read_mtok", "cache_image_read_mtok")),
    "cache_write_5m": (_PER_TOKEN, ("cache_write_mtok",)),
    "cache_write_1h": (_PER_TOKEN, ("cache_write_1h_mtok",)),
    "audio_input": (_PER_TOKEN, ("input_audio_mtok",)),
    "audio_output": (_PER_TOKEN, ("output_audio_mtok",)),
    "audio_cache_read": (_PER_TOKEN, ("cache_audio_read_mtok",)),
    "reasoning": (_PER_TOKEN, ("output_reasoning_mtok",)),
    "request": (_PER_USE, ("requests_kcount",)),
    "web_search": (_PER_USE, ("web_searches_kcount",)),
    "file_search": (_PER_USE, ("storage_searches_kcount",)),
}
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
_VARIANTS = {"processing", "route", "service_tier", "speed"}


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Write the data files into the package.
    """
    parser = argparse.ArgumentParser(prog=COMMAND, description="Make the rate card of this package.")
    parser.add_argument("--limits", type=Path, help="litellm's wheel, or its model_prices_and_context_window JSON file")
    parser.add_argument("--into", type=Path, default=DATA, help="the folder to write to")
    options = parser.parse_args(arguments)
    options.into.mkdir(exist_ok=True)
    (options.into / "rates.jsonl").write_text(compile_rates(), encoding="utf-8")
    if options.limits is not None:
        (options.into / "limits.json").write_text(compile_limits(options.limits, made_by=COMMAND), encoding="utf-8")


def compile_rates() -> str:
    """
    The text of ``rates.jsonl``: a header, then a line for each provider.
    """
    header = {
        "made_by": COMMAND,
        "source": f"genai-prices {version('genai-prices')}",
        "license": "MIT, see NOTICE",
        "units": list(UNITS),
        "providers": [[p.id, p.provider_match and _rule(p.provider_match)] for p in providers],
    }
    return "".join(f"{_json(line)}\n" for line in (header, *map(_provider, providers)))


def _provider(provider: types.Provider) -> dict[str, Any]:
    exact: dict[str, int] = {}
    rules: list[tuple[int, list[Any]]] = []
    for index, model in enumerate(provider.models):
        for clause in _alternatives(model.match):
            if isinstance(clause, types.ClauseEquals):
                exact.setdefault(clause.equals.lower(), index)
            else:
                rules.append((index, _rule(clause)))
    return {
        "id": provider.id,
        "fallback": provider.fallback_model_providers or [],
        "models": [_model(provider, model) for model in provider.models],
        "exact": exact,
        "rules": rules,
    }


def _alternatives(clause: Any) -> Iterable[Any]:
    if isinstance(clause, types.ClauseOr):
        for one in clause.or_:
            yield from _alternatives(one)
    else:
        yield clause


def _rule(clause: Any) -> list[Any]:
    if isinstance(clause, types.ClauseOr):
        return ["or", [_rule(one) for one in clause.or_]]
    if isinstance(clause, types.ClauseAnd):
        return ["and", [_rule(one) for one in clause.and_]]
    (name, text), *more = vars(clause).items()
    assert not more, clause
    assert name in {"equals", "starts_with", "ends_with", "contains", "regex"}, clause
    return [name, text if name == "regex" else text.lower()]


def _model(provider: types.Provider, model: types.ModelInfo) -> list[Any]:
    conditional = isinstance(model.prices, list)
    rules = model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
    assert not conditional or rules[0].constraint is None, model.id
    standards = [_amounts(rule.prices) for rule in rules]
    caches_like_claude = provider.id == "anthropic" or "claude" in model.id.lower()
    prices = [
        [*_constraint(rule.constraint), _slots(amounts, caches_like_claude)]
        for rule, amounts in zip(rules, standards, strict=True)
        if "input_mtok" in amounts
    ]
    assert len(prices) in (0, len(rules)), f"{model.id} has token prices at some times only"
    variants = [
        [name, since, _slots(_with_other_kinds(_amounts(variant.prices), standards), caches_like_claude)]
        for variant in model.price_variants or ()
        for (key, name), *_ in [tuple(variant.when.items())]
        for since, *_ in [_constraint(variant.constraint)]
        if prices and vars(variant.prices) and key in _VARIANTS
    ]
    assert all(
        len(v.when) == 1 and not isinstance(v.constraint, types.TimeOfDateConstraint)
        for v in model.price_variants or ()
    )
    return [model.id, model.context_window, prices, variants]


def _constraint(constraint: types.StartDateConstraint | types.TimeOfDateConstraint | None) -> list[int | None]:
    """
    The first day (as a proleptic ordinal), the first and the last second of a daily window (UTC).
    """
    if constraint is None:
        return [None, None, None]
    if isinstance(constraint, types.StartDateConstraint):
        return [constraint.start_date.toordinal(), None, None]
    seconds = []
    for time in (constraint.start_time, constraint.end_time):
        assert time.utcoffset() in (None, datetime.timedelta(0)), constraint
        seconds.append(time.hour * 3600 + time.minute * 60 + time.second)
        assert seconds[-1] % HALF_HOUR_SECONDS == 0, f"bounds look at the price every half hour: {constraint}"
    return [None, *seconds]


def _amounts(prices: types.ModelPrice) -> Amounts:
    """
    Each price by its key, as (above so much input, dollars) in rising order, the base first.
    """
    known = {key for _, keys in _KEYS.values() for key in keys}
    amounts: Amounts = {}
    for key, price in vars(prices).items():
        if price is None or key in _NO_TOKENS:
            continue
        if key not in known and key != "cache_audio_read_mtok":
            raise ValueError(f"genai-prices has a new unit, {key}: say in _KEYS what it counts as")
        amounts[key] = (
            [(0, price.base), *((tier.start, tier.price) for tier in price.tiers)]
            if isinstance(price, types.TieredPrices)
            else [(0, price)]
        )
    return amounts


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
        per, keys = _KEYS[unit]
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
    ceil: Callable[[Decimal], int] = lambda price: int((price * per).to_integral_value(ROUND_CEILING))  # noqa: E731
    values = [ceil(price) for _, price in steps]
    assert values == sorted(values), f"a longer input makes it cheaper: {steps}"
    if len(values) == 1:
        return values[0]
    return [
        values[0],
        *(part for (above, _), value in zip(steps[1:], values[1:], strict=True) for part in (above, value)),
    ]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    main()
