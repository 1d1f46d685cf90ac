"""
Calls to the gateway of a run around the process: the hooks say whose they are, and let them pass.
"""

import asyncio

import aiohttp
import httpx2
import pytest
import requests
from fake_provider import Answer
from sdk_ways import MESSAGES

import solvent
from solvent._block import CURRENT, Block
from solvent._limits import Scope

pytestmark = pytest.mark.slow

BODY = {"model": "m", "messages": MESSAGES, "max_tokens": 9}


def by_httpx(url, headers):
    with httpx2.Client(headers=headers) as client:
        return client.post(url, json=BODY).status_code


def by_requests(url, headers):
    with requests.Session() as session:
        session.headers.update(headers)
        return session.post(url, json=BODY, timeout=30).status_code


def by_aiohttp(url, headers):
    async def post():
        async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=BODY) as reply:
            return reply.status

    return asyncio.run(post())


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("way", [by_httpx, by_requests, by_aiohttp])
@pytest.mark.parametrize(
    ("given", "sent"),
    [({}, "step:b"), ({"x-solvent-scope": "agent:mine"}, "step:b/agent:mine"),
     ({"x-solvent-scope": "step:b/agent:mine"}, "step:b/agent:mine")],
)  # fmt: skip
def test_whoever_a_client_speaks_for_is_named_below_the_budget(way, given, sent, fake_provider, monkeypatch):
    fake = fake_provider(Answer(output_tokens=9))
    monkeypatch.setenv("SOLVENT_GATEWAY", f"{fake.url}/secret")
    token = CURRENT.set(Block(None, None, Scope.parse("run:r/step:b"), None, ("step:b",)))
    try:
        assert way(f"{fake.url}/secret/v1/chat/completions", given) == 200
    finally:
        CURRENT.reset(token)
    assert [seen.headers.get("x-solvent-scope") for seen in fake.seen] == [sent]


@pytest.mark.parametrize("text", ["http://127.0.0.1:port/x", "http://[::1/x", "here", "http://127.0.0.1/x"])
def test_a_gateway_that_is_no_address_is_told_at_once_and_breaks_no_other_request(
    text, guarded, fake_provider, monkeypatch
):
    fake = fake_provider(Answer(output_tokens=9))
    monkeypatch.setenv("SOLVENT_GATEWAY", text)
    with pytest.raises(solvent.SettingsError, match="SOLVENT_GATEWAY: expected the address of the gateway"):
        solvent.install()
    assert by_httpx(f"{fake.url}/v1/chat/completions", {}) == 200  # Of a program that put the hooks on before.
    assert guarded.ends() == [("200", None)]


@pytest.mark.parametrize("text", ["http://127.0.0.1:port/x", "http://[::1/x"])
def test_no_budget_is_opened_at_what_is_no_address(text, monkeypatch):
    monkeypatch.setenv("SOLVENT_GATEWAY", text)
    with pytest.raises(solvent.SettingsError, match=r"SOLVENT_GATEWAY: expected the gateway .*, got no address"):
        solvent.budget("triage").__enter__()
