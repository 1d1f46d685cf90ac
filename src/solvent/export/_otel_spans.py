"""
What a span says of one call: pure, the same for one that was just closed and for one out of the journal.
"""

import functools
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from solvent._amounts import NANODOLLARS_PER_DOLLAR
from solvent._booking import DONE
from solvent._limits import Scope
from solvent._records import BRANCHES, Account, CallRecord
from solvent.export import _otel_names as names

Value = str | bool | int | float | Sequence[str]


class Said(Struct, frozen=True, kw_only=True):
    """
    A span before it is one.

    Attributes:
        is_call: Of a model, and so of the kind ``CLIENT``.
        started, ended: Nanoseconds since 1970, UTC.
        error: Its ``error.type``, if it ended in one.
        why: The error in words.
    """

    name: str
    is_call: bool
    started: int
    ended: int
    attributes: Mapping[str, Value]
    error: str | None = None
    why: str | None = None


class Closing(Struct, frozen=True, kw_only=True):
    """
    All that is known of a call that is over, or was refused.

    Attributes:
        at: When that was, where its record does not say.
        cost: What was booked.
        remaining: Of the limit in dollars that has least left.
        account, limit: What refused it, if it was a limit.
    """

    id: str
    scope: str
    call: CallRecord
    at: int
    cost: int | None = None
    overrun: int = 0
    run_total: int | None = None
    remaining: int | None = None
    account: Account | None = None
    limit: int | None = None

    @property
    def is_call(self) -> bool:
        """
        Of a model, rather than of code that was not let in or of the branches of a fan-out.
        """
        is_code = self.call.format is None and self.call.decision == "refused"
        return self.call.format != BRANCHES and not is_code

    @property
    def decision(self) -> str:
        """
        ``deny``, ``downgrade``, ``shrink`` or ``allow``: what was done to the call that changes most for its caller.
        """
        if self.call.decision == "refused":
            return "deny"
        rungs = {rung.partition(" ")[0] for rung in self.call.rungs or ()}
        return "downgrade" if "degrade" in rungs else "shrink" if "shrink" in rungs else "allow"

    @property
    def error(self) -> str | None:
        status = self.call.status or DONE
        if status == DONE or (status.isdecimal() and int(status) < 400):
            return "cut" if self.call.estimated == "cut" else None  # It began well.
        return status


def said(closing: Closing) -> Said:
    call = closing.call
    return Said(
        name=_name(closing),
        is_call=closing.is_call,
        started=call.started or closing.at,
        ended=max(call.ended or closing.at, call.started or closing.at),
        attributes=_attributes(closing),
        error=closing.error,
        why=call.reason if closing.error is not None else None,
    )


def _name(closing: Closing) -> str:
    if closing.is_call:
        return f"{names.operation_of(closing.call.format)} {closing.call.model_asked or ''}".rstrip()
    what = "fan_out" if closing.call.format is not None else closing.scope.rpartition("/")[2].partition(":")[0]
    return f"enter {what}"


def _attributes(closing: Closing) -> dict[str, Value]:
    call, cost, account = closing.call, closing.cost, closing.account
    status = call.status or ""
    found: dict[str, Value | None] = {
        **(labels(closing) if closing.is_call else {}),
        **(names.usage_of(call.usage) if call.usage is not None and call.estimated is None else {}),
        **place(closing.scope),
        names.STREAM: call.stream,
        names.ERROR: closing.error,
        names.HTTP_STATUS: int(status) if status.isdecimal() else None,
        names.CALL_ID: closing.id,
        names.TIER: call.tier,
        names.ATTEMPT: call.attempt,
        names.DECISION: closing.decision,
        names.REASON: call.reason,
        names.RUNGS: tuple(call.rungs) if call.rungs else None,
        names.BOUND: call.bound_nanodollars,
        names.COST: cost,
        names.COST_USD: None if cost is None else cost / NANODOLLARS_PER_DOLLAR,
        names.PRICE_SOURCE: call.price_source,
        names.ESTIMATED: call.estimated,
        names.OVERRUN: closing.overrun or None,
        names.RUN_TOTAL: closing.run_total,
        names.REMAINING: closing.remaining,
        names.LIMIT_SCOPE: account.scope if account else None,
        names.LIMIT_METER: account.meter if account else None,
        names.LIMIT_WINDOW: account.window or None if account else None,
        names.LIMIT: closing.limit,
    }
    return {name: value for name, value in found.items() if value is not None}


def labels(closing: Closing) -> dict[str, str]:
    """
    What spans and metrics have in common.
    """
    call = closing.call
    found = {
        names.OPERATION: names.operation_of(call.format),
        names.PROVIDER: names.provider_of(call.provider),
        names.REQUEST_MODEL: call.model_asked,
        names.RESPONSE_MODEL: call.model_used,
    }
    return {name: value for name, value in found.items() if value is not None}


@functools.lru_cache(4_096)
def place(scope: str) -> Mapping[str, Value]:
    """
    The path, and of its run, agents and steps the innermost by name.
    """
    inner = dict(Scope.parse(scope).parts)
    by_kind = {names.RUN: inner.get("run"), names.AGENT: inner.get("agent"), names.STEP: inner.get("step")}
    return {names.SCOPE: scope, **{name: value for name, value in by_kind.items() if value is not None}}


def scope_said(scope: str, started: int, ended: int) -> Said:
    """
    The span of a run, an agent or a step, around those of its calls.
    """
    kind, name = Scope.parse(scope).parts[-1]
    more: dict[str, Value] = {}
    if kind == "run":
        name = _ID.sub("", name)
        more = {names.OPERATION: "invoke_workflow", names.WORKFLOW: name}
    elif kind == "agent":
        more = {names.OPERATION: "invoke_agent"}
    title = f"{more.get(names.OPERATION, kind)} {name}"
    return Said(name=title, is_call=False, started=started, ended=ended, attributes={**more, **place(scope)})


_ID = re.compile(r"-[0-9A-HJKMNP-TV-Z]{26}$")  # That `budget` gives each run.
