"""
Limits that ``solvent check`` refuses, for no call that a policy means could be made under them.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from solvent.forecast._derived import GIVEN, DerivedLimit
from solvent.forecast._model import Workflow
from solvent.policy import Policy
from solvent.policy._cheapest import cheapest
from solvent.prices import UserPrice

_MAY_BE_NONE = ("branches", "depth", "retries")  # A program may do without.
_DEAREST_TOKEN = 1_000_000  # Nanodollars; there is none that costs more.
_RATES = ("input", "output", "cache_read", "cache_write")


def without_refused(workflow: Workflow, limits: Sequence[DerivedLimit]) -> list[DerivedLimit]:
    """
    The same limits but for those of 0, and for those of less money than any token costs. A given one stays.
    """
    small = [one.amount for one in limits if one.meter == "usd" and 0 < one.amount < _DEAREST_TOKEN]
    least_usd = _least_usd(tuple(own_prices(workflow))) if small else 1
    return [
        one
        for one in limits
        if one.derived_from == GIVEN
        or one.meter in _MAY_BE_NONE
        or one.amount >= (least_usd if one.meter == "usd" else 1)
    ]


@lru_cache(maxsize=8)  # It goes through the whole rate card.
def _least_usd(own: tuple[tuple[str, UserPrice], ...]) -> int:
    found = cheapest(Policy(prices=dict(own)))
    return 1 if found is None else found.nanodollars


def own_prices(workflow: Workflow) -> Iterator[tuple[str, UserPrice]]:
    """
    Of the models that the workflow prices itself; where a price hangs on the size of the input, the dearest.
    """
    for model in workflow.models.values():
        if not model.billed_as:
            yield model.name, UserPrice(**{name: max(getattr(rate, name) for rate in model.rates) for name in _RATES})
