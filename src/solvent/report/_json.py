"""
A report as JSON, version 1 of the schema that stands beside this file in ``schema.json``.

Amounts of money and of meters travel as strings, so that no reader rounds them; plain counts are numbers.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from solvent._amounts import exact_dollars
from solvent._openings import OtherLimit
from solvent._records import Account, Balance
from solvent.report._records import Refused, Report, Share, Use

SCHEMA_VERSION = 1

Json = dict[str, object]


def to_json(report: Report) -> Json:
    """
    The report in plain dicts, lists, strings and numbers, ready for any JSON encoder.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "scope": report.scope,
        "openings": report.openings,
        "before": _use(report.before),
        "state": report.state,
        "started": _time(report.started),
        "ended": _time(report.ended),
        "last_seen": _time(report.last_seen),
        "elapsed_milliseconds": round(report.open_nanoseconds / 1_000_000),
        "exit_reason": report.exit_reason,
        "exit_code": report.exit_code,
        "limits": [balance_json(balance) for balance in report.limits],
        "also_in_force": [_other(other) for other in report.others],
        "total": _use(report.total),
        "models": [{"provider": model.provider, "model": model.model, **_use(model.use)} for model in report.models],
        "refused": [_refused(refused) for refused in report.refused],
        "turned_away": dict(report.turned_away),
        "failed": dict(report.failed),
        "released": report.released,
        "unsent": dict(report.unsent),
        "rungs": dict(report.rungs),
        "estimated": [{"reason": reason, **_share(share)} for reason, share in report.estimated.items()],
        "expired": _share(report.expired),
        "corrected": report.corrected,
        "open": _share(report.open),
        "overruns": _share(report.overruns),
        "bounds": _share(report.bounds),
    }


def list_json(reports: Sequence[Report], count: int) -> Json:
    """
    The reports of the last runs.

    Args:
        count: How many runs there are in all.
    """
    return {"schema_version": SCHEMA_VERSION, "runs_in_all": count, "runs": [to_json(report) for report in reports]}


def account_json(account: Account) -> Json:
    return {"scope": account.scope, "meter": account.meter, "window": account.window}


def balance_json(balance: Balance) -> Json:
    """
    What an account holds; for money also in dollars, to the nanodollar.
    """
    amounts = {
        "limit": balance.limit,
        "spent": balance.spent,
        "reserved": balance.reserved,
        "remaining": balance.remaining,
        "overrun": balance.overrun,
    }
    is_money = balance.account.meter == "usd"
    in_dollars = {name: None if amount is None else exact_dollars(amount) for name, amount in amounts.items()}
    return {
        **account_json(balance.account),
        "unit": "nanodollars" if is_money else "count",
        **{name: None if amount is None else str(amount) for name, amount in amounts.items()},
        "dollars": in_dollars if is_money else None,
    }


def _other(other: OtherLimit) -> Json:
    return {
        "scope": other.scope,
        "meter": other.meter,
        "window": other.window,
        "limit": other.limit,
        "on_exceed": other.on_exceed,
        "spent": None if other.spent is None else str(other.spent),
    }


def _use(use: Use) -> Json:
    return {
        "calls": use.calls,
        "cost_nanodollars": str(use.cost_nanodollars),
        "cost_dollars": exact_dollars(use.cost_nanodollars),
        "unpriced": use.unpriced,
        "tokens": dict(use.tokens),
    }


def _refused(refused: Refused) -> Json:
    return {
        "code": refused.code,
        "account": None if refused.account is None else account_json(refused.account),
        "limit": None if refused.limit is None else str(refused.limit),
        "model": refused.model,
        "count": refused.count,
        "reason": refused.reason,
    }


def _share(share: Share) -> Json:
    return {
        "count": share.count,
        "nanodollars": str(share.nanodollars),
        "dollars": exact_dollars(share.nanodollars),
    }


def time_json(at_ns: int) -> str:
    seconds, nanoseconds = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def _time(at_ns: int | None) -> str | None:
    return None if at_ns is None else time_json(at_ns)


def amounts_as_text(value: object) -> object:
    """
    A value with every whole number in it as a text, so that no reader rounds it.
    """
    if isinstance(value, Mapping):
        return {name: amounts_as_text(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [amounts_as_text(part) for part in value]
    return str(value) if type(value) is int else value
