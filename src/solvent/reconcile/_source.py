"""
The files of a bill, cut into the items of JSON or the rows of a table.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from solvent.reconcile._records import BillError


class Item(Struct, frozen=True):
    """
    One object of JSON, not decoded yet.
    """

    where: str
    json: Raw

    def names(self) -> frozenset[str]:
        """
        The names of its fields.

        Raises:
            BillError: It is no object.
        """
        try:
            return frozenset(_fields(self.json))
        except msgspec.MsgspecError as error:
            raise BillError(f"{self.where}: {error}") from error


class Row(Struct, frozen=True):
    """
    One line of a table, its cells by column.
    """

    where: str
    cells: Mapping[str, str]


class Source(Struct, frozen=True):
    """
    One file: items, or rows below their columns.

    Attributes:
        is_cut: Its last page says that there are more.
    """

    name: str
    is_cut: bool = False
    items: Sequence[Item] = ()
    columns: tuple[str, ...] = ()
    rows: Sequence[Row] = ()


class _Page(Struct):
    data: list[Raw] | None = None
    has_more: bool | None = None


_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_array = msgspec.json.Decoder(list[Raw]).decode
_page = msgspec.json.Decoder(_Page).decode


def read_source(path: str) -> Source:
    """
    Raises:
        BillError: It cannot be read, or there is nothing in it.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise BillError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise BillError(f"{path}: the bill is empty")
    if data.lstrip()[:1] in b"[{":
        pages = [(where, json, _opened(where, json)) for where, json in _objects(path, data)]
        is_cut = bool(pages and pages[-1][2].has_more)
        return Source(path, is_cut=is_cut, items=tuple(_items(pages)))
    return _table(path, data)


def _opened(where: str, json: Raw) -> _Page:
    try:
        return _page(json)
    except msgspec.MsgspecError as error:
        raise BillError(f"{where}: {error}") from error


def _items(pages: Iterable[tuple[str, Raw, _Page]]) -> Iterator[Item]:
    """
    The items of an object, an array, or objects a line each; pages as the providers' interfaces answer are opened.
    """
    for where, json, page in pages:
        if page.data is None:
            yield Item(where, json)
        for number, inner in enumerate(page.data or ()):
            yield Item(f"{where}: data[{number}]", inner)


def _objects(path: str, data: bytes) -> Iterator[tuple[str, Raw]]:
    try:
        if data.lstrip().startswith(b"["):
            yield from ((f"{path}: [{number}]", json) for number, json in enumerate(_array(data)))
            return
        yield path, msgspec.json.decode(data, type=Raw)
    except msgspec.MsgspecError as error:
        lines = [(number, line) for number, line in enumerate(data.splitlines(), start=1) if line.strip()]
        if len(lines) < 2 or data.lstrip().startswith(b"["):
            raise BillError(f"{path}: {error}") from error
        for number, line in lines:
            yield f"{path}:{number}", Raw(line)


def _table(path: str, data: bytes) -> Source:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BillError(f"{path}: expected JSON or a table in UTF-8, got byte {error.start} that is neither") from error
    head = text.lstrip().partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text.lstrip(), newline=""), restkey="", restval="", delimiter=max("\t,;", key=head.count)
    )
    try:
        columns = tuple(name.strip() for name in reader.fieldnames or ())
        reader.fieldnames = columns
        before = text[: len(text) - len(text.lstrip())].count("\n")
        return Source(path, columns=columns, rows=tuple(_rows(path, reader, before)))
    except csv.Error as error:
        raise BillError(f"{path}:{reader.line_num}: {error}") from error


def _rows(path: str, reader: "csv.DictReader[str]", before: int) -> Iterator[Row]:
    for cells in reader:
        where = f"{path}:{reader.line_num + before}"
        if "" in cells and isinstance(cells[""], list):
            raise BillError(f"{where}: expected {len(reader.fieldnames or ())} columns as in the first line, got more")
        cells = {name: cell.strip() for name, cell in cells.items()}
        if any(cells.values()):
            yield Row(where, cells)
