"""
A guard over a memory ledger, a model whose tokens cost $10 per million, and requests to it.
"""

from itertools import count

from solvent._amounts import Usage, nanodollars
from solvent._booking import Replied
from solvent._guard import Guard
from solvent._limits import Limit, Scope
from solvent._records import Account, Balance
from solvent.events import LimitPassed, Listeners
from solvent.policy import Policy
from solvent.prices import Prices, UserPrice
from solvent.stores import open_store
from solvent.stores._batcher import Ledger
from solvent.wire import FORMATS, Asked
from solvent.wire._call import Reading

RUN = Scope.parse("run:test")
PRICES = {
    "m": UserPrice.per_million_tokens(input="0", output="10", output_tokens_max=16_384, input_tokens_max=100_000),
    "m-mini": UserPrice.per_million_tokens(input="0", output="1", output_tokens_max=8_192, input_tokens_max=100_000),
    "m-nano": UserPrice.per_million_tokens(input="0", output="0.1", output_tokens_max=8_192, input_tokens_max=100_000),
    "nobody-knows": UserPrice.per_million_tokens(input="0", output="10"),
    "reads": UserPrice.per_million_tokens(input="10", output="0", output_tokens_max=100),
}
THREE_CENTS = 3_000  # Output tokens of "m".


class World:
    """
    One run under limits, and what listeners heard of it.
    """

    def __init__(self, *, usd=None, limits=(), store=None, clock=None, **policy):
        self.store = store or open_store("memory://")
        self.ledger = Ledger(self.store)
        self.events = []
        listeners = Listeners()
        listeners.add(self.events.append)
        self.guard = Guard(
            self.ledger,
            policy=Policy(**{"wait_seconds": 0, **policy}),
            prices=Prices.load(PRICES),
            listeners=listeners,
            clock=clock,
        )
        if usd is not None:
            limits = (*limits, Limit(meter="usd", amount=nanodollars(usd), source="--usd"))
        self.guard.open(RUN, tuple(limits))
        self.numbers = count()

    async def admit(self, call, *, scope=RUN, fingerprint=None, within=(), path="chat/completions"):
        return await self.guard.aadmit(
            call,
            scope=scope,
            fingerprint=fingerprint or str(next(self.numbers)).encode(),
            began=0.0,
            within=within,
            asked=Asked(path, {}),
        )

    async def settle(self, admission, *, output_tokens=0, input_tokens=5, **reading):
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        outcome = Replied(status=200, reading=Reading(**{"usage": usage, "complete": True, **reading}))
        return await self.guard.asettle(admission, outcome)

    def balance(self, meter="usd"):
        account = Account(str(RUN), meter)
        found = (balance for balance in self.store.balances(str(RUN)) if balance.account == account)
        return next(found, Balance(account=account))

    def kinds(self):
        return [entry.kind for entry in self.store.entries()]


def chat(model="m", *, max_tokens=THREE_CENTS, content="hello", **more):
    request = {"model": model, "messages": [{"role": "user", "content": content}], **more}
    if max_tokens is not None:
        request["max_tokens"] = max_tokens
    return FORMATS["openai-chat"].describe(request, provider="openai", path="chat/completions", headers={})


def messages(model="m", *, max_tokens=THREE_CENTS, **more):
    request = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": "hello"}], **more}
    return FORMATS["anthropic-messages"].describe(request, provider="anthropic", path="messages", headers={})


def told(world):
    """
    What passed a limit that does not block, in the first line of its error.
    """
    notices = [event for event in world.events if isinstance(event, LimitPassed)]
    return [(notice.on_exceed, notice.error.headline()) for notice in notices]
