"""
``@copilotkit/aimock``, a fake of every provider that others wrote: what it is told to answer, and what it heard.

    with aimock() as mock:
        mock.answers(Fixture(output_tokens=120))
        OpenAI(base_url=mock.url + "/v1", …)
        assert [heard.model for heard in mock.heard()] == ["m"]
"""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from npm import packages
from servers import PATIENCE_SECONDS, server_process

TEXT = "Rivers run down to the sea, and the sea is never full of them. "


@dataclass(frozen=True, kw_only=True)
class Fixture:
    """
    How every request is answered, whatever its format; the server heeds no output cap.

    Attributes:
        chaos: How often the server errs instead, by its own names: ``rateLimitRate`` (429), ``dropRate`` (500),
            ``malformedRate`` (broken JSON), ``disconnectRate``; and ``latencyMs`` before any answer.
        between_ms: How long a stream takes from piece to piece, of which there are then many.
        breaks_after: The connection is cut after so many pieces of a stream.
    """

    input_tokens: int = 10
    output_tokens: int = 120
    chaos: dict[str, float] | None = None
    between_ms: int = 0
    breaks_after: int | None = None

    def told(self) -> dict[str, Any]:
        tokens = self.input_tokens + self.output_tokens
        usage = {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": tokens,
        }
        return {
            "match": {},
            "response": {"content": TEXT * (16 if self.between_ms else 2), "usage": usage},
            "latency": self.between_ms,
            **({"chaos": self.chaos} if self.chaos else {}),
            **({"truncateAfterChunks": self.breaks_after} if self.breaks_after else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Heard:
    """
    One request in the server's journal.

    Attributes:
        status: What it answered, or would have before it cut the connection.
        fault: The chaos it made, such as ``drop``.
    """

    path: str
    model: str
    status: int
    fault: str | None


@dataclass(frozen=True)
class Aimock:
    url: str

    def answers(self, fixture: Fixture) -> None:
        """
        Answer like this from now on, and forget what was heard.
        """
        self.plays([fixture.told()])

    def plays(self, fixtures: list[dict[str, Any]]) -> None:
        """
        Answer by these fixtures of its own from now on, the first of each that matches, and forget what was heard.
        """
        self._control("DELETE", "fixtures")
        self._control("POST", "fixtures", {"fixtures": fixtures})
        self._control("POST", "reset/journal", {})

    def heard(self) -> list[Heard]:
        """
        All requests that it answered, in order; who left before an answer began is not among them.
        """
        return [
            Heard(
                path=entry["path"],
                model=(entry.get("body") or {}).get("model", ""),
                status=entry["response"]["status"],
                fault=entry["response"].get("chaosAction"),
            )
            for entry in self._control("GET", "journal")
        ]

    def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/__aimock/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
            return json.load(reply)


@contextmanager
def aimock(*options: str) -> Iterator[Aimock]:
    """
    The running fake; it is ended by its pid.
    """
    script = packages() / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    # It wants a file to begin with; its journal keeps everything.
    command = ["node", str(script), "-p", "0", "-f", str(script.parents[1] / "fixtures" / "example-greeting.json")]
    with server_process([*command, "--journal-max", "0", *options], ready="listening on ") as url:
        yield Aimock(url)
