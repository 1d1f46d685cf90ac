"""
One entry as a row of names and values: what spreadsheets and scripts are told of a call.
"""

import functools
from collections.abc import Mapping

from solvent._amounts import exact_dollars
from solvent._ledger import booked
from solvent._limits import SCOPE_KINDS, Scope
from solvent._records import Entry
from solvent.report._json import Json, time_json

_TOKENS = ("input_tokens", "output_tokens")


def row(entry: Entry) -> Json:
    """
    The fields in their order. Unknown is ``None``, which is not zero; amounts are text, and counts under ``usage``.
    """
    call = entry.call
    cost, bound = booked(entry), call.bound_nanodollars
    return {
        "seq": entry.seq,
        "at": time_json(entry.at),
        "kind": entry.kind,
        "id": entry.id,
        "scope": entry.scope,
        **names(entry.scope),
        "provider": call.provider,
        "format": call.format,
        "model_asked": call.model_asked,
        "model_used": call.model_used,
        "tier": call.tier,
        "stream": call.stream,
        "usage": usage(entry),
        "cost_nanodollars": _text(cost),
        "cost_dollars": None if cost is None else exact_dollars(cost),
        "bound_nanodollars": _text(bound),
        "bound_dollars": None if bound is None else exact_dollars(bound),
        "overrun_nanodollars": str(
            next((posting.overrun for posting in entry.postings if posting.account.meter == "usd"), 0)
        ),
        "run_total_nanodollars": _text(entry.run_total_nanodollars),
        "price_source": call.price_source,
        "estimated": call.estimated,
        "rungs": call.rungs or (),
        "attempt": call.attempt,
        "parent_id": call.parent_id,
        "status": call.status,
        "reason": call.reason,
        "started": None if call.started is None else time_json(call.started),
        "ended": None if call.ended is None else time_json(call.ended),
    }


@functools.lru_cache(4_096)
def names(scope: str) -> Mapping[str, str | None]:
    """
    The names in a path by kind, widest first; those of nested agents and steps are joined by ``/``.
    """
    parts = Scope.parse(scope).parts
    return {kind: "/".join(name for one, name in parts if one == kind) or None for kind in SCOPE_KINDS}


def usage(entry: Entry) -> Mapping[str, int]:
    """
    What an entry adds to what was used. Where nobody told it, tokens are those that the accounts were charged; of a
    correction they are the difference to what its expiry charged.
    """
    told = entry.call.usage
    if told is not None and entry.kind != "correct":
        return told
    charged = {posting.account.meter: posting.spent for posting in entry.postings}
    found = dict(told or {})
    for name in _TOKENS:
        if name in found or charged.get(name):  # A difference of nothing has no posting.
            found[name] = charged.get(name, 0)
    return found


def _text(amount: int | None) -> str | None:
    return None if amount is None else str(amount)
