"""
A call that fits only by its provider's own count, through the gateway: asked once, admitted, and billed no more.
"""

import asyncio
import json

import pytest
from fake_provider import Answer, count_input, fake_provider
from servers import PATIENCE_SECONDS
from worlds import REAL_KEY, STAND_IN, TOKEN, World

from solvent._amounts import nanodollars
from solvent._guard import Guard
from solvent._limits import Limit, Scope
from solvent.gateway._app import Gateway
from solvent.gateway._providers import Upstream
from solvent.gateway._server import Server, bind_loopback
from solvent.policy import TIGHTENINGS, Policy
from solvent.stores import open_store
from solvent.stores._batcher import Ledger

RUN = Scope.parse("run:one")
DENSE = "語" * 20_000  # 60,000 bytes that no seam cuts; the fake reads 15,000 tokens.
MESSAGES = [{"role": "user", "content": DENSE}]
ANTHROPIC = {"model": "claude-sonnet-4-5", "max_tokens": 16, "messages": MESSAGES}
RESPONSES = {"model": "gpt-4o", "max_output_tokens": 16, "input": MESSAGES}


async def play(fake, usd, name, path, request, *, tighten=TIGHTENINGS, is_own=True):
    """
    One call under a limit in dollars: the answer, and the entries of the journal.
    """
    store = open_store("memory://")
    guard = Guard(Ledger(store), policy=Policy(tighten=tighten, wait_seconds=0))
    guard.open(RUN, (Limit(meter="usd", amount=nanodollars(usd), source="--usd"),))
    upstream = Upstream(provider=name, base=fake.url, prefix="v1", is_own=is_own)
    keys = {name: {STAND_IN: REAL_KEY}}
    gateway = Gateway(guard=guard, upstreams={name: upstream}, keys=keys, routes={TOKEN: RUN})
    server = Server(gateway, bind_loopback())
    await server.start()
    here = World(guard, None, gateway, server, [])
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            headers = (f"x-api-key: {STAND_IN}", f"authorization: Bearer {STAND_IN}", "anthropic-version: 2023-06-01")
            body = json.dumps(request).encode()
            got = await here.call(f"/{TOKEN}/{name}/v1/{path}", body=body, headers=headers)
    finally:
        for client in here.clients:
            client.close()
        await server.stop()
        await gateway.close()
    return got, list(store.entries())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("usd", "name", "path", "request_", "counting"),
    [
        ("0.06", "anthropic", "messages", ANTHROPIC, "/v1/messages/count_tokens"),
        ("0.05", "openai", "responses", RESPONSES, "/v1/responses/input_tokens"),
    ],
)
def test_a_call_that_fits_by_its_providers_count_is_made(usd, name, path, request_, counting):
    with fake_provider(Answer(output_tokens=16)) as fake:
        got, entries = asyncio.run(play(fake, usd, name, path, request_))

    assert got.status == 200
    asked, called = fake.seen
    assert (asked.path, called.path) == (counting, f"/v1/{path}")
    assert called.body == request_
    assert asked.body.items() < request_.items()
    assert asked.headers["x-api-key"] == called.headers["x-api-key"] == REAL_KEY
    assert asked.headers["anthropic-version"] == "2023-06-01"
    (settled,) = [entry for entry in entries if entry.kind == "settle"]
    assert settled.call.rungs == ("count",)
    assert settled.call.usage["input_tokens"] == count_input(request_) == fake.bill[0].input_tokens
    assert settled.call.cost_nanodollars <= settled.call.bound_nanodollars <= nanodollars(usd)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "is_own"), [(("prefix", "tokenizer"), True), (TIGHTENINGS, False)], ids=["policy", "another host"]
)
def test_without_leave_or_at_another_host_nobody_is_asked(policy, is_own):
    with fake_provider(Answer()) as fake:
        play_it = play(fake, "0.06", "anthropic", "messages", ANTHROPIC, tighten=policy, is_own=is_own)
        got, entries = asyncio.run(play_it)

    assert got.status == 402
    assert fake.seen == []
    assert [entry.kind for entry in entries] == ["refuse"]
