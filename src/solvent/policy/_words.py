"""
Limits in words: for people, and as a policy has them.
"""

from collections.abc import Sequence

from solvent._amounts import exact_dollars, show_seconds
from solvent._limits import Limit, show_amount

_SECOND_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
_COUNT_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))


def shown(limit: Limit) -> str:
    """
    A limit for people: ``$20.00 per day``, ``200 calls``, ``15 min``, ``depth 5``.
    """
    if limit.meter == "seconds":
        return show_seconds(limit.amount) if limit.amount >= 10 else f"{limit.amount} s"
    if limit.meter == "depth":
        return f"depth {limit.amount}"
    per = f" per {limit.window}" if limit.window else ""
    return show_amount(limit.meter, limit.amount) + per


def written(limits: Sequence[Limit]) -> str:
    """
    What limits of one meter are in a policy: ``200``, ``[500/month, 50/day]``.
    """
    texts = [
        _written(limit) if limit.on_exceed == "block" else f"{{limit: {_written(limit)}, on_exceed: {limit.on_exceed}}}"
        for limit in limits
    ]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _written(limit: Limit) -> str:
    per = f"/{limit.window}" if limit.window else ""
    if limit.meter == "usd":
        whole, _, rest = exact_dollars(limit.amount).partition(".")
        rest = rest.rstrip("0")
        return (whole if per and not rest else f"{whole}.{rest:0<2}") + per
    units = _SECOND_UNITS if limit.meter == "seconds" else _COUNT_UNITS
    size, unit = next(((size, unit) for size, unit in units if limit.amount and limit.amount % size == 0), (1, ""))
    return f"{limit.amount // size}{unit}{per}"
