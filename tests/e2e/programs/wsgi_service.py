"""
The same service for servers of the older kind, one thread a request.
"""

import json
import sys
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

from calls import call

import solvent

solvent.install()


def app(environ: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    with solvent.resume(environ):
        said = call()
    start("200 OK", [("content-type", "application/json")])
    return [json.dumps(said).encode()]


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


if __name__ == "__main__":
    with make_server("127.0.0.1", 0, app, Threads) as server:
        print(f"running on http://127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
        server.serve_forever()
