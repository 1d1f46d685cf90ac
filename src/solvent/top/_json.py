"""
The open budgets as JSON, version 1 of its schema. Amounts travel as strings, so that no reader rounds them.
"""

from fractions import Fraction

from solvent.report._json import Json, balance_json, time_json
from solvent.top._records import OpenBudget, Picture, Refusal, Row

SCHEMA_VERSION = 1


def to_json(picture: Picture) -> Json:
    return {
        "schema_version": SCHEMA_VERSION,
        "at": time_json(picture.at),
        "open": picture.open_count,
        "burn_nanodollars_per_minute": str(picture.burn // 1),
        "budgets": [_budget(budget) for budget in picture.budgets],
        "refusals": [_refusal(refusal) for refusal in picture.refusals],
    }


def _budget(budget: OpenBudget) -> Json:
    return {
        "scope": budget.scope,
        "state": (budget.state or "unknown") if budget.opened_ns is not None else None,
        "opened": None if budget.opened_ns is None else time_json(budget.opened_ns),
        "calls": str(budget.calls),
        "open_calls": str(budget.open_calls),
        "open_calls_most": None if budget.open_most is None else str(budget.open_most),
        "accounts": [_row(row) for row in budget.rows],
    }


def _row(row: Row) -> Json:
    return {
        **balance_json(row.balance),
        "on_exceed": row.on_exceed,
        "burn_per_minute": None if row.burn is None else _decimal(row.burn, 0 if row.account.meter == "usd" else 3),
        "seconds_left": row.seconds_left,
        "resets_in_seconds": row.resets_seconds,
    }


def _refusal(refusal: Refusal) -> Json:
    return {
        "at": time_json(refusal.at),
        "scope": refusal.scope,
        "code": refusal.code,
        "reason": refusal.said,
        "count": refusal.count,
    }


def _decimal(value: Fraction, places: int) -> str:
    """
    Down to so many decimals, without a float on the way.
    """
    sign, whole = "-" if value < 0 else "", abs(value) * 10**places // 1
    head, tail = divmod(int(whole), 10**places)
    return f"{sign}{head}.{tail:0{places}d}" if places else f"{sign}{head}"
