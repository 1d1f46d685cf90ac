"""
Recorded exchanges from files or standard input: one object, an array, or one object a line.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from solvent._assess import Assessment, Exchange


def read_exchanges(files: Iterable[str]) -> Iterator[Exchange | Assessment]:
    """
    The exchanges of all files in their order; ``-`` is standard input. What is none is an assessment that says so.

    Raises:
        OSError: A file cannot be read.
    """
    for name in files:
        if name == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(name, "rb") as file:
                data = file.read()
        yield from _exchanges("standard input" if name == "-" else name, data)


def _exchanges(name: str, data: bytes) -> Iterator[Exchange | Assessment]:
    whole = _decoded(data)
    if isinstance(whole, list):
        yield from (_exchange(f"{name}[{index}]", item) for index, item in enumerate(whole))
    elif isinstance(whole, dict):
        yield _exchange(name, whole)
    else:
        lines = data.splitlines() or [b""]
        for number, line in enumerate(lines, 1):
            if line.strip() or len(lines) == 1:
                yield _exchange(f"{name}:{number}", _decoded(line))


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _NOTHING


_NOTHING = object()


def _exchange(where: str, row: Any) -> Exchange | Assessment:
    try:
        return _checked(row)
    except ValueError as error:
        return Assessment(kind="invalid", provider="", notes=(f"invalid: {where}: {error}",))


def _checked(row: Any) -> Exchange:
    """
    Raises:
        ValueError: It is no exchange; says what was expected.
    """
    if row is _NOTHING:
        raise ValueError("expected JSON: an object, an array of objects, or one object a line")
    if not isinstance(row, dict):
        raise ValueError(f"expected an object with provider, path and request, got {type(row).__name__}")
    for field, kind in (("provider", str), ("path", str), ("request", dict), ("status", int), ("sse", str)):
        value = row.get(field)
        if value is None and field not in ("provider", "path"):
            continue
        if type(value) is not kind or not (value or kind is dict):
            raise ValueError(f"{field} must be {_KINDS[kind]}, got {value!r:.60}")
    request, sse, response = (row.get(field) for field in ("request", "sse", "response"))
    reply = None if response is None else msgspec.json.encode(response)
    return Exchange(
        provider=row["provider"],
        path=row["path"],
        method=str(row.get("method") or ("GET" if request is None else "POST")).upper(),
        request=request,
        reply=reply if sse is None else sse.encode("utf-8", "surrogatepass"),
        stream=sse is not None,
        status=row.get("status") or 200,
        run=str(row.get("run") or ""),
    )


_KINDS: dict[type, str] = {dict: "an object", int: "a whole number", str: "a text"}
