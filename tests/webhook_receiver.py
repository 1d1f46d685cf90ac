"""
A receiver of webhooks on a loopback port that answers as it is told to.
"""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE_SECONDS = 30


class Receiver(ThreadingHTTPServer):
    """
    Answers as it is told to, and keeps what it was sent; with the last answer to all that come after.

    Args:
        answers: A status, one with headers, or what is done with the connection in its place.
    """

    daemon_threads = True

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.got, self.lock = list(answers), [], threading.Lock()
        self.free = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/alerts?team=a"

    def alerts(self):
        """
        What was told, in the order that it came.
        """
        return [json.loads(body) for *_, body in self.got]

    def handle_error(self, request, client_address):
        pass  # Those who hang up are meant to.


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.got.append((self.path, dict(self.headers.items()), body))
            answers = self.server.answers
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer(self)
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


def cut(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def hang(handler):
    handler.server.free.wait(PATIENCE_SECONDS)


def drip(handler):
    while not handler.server.free.wait(0.005):
        handler.wfile.write(b"H")


@contextmanager
def receiver(*answers):
    server = Receiver(answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.free.set()
        server.shutdown()
        server.server_close()
        thread.join()
