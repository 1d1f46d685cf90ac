"""
What a bill's format is: how it is recognized, and how an item or a row of it becomes charges.

A new format is one file with a ``FORMAT``, and one line in ``_bills.FORMATS``.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec
from msgspec import Struct

from solvent.reconcile._records import BillError, Charge
from solvent.reconcile._source import Item, Row


class Format(Struct, frozen=True, kw_only=True):
    """
    Attributes:
        item_fields: Sets of names that an item of its JSON has, one of them in full.
        columns: The same of its tables.
        item, row: The charges of one.
        providers: Whose calls it bills, by the ids of the price data; ``None`` where its lines say that, or may be
            anyone's.
        has_ids: Its lines are requests with an id each, so one that is there twice is known.
    """

    item_fields: tuple[frozenset[str], ...] = ()
    columns: tuple[frozenset[str], ...] = ()
    item: Callable[[Item], Iterator[Charge]] | None = None
    row: Callable[[Row, Mapping[str, str]], Iterator[Charge]]
    providers: frozenset[str] | None = None
    has_ids: bool = False

    def has_items(self, names: frozenset[str]) -> bool:
        return any(fields <= names for fields in self.item_fields)

    def has_columns(self, names: frozenset[str]) -> bool:
        return any(columns <= names for columns in self.columns)


def decoded(item: Item, decoder: "msgspec.json.Decoder[msgspec.Struct]") -> msgspec.Struct:
    """
    Raises:
        BillError: The item is not what its format says.
    """
    try:
        return decoder.decode(item.json)
    except msgspec.MsgspecError as error:
        raise BillError(f"{item.where}: {error}") from error
