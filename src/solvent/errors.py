"""
The errors of Solvent, one tree.

SolventError
├── BudgetExceeded        a limit would be passed; nothing was recorded, the call was not made
│   ├── LoopDetected      the same request came too often
│   └── DeadlinePassed    the scope's time ran out
├── PriceUnknown          a model without a price, under a limit in money
├── Unbounded             a request without a bound, under a limit that needs one
├── ReservationNotFound   no reservation has this id
├── ReservationClosed     the reservation was closed another way before
├── IdConflict            the id was used before, with other contents
├── StoreUnavailable      the ledger did not answer; nothing was recorded
├── OutcomeUnknown        the ledger did not answer; it may have been recorded
├── LedgerCorrupt         the file is not a ledger that can be trusted
└── SettingsError         a setting that says nothing clear
    └── UnknownBudget     a budget to go on with that the ledger has never heard of

Every error has fields and builds its message from them, in one place; it survives pickling.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from solvent._amounts import show_seconds
from solvent._own_file import own_file, shown
from solvent._refusal_history import RefusalHistory
from solvent._refusal_text import RefusalText


class SolventError(Exception):
    """
    The root of the tree: every error that Solvent raises by itself.

    Attributes:
        code: The word for it in journals, events and HTTP answers.
    """

    code = "internal_error"

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)
        super().__init__(self.message())

    def message(self) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        return self.message()

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt, (type(self), self._kept())

    def _kept(self) -> dict[str, Any]:
        """
        The fields that go with it to another process.
        """
        return dict(self.__dict__)


def rebuilt(kind: type[SolventError], fields: dict[str, Any]) -> SolventError:
    error = kind.__new__(kind)
    SolventError.__init__(error, **fields)  # Fields that were added later, such as notes, come back too.
    return error


class BudgetExceeded(RefusalText, RefusalHistory, SolventError):
    """
    Raised when a call would pass a limit. No balance changed, and the call was not made.

    Attributes:
        scope: Whose limit it is.
        meter, window: What it counts, and in which window ("" is the life of the scope).
        limit, spent, reserved, requested: Amounts of that meter (nanodollars for ``usd``).
        open_count: Open reservations that hold ``reserved``.
        source: Where the limit was set.
        resets_at: When the window begins anew (UTC), if it does.
        held: Only open reservations were in the way until ``wait`` ran out; asking again may help.
        output_tokens_affordable: The most output tokens that would have fitted, if any.
        output_tokens_least: Where the call was shrunk in vain, to how many output tokens; ``requested`` is its need so.
        as_written: Its need before it was shrunk; ``None`` where it has no bound, or was not shrunk.
        now: When it was refused (UTC).
    """

    def __init__(
        self,
        *,
        scope: str,
        meter: str,
        limit: int,
        spent: int = 0,
        reserved: int = 0,
        requested: int = 0,
        window: str = "",
        open_count: int = 0,
        source: str = "",
        resets_at: datetime | None = None,
        held: bool = False,
        output_tokens_affordable: int | None = None,
        output_tokens_least: int | None = None,
        as_written: int | None = None,
        now: datetime | None = None,
    ) -> None:
        super().__init__(
            scope=scope,
            meter=meter,
            window=window,
            limit=limit,
            spent=spent,
            reserved=reserved,
            requested=requested,
            open_count=open_count,
            source=source,
            resets_at=resets_at,
            held=held,
            output_tokens_affordable=output_tokens_affordable,
            output_tokens_least=output_tokens_least,
            as_written=as_written,
            now=now,
        )

    @property
    def code(self) -> str:  # type: ignore[override]  # What is a constant elsewhere depends on `held` here.
        return "budget_held" if self.held else "budget_exceeded"


class LoopDetected(BudgetExceeded):
    """
    Raised when the same request came more often than the policy allows; ``spent`` is how often it came before.

    Attributes:
        cycle: How many different requests come in turn; with 1 it is the same one again and again.
        fingerprint: Of this request, as the journal has it.
        fingerprints: Of those that came in turn before it.
        seconds_ago: When the last ones of them came, the latest at the end.
    """

    code = "loop_detected"

    def __init__(
        self,
        *,
        scope: str,
        limit: int,
        spent: int,
        cycle: int,
        within_seconds: float,
        fingerprint: str,
        source: str,
        fingerprints: Sequence[str] = (),
        seconds_ago: Sequence[float] = (),
    ) -> None:
        self.cycle, self.within_seconds, self.fingerprint = cycle, within_seconds, fingerprint
        self.fingerprints, self.seconds_ago = tuple(fingerprints), tuple(seconds_ago)
        super().__init__(scope=scope, meter="same_call", limit=limit, spent=spent, requested=1, source=source)

    def headline(self) -> str:
        what = "request" if self.cycle == 1 else f"{self.cycle} requests in turn,"
        times = f"{self.spent + 1} {'times' if self.cycle == 1 else 'calls'} within {show_seconds(self.within_seconds)}"
        return f"{self.scope} makes the same {what} {times}; {self.limit} are allowed."

    def _state(self) -> str:
        came = ""
        if self.seconds_ago:
            first, last = show_seconds(self.seconds_ago[0]), show_seconds(self.seconds_ago[-1])
            came = f"; the ones before came {first} to {last} ago"
        return f"Nothing in them changed{came}. This one has the fingerprint {self.fingerprint}."

    def _ways(self) -> list[str]:
        return ["find what repeats them", f"raise same_call{f' ({self.source})' if self.source else ''}"]


class DeadlinePassed(BudgetExceeded):
    """
    Raised when the scope's time ran out. ``limit`` and ``spent`` are whole seconds.

    Attributes:
        ended: The call was under way and was ended; what it may have cost is booked. Else it was not made.
    """

    code = "deadline_passed"

    def __init__(self, *, scope: str, seconds: int, source: str = "", ended: bool = False) -> None:
        self.ended = ended
        super().__init__(scope=scope, meter="seconds", limit=seconds, spent=seconds, source=source)

    def headline(self) -> str:
        what = "the call was ended" if self.ended else "no call is started"
        return f"{self.scope} had {show_seconds(self.limit)} and they are over; {what}."

    def message(self) -> str:
        return f"{self.headline()}\nTo go on: allow more time{f' ({self.source})' if self.source else ''}."


class PriceUnknown(SolventError):
    """
    Raised before a call whose model has no price, under a limit in money.

    Attributes:
        what: The part of the price that is missing; empty where all of it is.
        policy_file: The user's own policy, where a price may stand.
    """

    code = "price_unknown"

    def __init__(
        self, *, model: str, provider: str = "", close: Sequence[str] = (), what: str = "", policy_file: str = ""
    ) -> None:
        place = policy_file or shown(own_file())
        super().__init__(model=model, provider=provider, close=tuple(close), what=what, policy_file=place)

    model: str
    provider: str
    close: tuple[str, ...]
    what: str
    policy_file: str

    def message(self) -> str:
        what = f"the {self.what} of {self.model!r} has" if self.what else f"{self.model!r} has"
        near = f" Known and close: {', '.join(self.close)}." if self.close else ""
        is_audio = self.what.startswith("audio ")
        how = f"it as `{self.what.replace(' ', '_')}:` with the model's `input:` and `output:`" if is_audio else "one"
        flag = f", or `solvent run` one with --price {self.model}=INPUT/OUTPUT (dollars per million tokens)"
        said = f"{what} no price, and a limit in dollars is in force.{near}"
        where = f"in your own policy, {self.policy_file}, or in one that SOLVENT_POLICY names"
        return f"{said}\nTo go on: give {how} under `prices:` {where}{'' if is_audio else flag}."


class Unbounded(SolventError):
    """
    Raised before a call whose use of a limited meter has no bound.

    Attributes:
        part: The part of the request that has no bound.
        meter: The limited meter; none where strict mode refuses what cannot be seen, whatever the limits.
        remedy: The setting that caps it.
    """

    code = "unbounded"

    def __init__(self, *, part: str, meter: str, remedy: str) -> None:
        super().__init__(part=part, meter=meter, remedy=remedy)

    part: str
    meter: str
    remedy: str

    def message(self) -> str:
        limit = "in dollars" if self.meter == "usd" else f"of {self.meter.replace('_', ' ')}"
        what = (
            f"nothing bounds {self.part}, and a limit {limit} is in force"
            if self.meter
            else f"{self.part} has no bound, and strict mode refuses what it cannot see"
        )
        return f"{what}.\nTo go on: {self.remedy}."


class ReservationNotFound(SolventError):
    """
    Raised when a reservation is to be closed or extended that was never made.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)

    id: str

    def message(self) -> str:
        return f"no reservation has the id {self.id}.\nTo go on: reserve before settling; a refusal binds no id."


