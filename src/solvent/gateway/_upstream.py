"""
How a call leaves for its provider: a small interface, and ``aiohttp``'s client behind it.

A call is sent once. ``aiohttp`` sends a request again by itself when a kept-alive connection turns out closed, for
idempotent methods (never POST); that is turned off here, and a body that was begun once refuses to be written again.

Source:
    aiohttp 3.14.5, ``client.py`` (``IDEMPOTENT_METHODS``, ``_retry_connection``), read 2026-11-21.
"""

import os
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from solvent.gateway._providers import Upstream

if TYPE_CHECKING:
    import aiohttp

CONNECT_SECONDS = 30
# Below the 5 s after which common servers close an idle connection: a call sent on one that just closed is lost, and
# nobody knows whether it was read.
KEEP_ALIVE_SECONDS = 4
_HEADER_BYTES_MAX = 65_536


class NotDelivered(Exception):
    """
    Raised when a call got no reply, or its reply was cut.

    Attributes:
        reason: In a few words, without address or content.
        sent: The request may have reached the provider.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Reply(Protocol):
    """
    A provider's reply, its head read and its body still coming.
    """

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]: ...

    async def chunk(self) -> bytes:
        """
        The next bytes of the body as they came; empty at its end.

        Raises:
            NotDelivered: The body was cut.
        """

    def close(self) -> None:
        """
        End it; the connection is closed unless the body came to its end.
        """


class Sent(Protocol):
    """
    What became of a request until now.
    """

    begun: bool  # Its body was handed to a connection.


class Client(Protocol):
    """
    Sends requests to upstreams.
    """

    def body(self, content: bytes) -> Sent:
        """
        A request's body, to be sent at most once.
        """

    async def send(
        self, upstream: Upstream, method: str, url: str, headers: Sequence[tuple[str, str]], body: Any
    ) -> Reply:
        """
        Send one request, once, and wait for the head of its reply.

        Raises:
            NotDelivered: No reply came.
        """

    async def close(self) -> None:
        """
        Close every connection.
        """


class AiohttpClient:
    """
    ``aiohttp``'s client, imported and made at the first request: raw bytes, no redirects, no cookies, no retries.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[tuple[str | None, str | None], ssl.SSLContext] = {}

    def body(self, content: bytes) -> Sent:
        from solvent.gateway._body import OneTimeBody

        return OneTimeBody(content)

    async def send(
        self, upstream: Upstream, method: str, url: str, headers: Sequence[tuple[str, str]], body: Any
    ) -> Reply:
        import aiohttp
        from yarl import URL

        session = self._session or self._open()
        secure = self._context(upstream) if upstream.base.startswith("https:") else False
        try:
            response = await session.request(
                method, URL(url, encoded=True), headers=headers, data=body,
                allow_redirects=False, proxy=upstream.proxy, ssl=secure,
            )  # fmt: skip
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            raise NotDelivered(_reason(exc), sent=False) from exc
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            raise NotDelivered(_reason(exc), sent=body is None or body.begun) from exc
        return _Reply(response)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _context(self, upstream: Upstream) -> ssl.SSLContext:
        key = upstream.ca_file, upstream.ca_folder
        if key not in self._contexts:
            self._contexts[key] = ssl.create_default_context(cafile=key[0], capath=key[1])
        return self._contexts[key]

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=CONNECT_SECONDS, sock_read=None),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            cookie_jar=aiohttp.DummyCookieJar(),  # A cookie of one caller must not travel with the next.
            auto_decompress=False,
            trust_env=False,
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
        )
        session._retry_connection = False
        self._session = session
        return session


class _Reply:
    __slots__ = ("_content", "_response", "headers", "status")

    def __init__(self, response: "aiohttp.ClientResponse") -> None:
        self._response = response
        self._content = response.content
        self.status = response.status
        self.headers = response.raw_headers

    async def chunk(self) -> bytes:
        import aiohttp

        try:
            return await self._content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise NotDelivered(_reason(exc), sent=True) from exc

    def close(self) -> None:
        self._response.close()


def _reason(exc: BaseException) -> str:
    """
    What went wrong, in words: messages of the client hold addresses, which may hold secrets.
    """
    import aiohttp

    if isinstance(exc, TimeoutError):
        return "it took too long"
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(exc, aiohttp.ClientSSLError):
        return "its certificate is not trusted"
    system = getattr(exc.__cause__ or exc, "errno", None)
    if isinstance(system, int) and system > 0:
        return os.strerror(system).lower()
    return "the connection was cut" if isinstance(exc, aiohttp.ClientError | OSError) else "the reply is no HTTP"
