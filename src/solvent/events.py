"""
What happened to calls, as frozen records for whoever listens (``solvent.listen``).

Listeners run outside every lock, after the books are done, and cannot break a call. Where an event has them, ``id`` is
that of the call's reservation, ``scope`` its whole path, and ``call`` what the journal keeps of it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from solvent._limits import OnExceed, show_amount
from solvent._records import Balance, CallRecord
from solvent.errors import BudgetExceeded, OutcomeUnknown, SettingsError, SolventError, StoreUnavailable

_log = logging.getLogger("solvent")


class CallAdmitted(Struct, frozen=True, kw_only=True):
    """
    A reservation was made; the call goes out now.

    Attributes:
        id: Of the reservation, and of the call in the journal.
        scope: The whole path that it is charged to.
        call: What the journal keeps of it until now.
    """

    id: str
    scope: str
    call: CallRecord


class CallRefused(Struct, frozen=True, kw_only=True):
    """
    A call was refused before anything was sent.

    Attributes:
        id: Of the call in the journal; no reservation has it.
        scope: The whole path that it would have been charged to.
        call: What the journal keeps of it.
        error: What its caller gets.
        began, answered: When it was asked for and refused, in seconds of one monotonic clock.
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
        id: Of the reservation, and of the call in the journal.
        scope: The whole path that it is charged to.
        call: What the journal keeps of it: what it used and cost.
        overrun_nanodollars: Booked above what was reserved.
        cut_at_length: The reply ended at an output cap; with a shrunk call that is what the shrinking cost.
        run_total_nanodollars: Spent by the call's run until now.
        balances: Of the accounts that it was charged to, as they stood right after.
    """

    id: str
    scope: str
    call: CallRecord
    overrun_nanodollars: int = 0
    cut_at_length: bool = False
    run_total_nanodollars: int | None = None
    balances: Sequence[Balance] = ()


class BoundBroken(Struct, frozen=True, kw_only=True):
    """
    A provider billed more input tokens than the bound said there could be. In this process the constants that were too
    low are raised, so that the next call of the kind is bounded rightly.

    Attributes:
        id, scope: Of the call.
        provider, format, model: Who billed it, in which wire format, and for which model.
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
        id, scope: Of the call.
        on_exceed: ``warn`` also tells the ``solvent`` logger as a warning, ``log`` as information.
        error: What a limit that blocks would have raised.
    """

    id: str
    scope: str
    on_exceed: OnExceed
    error: BudgetExceeded


class PolicyRejected(Struct, frozen=True, kw_only=True):
    """
    The files of the policy changed, and cannot be followed; the policy of before stays in force. Once for each fault.

    Attributes:
        error: What is wrong with them.
    """

    error: SettingsError


class PolicyReloaded(Struct, frozen=True, kw_only=True):
    """
    The files of the policy changed, and decide about every call that begins from now on.

    Attributes:
        files: The user's own first.
        ledger_waits: They name another ledger, which is taken at the next start.
    """

    files: tuple[str, ...]
    ledger_waits: bool = False


class PriceAssumed(Struct, frozen=True, kw_only=True):
    """
    A model without a price is priced as another one, because the policy says so. Once a model.

    Attributes:
        model, priced_as: The one without a price, and the one whose price it gets.
    """

    model: str
    priced_as: str


class ShareReached(Struct, frozen=True, kw_only=True):
    """
    So much of a limit is spent, at a share that an alert asks for. Told by the one process whose settling did it, once
    for each limit, share and window.

    Attributes:
        id: Of the call whose settling, expiry or refusal did it.
        scope: Whose limit it is.
        meter, window: What it counts, and in which window ("" is the life of the scope).
        share: Of the limit, above 0 and at most 1.
        limit, spent, reserved: Amounts of that meter as they stood then (nanodollars for ``usd``).
        by: ``settled``: a call was settled; ``expired``: one that nobody closed was charged in full; ``refused``: one
            that would have fitted into the whole limit was refused, so that the limit counts as used up.
        at: When (UTC).
        source: Where the limit was set.
        resets_at: When the window begins anew (UTC), if it does.
        alert_id: The same in every process for the same limit, share and window of one ledger.
    """

    id: str
    scope: str
    meter: str
    window: str
    share: Fraction
    limit: int
    spent: int
    reserved: int
    by: Literal["settled", "expired", "refused"]
    at: datetime
    source: str
    resets_at: datetime | None
    alert_id: str

    def headline(self) -> str:
        """
        What happened, in one sentence.
        """
        limit, spent, reserved = (show_amount(self.meter, amount) for amount in (self.limit, self.spent, self.reserved))
        limit += f" per {self.window.partition('@')[0]}" if self.window else ""
        holds = f"{spent} spent, {reserved} reserved"
        if self.by == "refused":
            return f"{self.scope} has used up {limit}: {holds}, and a call that did not fit was refused."
        expired = "; a call that nobody closed was charged in full" if self.by == "expired" else ""
        return f"{self.scope} has used {show_share(self.share)} of {limit}: {holds}{expired}."

    def message(self) -> str:
        """
        The same, and how to go on.
        """
        wait = f", or wait for the reset, {self.resets_at:%Y-%m-%d %H:%M} UTC" if self.resets_at is not None else ""
        return f"{self.headline()}\nTo go on: raise the limit{f' ({self.source})' if self.source else ''}{wait}."


class StoreFailed(Struct, frozen=True, kw_only=True):
    """
    The ledger did not take an operation; a reservation that it holds stays and expires in full.

    Attributes:
        id: Of the call; empty where no single call was meant.
        error: What the ledger said, or that it said nothing.
    """

    id: str
    error: SolventError


class TransportOpened(Struct, frozen=True, kw_only=True):
    """
    This process opened a connection to a provider over which calls pass that no hook can read. Once a host.

    Attributes:
        transport: ``websocket`` or ``grpc``.
        host: Whose.
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
    | PolicyRejected
    | PolicyReloaded
    | PriceAssumed
    | ShareReached
    | StoreFailed
    | TransportOpened
)
Listener = Callable[[Event], None]


class Listeners:
    """
    Who wants to hear of events.
    """

    def __init__(self) -> None:
        self._listeners: list[Listener] = []  # Which several threads may change and look at.

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        with suppress(ValueError):  # It was removed before.
            self._listeners.remove(listener)

    def tell(self, event: Event) -> None:
        for listener in (*self._listeners, *EVERYWHERE._listeners):
            try:
                listener(event)
            except Exception:  # A listener's fault is its own; the call it heard of goes on.
                _log.exception("a listener failed on %s", type(event).__name__)


EVERYWHERE = Listeners()  # Those who hear of what all others are told.


def show_share(share: Fraction) -> str:
    return f"{float(share * 100):g} %"
