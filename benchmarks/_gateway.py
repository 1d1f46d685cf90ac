"""
The gateway as ``solvent run`` starts it, under a budget in dollars and calls.

Takes the upstream's port, the ledger's URL (``none``: a guard that lets everything pass) and a path secret; prints its
port.
"""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from solvent._guard import Guard
from solvent._limits import Limit, Scope
from solvent.gateway._app import Gateway
from solvent.gateway._providers import Upstream
from solvent.gateway._server import Server, bind_loopback, loop_factory
from solvent.stores import open_store
from solvent.stores._batcher import Ledger
from solvent.wire._call import Call


@dataclass(frozen=True, slots=True)
class _Admitted:
    call: Call
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str | None = None
    deadline: None = None


class OpenGuard:
    """
    Lets every call pass and books nothing: the gateway's door alone.
    """

    def open(self, scope: Scope, limits: tuple[Limit, ...]) -> None: ...

    async def aadmit(self, call: Call, **_: Any) -> _Admitted:
        return _Admitted(call)

    async def asettle(self, admission: _Admitted, outcome: object) -> _Admitted:  # noqa: ARG002  # The protocol's form.
        return admission


def guard(url: str, scope: Scope) -> Any:
    if url == "none":
        return OpenGuard()
    made = Guard(Ledger(open_store(url)))
    dollars = Limit(meter="usd", amount=10**15, source="--usd")
    made.open(scope, (dollars, Limit(meter="calls", amount=10**12, source="--calls")))
    return made


async def main() -> None:
    upstream, ledger, token = sys.argv[1:]
    scope = Scope.parse("run:benchmark")
    openai = Upstream(provider="openai", base=f"http://127.0.0.1:{upstream}/v1", prefix="v1", prefix_in_base=True)
    gateway = Gateway(
        guard=guard(ledger, scope),
        upstreams={"openai": openai},
        keys={"openai": {"sk-solvent-0000000000000000000000000000": "sk-real"}},
        routes={token: scope},
    )
    server = Server(gateway, bind_loopback())
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
