"""
How operations close reservations, alike in every store.
"""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from solvent._ledger import Account, CallRecord, Kind, Release, Settle, State, settled_amount

CLOSED_BY: Mapping[Kind, State] = {
    "settle": "settled",
    "release": "released",
    "expire": "expired",
    "correct": "corrected",
}


def closing_kind(operation: Settle | Release) -> Kind:
    return "settle" if isinstance(operation, Settle) else "release"


def booked_by(operation: Settle | Release) -> Callable[[Account, int], int]:
    """
    What a closing books for an account and its reserved amount: nothing at all for a release.
    """
    if isinstance(operation, Release):
        return lambda *_: 0
    return lambda account, reserved: settled_amount(account, reserved=reserved, actual=operation.actual)


def closing_call(operation: Settle | Release) -> CallRecord:
    """
    What the journal keeps of a closing: of a release its reason too.
    """
    return replace(operation.call, reason=operation.reason) if isinstance(operation, Release) else operation.call
