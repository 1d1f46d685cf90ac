"""
Recorded exchanges from files or standard input: JSON objects one after the other, in lines or not, or arrays of them.
"""

import difflib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from solvent._assess import Assessment, Exchange

_FIELDS = ("method", "path", "provider", "request", "response", "run", "sse", "status")
_KINDS: dict[type, str] = {dict: "an object", int: "a whole number", str: "a text"}
_EXPECTED = "an object with provider, path and request"
_NOT_JSON = "expected JSON: objects one after the other, or an array of objects"


class _Doubled(dict[str, Any]):
    """
    An object that names a key twice.
    """

    key = ""


def _raised(error: OSError) -> NoReturn:
    raise error


def read_exchanges(
    files: Iterable[str], *, unreadable: Callable[[OSError], None] = _raised
) -> Iterator[Exchange | Assessment]:
    """
    The exchanges of all files in their order; ``-`` is standard input. What is none is an assessment that says so.

    Args:
        unreadable: Told of a file that cannot be read, before the next one is; without it that is raised.
    """
    for name in files:
        try:
            if name == "-":
                data = sys.stdin.buffer.read()
            else:
                with open(name, "rb") as file:
                    data = file.read()
        except OSError as error:
            unreadable(error)
            continue
        yield from _exchanges("standard input" if name == "-" else name, data)


def _exchanges(name: str, data: bytes) -> Iterator[Exchange | Assessment]:
    text = _text(data)
    first, wrong = 0, ""  # The first of some lines that follow each other and are no exchanges, and why it is none.
    line, at = 1, 0
    for place, (begin, end, value, problem) in enumerate(_values(text)):
        line, at = line + text.count("\n", at, begin), begin
        if problem:
            first, wrong = (first, wrong) if wrong else (line, problem)
            continue
        if wrong:
            yield _refused(name, first, line - 1, wrong)
            wrong = ""
        is_alone = place == 0 and not text[end:].strip()
        if isinstance(value, list):
            where = name if is_alone else f"{name}:{line}"
            yield from (_exchange(f"{where}[{index}]", item) for index, item in enumerate(value))
        else:
            yield _exchange(name if is_alone else f"{name}:{line}", value)
    if wrong:
        yield _refused(name, first, 1 + text.rstrip("\r\n").count("\n"), wrong)


def _text(data: bytes) -> str:
    """
    A file's text, also with a byte order mark; what is no text at all becomes one that is no JSON.
    """
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def _refused(name: str, first: int, last: int, reason: str) -> Assessment:
    lines = f"{first}" if first == last else f"{first}-{last}"
    return Assessment(kind="invalid", provider="", notes=(f"invalid: {name}:{lines}: {reason}",))


def _values(text: str) -> Iterator[tuple[int, int, Any, str]]:
    """
    The objects and arrays of a text: where each begins and ends, what it is, and what is wrong where it is none; the
    next is then looked for in the next line.
    """
    at = _next(text, 0)
    while at < len(text):
        value, end, problem = None, at, ""
        try:
            value, end = _DECODER.raw_decode(text, at)
            text[at:end].encode()
            if "\\u" in text[at:end]:
                json.dumps(value, ensure_ascii=False).encode()  # Half a character, which no provider can read.
        except RecursionError:
            problem = "it is nested too deep"
        except ValueError:  # It is no JSON, or not in an encoding of Unicode.
            problem = _NOT_JSON
        if not problem and not isinstance(value, dict | list):
            problem = f"expected {_EXPECTED}, got {_spoken(value)}"
        if problem:
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
        yield at, end, value, problem
        at = _next(text, end)


def _next(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    doubled, seen = _Doubled(fields), set[str]()
    for key, _ in pairs:
        doubled.key = key if key in seen else doubled.key
        seen.add(key)
    return doubled


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


def _exchange(where: str, row: Any) -> Exchange | Assessment:
    try:
        return _checked(row)
    except ValueError as error:
        reason = str(error)
    except RecursionError:
        reason = "it is nested too deep"
    return Assessment(kind="invalid", provider="", notes=(f"invalid: {where}: {reason}",))


def _checked(row: Any) -> Exchange:
    """
    Raises:
        ValueError: It is no exchange; says what was expected.
    """
    if not isinstance(row, dict):
        raise ValueError(f"expected {_EXPECTED}, got {_spoken(row)}")
    for one in (row, row.get("request"), row.get("response")):
        if isinstance(one, _Doubled):
            raise ValueError(f"the key {one.key!r} stands twice")
    for field, kind in (("provider", str), ("path", str), ("request", dict), ("status", int), ("sse", str)):
        value = row.get(field)
        if value is None and field in ("provider", "path"):
            raise ValueError(f"{field} is missing: expected {_EXPECTED}{_near(row, field)}")
        if value is not None and (type(value) is not kind or not (value or kind is dict)):
            raise ValueError(f"{field} must be {_KINDS[kind]}, got {json.dumps(value):.60}")
    request, sse, response = (row.get(field) for field in ("request", "sse", "response"))
    reply = None if response is None else json.dumps(response, separators=(",", ":")).encode()
    return Exchange(
        provider=row["provider"],
        path=row["path"],
        method=str(row["method"]).upper() if row.get("method") else None,
        request=request,
        other_objects=tuple([name for name in row if name not in _FIELDS and isinstance(row[name], dict)]),
        reply=reply if sse is None else sse.encode("utf-8", "surrogatepass"),
        stream=sse is not None,
        status=row.get("status") or 200,
        run=str(row.get("run") or ""),
    )


def _near(row: dict[str, Any], field: str) -> str:
    close = difflib.get_close_matches(field, [name for name in row if name not in _FIELDS], n=1)
    return f"; did you mean {field} by {close[0]}?" if close else ""


def _spoken(value: Any) -> str:
    kinds = {str: "a text", list: "a list", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
