"""
Calls a model again and again with nothing but the standard library.

    agent.py [--calls N] [--at ADDRESS] [--key KEY] [--body JSON] [--same] [--persist]

Ends after so many calls or at the first that was not answered (unless it persists), and writes one JSON object: the
status of every call, the error of the last, and the address and key that it used.
"""

import argparse
import http.client
import json
import os
from urllib.parse import urlsplit

parser = argparse.ArgumentParser()
parser.add_argument("--calls", type=int, default=100)
parser.add_argument("--at", default=os.environ.get("OPENAI_BASE_URL"))
parser.add_argument("--key", default=os.environ.get("OPENAI_API_KEY"))
parser.add_argument("--body", type=json.loads, default={})
parser.add_argument("--same", action="store_true", help="Send the same request each time.")
parser.add_argument("--persist", action="store_true", help="Go on after a call that was not answered.")
asked = parser.parse_args()

base = urlsplit(asked.at)
statuses, error = [], None
for number in range(asked.calls):
    content = "Go on." if asked.same else f"Go on, {number}."
    body = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": content}], **asked.body}
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {asked.key}"}
    connection.request("POST", f"{base.path}/chat/completions", json.dumps(body), headers)
    reply = connection.getresponse()
    answer = json.loads(reply.read())
    connection.close()
    statuses.append(reply.status)
    if reply.status != 200:
        error = answer["error"]
        if not asked.persist:
            break
said = {"statuses": statuses, "error": error, "at": asked.at, "key": asked.key, "scope": os.environ["SOLVENT_SCOPE"]}
print(json.dumps(said))
