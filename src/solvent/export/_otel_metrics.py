"""
The metrics of live calls.

Their attributes are few: never a run, an agent, a key or what a call said, and at most so many models and scopes.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from solvent._clock import Clock, utc
from solvent._limits import resets_at
from solvent._records import Account, Balance
from solvent.export import _otel_names as names
from solvent.export._bounded import SCOPES_MAX, Bounded, is_above_runs, window_label
from solvent.export._otel_spans import Closing, labels

_PARTS: tuple[tuple[str, Callable[[Balance], int | None]], ...] = (
    ("limit", lambda balance: balance.limit),
    ("spent", lambda balance: balance.spent),
    ("reserved", lambda balance: balance.reserved),
    ("remaining", lambda balance: balance.remaining),
)
_ASKED = (names.PROVIDER, names.REQUEST_MODEL, names.RESPONSE_MODEL)


class Metrics:
    """
    Adds calls up, and keeps how the budgets above runs stood when the last call of each was closed.
    """

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._clock = clock
        self._known: defaultdict[str, Bounded[str]] = defaultdict(lambda: Bounded("other"))
        self._budgets: dict[Account, tuple[Balance, datetime | None]] = {}  # And until when that is so.
        self._lock = threading.Lock()
        self._tokens = meter.create_histogram(
            names.TOKEN_USAGE,
            "{token}",
            "Input and output tokens of a call, as its provider counted them.",
            explicit_bucket_boundaries_advisory=names.TOKEN_BUCKETS,
        )
        self._seconds = meter.create_histogram(
            names.DURATION,
            "s",
            "How long a call took.",
            explicit_bucket_boundaries_advisory=names.SECOND_BUCKETS,
        )
        self._decisions = meter.create_counter(names.DECISIONS, "{call}", "Calls, by what was decided about them.")
        self._costs = meter.create_counter(names.COSTS, "{nanodollar}", "What was booked for calls.")
        self._overruns = meter.create_counter(names.OVERRUNS, "{nanodollar}", "Booked above what was reserved.")
        for part, amount in _PARTS:
            about = f"What budgets above runs have as their {part}; dollars in nanodollars."
            meter.create_observable_gauge(f"{names.BUDGET}.{part}", [self._observer(amount)], "1", about)

    def tell(self, closing: Closing, balances: Sequence[Balance], parent: Context | None) -> None:
        self._keep(balances)
        if not closing.is_call:
            return
        about = self._few(self._seen(labels(closing)) if closing.decision == "deny" else labels(closing))
        failed = {} if closing.error is None else self._few({names.ERROR: closing.error})
        self._decisions.add(1, {**about, **failed, names.DECISION: closing.decision}, parent)
        if closing.decision == "deny":
            return
        call = closing.call
        if call.started and call.ended:
            self._seconds.record(max(call.ended - call.started, 0) / 1e9, {**about, **failed}, parent)
        if closing.cost is not None:
            self._costs.add(closing.cost, about, parent)
        if closing.overrun:
            self._overruns.add(closing.overrun, about, parent)
        if call.usage is not None and call.estimated is None and closing.error is None:
            for kind in ("input", "output"):
                count = call.usage.get(f"{kind}_tokens", 0)
                self._tokens.record(count, {**about, names.TOKEN_TYPE: kind}, parent)

    def _few(self, about: Mapping[str, str]) -> dict[str, str]:
        return {name: self._known[name].of(value) for name, value in about.items()}

    def _seen(self, about: Mapping[str, str]) -> dict[str, str]:
        """
        Without the names that no call had before: whoever is refused may ask for anything, and is to use up none.
        """
        return {name: value for name, value in about.items() if name not in _ASKED or self._known[name].has(value)}

    def stop(self) -> None:
        """
        Observe no budget any more: nobody tells how they stand.
        """
        with self._lock:
            self._budgets.clear()

    def _keep(self, balances: Sequence[Balance]) -> None:
        now_ns = self._clock.now_ns()
        with self._lock:
            for balance in balances:
                account = balance.account
                if is_above_runs(account.scope) and (account in self._budgets or len(self._budgets) < SCOPES_MAX):
                    self._budgets[account] = balance, resets_at(account.window, now=utc(now_ns))

    def _observer(self, amount: Callable[[Balance], int | None]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> list[Observation]:
            now = utc(self._clock.now_ns())
            with self._lock:
                kept = [balance for balance, until in self._budgets.values() if until is None or now < until]
            found = [(balance.account, amount(balance)) for balance in kept]
            return [Observation(value, _about(account)) for account, value in found if value is not None]

        return observe


def _about(account: Account) -> dict[str, str]:
    return {
        names.BUDGET_SCOPE: account.scope,
        names.BUDGET_METER: account.meter,
        names.BUDGET_WINDOW: window_label(account),
    }
