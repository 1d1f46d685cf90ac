"""
Calls a model again and again with nothing but the standard library.

    agent.py [--calls N] [--at ADDRESS] [--key KEY] [--letters N] [--output N] [--streams-open N] [--same]
             [--persist] [--stubborn]

Ends after so many calls or at the first that was not answered (unless it persists), and writes one JSON object: the
status of every call, the error of the last, the key and the scope that it was given.
"""

import argparse
import http.client
import json
import os
import signal
from typing import Any
from urllib.parse import urlsplit

parser = argparse.ArgumentParser()
parser.add_argument("--calls", type=int, default=100)
parser.add_argument("--at", default=os.environ.get("OPENAI_BASE_URL"))
parser.add_argument("--key", default=os.environ.get("OPENAI_API_KEY"))
parser.add_argument("--letters", type=int, default=0, help="Lengthen every prompt by so many.")
parser.add_argument("--output", type=int, default=100, help="The output cap of every call.")
parser.add_argument("--streams-open", type=int, default=0, help="Begin so many streams before, and leave them open.")
parser.add_argument("--same", action="store_true", help="Send the same request each time.")
parser.add_argument("--persist", action="store_true", help="Go on after a call that was not answered.")
parser.add_argument("--stubborn", action="store_true", help="Do not end at TERM.")
asked = parser.parse_args()
if asked.stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
base = urlsplit(asked.at)


def call(number: int, **options: Any) -> http.client.HTTPResponse:
    content = f"Go on, {0 if asked.same else number}." + "x" * asked.letters
    body = {"model": "m", "max_tokens": asked.output, "messages": [{"role": "user", "content": content}], **options}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {asked.key}", "Connection": "close"}
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=60)
    connection.request("POST", f"{base.path}/chat/completions", json.dumps(body), headers)
    return connection.getresponse()


streams = [call(-1 - number, stream=True) for number in range(asked.streams_open)]
for stream in streams:
    assert stream.readline().startswith(b"data: {"), "no first chunk"
statuses, error = [], None
for number in range(asked.calls):
    reply = call(number)
    answer = json.loads(reply.read())
    statuses.append(reply.status)
    if reply.status != 200:
        error = answer["error"]
        if not asked.persist:
            break
print(json.dumps({"statuses": statuses, "error": error, "key": asked.key, "scope": os.environ["SOLVENT_SCOPE"]}))
