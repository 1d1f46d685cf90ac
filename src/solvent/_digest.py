"""
The digest of a journal: sums of calls that have scope, hour and all that a report tells apart in common.

A journal has an entry a call; what people ask of it are sums. They are added up here, entry by entry, in any number of
parts, so that a store may keep those of the entries that it has seen and no reader has to see them again.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from solvent._records import BRANCHES, Account, CallRecord, Entry, Kind

HOUR_NS = 3_600_000_000_000
# The kinds of entries that count here.
DIGESTED: frozenset[Kind] = frozenset({"correct", "expire", "refuse", "release", "settle"})


class Facts(Struct, frozen=True, gc=False, cache_hash=True, order=True, array_like=True):
    """
    What the calls of a group have in common.

    Attributes:
        scope: Their whole path.
        hour: In which they ended: hours since 1970, UTC.
        kind: ``settle`` and ``expire`` are calls; ``release`` was never sent, and ``refuse`` never admitted.
        status: Of a call that a provider answered with an error its HTTP status; of one that a program reported
            ``failed``; of a refusal its code.
        reason: Why it was released.
        rungs: Of the ladder, those that were taken, without their amounts: ``prefix``, ``wait``, ``warn usd``.
        account, limit: What refused it, if it was a limit.
    """

    scope: str
    hour: int
    kind: Literal["expire", "refuse", "release", "settle"]
    provider: str | None = None
    format: str | None = None
    model_asked: str | None = None
    model_used: str | None = None
    tier: str | None = None
    price_source: str | None = None
    estimated: str | None = None
    status: str | None = None
    reason: str | None = None
    rungs: tuple[str, ...] = ()
    account: Account | None = None
    limit: int | None = None

    @property
    def is_call(self) -> bool:
        """
        Whether they reached a provider, as far as anyone knows.
        """
        return self.kind in ("expire", "settle")


class Sums(Struct, kw_only=True, array_like=True):
    """
    What they add up to. In a group that only takes back what an expiry booked, sums are negative.

    Attributes:
        count: How many they are.
        cost: Booked, nanodollars.
        unpriced: Those of unknown cost; they add nothing to ``cost``.
        bounded, bound: Those of which bound and cost are both known, and the sum of their bounds in nanodollars; of
            refusals all that had a bound.
        overruns, overrun: Those that cost more than was reserved, and the excess in nanodollars.
        retries: Those that were not the first try of their request.
        corrected: Those that had expired, and whose true cost came late.
        waited_milliseconds: How long they waited for room.
        last: When the last of them was written; nanoseconds since 1970, UTC.
        said: Of refusals, what the last one said.
        tokens: Usage by name; where nobody told it, the bounds as they were booked.
    """

    count: int = 0
    cost: int = 0
    unpriced: int = 0
    bounded: int = 0
    bound: int = 0
    overruns: int = 0
    overrun: int = 0
    retries: int = 0
    corrected: int = 0
    waited_milliseconds: int = 0
    last: int = 0
    said: str | None = None
    tokens: dict[str, int] = {}  # Each gets its own, copied.

    def join(self, other: "Sums") -> None:
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.last >= self.last:
            self.last, self.said = other.last, other.said or self.said
        for name, count in other.tokens.items():
            self.tokens[name] = self.tokens.get(name, 0) + count


Groups = Mapping[Facts, Sums]
Hours = tuple[int, int]  # Since 1970, UTC; the second one not included.

_NUMBERS = tuple(name for name in Sums.__struct_fields__ if name not in ("last", "said", "tokens"))


class Line(Struct, frozen=True, gc=False, kw_only=False):
    """
    What is read of an entry. ``spent_…`` and ``overrun_usd`` are what it adds to each of its accounts.
    """

    at: int
    kind: str
    id: str
    scope: str
    provider: str | None
    format: str | None
    model_asked: str | None
    model_used: str | None
    tier: str | None
    price_source: str | None
    estimated: str | None
    status: str | None
    reason: str | None
    rungs: Sequence[str] | None
    attempt: int | None
    started: int | None
    ended: int | None
    cost: int | None
    bound: int | None
    usage: Mapping[str, int] | None
    spent_usd: int
    spent_input_tokens: int
    spent_output_tokens: int
    spent_calls: int
    overrun_usd: int
    account: Account | None = None
    limit: int | None = None


class Digest:
    """
    Sums under way.

    Args:
        expiry_of: The line of the expiry that the entry of a correction, by its id and scope, puts right; asked for
            those that this digest has not seen itself.
    """

    def __init__(self, expiry_of: Callable[[str, str], Line | None]) -> None:
        self.groups: dict[Facts, Sums] = {}
        self._by_key: dict[tuple[object, ...], Sums] = {}
        self._expiry_of = expiry_of
        self._expired: dict[str, Line] = {}

    def add(self, line: Line) -> None:
        if line.format == BRANCHES and line.kind != "refuse":
            return
        if line.kind == "correct":
            expired = self._expired.pop(line.id, None) or self._expiry_of(line.id, line.scope)
            if expired is None:
                return  # An older journal's: what it corrects is in its opening balance.
            self._count(expired, -1)
            self._count(_corrected(expired, line), 1).corrected += 1
            return
        if line.kind == "expire":
            self._expired[line.id] = line
        self._count(line, 1)

    def _count(self, line: Line, sign: int) -> Sums:
        rungs, waited = _rungs(tuple(line.rungs)) if line.rungs else ((), 0)
        at = line.ended or line.started or line.at
        key = (
            line.scope,
            at // HOUR_NS,
            line.kind,
            line.provider,
            line.format,
            line.model_asked,
            line.model_used,
            line.tier,
            line.price_source,
            line.estimated,
            line.status,
            line.reason if line.kind == "release" else None,
            rungs,
            line.account,
            line.limit,
        )
        sums = self._by_key.get(key)
        if sums is None:
            sums = self._by_key[key] = self._sums_of(key)
        sums.count += sign
        if line.at >= sums.last:
            sums.last = line.at
            if line.kind == "refuse":
                sums.said = line.reason or sums.said
        if line.bound is not None and line.kind == "refuse":
            sums.bounded += sign
            sums.bound += sign * line.bound
        if line.kind in ("expire", "settle"):
            _book(sums, line, sign)
            sums.waited_milliseconds += sign * waited
        return sums

    def _sums_of(self, key: tuple[object, ...]) -> Sums:
        facts = Facts(*key)  # type: ignore[arg-type]  # In the order of its fields.
        if facts.kind != "refuse" and not _is_telling(facts.status):
            facts = replace(facts, status=None)
        return self.groups.setdefault(facts, Sums())


def _book(sums: Sums, line: Line, sign: int) -> None:
    cost = line.spent_usd or line.cost  # What was booked; the record's own where no account counted it.
    if cost is None:
        sums.unpriced += sign
    else:
        sums.cost += sign * cost
        if line.bound is not None:
            sums.bounded += sign
            sums.bound += sign * line.bound
    if line.overrun_usd > 0:
        sums.overruns += sign
        sums.overrun += sign * line.overrun_usd
    if line.attempt:
        sums.retries += sign
    tokens = sums.tokens
    if line.usage is not None:
        for name, count in line.usage.items():
            tokens[name] = tokens.get(name, 0) + sign * count
    else:
        for name, count in (("input_tokens", line.spent_input_tokens), ("output_tokens", line.spent_output_tokens)):
            if count:
                tokens[name] = tokens.get(name, 0) + sign * count


def _corrected(expired: Line, correct: Line) -> Line:
    """
    The settlement (or release) that an expiry and its correction add up to.
    """
    whole = {name: getattr(expired, name) + getattr(correct, name) for name in _ADDED}
    # Nothing is left of it and no one answered: it turned out that the call was never made.
    unmade = not any(whole[name] for name in _ADDED[:-1]) and correct.status in (None, "not_sent")
    return replace(correct, kind="release" if unmade else "settle", **whole)


_ADDED = ("spent_usd", "spent_input_tokens", "spent_output_tokens", "spent_calls", "overrun_usd")


@functools.lru_cache(maxsize=4_096)
def _rungs(rungs: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """
    The rungs without their amounts, and the milliseconds that were waited.
    """
    names, waited = [], 0
    for rung in rungs:
        name, _, rest = rung.partition(" ")
        names.append(rung if name in ("warn", "log") else name)
        if name == "wait":
            waited += _milliseconds(rest)
    return tuple(names), waited


def _milliseconds(shown: str) -> int:
    """
    A length of time that ``show_seconds`` wrote: ``1.2 s``, ``5 min 12 s``.
    """
    words = shown.split()
    return sum(int(Decimal(value) * _UNITS[unit]) for value, unit in zip(words[::2], words[1::2], strict=True))


_UNITS = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def _is_telling(status: str | None) -> bool:
    return status == "failed" or (status is not None and status.isdecimal() and int(status) >= 400)


def digest_of(entries: Iterable[Entry], after: int = 0) -> dict[Facts, Sums]:
    """
    The groups of a whole journal, or of its entries with ``seq`` above one.
    """
    expired: dict[str, Line] = {}
    digest = Digest(lambda of_id, _: expired.get(of_id))
    for entry in entries:
        if entry.kind in DIGESTED:
            if entry.seq > after:
                digest.add(line_of(entry))
            elif entry.kind == "expire":
                expired[entry.id] = line_of(entry)
    return digest.groups


def within(groups: Groups, hours: Hours | None) -> Groups:
    """
    The groups of these hours, the second one not included.
    """
    if hours is None:
        return groups
    return {facts: sums for facts, sums in groups.items() if hours[0] <= facts.hour < hours[1]}


def line_of(entry: Entry) -> Line:
    # All accounts of an entry change alike, so that one of each meter tells of all.
    spent = {posting.account.meter: posting.spent for posting in entry.postings}
    overrun = next((posting.overrun for posting in entry.postings if posting.account.meter == "usd"), 0)
    blocking = entry.postings[0] if entry.kind == "refuse" and entry.postings else None
    added = (*(spent.get(meter, 0) for meter in ("usd", "input_tokens", "output_tokens", "calls")), overrun)
    cause = (blocking.account, blocking.limit) if blocking else (None, None)
    fields: tuple[Any, ...] = (entry.at, entry.kind, entry.id, entry.scope, *_call_fields(entry.call), *added, *cause)
    return Line(*fields)


CALL_FIELDS = (
    *("provider", "format", "model_asked", "model_used", "tier", "price_source", "estimated", "status", "reason"),
    *("rungs", "attempt", "started", "ended", "cost_nanodollars", "bound_nanodollars", "usage"),
)
_call_fields: Callable[[CallRecord], tuple[Any, ...]] = attrgetter(*CALL_FIELDS)
