"""
Searches that a bill charges on a line of their own, and the journal as a part of the calls that made them.
"""

from collections.abc import Mapping

from solvent.reconcile._rates import value
from solvent.reconcile._records import Billed, Booked, Key, Rates

SEARCH = "web_search"
_CALLED = "web search"


def split_searches(billed: dict[Key, Billed], journal: dict[Key, Booked], rates: Mapping[Key, Rates]) -> bool:
    """
    Take the fees of searches out of the models' rows into one of their own, where the bill has such a row.

    Returns:
        Whether it has, so that searches are compared there and nowhere else.
    """
    row = next((model for _, model in sorted(billed) if _CALLED in model.lower()), None)
    if row is None:
        return False
    for day, model in list(journal):
        cell = journal[day, model]
        searches = {SEARCH: cell.tokens.pop(SEARCH, 0)}
        known = rates.get((day, model))
        fee = value(searches, known.standard) if known is not None else None
        if fee:
            own = journal.setdefault((day, row), Booked())
            own.count += searches[SEARCH]
            own.cost += fee
            cell.cost -= fee
    for bill in billed.values():
        if bill.tokens is not None:
            bill.tokens.pop(SEARCH, None)
    return True
