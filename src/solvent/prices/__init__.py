"""
Prices: what a call costs, and the most that it can cost, in whole nanodollars.

The rate card is compiled from ``genai-prices`` when the project is built and ships as data, with an overlay of facts
from other public sources; prices that a user gives win over both. A model without a price has none: it is never free.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from solvent.errors import SettingsError
from solvent.prices._price import Price
from solvent.prices._user import OwnPrice, PriceAs, UserPrice, find_own_price, parse_price
from solvent.prices._user_rates import model_price

if TYPE_CHECKING:
    from pathlib import Path

    from solvent.prices._card import Card
    from solvent.prices._describe import Sheet
    from solvent.prices._model import ModelPrice
    from solvent.prices._update import UpdateReport

__all__ = [
    "OwnPrice",
    "Price",
    "PriceAs",
    "Prices",
    "UserPrice",
    "parse_price",
    "reset",
    "update",
]

_BIG = ("anthropic", "google", "openai")  # Whose models a name is looked up among that does not tell whose it is.
_ALSO_CALLED = ("bedrock", "gemini", "huggingface", "ollama", "vertex", "xai")  # As calls name what the card does not.
_OWN_SERVERS = ("huggingface", "ollama")  # Their models have no price by themselves.
_KEPT = 4_096  # Names come from requests, so what is remembered about them has an end.


class Prices:
    """
    Finds the price of a model: the user's own, else the rate card's.
    """

    def __init__(self, user: Mapping[str, OwnPrice] = MappingProxyType({}), *, card: "Card | None" = None) -> None:
        self._user = dict(user)
        self._card = card
        self._found: dict[tuple[str, ...], ModelPrice | None] = {}
        self._close: dict[tuple[str, str], list[str]] = {}

    @classmethod
    def load(cls, user: Mapping[str, OwnPrice] = MappingProxyType({})) -> "Prices":
        """
        The rate card and a user's prices; the card is read at the first question, once by a process.

        Args:
            user: Prices by model or ``provider/model``; a trailing ``*`` stands for any ending.
        """
        return cls(user)

    @property
    def card(self) -> "Card":
        """
        The rate card: the one that ships, or the one that ``solvent prices update`` made where that is not older.

        Raises:
            SettingsError: The file of the updated one is damaged.
        """
        if self._card is None:
            # Not before the first question: it reads files, with msgspec.
            from solvent.prices._card import newest_card
            from solvent.prices._card_file import updated_rates

            self._card = newest_card(updated_rates())
        return self._card

    def find(self, provider: str, model: str) -> "Price | None":
        """
        The price of a model as a request spells it; ``None`` where it has none.
        """
        key = (provider, model)
        return self._found[key] if key in self._found else self._keep(key, self._find(provider, model))

    def find_as(self, provider: str, model: str, other: str, *, source: str) -> "Price | None":
        """
        The price of another model for one that has none; its source says so. ``None`` where that has none, either.

        It says nothing of the model that answers: where that has a price, it is that one's.

        Args:
            provider, model: What is to be priced.
            other: The model whose price it gets: one of the same provider, ``provider/model``, or a name that says
                whose model it is (``gpt-4o``).
            source: Who says so, for records.
        """
        key = (provider, model, other, source)
        if key in self._found:
            return self._found[key]
        own = PriceAs(model=other, source=source)
        return self._keep(key, self._find_as(provider, model, own, by_user=False))

    def close_matches(self, provider: str, model: str) -> list[str]:
        """
        At most three names that have a price: the closest of this provider's, and the same name at others.
        """
        key = (provider, model)
        if key not in self._close:
            if len(self._close) >= _KEPT:
                self._close.clear()
            self._close[key] = self._find_close(provider, model)
        return self._close[key]

    def describe(self, model: str, *, provider: str = "", at: datetime, price_as: str | None = None) -> "Sheet | None":
        """
        Everything that is known of a model's price; ``None`` where it has none.

        Args:
            model: As a request spells it, or ``provider/model``.
            provider: Whose; without it, the one that the name tells of, or the only one that has a model of this name.
            at: The time whose prices are in force.
            price_as: The model whose price one has that has none.
        """
        from solvent.prices._describe import describe  # Only people ask.

        price = self._find(provider, model) if provider else self._anywhere("", model)
        if price is None and price_as is not None:
            price = self._find_as(provider, model, PriceAs(model=price_as, source="unpriced.price_as"))
        return None if price is None else describe(price, at=at, begins=self.card.begins)

    def describe_all(self, *, provider: str | None = None, at: datetime) -> "Iterator[Sheet]":
        """
        The same of every model of the rate card, or of one provider's, by a name that a request can have for it.
        """
        from msgspec.structs import replace

        from solvent.prices._describe import describe

        id = None if provider is None else self.card.provider_id(provider)
        if provider is None or id is not None:
            for name, price in self.card.listed(*([id] if id else [])):
                yield replace(describe(price, at=at, begins=self.card.begins), model=name)

    def close_provider(self, name: str) -> str | None:
        """
        The provider that a name which is none may have been meant for; ``""`` where none is close, and ``None`` where
        the name is known: to the card, to a user's price, or as that of a server of one's own.
        """
        if self.card.provider_id(name) or name in _OWN_SERVERS or any(key.startswith(f"{name}/") for key in self._user):
            return None
        from difflib import get_close_matches

        return next(iter(get_close_matches(name.lower(), (*self.card.providers, *_ALSO_CALLED), n=1)), "")

    def own_names(self) -> list[str]:
        """
        What a user has given prices for, patterns included.
        """
        return list(self._user)

    def check(self) -> None:
        """
        Make sure that every model whose price a user's price names has one, whatever provider is asked.

        Raises:
            SettingsError: One has none; names it.
        """
        for name, own in self._user.items():
            if isinstance(own, PriceAs):
                self.check_name(own.model, where=f"{own.source}: prices.{name}")

    def check_name(self, model: str, *, where: str) -> None:
        """
        Make sure that a model has a price, whatever provider is asked.

        Raises:
            SettingsError: It has none; names it.
        """
        if self._find_as("", model, PriceAs(model=model)) is not None:
            return
        close = self.close_anywhere(model)
        raise SettingsError(
            where=where,
            expected="a model that has a price" if close else "a model that has a price, such as openai/gpt-4o",
            got=f"{model}; did you mean {' or '.join(close)}?" if close else model,
        )

    def close_anywhere(self, model: str) -> list[str]:
        """
        At most three names that have a price: of the provider that a name begins with, or of the one that it tells of.
        """
        sellers = [f"{id}/{model}" for id in self.card.sellers(model)]
        first, _, rest = model.partition("/")
        if rest and self.card.provider_id(first):
            names = [name if "/" in name else f"{first}/{name}" for name in self.close_matches(first, rest)]
        else:
            whose = self.card.makers(model) or _BIG
            names = [name for one in whose for name in self.close_matches(one, model)]
        return list(dict.fromkeys([*sellers, *names]))[:3]

    def _keep(self, key: tuple[str, ...], price: "ModelPrice | None") -> "ModelPrice | None":
        if len(self._found) >= _KEPT:
            self._found.clear()
        self._found[key] = price
        return price

    def _find(self, provider: str, model: str) -> "ModelPrice | None":
        own = find_own_price(self._user, provider, model)
        if isinstance(own, PriceAs):
            return self._find_as(provider, model, own)
        listed = self.card.find(provider, model)
        if own is None:
            return listed
        id = self.card.provider_id(provider) or provider
        limits = self.card.limits(id, id, model.lower())
        return model_price(own, provider=provider, model=model, listed=listed, limits=limits)

    def _find_as(self, provider: str, model: str, own: PriceAs, *, by_user: bool = True) -> "ModelPrice | None":
        if isinstance(find_own_price(self._user, provider, own.model), PriceAs):
            return None  # A name for a name could be a name for itself.
        price = self._anywhere(provider, own.model)
        if price is None:
            return None
        source = f"{own.source}, as {price.provider}/{price.model}: {price.source}"
        return price.renamed(model=model, provider=provider, source=source, by_user=by_user)

    def _find_close(self, provider: str, model: str) -> list[str]:
        from difflib import get_close_matches  # Only a refusal needs it.

        names = [*(key for key in self._user if not key.endswith("*")), *self.card.model_names(provider)]
        known = {name.lower(): name for name in reversed(names) if name.lower() != model.lower()}
        close = [known[name] for name in get_close_matches(model.lower(), known, n=3)]
        same = [f"{id}/{model}" for id in self.card.sellers(model) if id != self.card.provider_id(provider)]
        return [*close, *same][:3]

    def _anywhere(self, provider: str, model: str) -> "ModelPrice | None":
        """
        The price of a model at this provider, at the one that its name begins with, at the one that makes it, or at the
        only one that has it.
        """
        found = (self._find(whose, model) for whose in self._places(provider, model))
        return next((price for price in found if price is not None), None)

    def _places(self, provider: str, model: str) -> "Iterator[str]":
        if provider:
            yield provider
        if "/" in model:
            yield ""
        yield from self.card.makers(model)
        yield ""
        sellers = self.card.sellers(model)
        if len(sellers) == 1:
            yield from sellers


def update(source: "Path | None" = None, *, force: bool = False) -> "UpdateReport":
    """
    Make a rate card from newer price data, for processes that start from now on. Nothing is fetched.

    Args:
        source: A ``data.json`` or ``data_slim.json`` of ``genai-prices``; the installed package where there is none.
        force: Take the data also where it is older than that of the card in force, or the same.

    Raises:
        SettingsError: There is no such data, it is damaged, it is older, or the card cannot be written.
    """
    from solvent.prices._update import update as run  # What makes cards is not needed to read them.

    return run(source, force=force)


def reset() -> "UpdateReport":
    """
    Take what ``update`` did back: the card that ships is in force for processes that start from now on.

    Raises:
        SettingsError: The updated card cannot be taken away.
    """
    from solvent.prices._update import reset as run

    return run()
