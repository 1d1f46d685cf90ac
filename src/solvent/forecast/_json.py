"""
A forecast as JSON: numbers, for they are estimates and no amounts that were booked.
"""

from collections.abc import Mapping
from typing import TypeAlias

from msgspec.structs import asdict

from solvent.forecast._diff import Change, Condition
from solvent.forecast._forecast import FIGURES, Forecast, Spread
from solvent.forecast.limits import Limits

SCHEMA_VERSION = 1

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def forecast_json(forecast: Forecast) -> dict[str, Json]:
    month = forecast.month
    return {
        "schema_version": SCHEMA_VERSION,
        "workflow": forecast.workflow.name,
        "cost_usd": _spread(forecast.cost_usd),
        "tokens": _spread(forecast.tokens),
        "calls": _spread(forecast.calls),
        "seconds": _spread(forecast.seconds),
        "nodes": [
            {
                "scope": node.scope,
                "model": node.model,
                "calls": node.calls,
                "mean_usd": node.mean_usd,
                "share": node.share,
                "share_of_dearest": node.share_of_dearest,
                "worst_usd": node.worst_usd,
            }
            for node in forecast.nodes
        ],
        "engine": forecast.engine,
        "why": forecast.why,
        "simulated_runs": len(forecast.runs.usd),
        "unbounded": [*forecast.unbounded],
        "remarks": [*forecast.remarks],
        "month": None if month is None else asdict(month),
    }


def limits_json(limits: Limits) -> dict[str, Json]:
    low, high = limits.blocks_interval
    return {
        "schema_version": SCHEMA_VERSION,
        "limits": [
            {
                "scope": one.pattern,
                "layer": one.layer,
                "meter": one.meter,
                "amount": str(one.amount),
                "sure_amount": str(one.sure_amount),
                "window": one.window or None,
                "blocks": one.blocks,
                "can_block": one.can_block,
                "derived_from": one.derived_from,
            }
            for one in limits.all
        ],
        "may_block": limits.may_block,
        "blocks": limits.blocks,
        "blocks_low": low,
        "blocks_high": high,
        "simulated_runs": limits.runs,
        "too_few": limits.too_few,
        "caps": [
            {"scope": cap.path, "kind": cap.kind, "declared": cap.declared, "enough": cap.enough, "why": cap.why}
            for cap in limits.caps
        ],
        "remarks": [*limits.remarks],
    }


def changes_json(found: Mapping[str, Change], met: list[Condition]) -> dict[str, Json]:
    return {
        "schema_version": SCHEMA_VERSION,
        "changes": {name: {"old": one.old, "new": one.new, "relative": one.relative} for name, one in found.items()},
        "failed": [one.text for one in met],
    }


def _spread(spread: Spread) -> dict[str, Json]:
    return {name: getattr(spread, name) for name in FIGURES}
