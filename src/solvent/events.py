"""
What happened to calls, as frozen records for whoever listens.

Listeners run outside every lock, after the books are done, and cannot break a call.
"""

import logging
from collections.abc import Callable, Mapping

from msgspec import Struct

from solvent._limits import OnExceed
from solvent._records import CallRecord
from solvent.errors import BudgetExceeded, OutcomeUnknown, SolventError, StoreUnavailable

_log = logging.getLogger("solvent")


class CallAdmitted(Struct, frozen=True, kw_only=True):
    """
    A reservation was made; the call goes out now.
    """

    id: str
    scope: str
    call: CallRecord


class CallRefused(Struct, frozen=True, kw_only=True):
    """
    A call was refused before anything was sent.

    ``began`` and ``answered`` are seconds of one monotonic clock.
    """

    id: str
    scope: str
    call: CallRecord
    error: SolventError
    began: float
    answered: float

    @property
    def is_final(self) -> bool:
        """
        Asking again is of no use: it was not only held, and the ledger did answer.
        """
        held = isinstance(self.error, BudgetExceeded) and self.error.held
        return not held and not isinstance(self.error, StoreUnavailable | OutcomeUnknown)


class CallClosed(Struct, frozen=True, kw_only=True):
    """
    A call's reservation was settled or released.

    Attributes:
        overrun_nanodollars: Booked above what was reserved.
        cut_at_length: The reply ended at an output cap; with a shrunk call that is what the shrinking cost.
        run_total_nanodollars: Spent by the call's run until now.
    """

    id: str
    scope: str
    call: CallRecord
    overrun_nanodollars: int = 0
    cut_at_length: bool = False
    run_total_nanodollars: int | None = None


class BoundBroken(Struct, frozen=True, kw_only=True):
    """
    A provider billed more input tokens than the bound said there could be. In this process the constants that were too
    low are raised, so that the next call of the kind is bounded rightly.

    Attributes:
        bound, billed: Input tokens.
        raised: By its name, what has been added by now to each constant that was raised: ``request``, ``tools`` and
            ``image`` of the tables, ``prefix``, ``tokenizer`` and ``count`` of the ways to tighten a bound. Empty where
            no constant made the bound.
    """

    id: str
    scope: str
    provider: str
    format: str
    model: str
    bound: int
    billed: int
    raised: Mapping[str, int]


class ContextLost(Struct, frozen=True, kw_only=True):
    """
    A call was made outside of every budget's context while several were open; it counts for what they have in common.

    Attributes:
        scope: Whose it was taken to be.
        budgets: The scopes of those that were open.
        refused: Strict mode did not let it be made.
    """

    scope: str
    budgets: tuple[str, ...]
    refused: bool


class LimitPassed(Struct, frozen=True, kw_only=True):
    """
    A call passed a limit that does not block, or closed a loop. It was admitted.

    Attributes:
        on_exceed: ``warn`` also tells the ``solvent`` logger as a warning, ``log`` as information.
        error: What a limit that blocks would have raised.
    """

    id: str
    scope: str
    on_exceed: OnExceed
    error: BudgetExceeded


class PriceAssumed(Struct, frozen=True, kw_only=True):
    """
    A model without a price is priced as another one, because the policy says so. Once a model.
    """

    model: str
    priced_as: str


class StoreFailed(Struct, frozen=True, kw_only=True):
    """
    The ledger did not take an operation; a reservation that it holds stays and expires in full.

    ``id`` is the call's, or empty where no single call was meant.
    """

    id: str
    error: SolventError


class TransportOpened(Struct, frozen=True, kw_only=True):
    """
    This process opened a connection to a provider over which calls pass that no hook can read. Once a host.

    Attributes:
        transport: ``websocket`` or ``grpc``.
        refused: Strict mode did not let it be opened.
    """

    transport: str
    host: str
    refused: bool


Event = (
    BoundBroken
    | CallAdmitted
    | CallClosed
    | CallRefused
    | ContextLost
    | LimitPassed
    | PriceAssumed
    | StoreFailed
    | TransportOpened
)
Listener = Callable[[Event], None]


class Listeners:
    """
    Who wants to hear of events.
    """

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def add(self, listener: Listener) -> None:
        self._listeners = (*self._listeners, listener)

    def tell(self, event: Event) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # A listener's fault is its own; the call it heard of goes on.
                _log.exception("a listener failed on %s", type(event).__name__)