class ReservationClosed(SolventError):
    """
    Raised when a reservation is to be closed that was closed in another way before.
    """

    def __init__(self, *, id: str, state: str, wanted: str) -> None:
        super().__init__(id=id, state=state, wanted=wanted)

    id: str
    state: str
    wanted: str

    def message(self) -> str:
        return (
            f"reservation {self.id} is {self.state} and cannot be {self.wanted}; a reservation closes once.\n"
            "To go on: keep what is recorded; a call that is made again is a new reservation with an id of its own."
        )


class IdConflict(SolventError):
    """
    Raised when an id is used again with other contents.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)

    id: str

    def message(self) -> str:
        return (
            f"the id {self.id} was used before, with other contents. Nothing was recorded.\n"
            "To go on: make a new id for something new; the same id is for the same again."
        )


class StoreUnavailable(SolventError):
    """
    Raised when the ledger did not answer and nothing was recorded.
    """

    code = "ledger_unavailable"

    def __init__(self, *, ledger: str, reason: str) -> None:
        super().__init__(ledger=ledger, reason=reason)

    ledger: str
    reason: str

    def message(self) -> str:
        return (
            f"the ledger {self.ledger} did not answer: {self.reason}. Nothing was recorded.\n"
            "To go on: see that the file can be written, or name another with --ledger or SOLVENT_LEDGER."
        )


class OutcomeUnknown(SolventError):
    """
    Raised when the ledger did not answer and may have recorded the operation.
    """

    code = "ledger_unavailable"

    def __init__(self, *, ledger: str, id: str, reason: str) -> None:
        super().__init__(ledger=ledger, id=id, reason=reason)

    ledger: str
    id: str
    reason: str

    def message(self) -> str:
        return (
            f"the ledger {self.ledger} did not answer: {self.reason}; reservation {self.id} may have been recorded.\n"
            "To go on: retry with the same id; it is counted once."
        )


class LedgerCorrupt(SolventError):
    """
    Raised when a file is not a ledger, is damaged, or was written by a newer version. It is left untouched.

    Attributes:
        ledger: The file.
        found: What is wrong with it.
        remedy: What to do first; to name another ledger is always possible.
    """

    def __init__(self, *, ledger: str, found: str, remedy: str = "restore it from a copy") -> None:
        super().__init__(ledger=ledger, found=found, remedy=remedy)

    ledger: str
    found: str
    remedy: str

    def message(self) -> str:
        return (
            f"{self.ledger} cannot be used as a ledger: {self.found}. The file was left as it is.\n"
            f"To go on: {self.remedy}, or name another with --ledger or SOLVENT_LEDGER."
        )


class SettingsError(SolventError):
    """
    Raised when a setting is not what was expected: where it stands, what was expected, what was found.
    """

    def __init__(self, *, where: str, expected: str, got: str = "", hint: str = "") -> None:
        super().__init__(where=where, expected=expected, got=got, hint=hint)

    where: str
    expected: str
    got: str
    hint: str

    def message(self) -> str:
        got = f", got {self.got}" if self.got else ""
        hint = f"\nTo go on: {self.hint}." if self.hint else ""
        return f"{self.where}: expected {self.expected}{got}{hint}"


class UnknownBudget(SettingsError, ValueError):
    """
    Raised when a budget is to be gone on with that the ledger has never heard of: nothing could hold its calls.
    """
