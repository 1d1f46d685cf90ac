"""
What comes in at the gateway's door: path, headers and body, each checked before anything else looks at it.
"""

import re
import string
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from hmac import compare_digest
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import msgspec

from solvent.gateway._providers import KEY_HEADERS

Headers = Iterable[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# An extension of our own server to ASGI: a function that takes what to call when the client goes away.
DISCONNECT = "solvent.disconnect"
BODY_BYTES_MAX = 64 * 1024 * 1024

# Headers of a connection are between two neighbors (RFC 9110, 7.6.1); the rest the gateway writes anew.
HOP_BY_HOP: frozenset[bytes] = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade http2-settings".split()
)
KEPT_CONNECTION = (b"keep-alive", b"close")
# What stays here; some of it is looked at.
_NOT_FORWARDED = HOP_BY_HOP | {
    b"accept-encoding",
    b"content-length",
    b"expect",
    b"forwarded",
    b"host",
    b"x-solvent-scope",
}
# What a path may be made of after decoding. No `%`: it would be decoded again; no `;?#\`: others split there.
_PATH_BYTES = bytes(range(0x80, 0x100)) + string.ascii_letters.encode() + string.digits.encode() + b"-._~!$&'()*+,=:@/"


class Rejected(Exception):
    """
    Raised for a request that is not answered by any provider: nothing was recorded or sent.

    Attributes:
        status: The HTTP status of the answer.
        code: One word for programs.
        message: What was wrong and how to go on; holds nothing of the request.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def normal_path(raw: bytes) -> str:
    """
    A request's path, percent-decoded once and found to have one meaning, without its first slash.

    Raises:
        Rejected: Empty, ``.`` or ``..`` segments, control characters, backslashes, a second encoding, no UTF-8.
    """
    path = unquote_to_bytes(raw) if b"%" in raw else raw
    segments = path.split(b"/")
    if (
        path.translate(None, _PATH_BYTES)
        or segments[0]
        or len(segments) < 2
        or b"" in segments[1:]
        or b"." in segments
        or b".." in segments
    ):
        raise Rejected(400, "invalid_path", "The path is not in its plain form.")
    try:
        text = path[1:].decode()
    except UnicodeDecodeError:
        raise Rejected(400, "invalid_path", "The path is not UTF-8.") from None
    if not text.isprintable():
        raise Rejected(400, "invalid_path", "The path is not in its plain form.")
    return text


def address_of(path: str) -> str:
    """
    A normal path as it is written in an address.
    """
    return path if path.isascii() else quote(path, safe="/-._~!$&'()*+,=:@")


def read_head(headers: Headers, *, hosts: tuple[bytes, ...]) -> tuple[int, bytes | None, list[tuple[str, str]]]:
    """
    Refuse what no client of a loopback gateway sends, and sort out what goes to the provider.

    Args:
        headers: With names in lower case.

    Returns:
        The body's length by its header, 0 where none is named; what ``x-solvent-scope`` says; the provider's headers.

    Raises:
        Rejected: Another host's name (a web page that rebinds its own), an upgrade, an encoded body, a header twice
            that can be there once, or one that is not UTF-8 text.
    """
    held: dict[bytes, bytes] = {}
    forwarded = [("accept-encoding", "identity")]
    try:
        for name, value in headers:
            if name in _NOT_FORWARDED:
                held[name] = value if name not in held else _both(name, held[name], value)
            elif name[:10] != b"x-solvent-":
                if name == b"content-encoding" and value.lower() != b"identity":
                    raise Rejected(415, "content_encoding", _ENCODED)
                forwarded.append((name.decode(), value.decode()))
    except UnicodeDecodeError:
        raise Rejected(400, "invalid_request", "A header is not UTF-8 text.") from None
    connection = held.get(b"connection", b"close").lower()
    if b"upgrade" in held or b"upgrade" in connection:
        raise Rejected(400, "upgrade", "Upgrades are not served here. To go on: use plain HTTP/1.1.")
    if held.get(b"host") not in hosts:
        raise Rejected(421, "wrong_host", "This gateway does not serve that host.")
    if connection not in KEPT_CONNECTION:
        named = {word.strip() for word in connection.split(b",")}
        forwarded[1:] = [pair for pair in forwarded[1:] if pair[0].encode() not in named]
    return _length(held.get(b"content-length", b"0")), held.get(b"x-solvent-scope"), forwarded


_ENCODED = "An encoded body cannot be read. To go on: send it as it is."


def _both(name: bytes, first: bytes, second: bytes) -> bytes:
    """
    A header that is there twice as one.
    """
    if name == b"host":
        raise Rejected(400, "invalid_request", "There is more than one Host header.")
    if name == b"x-solvent-scope":
        raise Rejected(400, "invalid_scope", "There is more than one x-solvent-scope header.")
    return first + b"," + second


def _length(value: bytes) -> int:
    if not value.isdigit():
        raise Rejected(400, "invalid_request", "Content-Length is not a number.")
    return int(value) if len(value) < 19 else BODY_BYTES_MAX + 1


def swap_keys(headers: list[tuple[str, str]], keys: Iterable[tuple[bytes, str]]) -> None:
    """
    Put real keys in place of their stand-ins, in headers that hold keys.
    """
    for position, (name, value) in enumerate(headers):
        if name in KEY_HEADERS:
            headers[position] = name, _swapped(value, keys)


def _swapped(value: str, keys: Iterable[tuple[bytes, str]]) -> str:
    """
    A key header with the real key in place of its stand-in; every stand-in is compared, in constant time.
    """
    scheme, space, key = value.partition(" ")
    if not space:
        scheme, key = "", value
    given = key.strip().encode()
    found = key
    for stand_in, real in keys:
        if compare_digest(given, stand_in):
            found = real
    return f"{scheme}{space}{found}"


def check_length(length: int) -> None:
    """
    Refuse a body that is declared larger than the cap, before any of it is asked for.
    """
    if length > BODY_BYTES_MAX:
        raise _too_large()


async def read_body(receive: Receive) -> bytes | None:
    """
    The whole body, up to its cap; ``None`` when the client went away.

    Raises:
        Rejected: It is above the cap.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise _too_large()
        return body
    parts = bytearray()
    while message["type"] == "http.request":
        parts += message.get("body", b"")
        if len(parts) > BODY_BYTES_MAX:
            raise _too_large()
        if not message.get("more_body", False):
            return bytes(parts)
        message = await receive()
    return None


