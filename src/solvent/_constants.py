"""
The constants of bounds as they are in this process: those of the tables, and what bills have added to them.
"""

from collections import OrderedDict

from solvent._bounds import image_tokens_max, overhead
from solvent.prices import Price
from solvent.wire._call import Call

RAISED_MAX = 4_096  # Constants that one process remembers to have raised.


class Constants:
    """
    Constants by name, each for a provider and a model: ``request``, ``tools`` and ``image`` of the tables, and one for
    each way to tighten a bound, which begins at nothing.
    """

    def __init__(self) -> None:
        self._raised: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def overhead(self, call: Call, price: Price | None) -> int:
        """
        The most tokens that the provider adds to what ``head`` and ``items`` count, images aside.
        """
        total = overhead(call)
        if self._raised:
            total += self.raised("request", call, price)
            if _has_tools(call):
                total += self.raised("tools", call, price)
        return total

    def image_tokens_max(self, call: Call, price: Price | None) -> int | None:
        """
        The most tokens that one image can be; ``None`` when nobody says.
        """
        most = image_tokens_max(call)
        return None if most is None else most + self.raised("image", call, price)

    def raised(self, name: str, call: Call, price: Price | None, *, scope: str = "") -> int:
        """
        The tokens that bills have added to a constant.

        Args:
            scope: Of a constant that is true of one scope alone.
        """
        return self._raised.get(_key(name, call, price, scope), 0)

    def add(self, name: str, tokens: int, call: Call, price: Price | None, *, scope: str = "") -> int:
        """
        Raise a constant; returns what has been added to it by now.
        """
        key = _key(name, call, price, scope)
        total = self._raised[key] = self._raised.get(key, 0) + tokens
        self._raised.move_to_end(key)
        if len(self._raised) > RAISED_MAX:
            self._raised.popitem(last=False)
        return total

    def add_to_table(self, tokens: int, call: Call, price: Price | None) -> tuple[str, int]:
        """
        Raise the constant of the tables that is the likeliest to be too low: of images, else of tools.
        """
        images = call.head.images + sum(item.images for item in call.items)
        name = "image" if images else "tools" if _has_tools(call) else "request"
        return name, self.add(name, -(-tokens // (images or 1)), call, price)


def _has_tools(call: Call) -> bool:
    return bool(call.tools or call.structured_output)


def _key(name: str, call: Call, price: Price | None, scope: str) -> tuple[str, ...]:
    # All names of a model have one price, so the price tells which family a name belongs to.
    return name, scope, call.provider, price.model if price else call.model
