"""
Objects of any library as plain data: dicts, lists, texts and numbers, without importing the library.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from itertools import islice
from numbers import Integral
from types import MethodType
from typing import TypeVar

from msgspec import Struct

_DEPTH_MAX = 32  # Deeper than any reply, and where a cycle ends.
_VALUES_MAX = 500_000
_AS_THEY_ARE = frozenset({bool, bytes, float, int, str, type(None)})
_FIELDS = ("__dataclass_fields__", "__slots__", "__struct_fields__")
_LEFT_OUT = frozenset({"logprobs", "logprobsResult", "logprobs_result"})  # Twenty objects a token, of no use here.

T = TypeVar("T")


class Sought(Struct, frozen=True, kw_only=True):
    """
    Which attributes are read of objects that may hold a program's whole state.

    Attributes:
        counts: An object that has one of them is read whole, with what lies in it.
        carriers: Of these the first that holds something is read, and no other.
        beside: Read of any object.
    """

    counts: frozenset[str]
    carriers: tuple[str, ...]
    beside: frozenset[str]


def plain(given: object, sought: Sought) -> object:
    """
    ``given`` as plain data.

    Mappings, pydantic's models and what has a ``to_dict`` are read whole, other objects by what is sought.

    Raises:
        ValueError: It is too large, or reading it raised an error.
    """
    return _Reading(sought).value(given, 0)


class _Reading:
    def __init__(self, sought: Sought) -> None:
        self._sought = sought
        self._left = _VALUES_MAX

    def value(self, given: object, depth: int, *, counted: bool = False) -> object:
        """
        Args:
            counted: It lies in an object that is read whole.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"it holds more than {_VALUES_MAX} values; its usage alone is enough")
        if type(given) in _AS_THEY_ARE or isinstance(given, type):
            return given
        if isinstance(given, Enum):
            return self.value(given.value, depth)
        if isinstance(given, Integral):
            return int(given)
        if depth == _DEPTH_MAX:
            return None
        if isinstance(given, (list, tuple)):
            return self._list(given, depth + 1, counted)
        if isinstance(given, Mapping):
            fields = _read(lambda: dict(islice(given.items(), self._left + 1)), given)
            return self._dict(fields, depth + 1, counted)
        own = _read(lambda: _own(given), given)
        counted = counted or not own.isdisjoint(self._sought.counts)
        return self._dict(self._fields(given, own, counted), depth + 1, counted) or given

    def _list(self, given: list[object] | tuple[object, ...], depth: int, counted: bool) -> list[object]:
        if type(_read(lambda: next(iter(given), None), given)) in (float, int):
            return []  # Embeddings have millions of numbers, and no usage is told in a list of them.
        items = _read(lambda: list(islice(given, self._left + 1)), given)
        return [self.value(item, depth, counted=counted) for item in items]

    def _dict(self, fields: Mapping[object, object], depth: int, counted: bool) -> dict[str, object]:
        return {
            name: self.value(field, depth, counted=counted)
            for name, field in fields.items()
            if isinstance(name, str) and name not in _LEFT_OUT
        }

    def _fields(self, given: object, own: frozenset[str], counted: bool) -> dict[object, object]:
        """
        What an object holds by name, as far as it is sought.
        """
        found = _whole(given)
        read = own if found else frozenset()  # Under another name, it may be.
        if not found:
            names = {name for name in own if counted and not name.startswith("_")}
            found = {name: _held(given, name, own) for name in names | self._sought.beside | self._sought.counts}
        for name in self._sought.carriers:
            if found.get(name) is None and name not in read:
                found[name] = _held(given, name, own)
            if found.get(name) is not None:
                break
        return {name: value for name, value in found.items() if value is not None}


def _own(given: object) -> frozenset[str]:
    """
    The names of an object's fields, as against what its class works out.
    """
    fields = [getattr(kind, name, ()) for kind in type(given).__mro__ for name in _FIELDS]
    return frozenset(name for names in [getattr(given, "__dict__", ()), *fields] for name in names)


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


def _held(given: object, name: str, own: frozenset[str]) -> object:
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
    if name == "usage" and isinstance(value, MethodType):
        value = _read(value, given)
    return None if own and name not in own and isinstance(value, int) else value


def _read(read: Callable[[], T], given: object) -> T:
    try:
        return read()
    except Exception as exc:  # A foreign object runs code of its own, which may raise anything.
        raise _unreadable(given, "reading it raised", exc) from exc


def _unreadable(given: object, what: str, exc: Exception) -> ValueError:
    return ValueError(f"{type(given).__qualname__:.80}: {what} {type(exc).__name__}: {exc!s:.200}")
