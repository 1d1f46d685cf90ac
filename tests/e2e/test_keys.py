"""
A program that goes round Solvent has nothing to spend with: its keys work nowhere else.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web
from fake_provider import Answer, fake_provider
from servers import Recorder, serve
from solvent_run import ANTHROPIC_KEY, OPENAI_KEY, PROGRAMS, Desk, python

pytestmark = pytest.mark.slow

UNAUTHORIZED = {"error": {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "401"}}


class Provider(Recorder):
    """
    A provider at its own address: it answers to the real keys alone.
    """

    async def handle(self, request: web.Request) -> web.StreamResponse:
        keys = (request.headers.get("Authorization"), request.headers.get("x-api-key"))
        if keys not in ((f"Bearer {OPENAI_KEY}", None), (None, ANTHROPIC_KEY)):
            return web.json_response(UNAUTHORIZED, status=401)
        return await super().handle(request)


@contextmanager
def provider() -> Iterator[Provider]:
    with fake_provider(Answer(output_tokens=100)) as fake:
        it = Provider(fake.url)
        with serve(it.handle, context=it.session) as it.url:
            yield it


def test_a_hard_coded_address_cannot_spend(desk: Desk) -> None:
    with provider() as its:
        desk.providers_at(its.url)
        ran = desk.run("--usd", "1", command=python("agent.py", "--at", f"{its.url}/v1"))
        assert ran.said["statuses"] == [401]
        assert its.exchanges == []
        assert ran.said["key"].startswith("sk-solvent-")
        assert ran.report["total"]["calls"] == 0


def test_a_shell_program_with_a_hard_coded_address_cannot_spend(desk: Desk) -> None:
    with provider() as its:
        desk.providers_at(its.url)
        script = f'sh "{PROGRAMS}/message.sh"'
        around = desk.run("--price", "m=1/1", command=["sh", "-c", f"{script} {its.url}"])
        assert (around.stdout, its.exchanges) == ("401", [])
        on_the_route = desk.run("--price", "m=1/1", command=["sh", "-c", f'{script} "$ANTHROPIC_BASE_URL"'])
        assert (on_the_route.stdout, len(its.exchanges)) == ("200", 1)


def test_the_same_program_on_the_route_of_the_run_is_answered(desk: Desk) -> None:
    with provider() as its:
        desk.providers_at(its.url)
        ran = desk.run("--usd", "1", "--price", "m=1/1", command=python("agent.py", "--calls", "2"))
        assert ran.said["statuses"] == [200, 200]
        assert [exchange.header("authorization") for exchange in its.exchanges] == [f"Bearer {OPENAI_KEY}"] * 2
        assert OPENAI_KEY not in ran.stdout + ran.stderr
        assert not any(OPENAI_KEY.encode() in path.read_bytes() for path in desk.folder.iterdir())


def test_keys_that_are_passed_are_the_real_ones(desk: Desk) -> None:
    with provider() as its:
        desk.providers_at(its.url)
        options = ("--usd", "1", "--price", "m=1/1", "--keys", "pass")
        ran = desk.run(*options, command=python("agent.py", "--calls", "1"))
        assert (ran.said["statuses"], ran.said["key"]) == ([200], OPENAI_KEY)
        around = desk.run(*options, command=python("agent.py", "--calls", "1", "--at", f"{its.url}/v1"))
        assert around.said["statuses"] == [200]
        assert [exchange.header("authorization") for exchange in its.exchanges] == [f"Bearer {OPENAI_KEY}"] * 2
        # What went round the gateway is in no book, and the report of such a run says that nothing came by.
        assert around.report["total"]["calls"] == 0
