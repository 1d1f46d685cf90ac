"""
A command with a family: a child of its own and a daemon. Prints their pids as one line of JSON, and calls a model.

    family.py plain     one call
    family.py stream    one call that is streamed; prints "streaming" when three events have come
    family.py many      calls from four threads, one after the other, until one is refused; every third is streamed

At TERM or INT it ends with code 7. Written with the standard library alone, and started without site-packages.
"""

import contextlib
import http.client
import json
import os
import signal
import sys
import threading
from urllib.parse import urlsplit

BASE = urlsplit(os.environ["OPENAI_BASE_URL"])
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}


def child() -> int:
    pid = os.fork()
    if pid == 0:
        signal.pause()
    return pid


def daemon() -> int:
    """
    As it should be made: two forks, and a session of its own between them.
    """
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, str(os.getpid()).encode())
            signal.pause()
        os._exit(0)
    os.wait()
    return int(os.read(reading, 20))


def call(connection: http.client.HTTPConnection, *, stream: bool, tokens: int) -> http.client.HTTPResponse:
    message = {"role": "user", "content": "Go on."}
    body = {"model": "m", "max_tokens": tokens, "stream": stream, "messages": [message]}
    connection.request("POST", f"{BASE.path}/chat/completions", json.dumps(body), HEADERS)
    return connection.getresponse()


def connect() -> http.client.HTTPConnection:
    return http.client.HTTPConnection(BASE.hostname or "", BASE.port, timeout=60)


def plain() -> None:
    reply = call(connect(), stream=False, tokens=3_000)
    reply.read()
    print(reply.status)


def stream() -> None:
    reply = call(connect(), stream=True, tokens=3_000)
    for _ in range(3):
        reply.readline()
        reply.readline()  # The empty line between two events.
    print("streaming", flush=True)
    reply.read()
    print(reply.status)


def many() -> None:
    for thread in [threading.Thread(target=go_on) for _ in range(4)]:
        thread.start()


def go_on() -> None:
    connection, number, status = connect(), 0, 200
    with contextlib.suppress(OSError, http.client.HTTPException):
        while status == 200:
            number += 1
            reply = call(connection, stream=number % 3 == 0, tokens=1_000)
            status = reply.status
            reply.read()


def leave(*_: object) -> None:
    raise SystemExit(7)


pids = {"command": os.getpid(), "child": child(), "daemon": daemon()}
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, leave)
print(json.dumps(pids), flush=True)
# The gateway may go a moment before this program does.
with contextlib.suppress(OSError, http.client.HTTPException):
    {"many": many, "plain": plain, "stream": stream}[sys.argv[1]]()
