"""
Which model is asked, at what bound: the workflow's own, or a cheaper one near a limit.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._model import Degrade
from solvent.forecast._simulate._account import Account, Flags
from solvent.forecast._simulate._draws import Ints
from solvent.forecast._simulate._price import Price
from solvent.forecast._simulate._sites import CallSite
from solvent.forecast._simulate._talk import Talk


class Asked(NamedTuple):
    """
    Calls before they are made.

    Attributes:
        models: By number.
        again: How much of what they read was sent to that model before.
    """

    models: Ints
    again: Floats
    bound_usd: Floats
    bound_tokens: Floats

    def at(self, places: Ints) -> "Asked":
        return Asked(
            models=self.models[places],
            again=self.again[places],
            bound_usd=self.bound_usd[places],
            bound_tokens=self.bound_tokens[places],
        )


class Ladder:
    """
    From one model down to the next.

    Attributes:
        degraded: Places where a call was made with another model than the workflow's.
    """

    def __init__(self, steps: Sequence[Degrade], prices: Mapping[str, Price], count: int) -> None:
        self._numbers = {name: number for number, name in enumerate(prices)}
        self._prices = tuple(prices.values())
        self._steps = {self._numbers[step.model]: (step.at, self._numbers[step.to]) for step in steps}
        self.degraded: Flags = np.zeros(count, np.bool_)

    def asked(
        self,
        site: CallSite,
        at: Ints,
        reads: Floats,
        again: Floats,
        output_most: Floats,
        talk: Talk | None,
        accounts: Sequence[Account],
    ) -> Asked:
        """
        The models and bounds of calls that are about to be made.

        Args:
            accounts: Of the run and of the scopes around the call.
        """
        models = np.full(len(at), self._numbers[site.model])
        found = self._bounded(site, at, models, reads, again, output_most, talk)
        for _ in self._steps:
            models = models.copy()
            for number, (share, to) in self._steps.items():
                some = np.flatnonzero(found.models == number)
                down = np.zeros(len(some), np.bool_)
                for account in accounts:
                    down |= account.is_reached(share, at[some])
                    down |= ~account.usd_fits(at[some], found.bound_usd[some])
                models[some[down]] = to
            if (models == found.models).all():
                break
            found = self._bounded(site, at, models, reads, again, output_most, talk)
        return found

    def _bounded(
        self,
        site: CallSite,
        at: Ints,
        models: Ints,
        reads: Floats,
        again: Floats,
        output_most: Floats,
        talk: Talk | None,
    ) -> Asked:
        if talk is not None and self._steps:  # What one model was sent is not in the cache of another.
            again = np.where((talk.model[at] == models) | (talk.model[at] < 0), again, 0)
        bound = np.array(site.price.bound_tokens(reads, again))
        bound_usd = np.empty(len(at))
        for price, here in self._by_model(site, models):
            bound_usd[here] = price.bound_usd(bound[here], output_most[here])
        return Asked(models, again, bound_usd, bound + output_most)

    def usd(
        self,
        site: CallSite,
        at: Ints,
        asked: Asked,
        reads: Floats,
        output: Floats,
        random: np.random.Generator,
        talk: Talk | None,
    ) -> Floats:
        """
        What calls cost that are made.
        """
        usd = np.empty(len(at))
        for price, here in self._by_model(site, asked.models):
            if talk is None:
                usd[here] = price.usd(reads[here], output[here])
                continue
            found = (random.random(len(usd[here])) < price.cached).astype(np.float64)
            usd[here] = price.usd_of_history(reads[here], asked.again[here], output[here], found)
        if self._steps:
            self.degraded[at] |= asked.models != self._numbers[site.model]
            if talk is not None:
                talk.model[at] = asked.models
        return usd

    def _by_model(self, site: CallSite, models: Ints) -> list[tuple[Price, Flags | slice]]:
        if not self._steps:
            return [(site.price, slice(None))]
        return [(self._prices[number], models == number) for number in np.unique(models).tolist()]
