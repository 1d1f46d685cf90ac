"""
Makes many calls at once with nothing but the standard library, and says how each ended.

    crowd.py CALLS AT_ONCE BODY [LEAVE_AFTER]

``BODY`` is the request as JSON; with ``"stream": "some"`` every other call is streamed. With ``LEAVE_AFTER`` a client
goes away after so many chunks of its stream; with 0 when half a second has brought no answer. Writes one JSON object:
how many calls ended in which way.
"""

import http.client
import json
import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

calls, at_once = int(sys.argv[1]), int(sys.argv[2])
template = json.loads(sys.argv[3])
leave_after = int(sys.argv[4]) if len(sys.argv) > 4 else None
base = urlsplit(os.environ["OPENAI_BASE_URL"])
headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}


def call(number: int) -> str:
    body = {**template, "messages": [{"role": "user", "content": f"Call {number}."}]}
    if body.get("stream") == "some":
        body["stream"] = number % 2 == 1
    patience_seconds = 0.5 if leave_after == 0 else 60
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=patience_seconds)
    connection.request("POST", f"{base.path}/chat/completions", json.dumps(body), headers)
    try:
        with connection.getresponse() as reply:
            if reply.status != 200:
                return json.loads(reply.read())["error"]["code"]
            if not body.get("stream"):
                return "answered" if json.loads(reply.read())["choices"] else "empty"
            return read_stream(reply)
    except TimeoutError:
        return "left"
    finally:
        connection.close()


def read_stream(reply: http.client.HTTPResponse) -> str:
    chunks = 0
    for line in reply:
        chunks += line.startswith(b"data: {")
        if chunks == leave_after:
            return "left"
        if line == b"data: [DONE]\n":
            return "streamed"
    return "cut"


with ThreadPoolExecutor(at_once) as pool:
    print(json.dumps(Counter(pool.map(call, range(calls)))))
