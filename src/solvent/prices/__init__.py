"""
Prices: what a call costs, and the most that it can cost, in whole nanodollars.

The rate card is compiled from ``genai-prices`` when the project is built and ships as data; prices that a user gives
win over it. A model without a price has none: it is never free.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from solvent.prices._price import Price
from solvent.prices._user import UserPrice, find_user_price, model_price, parse_price

if TYPE_CHECKING:
    from solvent.prices._card import Card

__all__ = [
    "Price",
    "Prices",
    "UserPrice",
    "parse_price",
]

_KEPT = 4_096  # Names come from requests, so what is remembered about them has an end.


class Prices:
    """
    Finds the price of a model: the user's own, else the rate card's.
    """

    def __init__(self, user: Mapping[str, UserPrice] = MappingProxyType({})) -> None:
        self._user = dict(user)
        self._card: Card | None = None
        self._found: dict[tuple[str, str], Price | None] = {}

    @classmethod
    def load(cls, user: Mapping[str, UserPrice] = MappingProxyType({})) -> "Prices":
        """
        The rate card and a user's prices; the card is read at the first question.

        Args:
            user: Prices by model or ``provider/model``; a trailing ``*`` stands for any ending.
        """
        return cls(user)

    def find(self, provider: str, model: str) -> Price | None:
        """
        The price of a model as a request spells it; ``None`` where it has none.
        """
        key = (provider, model)
        try:
            return self._found[key]
        except KeyError:
            pass
        if len(self._found) >= _KEPT:
            self._found.clear()
        price = self._found[key] = self._find(provider, model)
        return price

    def close_matches(self, provider: str, model: str) -> list[str]:
        """
        At most three models that have a price and whose names are close, the closest first.
        """
        from difflib import get_close_matches  # Only a refusal needs it.

        names = [*(key for key in self._user if not key.endswith("*")), *self._read_card().model_names(provider)]
        known = {name.lower(): name for name in reversed(names)}
        return [known[name] for name in get_close_matches(model.lower(), known, n=3)]

    def _find(self, provider: str, model: str) -> Price | None:
        card = self._read_card()
        listed = card.find(provider, model)
        own = find_user_price(self._user, provider, model)
        if own is None:
            return listed
        id = card.provider_id(provider) or provider
        limits = card.limits(id, id, model.lower())
        return model_price(own, provider=provider, model=model, listed=listed, limits=limits)

    def _read_card(self) -> "Card":
        if self._card is None:
            from solvent.prices._card import Card  # Not before the first question: it reads a file, with msgspec.

            self._card = Card()
        return self._card
