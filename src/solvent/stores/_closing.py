"""
How operations close reservations and are answered, alike in every store.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from solvent._ledger import first_failing, settled
from solvent._operations import Charge, Closed, Refusal, Release, Reserve, SetLimit, Settle, TopUp
from solvent._records import NO_CALL, Account, CallRecord, Kind, Place, State, Terms
from solvent.stores._books import Plan

CLOSED_BY: Mapping[Kind, State] = {
    "settle": "settled",
    "release": "released",
    "expire": "expired",
    "correct": "corrected",
}


def closing_kind(operation: Settle | Release) -> Kind:
    return "settle" if isinstance(operation, Settle) else "release"


def booked_by(operation: Settle | Release, held: Mapping[str, int]) -> dict[str, int]:
    """
    What a closing books, by meter: nothing at all for a release.
    """
    if isinstance(operation, Release):
        return dict.fromkeys(held, 0)
    return settled(held, operation.actual)


def closing_call(operation: Settle | Release) -> CallRecord:
    """
    What the journal keeps of a closing: of a release its reason too.
    """
    return replace(operation.call, reason=operation.reason) if isinstance(operation, Release) else operation.call


def tell(closed: Sequence[Closed], told: Callable[[Closed], object] | None) -> int:
    """
    Hand over what was closed, where somebody wants to hear of it; how many that were.
    """
    if told is not None:
        for each in closed:
            told(each)
    return len(closed)


class Held(NamedTuple):
    """
    What an open reservation holds: in one bucket of each place, by number, the same amounts.
    """

    buckets: Mapping[Place, int]
    amounts: Mapping[str, int]


def refusal(
    operation: Reserve,
    plan: Plan,
    *,
    open_in: Callable[[Account, range], int],
    held_by: Callable[[str], Held | None],
) -> Refusal:
    """
    The answer to a request that does not fit.

    Args:
        open_in: How many open reservations hold amounts in an account, in these of its buckets.
        held_by: What an open reservation holds, by its id.
    """
    balances, counting = plan.all_balances(), {tally.place: tally.counting() for tally in plan.tallies}
    balance = first_failing(operation.amounts, balances)
    assert balance is not None, "the packed rule refused what the plain one admits"
    account = balance.account
    charge = next(
        (charge for charge in operation.charges if charge.account == account),
        Charge(account=account, amount=operation.amounts.get(account.meter, 0), limit=balance.limit),
    )
    own: dict[Account, int] = {}
    for held in filter(None, map(held_by, operation.within)):
        for other in (balance.account for balance in balances):
            if held.buckets.get(other.place) in counting[other.place]:  # Else it takes no room there any more.
                own[other] = own.get(other, 0) + held.amounts.get(other.meter, 0)
    open_count = open_in(account, counting[account.place])
    return Refusal(charge=charge, balance=balance, balances=balances, open_count=open_count, own=own)


def adjustment(operation: TopUp | SetLimit) -> tuple[Kind, Terms, CallRecord]:
    """
    How the journal tells a change of a limit.
    """
    call = replace(NO_CALL, reason=operation.reason) if operation.reason else NO_CALL
    limit = operation.limit if isinstance(operation, SetLimit) else None
    kind: Kind = "set_limit" if isinstance(operation, SetLimit) else "top_up"
    return kind, Terms((operation.account,), (limit,)), call
