"""
The examples of SDKs run as they are: what the server counted is what was booked, what is refused reaches no server.

Those of SDKs that have an environment of their own are run in ``tests/sdks``.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from example_runs import TINY, check_call, check_refusal, run_example
from fake_provider import Answer, Fake, fake_provider
from servers import serve

from solvent._amounts import Usage, show_dollars
from solvent.prices import Prices

sys.path.insert(0, str(Path(__file__).parent / "instrument"))

from bedrock_fake import KEY, REGION, SECRET, bedrock  # Found by the line above.

pytestmark = pytest.mark.slow

ANSWER = Answer(output_tokens=120)


@dataclass(frozen=True)
class Server:
    """
    Attributes:
        environment: What leads the SDK to it.
        seen_count: How many requests it got.
        billed: What it counted for each: tokens read, tokens written.
    """

    environment: dict[str, str]
    seen_count: Callable[[], int]
    billed: Callable[[], Sequence[tuple[int, int]]]


def _of_fake(fake: Fake, environment: dict[str, str]) -> Server:
    return Server(
        environment, lambda: len(fake.seen), lambda: [(one.input_tokens, one.output_tokens) for one in fake.bill]
    )


@contextmanager
def openai_server() -> Iterator[Server]:
    with fake_provider(ANSWER) as fake:
        yield _of_fake(fake, {"OPENAI_BASE_URL": f"{fake.url}/v1", "OPENAI_API_KEY": "sk-test"})


@contextmanager
def anthropic_server() -> Iterator[Server]:
    with fake_provider(ANSWER) as fake:
        yield _of_fake(fake, {"ANTHROPIC_BASE_URL": fake.url, "ANTHROPIC_API_KEY": "sk-test"})


@contextmanager
def gemini_server() -> Iterator[Server]:
    asked: list[str] = []
    usage = {"promptTokenCount": 8, "candidatesTokenCount": 100, "thoughtsTokenCount": 20, "totalTokenCount": 128}
    content = {"role": "model", "parts": [{"text": "tok tok"}]}

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.json_response({"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage})

    with serve(answer, context=nullcontext) as url:
        environment = {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "test"}
        yield Server(environment, lambda: len(asked), lambda: [(8, 120) for _ in asked])


@contextmanager
def bedrock_server() -> Iterator[Server]:
    with bedrock(ANSWER) as fake:
        environment = {
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": fake.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
        }
        yield Server(environment, lambda: len(fake.seen), lambda: [(12, tokens) for tokens in fake.bill])


SERVERS = {
    "anthropic": (anthropic_server, "anthropic"),
    "boto3": (bedrock_server, "bedrock"),
    "google_genai": (gemini_server, "gemini"),
    "openai": (openai_server, "openai"),
}


@pytest.mark.parametrize("sdk", SERVERS)
def test_what_the_server_of_an_example_counted_is_booked_at_the_models_price(sdk, tmp_path):
    server_of, provider = SERVERS[sdk]
    with server_of() as server:
        ran = run_example(sdk, tmp_path, server.environment)
        (billed,) = server.billed()
        assert server.seen_count() == 1
    check_call(ran, billed=billed)
    (model,) = ran.models
    price = Prices.load().find(provider, model)
    usage = Usage(input_tokens=billed[0], output_tokens=billed[1])
    cost = price.cost(usage, tier=None, region=None, at=datetime.now(UTC))
    assert ran.spent["usd"] == cost > 0
    assert f"{show_dollars(cost)} of $0.50" in ran.printed


@pytest.mark.parametrize("sdk", SERVERS)
def test_what_an_example_is_refused_reaches_no_server(sdk, tmp_path):
    server_of, _ = SERVERS[sdk]
    with server_of() as server:
        ran = run_example(sdk, tmp_path, server.environment, policy=TINY)
        assert server.seen_count() == 0
    check_refusal(ran)


def test_every_example_of_an_sdk_is_run():
    found = {path.stem.removeprefix("with_") for path in (Path(__file__).parent.parent / "examples").glob("with_*.py")}
    assert found == {*SERVERS, "litellm", "ollama"}
