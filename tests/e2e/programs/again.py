"""
Makes one call again and again, whatever comes of it, and says how often which status or error code came.

    again.py TIMES BODY
"""

import http.client
import json
import os
import sys
from collections import Counter
from urllib.parse import urlsplit

times, body = int(sys.argv[1]), {**json.loads(sys.argv[2]), "messages": [{"role": "user", "content": "Again."}]}
base = urlsplit(os.environ["OPENAI_BASE_URL"])
headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
seen: Counter[str] = Counter()
for _ in range(times):
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=60)
    connection.request("POST", f"{base.path}/chat/completions", json.dumps(body), headers)
    with connection.getresponse() as reply:
        answer = json.loads(reply.read())
        seen["200" if reply.status == 200 else answer["error"]["code"]] += 1
    connection.close()
print(json.dumps(seen))
