"""
What a model's price can be asked: the exact cost of a usage, and the most that a bounded call can cost.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from solvent._amounts import Nanodollars, Usage
from solvent.prices._parts import CostPart


class Price(Protocol):
    """
    The price of one model of one provider, with its limits where they are known.

    Attributes:
        model: The name in the price data.
        source: Where it comes from, with version or date.
        input_tokens_max, output_tokens_max: The model's largest input and output; ``None`` when not known.
        by_user: A user gave it; whichever model answers, this is its price.
    """

    model: str
    provider: str
    source: str
    input_tokens_max: int | None
    output_tokens_max: int | None

    @property
    def by_user(self) -> bool: ...

    def cost(self, usage: Usage, *, tier: str | None, region: str | None, at: datetime) -> Nanodollars:
        """
        What the usage costs, rounded up to whole nanodollars once.

        Raises:
            PriceUnknown: The tier, region or a used unit has no price.
        """

    def parts(self, usage: Usage, *, tier: str | None, region: str | None, at: datetime) -> Sequence[CostPart]:
        """
        What makes up the cost before it is rounded, unit by unit; nothing where it cannot be told apart.

        Raises:
            PriceUnknown: As for ``cost``.
        """

    def cost_max(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        tier: str | None,
        region: str | None,
        at: datetime,
        cache_writes: Collection[str] | None,
        tool_calls: Mapping[str, int],
        has_audio: bool = False,
    ) -> Nanodollars:
        """
        The most that a call can cost whose tokens are at most these: the highest price that can apply to each token.

        Args:
            cache_writes: Kinds that may be written (``5m``, ``1h``); ``None`` when the provider decides.
            tool_calls: The most uses of each server-side tool that has a fee.
            has_audio: Some of the input is audio, which then needs a price.

        Raises:
            PriceUnknown: As for ``cost``.
        """
