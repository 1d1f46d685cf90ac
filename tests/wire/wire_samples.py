"""
The recorded exchanges of real providers that speak one of the wire formats, with what their usage means in our words.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from solvent.wire import Call, WireFormat, endpoint

_HOSTS = (
    "anthropic",
    "azure",
    "bedrock",
    "cerebras",
    "cohere",
    "deepseek",
    "gemini",
    "groq",
    "huggingface",
    "mistral",
    "openai",
    "openrouter",
)
_HOSTS += ("vertex", "zai")


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    provider: str
    path: str
    run: str
    step: int
    status: int
    request: dict[str, Any]
    response: Any
    sse: str | None
    usage_raw: list[dict[str, Any]]

    @property
    def format(self) -> WireFormat:
        found = endpoint(self.provider, "POST", self.path)
        assert found is not None
        assert found.format is not None
        return found.format

    @property
    def body(self) -> bytes:
        return self.sse.encode() if self.sse is not None else json.dumps(self.response).encode()

    @property
    def is_cut(self) -> bool:
        """
        The recording left text or images out, so that nothing can be counted.
        """
        text = json.dumps(self.request)
        return "<cut " in text or "<base64 " in text

    def call(self) -> Call:
        return self.format.describe(self.request, provider=self.provider, path=self.path, headers={})


def folder() -> Path:
    data = Path(os.environ.get("SOLVENT_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
    return data / "provider-wire-samples"


@cache
def exchanges() -> tuple[Exchange, ...]:
    """
    Every exchange on a paid path of the three formats; the test is skipped where the recordings are absent.
    """
    if not folder().is_dir():
        pytest.skip(f"no recorded exchanges at {folder()}; set SOLVENT_TEST_DATA")
    return tuple(_read())


def _read() -> Iterator[Exchange]:
    for host in _HOSTS:
        for line in (folder() / f"{host}.jsonl").read_text().splitlines():
            row = json.loads(line)
            path = unquote(row["path"].partition("#")[0].lstrip("/"))
            found = endpoint(host, "POST", path)
            if not isinstance(row["request"], dict) or found is None or found.kind != "paid":
                continue
            yield Exchange(
                provider=row["provider"],
                path=path,
                run=row["run"],
                step=row["step"],
                status=row["status"],
                request=row["request"],
                response=row.get("response"),
                sse=row.get("sse") if row["stream"] else None,
                usage_raw=row["usage_raw"],
            )
