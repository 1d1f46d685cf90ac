"""
What the lessons in this folder share: a provider on this machine, which answers as it is told and keeps a bill of its
own, and the table that sets two runs of a program side by side.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

import solvent

MODEL = "gpt-5-mini"
INPUT_DOLLARS, OUTPUT_DOLLARS = 0.25e-6, 2.00e-6  # What a token of it costs.


@dataclass(frozen=True)
class Answer:
    """
    Attributes:
        tokens: That the model writes.
        seconds: For which the provider works on it; it works on one request after the other.
    """

    text: str = "Done."
    tokens: int = 200
    status: int = 200
    seconds: float = 0


class Provider(ThreadingHTTPServer):
    """
    Speaks OpenAI's chat completions. What it wrote is billed, also when nobody waits for it any more.

    Attributes:
        requests, failed: How many reached it, and how many of these it answered with an error.
        dollars: Its bill.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._answer = answer
        self._changed, self._worker = threading.Condition(), threading.Lock()
        self._open = self.requests = self.failed = 0
        self.dollars = 0.0

    def answer(self, texts: list[str]) -> tuple[Answer, int]:
        """
        The answer to a conversation, and the tokens that were read for it.
        """
        read = sum(4 + len(text) // 4 for text in texts)
        with self._changed:
            self._open, self.requests = self._open + 1, self.requests + 1
            answer = self._answer(texts[-1])
        if answer.seconds:
            with self._worker:
                time.sleep(answer.seconds)
        with self._changed:
            if answer.status == 200:
                self.dollars += read * INPUT_DOLLARS + answer.tokens * OUTPUT_DOLLARS
            else:
                self.failed += 1
            self._open -= 1
            self._changed.notify_all()
        return answer, read

    def wait_for_rest(self) -> None:
        """
        Until it is through with every request, those of clients that left among them.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._open == 0)

    def handle_error(self, *_: object) -> None:
        pass  # The client left.


class _Handler(BaseHTTPRequestHandler):
    server: Provider
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer, read = self.server.answer([message["content"] for message in asked["messages"]])
        body = json.dumps(_completion(answer, read) if answer.status == 200 else _OVERLOADED).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After-Ms", "1")  # SDKs wait for a second else, which teaches nothing more.
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


_OVERLOADED = {"error": {"message": "The provider is overloaded.", "type": "server_error"}}


def _completion(answer: Answer, read: int) -> dict[str, object]:
    message = {"role": "assistant", "content": answer.text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": read, "completion_tokens": answer.tokens, "total_tokens": read + answer.tokens},
    }


def compare(
    limits: str, *, without: Callable[[], str], within: Callable[[], str], answer: Callable[[str], Answer]
) -> None:
    """
    Run a program without limits and with them, and print what the provider counted.

    Args:
        limits: As the table names them.
        without, within: The program; it returns what became of it.
        answer: What the model answers to the last message of a conversation.
    """
    # Books for the lesson alone unless some are named, and nobody's policy.
    os.environ.setdefault("SOLVENT_LEDGER", "memory://")
    os.environ["SOLVENT_POLICY"] = ""
    openai.api_key = "the-local-provider-takes-any"
    solvent.install()
    runs = [_run(without, answer), _run(within, answer)]
    providers = [provider for provider, _, _ in runs]
    _row("", "without limits", limits)
    _row("requests at the provider", *(f"{provider.requests:,}" for provider in providers))
    if any(provider.failed for provider in providers):
        _row("of them failed", *(f"{provider.failed:,}" for provider in providers))
    _row("billed by the provider", *(f"${provider.dollars:.4f}" for provider in providers))
    _row("the program", *(end for _, end, _ in runs))
    print(*(f"\n{refusal}" for _, _, refusal in runs if refusal))


def _run(
    program: Callable[[], str], answer: Callable[[str], Answer]
) -> tuple[Provider, str, solvent.BudgetExceeded | None]:
    """
    What it cost at a provider of its own, what became of it, and the refusal that ended it, if one did.
    """
    with Provider(answer) as provider:
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        openai.base_url = f"http://127.0.0.1:{provider.server_port}/v1/"
        try:
            return provider, program(), None
        except solvent.BudgetExceeded as refusal:
            return provider, f"{len(refusal.results)} done, then refused" if refusal.results else "refused", refusal
        finally:
            provider.wait_for_rest()
            provider.shutdown()


def _row(name: str, *cells: str) -> None:
    print(f"{name:<26}", *(f"{cell:>22}" for cell in cells))
