"""
``uvicorn``'s HTTP protocol, made to refuse what a gateway must not guess about. Loaded when a server starts.
"""

import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from solvent.gateway._request import DISCONNECT

HEAD_BYTES_MAX = 65_536
HEADERS_MAX = 200

_log = logging.getLogger("solvent.gateway")


class _Refused(Exception):
    """
    Raised inside the parser's callbacks; the parser turns it into its own error, which is answered with 400.
    """


class StrictProtocol(HttpToolsProtocol):
    """
    Origin-form targets only, heads of limited size, one meaning of where a body ends, and no trailers.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log
        self.access_log = False
        self._in_head = False
        self._head_bytes = 0
        self._listener: Callable[[], None] | None = None

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        # A head that does not end is held by the parser, which has no limit of its own.
        if self._in_head and self.parser is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if not self.url.startswith(b"/") or self.url.startswith(b"//") or b"#" in self.url:
            raise _Refused("not an origin-form target")
        if len(self.headers) > HEADERS_MAX or _size(self.url, self.headers) > HEAD_BYTES_MAX:
            raise _Refused("a head too long")
        _check_framing(self.headers)
        extensions: dict[str, Any] = {DISCONNECT: self.tell_disconnect}
        self.scope["extensions"] = extensions
        super().on_headers_complete()
        self.headers = []  # Trailers go here: in the request's own list they would join headers already checked.

    def tell_disconnect(self, listener: Callable[[], None]) -> None:
        """
        Call ``listener`` when the client goes away. Cheaper than a task that waits for the same in ``receive``.
        """
        if self.parser is None or self.transport.is_closing():
            listener()
            return
        self._listener = listener
        self.flow.resume_reading()  # A large body may have stopped it, and then nobody sees the client go.

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        listener, self._listener = self._listener, None
        if listener is not None:
            listener()

    def send_400_response(self, msg: str) -> None:
        # In the middle of an answer to an earlier request, a second one would be read as part of it.
        if self.cycle is not None and not self.cycle.response_complete and self.cycle.response_started:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _unsupported_upgrade_warning(self) -> None:
        """
        Nothing is written: the application answers.
        """


def _size(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def _check_framing(headers: list[tuple[bytes, bytes]]) -> None:
    """
    Refuse a request whose end two readers could see in two places.
    """
    lengths = encodings = 0
    for name, value in headers:
        if name == b"content-length":
            lengths += 1
        elif name == b"transfer-encoding":
            encodings += 1
            if value.lower() != b"chunked":
                raise _Refused("an unknown transfer encoding")
    if lengths + encodings > 1:
        raise _Refused("a body with two ends")
