"""
A report as JSON, version 1 of the schema that stands beside this file in ``schema.json``.

Amounts of money and of meters travel as strings, so that no reader rounds them; plain counts are numbers.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from solvent._amounts import exact_dollars
from solvent._digest import HOUR_NS, Hours
from solvent._openings import OtherLimit
from solvent._records import Account, Balance
from solvent.report._records import Node, Refused, Report, Rung, Share, Use
from solvent.report._trace import Step

SCHEMA_VERSION = 1
HOURS_END = 10**7  # Hours since 1970 that no one waits for: of what goes on until now and further.

Json = dict[str, object]


def to_json(report: Report) -> Json:
    """
    The report in plain dicts, lists, strings and numbers, ready for any JSON encoder.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "scope": report.scope,
        "since": None if report.hours is None else time_json(report.hours[0] * HOUR_NS),
        "until": until_json(report.hours),
        "runs": report.runs,
        "openings": report.openings,
        "before": use_json(report.before),
        "state": report.state,
        "started": _time(report.started),
        "ended": _time(report.ended),
        "last_seen": _time(report.last_seen),
        "elapsed_milliseconds": round(report.open_nanoseconds / 1_000_000),
        "exit_reason": report.exit_reason,
        "exit_code": report.exit_code,
        "limits": [balance_json(balance) for balance in report.limits],
        "also_in_force": [_other(other) for other in report.others],
        "total": use_json(report.total),
        "models": [
            {"provider": model.provider, "model": model.model, **use_json(model.use)} for model in report.models
        ],
        "refused": [_refused(refused) for refused in report.refused],
        "turned_away": dict(report.turned_away),
        "failed": dict(report.failed),
        "released": report.released,
        "unsent": dict(report.unsent),
        "rungs": dict(report.rungs),
        "estimated": [{"reason": reason, **share_json(share)} for reason, share in report.estimated.items()],
        "expired": share_json(report.expired),
        "corrected": report.corrected,
        "open": share_json(report.open),
        "overruns": share_json(report.overruns),
        "bounds": share_json(report.bounds),
        "retries": report.retries,
        "ladder": [_rung(rung) for rung in report.ladder],
        "tree": None if report.tree is None else node_json(report.tree),
    }


def until_json(hours: Hours | None) -> str | None:
    return None if hours is None or hours[1] >= HOURS_END else time_json(hours[1] * HOUR_NS)


def node_json(node: Node) -> Json:
    """
    A scope of the tree, with all below it.
    """
    return {
        "scope": node.scope,
        "count": node.count,
        "own": use_json(node.own),
        "total": use_json(node.total),
        "refused": node.refused,
        "released": node.released,
        "reserved_nanodollars": str(node.reserved_nanodollars),
        "estimated": share_json(node.estimated),
        "overruns": share_json(node.overruns),
        "limits": [balance_json(balance) for balance in node.limits],
        "children": [node_json(child) for child in node.children],
    }


def by_json(report: Report, names: Sequence[str]) -> Json:
    """
    The rows of a report by these names, and its total.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "scope": report.scope,
        "since": None if report.hours is None else time_json(report.hours[0] * HOUR_NS),
        "until": until_json(report.hours),
        "by": list(names),
        "total": use_json(report.total),
        "rows": [
            {
                "key": dict(zip(names, row.key, strict=True)),
                **use_json(row.use),
                "refused": row.refused,
                "released": row.released,
                "estimated": share_json(row.estimated),
                "overruns": share_json(row.overruns),
            }
            for row in report.by(*names)
        ],
    }


def step_json(step: Step) -> Json:
    """
    One line of a trace.
    """
    call = step.call
    return {
        "schema_version": SCHEMA_VERSION,
        "seq": step.seq,
        "at": time_json(step.at),
        "kind": step.kind,
        "id": step.id,
        "run": step.run,
        "scope": step.scope,
        "parent_id": call.parent_id,
        "attempt": call.attempt,
        "provider": call.provider,
        "model_asked": call.model_asked,
        "model_used": call.model_used,
        "usage": {name: count for name, count in step.usage.items() if count},
        "cost_nanodollars": _text(step.cost_nanodollars),
        "cost_dollars": None if step.cost_nanodollars is None else exact_dollars(step.cost_nanodollars),
        "bound_nanodollars": _text(call.bound_nanodollars),
        "overrun_nanodollars": str(step.overrun_nanodollars),
        "reserved_nanodollars": str(step.reserved_nanodollars),
        "run_total_nanodollars": _text(step.run_total_nanodollars),
        "price_source": call.price_source,
        "estimated": call.estimated,
        "status": step.status,
        "reason": call.reason,
        "rungs": list(call.rungs or ()),
        "limits": [{**account_json(account), "amount": _text(amount)} for account, amount in step.limits],
    }


def _rung(rung: Rung) -> Json:
    return {
        "name": rung.name,
        "calls": rung.calls,
        "cost_nanodollars": str(rung.cost_nanodollars),
        "saved_nanodollars": _text(rung.saved_nanodollars),
        "waited_milliseconds": rung.waited_milliseconds,
    }


def _text(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


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


def use_json(use: Use) -> Json:
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


def share_json(share: Share) -> Json:
    return {
        "count": share.count,
        "nanodollars": str(share.nanodollars),
        "dollars": exact_dollars(share.nanodollars),
    }


def time_json(at_ns: int) -> str:
    seconds, nanoseconds = divmod(at_ns, 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds:09d}Z"


@lru_cache(maxsize=1_024)  # A journal has many times in one.
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


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
