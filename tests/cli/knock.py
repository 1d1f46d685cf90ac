"""
Sends raw requests to the gateway that it runs behind, and prints what it was answered and all that it knows, as JSON.

    knock.py FILE    a JSON list of texts; PORT, SECRET and KEY in them become the gateway's, and the key given to us

Each request has a connection of its own. Written with the standard library alone, and started without site-packages.
"""

import json
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

base = urlsplit(os.environ["OPENAI_BASE_URL"])
secret, key = base.path.split("/")[1], os.environ["OPENAI_API_KEY"]


def knock(request: str) -> str:
    filled = request.replace("PORT", str(base.port)).replace("SECRET", secret).replace("KEY", key)
    reply = b""
    with socket.create_connection((base.hostname, base.port), timeout=20) as connection:
        connection.sendall(filled.encode("latin-1"))
        try:
            while not is_whole(reply):
                received = connection.recv(65536)
                if not received:
                    break
                reply += received
        except ConnectionResetError:
            pass
    return reply.decode("latin-1")


def is_whole(reply: bytes) -> bool:
    head, end, body = reply.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return bool(end) and len(body) >= int(value)
        if name == b"transfer-encoding":
            return body.endswith(b"0\r\n\r\n")
    return False


replies = [knock(request) for request in json.loads(Path(sys.argv[1]).read_text())]
print(json.dumps({"replies": replies, "secret": secret, "key": key, "environment": dict(os.environ)}))
