"""
What is covered in process: one row a library that programs call models with, held, told or not seen at all.

README, reference, ``solvent doctor`` and the tests all draw from it.

Source:
    The libraries as installed for the tests, those of ``make test-sdks`` among them, run 2026-11-22; of
    claude-agent-sdk 0.2.187 only the code was read.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from solvent.instrument import HOOKS, Hook

Way = Literal["sync", "async", "streamed"]
State = Literal["held", "told", "blind"]


class Library(Struct, frozen=True, kw_only=True):
    """
    One library.

    Attributes:
        name: Of its distribution; of a module, where Python itself brings it.
        modules: What it is imported as, with those that it opens its connections by.
        tested: The release lines that the tests run, by their first number; Python's own have none.
        ways: How a call by it may be made and still be held; without any it is not.
        over: The libraries that send its requests; of one that is held, those that hold it.
        answers: A refusal is an HTTP answer (402), for there is nothing above it to raise an error; else it is
            Solvent's own error.
        calls_models: It is made to call models; others may as well call something else.
        is_native: It opens its connections below Python, where nobody can watch it.
        uncovered: What of it no budget holds.
        mend: How to have that held.
    """

    name: str
    modules: tuple[str, ...]
    tested: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    over: tuple[str, ...] = ()
    answers: bool = False
    calls_models: bool = False
    is_native: bool = False
    uncovered: str = ""
    mend: str = ""

    @property
    def hooks(self) -> tuple[Hook, ...]:
        return tuple(hook for hook in HOOKS if hook.package == self.name)

    @property
    def state(self) -> State:
        """
        Whether its calls are held to budgets, its connections told of and refused in strict mode, or neither.
        """
        if self.ways:
            return "held"
        return "told" if any(library.hooks for library in (self, *map(by_name, self.over))) else "blind"

    @property
    def is_pythons_own(self) -> bool:
        return not self.tested and not self.calls_models


_ALL: tuple[Way, ...] = ("sync", "async", "streamed")
_HTTPX = ("httpx", "httpx2")
_RUN = "take its address from `OPENAI_BASE_URL` (or its kin) and run it under `solvent run`"
OTHER_WAYS = f"call by httpx, aiohttp or requests; or {_RUN}"
_OVER_HTTP = "call the provider's HTTP API; `solvent.install(strict=True)` refuses such connections"
_EVERY_CALL = "every call"

COVERAGE: tuple[Library, ...] = (
    Library(
        name="aiobotocore",
        modules=("aiobotocore",),
        tested=("3",),
        ways=("async", "streamed"),
        over=("aiohttp", "httpx"),
        calls_models=True,
    ),
    Library(
        name="aiohttp",
        modules=("aiohttp", "aiohappyeyeballs"),
        tested=("3",),
        ways=("async", "streamed"),
        uncovered="WebSockets (`ws_connect`)",
        mend=_OVER_HTTP,
    ),
    Library(
        name="anthropic",
        modules=("anthropic",),
        tested=("0", "1", "2"),
        ways=_ALL,
        over=(*_HTTPX, "aiohttp"),
        calls_models=True,
    ),
    Library(name="boto3", modules=("boto3",), tested=("1",), ways=("sync", "streamed"), over=("botocore",)),
    Library(name="botocore", modules=("botocore",), tested=("1",), ways=("sync", "streamed")),
    Library(
        name="claude-agent-sdk",
        modules=("claude_agent_sdk",),
        calls_models=True,
        is_native=True,
        uncovered="every call: a program of its own makes them",
        mend="run it under `solvent run`",
    ),
    Library(name="cohere", modules=("cohere",), tested=("7",), ways=_ALL, over=("httpx",), calls_models=True),
    Library(
        name="curl_cffi",
        modules=("curl_cffi",),
        tested=("0",),
        is_native=True,
        uncovered=_EVERY_CALL,
        mend=OTHER_WAYS,
    ),
    Library(
        name="dspy",
        modules=("dspy",),
        tested=("3",),
        ways=_ALL,
        calls_models=True,
        uncovered="live sessions of its own copy of lm15 (a WebSocket)",
        mend=_OVER_HTTP,
    ),
    Library(
        name="google-genai",
        modules=("google.genai",),
        tested=("3",),
        ways=_ALL,
        over=("httpx2", "aiohttp", "requests"),
        calls_models=True,
        uncovered="`live` (a WebSocket)",
        mend=_OVER_HTTP,
    ),
    Library(name="groq", modules=("groq",), tested=("1",), ways=_ALL, over=("httpx",), calls_models=True),
    Library(
        name="grpcio",
        modules=("grpc",),
        tested=("1",),
        is_native=True,
        uncovered="every channel to a provider",
        mend=_OVER_HTTP,
    ),
    Library(name="http.client", modules=("http.client",), uncovered=_EVERY_CALL, mend=OTHER_WAYS),
    Library(
        name="httplib2",
        modules=("httplib2",),
        tested=("0",),
        over=("http.client",),
        uncovered=_EVERY_CALL,
        mend=OTHER_WAYS,
    ),
    Library(
        name="httpx",
        modules=("httpx", "httpcore", "anyio"),
        tested=("0",),
        ways=_ALL,
        answers=True,
        uncovered="WebSockets (`httpx-ws`)",
        mend=_OVER_HTTP,
    ),
    Library(
        name="httpx2",
        modules=("httpx2", "httpcore2"),
        tested=("2",),
        ways=_ALL,
        answers=True,
        uncovered="WebSockets",
        mend=_OVER_HTTP,
    ),
    Library(
        name="litellm",
        modules=("litellm",),
        tested=("1",),
        ways=_ALL,
        over=(*_HTTPX, "aiohttp"),
        calls_models=True,
        uncovered="what its Rust transport sends (OCR, transcription at Bedrock, others if asked for)",
        mend="leave that transport off; or run it under `solvent run`",
    ),
    Library(
        name="mistralai",
        modules=("mistralai",),
        tested=("1", "2", "3"),
        ways=_ALL,
        over=_HTTPX,
        calls_models=True,
    ),
    Library(
        name="niquests", modules=("niquests", "urllib3_future"), tested=("3",), uncovered=_EVERY_CALL, mend=OTHER_WAYS
    ),
    Library(name="ollama", modules=("ollama",), tested=("0",), ways=_ALL, over=("httpx",), calls_models=True),
    Library(
        name="openai",
        modules=("openai",),
        tested=("1", "2", "3"),
        ways=_ALL,
        over=(*_HTTPX, "aiohttp"),
        calls_models=True,
        uncovered="`realtime` and responses over a WebSocket",
        mend=_OVER_HTTP,
    ),
    Library(
        name="pycurl",
        modules=("pycurl",),
        tested=("7",),
        is_native=True,
        uncovered=_EVERY_CALL,
        mend=OTHER_WAYS,
    ),
    Library(name="requests", modules=("requests",), tested=("2",), ways=("sync", "streamed")),
    Library(name="together", modules=("together",), tested=("3",), ways=_ALL, over=("httpx",), calls_models=True),
    Library(name="tornado", modules=("tornado",), tested=("6",), uncovered=_EVERY_CALL, mend=OTHER_WAYS),
    Library(
        name="urllib.request",
        modules=("urllib.request",),
        over=("http.client",),
        uncovered=_EVERY_CALL,
        mend=OTHER_WAYS,
    ),
    Library(
        name="urllib3",
        modules=("urllib3",),
        tested=("2",),
        over=("http.client",),
        uncovered="every call but those of requests and botocore",
        mend=OTHER_WAYS,
    ),
    Library(
        name="websocket-client",
        modules=("websocket",),
        tested=("1",),
        uncovered="every connection to a provider",
        mend="call the provider's HTTP API",
    ),
    Library(
        name="websockets",
        modules=("websockets",),
        tested=("17",),
        uncovered="every connection to a provider",
        mend=_OVER_HTTP,
    ),
    Library(
        name="xai-sdk",
        modules=("xai_sdk",),
        tested=("1",),
        over=("grpcio",),
        calls_models=True,
        uncovered=_EVERY_CALL,
        mend="call `https://api.x.ai/v1` by the openai SDK",
    ),
)

_BY_NAME: Mapping[str, Library] = {library.name: library for library in COVERAGE}
_BY_MODULE: Mapping[str, Library] = {module: library for library in COVERAGE for module in library.modules}


def by_name(name: str) -> Library:
    """
    The row of a name that is in the table.
    """
    return _BY_NAME[name]


@lru_cache(maxsize=4_096)
def by_module(module: str) -> Library | None:
    """
    The library that a module is a part of.
    """
    while module:
        if module in _BY_MODULE:
            return _BY_MODULE[module]
        module = module.rpartition(".")[0]
    return None
