"""
A call that is paid for: what its face needs to send it, and to tell what became of it.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from solvent._checks import Deadline
from solvent._estimate import Bound, PromptChain
from solvent._headers import reply_headers
from solvent._ladder import Charges
from solvent._limits import Scope
from solvent._records import Balance, CallRecord
from solvent.errors import OutcomeUnknown, StoreUnavailable
from solvent.events import LimitPassed
from solvent.policy import Rules
from solvent.wire._call import Call


class Admission(Struct, frozen=True, kw_only=True):
    """
    A call that is paid for.

    Attributes:
        id: Of its reservation.
        body: What to send; ``None`` when the original bytes are right.
        path: Where to send it, below the provider's base URL; ``None`` when the original path is right.
        balances: Of its accounts, this reservation included.
        deadline: When it has to end.
        notices: The limits that it passes and that do not block.
        rules: What was in force when it was decided about.
        trouble: Why the ledger knows nothing of it, where the policy lets it be made all the same.
    """

    id: str
    scope: Scope
    call: Call
    bound: Bound
    charges: Charges
    record: CallRecord
    chain: PromptChain | None
    own_host: bool
    rules: Rules
    body: bytes | None = None
    path: str | None = None
    balances: Sequence[Balance] = ()
    deadline: Deadline | None = None
    notices: tuple[LimitPassed, ...] = ()
    trouble: StoreUnavailable | OutcomeUnknown | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """
        The running total and what remains, for a reply that begins before the call is settled.
        """
        return reply_headers(self.id, self.balances, is_priced=self.bound.price is not None, rungs=self.record.rungs)
