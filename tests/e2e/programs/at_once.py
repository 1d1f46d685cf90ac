"""
Makes calls that are all under way before the first is answered: each lacks its last byte until all have been begun.

    at_once.py CALLS

Writes the statuses as JSON.
"""

import json
import os
import socket
import sys
from urllib.parse import urlsplit

base = urlsplit(os.environ["OPENAI_BASE_URL"])
body = json.dumps({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Now."}]}).encode()
head = (
    f"POST {base.path}/chat/completions HTTP/1.1\r\nHost: {base.netloc}\r\nConnection: close\r\n"
    f"Authorization: Bearer {os.environ['OPENAI_API_KEY']}\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
)

connections = [socket.create_connection((base.hostname or "", base.port or 80)) for _ in range(int(sys.argv[1]))]
for connection in connections:
    connection.sendall(head.encode() + body[:-1])
for connection in connections:
    connection.sendall(body[-1:])
print(json.dumps([int(connection.makefile("rb").readline().split()[1]) for connection in connections]))
