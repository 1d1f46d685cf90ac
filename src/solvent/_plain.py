"""
Objects of any library as plain data: dicts, lists, texts and numbers, without importing the library.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from itertools import islice
from numbers import Integral
from typing import TypeVar

_DEPTH_MAX = 32  # Deeper than any reply, and where a cycle ends.
_VALUES_MAX = 500_000
_AS_THEY_ARE = frozenset({bool, bytes, float, int, str, type(None)})
_FIELDS = ("__dataclass_fields__", "__struct_fields__")
_LEFT_OUT = frozenset({"logprobs", "logprobsResult", "logprobs_result"})  # Twenty objects a token, of no use here.

T = TypeVar("T")


def plain(given: object, names: frozenset[str], carriers: tuple[str, ...]) -> object:
    """
    ``given`` as plain data.

    Mappings, pydantic's models and what has a ``to_dict`` are read whole. Of other objects only some attributes are
    read, for they may hold a program's whole state.

    Args:
        names: The attributes that are read of any object.
        carriers: Those of which the first that holds something is read, and no other.

    Raises:
        ValueError: It is too large, or reading it raised an error.
    """
    return _Reading(names, carriers).value(given, 0)


class _Reading:
    def __init__(self, names: frozenset[str], carriers: tuple[str, ...]) -> None:
        self._names = names
        self._carriers = carriers
        self._left = _VALUES_MAX

    def value(self, given: object, depth: int) -> object:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"it holds more than {_VALUES_MAX} values; its usage alone is enough")
        if type(given) in _AS_THEY_ARE:
            return given
        if isinstance(given, Enum):
            return self.value(given.value, depth)
        if isinstance(given, Integral):
            return int(given)
        if depth == _DEPTH_MAX:
            return None
        if isinstance(given, (list, tuple)):
            return self._list(given, depth)
        fields = given if isinstance(given, Mapping) else self._fields(given)
        return self._dict(fields, depth) if fields is not None else given

    def _list(self, given: list[object] | tuple[object, ...], depth: int) -> list[object]:
        items = _read(lambda: list(islice(given, self._left + 1)), given)
        if items and type(items[0]) in (float, int):
            return []  # Embeddings have millions of numbers, and no usage is told in a list of them.
        return [self.value(item, depth + 1) for item in items]

    def _dict(self, fields: Mapping[object, object], depth: int) -> dict[str, object]:
        items = _read(lambda: list(islice(fields.items(), self._left + 1)), fields)
        return {
            name: self.value(field, depth + 1)
            for name, field in items
            if isinstance(name, str) and name not in _LEFT_OUT
        }

    def _fields(self, given: object) -> Mapping[object, object] | None:
        """
        What an object holds by name; ``None`` where it holds nothing that is looked for.
        """
        found = _whole(given)
        own = {*found, *getattr(given, "__dict__", ())}.union(*[getattr(type(given), name, ()) for name in _FIELDS])
        read = own if found else set()  # Under another name, it may be.
        found |= {name: _held(given, name, own) for name in self._names - read}
        for name in self._carriers:
            if name not in read:
                found[name] = _held(given, name, own)
            if found.get(name) is not None:
                break
        found = {name: value for name, value in found.items() if value is not None}
        return found or None


def _whole(given: object) -> dict[object, object]:
    """
    All fields, under the names that the provider uses, where an SDK has others of its own; none of most objects.
    """
    kind = type(given)
    fields = getattr(kind, "model_fields", None)
    if isinstance(fields, Mapping):
        # Read, not dumped: a dump leaves out what a field's value has beyond the field's own type.
        values = {**getattr(given, "__dict__", {}), **(getattr(given, "__pydantic_extra__", None) or {})}
        aliases = {name: getattr(field, "serialization_alias", None) for name, field in fields.items()}
        return {aliases.get(name) or name: value for name, value in values.items()}
    to_dict = getattr(kind, "to_dict", None)
    if callable(to_dict) and not any(hasattr(kind, name) for name in _FIELDS):
        found = _read(lambda: to_dict(given), given)
        return dict(found) if isinstance(found, Mapping) else {}
    return {}


def _held(given: object, name: str, own: set[object]) -> object:
    """
    An attribute; ``None`` where there is none, or where it is a number that a record works out from its fields.
    """
    if name not in own and not hasattr(type(given), name):
        return None
    try:
        value = getattr(given, name)
    except AttributeError:
        return None  # A slot that nobody has filled.
    except Exception as exc:
        raise _unreadable(given, f"its {name} raised", exc) from exc
    if name == "usage" and callable(value):
        value = _read(value, given)
    return None if own and name not in own and isinstance(value, int) else value


def _read(read: Callable[[], T], given: object) -> T:
    try:
        return read()
    except Exception as exc:  # A foreign object runs code of its own, which may raise anything.
        raise _unreadable(given, "reading it raised", exc) from exc


def _unreadable(given: object, what: str, exc: Exception) -> ValueError:
    return ValueError(f"{type(given).__qualname__:.80}: {what} {type(exc).__name__}: {exc!s:.200}")
