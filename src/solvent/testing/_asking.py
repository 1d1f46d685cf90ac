"""
What the promises ask for, and what they look at.
"""

from collections.abc import Iterable

from solvent._operations import Charge, Refusal, Reserve, Reserved
from solvent._records import Account, Balance, CallRecord
from solvent.stores._protocol import Store
from solvent.testing._faces import Face

TEAM, RUN = "team:search", "team:search/run:1"
USD = Account(RUN, "usd")
TEAM_USD = Account(TEAM, "usd")
CALLS = Account(RUN, "calls")
PARALLEL = Account(RUN, "parallel")
TOKENS = Account(RUN, "tokens")


def reserve(
    id: str,
    amount: int,
    *,
    limit: int | None = 100,
    team_limit: int | None = None,
    more: Iterable[Account | Charge] = (),
    ttl_seconds: float = 120,
) -> Reserve:
    """
    An amount for a run and for its team; ``more`` accounts get 1 each, without a limit.
    """
    charges = [
        Charge(account=USD, amount=amount, limit=limit),
        Charge(account=TEAM_USD, amount=amount, limit=team_limit),
    ]
    charges += [each if isinstance(each, Charge) else Charge(account=each, amount=1) for each in more]
    call = CallRecord(bound_nanodollars=amount)
    return Reserve.of(id=id, scope=RUN, charges=charges, ttl_seconds=ttl_seconds, call=call)


def one(id: str, account: Account, amount: int, *, limit: int | None = 100) -> Reserve:
    """
    An amount for one account alone.
    """
    return Reserve.of(
        id=id, scope=account.scope, charges=[Charge(account=account, amount=amount, limit=limit)], ttl_seconds=10**6
    )


def is_admitted(face: Face, operation: Reserve) -> bool:
    """
    Whether the store takes it; otherwise it has to be refused.
    """
    answer = face.do(operation)
    assert isinstance(answer, Reserved | Refusal)
    return isinstance(answer, Reserved)


def sums(store: Store, account: Account = USD) -> tuple[int, int, int]:
    """
    What an account holds now: reserved, spent, overrun.
    """
    found = next((balance for balance in store.balances() if balance.account == account), Balance(account=account))
    return found.reserved, found.spent, found.overrun


def everything(store: Store) -> object:
    """
    All that a store tells of itself: equal before and after whatever changes nothing.
    """
    return store.balances(), list(store.entries())