def _too_large() -> Rejected:
    return Rejected(413, "too_large", f"The body is larger than {BODY_BYTES_MAX // 1024 // 1024} MiB.")


def decode_object(body: bytes) -> dict[str, Any]:
    """
    A body as the JSON object that it must be.

    Raises:
        Rejected: It is none: malformed, not UTF-8, nested too deep, a number out of range, or another kind of value.
    """
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError) as exc:  # DecodeError and UnicodeDecodeError are kinds of ValueError.
        why = "it is nested too deep" if isinstance(exc, RecursionError) else "it is malformed"
        raise Rejected(400, "invalid_json", f"The body is not JSON: {why}.") from None
    if not isinstance(value, dict):
        raise Rejected(400, "invalid_json", "The body must be a JSON object.")
    return value


def check_keys(body: bytes) -> None:
    """
    Refuse a JSON object that names a key twice: the provider may take the other value than we do.

    Raises:
        Rejected: A key stands twice at the top, or is not spelled plainly.
    """
    values = _values.decode(body)
    # Written without spaces and with every key once, an object has this length: {"key":value,"key":value}.
    if len(body) == sum(map(len, values)) + sum(map(len, values.values())) + 4 * len(values) + 1 or not values:
        return
    at = 0
    for key, value in values.items():
        found = _KEY.match(body, at)
        if found is None or found[1] != key.encode() or not body.startswith(value, found.end()):
            break
        at = found.end() + len(value)
    if not _END.fullmatch(body, at):
        raise Rejected(400, "invalid_request", "A key stands twice in the body, or is not spelled plainly.")


_values = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY = re.compile(rb'\s*[{,]\s*"([^"\\]*)"\s*:\s*')
_END = re.compile(rb"\s*\}\s*")
