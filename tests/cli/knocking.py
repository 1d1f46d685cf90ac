"""
Raw requests to the gateway of a ``solvent run``, and what a program gets for them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import Done, Machine, python

KNOCK = Path(__file__).with_name("knock.py")
BODY = json.dumps({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Go on."}]})
CHAT = "/SECRET/openai/v1/chat/completions"


def request(
    target: str = CHAT,
    *lines: str,
    method: str = "POST",
    host: str = "127.0.0.1:PORT",
    body: str = BODY,
    length: int | None = None,
) -> str:
    """
    A request with its key as text; ``PORT``, ``SECRET`` and ``KEY`` are filled in by the program that sends it.
    """
    head = (
        f"{method} {target} HTTP/1.1",
        f"Host: {host}",
        "Authorization: Bearer KEY",
        "Content-Type: application/json",
        f"Content-Length: {len(body) if length is None else length}",
    )
    return "\r\n".join((*head, *lines, "", body))


@dataclass(frozen=True, kw_only=True)
class Knocked:
    """
    A run that is over.

    Attributes:
        replies: Raw, as text.
        environment: The program's.
    """

    done: Done
    replies: list[str]
    secret: str
    key: str
    environment: dict[str, str]

    def status(self, number: int = 0) -> int:
        return int(self.replies[number].split(" ")[1])

    def body(self, number: int = 0) -> Any:
        return json.loads(self.replies[number].partition("\r\n\r\n")[2])


def knock(machine: Machine, *requests: str, options: tuple[str, ...]) -> Knocked:
    """
    ``solvent run OPTIONS -- knock.py``.
    """
    file = machine.folder / "requests.json"
    file.write_text(json.dumps(requests))
    done = machine("run", *options, "--", *python(KNOCK, str(file)))
    assert done.code == 0, done.err
    return Knocked(done=done, **json.loads(done.out))
