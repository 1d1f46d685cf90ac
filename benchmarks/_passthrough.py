"""
A bare pass-through on the gateway's own stack (``uvicorn``, ``httptools``, ``uvloop``, ``aiohttp``): what the gateway
would cost without a budget. Takes the upstream's port, prints its own.
"""

import sys
from typing import Any

import aiohttp
import uvicorn
import uvloop
from yarl import URL

_DROPPED = frozenset({b"connection", b"content-length", b"host", b"transfer-encoding"})


class PassThrough:
    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        headers = [(name.decode(), value.decode()) for name, value in scope["headers"] if name not in _DROPPED]
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        url = URL(self._upstream + scope["path"], encoded=True)
        async with self._session.request(scope["method"], url, headers=headers, data=body) as reply:
            kept = [(name.lower(), value) for name, value in reply.raw_headers if name.lower() not in _DROPPED]
            if reply.content_length is not None:
                kept.append((b"content-length", str(reply.content_length).encode()))
            await send({"type": "http.response.start", "status": reply.status, "headers": kept})
            while chunk := await reply.content.readany():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def main() -> None:
    app = PassThrough(f"http://127.0.0.1:{sys.argv[1]}")
    config = uvicorn.Config(
        app, port=0, http="httptools", loop="uvloop", lifespan="off", ws="none", access_log=False, log_level="error",
        proxy_headers=False, server_header=False, date_header=False, timeout_keep_alive=75,
    )  # fmt: skip
    listening = config.bind_socket()
    print(listening.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve([listening])


if __name__ == "__main__":
    uvloop.run(main())
