"""
What a reply says beside its body: the running total of its run, and what remains.
"""

from collections.abc import Sequence
from urllib.parse import quote

from solvent._amounts import exact_dollars
from solvent._ledger import carries_run_total
from solvent._records import Balance


def reply_headers(
    id: str,
    balances: Sequence[Balance],
    *,
    cost: int | None = None,
    is_priced: bool = True,
    rungs: Sequence[str] | None = None,
) -> dict[str, str]:
    """
    The running total and what remains, as dollars with every nanodollar; and what was done to make the call fit.

    Args:
        is_priced: What the call costs is known, or will be; else the total is not known either.
    """
    headers = {"x-solvent-id": id}
    if cost is not None:
        headers["x-solvent-cost-usd"] = exact_dollars(cost)
    if rungs:
        headers["x-solvent-rungs"] = quote(", ".join(rungs), safe=" ,/:")
    left: list[int] = []
    for balance in balances:
        if balance.account.meter == "usd":
            if is_priced and carries_run_total(balance.account):
                headers["x-solvent-spent-usd"] = exact_dollars(balance.spent)
            if (remaining := balance.remaining) is not None:
                left.append(remaining)
    if left:
        headers["x-solvent-remaining-usd"] = exact_dollars(min(left))
    return headers
