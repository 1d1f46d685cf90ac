"""
What a limit is: a meter, an amount, a window and a scope.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Literal, Self, cast
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from solvent import _amounts
from solvent._amounts import AMOUNT_MAX, check_amount, show_dollars

Meter = Literal[
    "branches",
    "calls",
    "depth",
    "input_tokens",
    "output_tokens",
    "parallel",
    "retries",
    "seconds",
    "tokens",
    "tool_calls",
    "usd",
]
RESERVED_METERS: tuple[Meter, ...] = ("usd", "tokens", "input_tokens", "output_tokens", "calls", "branches", "parallel")
CHECKED_METERS: tuple[Meter, ...] = ("tool_calls", "retries")  # Known after the fact or from the path (DESIGN §3).
METERS: tuple[Meter, ...] = RESERVED_METERS + CHECKED_METERS
PATH_METERS: tuple[Meter, ...] = ("depth", "seconds")  # Of the path and the clock: no account keeps them.
GAUGES: frozenset[Meter] = frozenset({"parallel"})  # Closes at 0 on every path.

OnExceed = Literal["block", "warn", "log"]  # What a limit does to a call that would pass it.
ON_EXCEED: tuple[OnExceed, ...] = ("block", "warn", "log")

WINDOWS = ("", "minute", "hour", "day", "week", "month")  # "" is the life of the scope.
SECOND_NS = 1_000_000_000
_QUARTER_SECONDS = 900  # Every time zone is a whole number of these away from UTC.
ROLLING_SECONDS = 60  # A rolling minute counts the running second and the 60 before it.

SCOPE_KINDS = ("org", "team", "user", "run", "agent", "step")
OWNERS = ("org", "team", "user")  # Whom a run may belong to, widest first.
SEGMENTS_MAX = 16
SEGMENT_BYTES_MAX = 256

_ONE = {"branches": "branch", "parallel": "parallel", "retries": "retry"}  # Where one is not the name without its s.


class Limit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The most that a scope may use of a meter in a window.

    Attributes:
        meter: What is counted.
        amount: Nanodollars for ``usd``, a count for the rest. 0 means nothing may be spent.
        window: One of ``WINDOWS``.
        time_zone: Where calendar windows begin.
        source: Where it was set, for the error that names it: ``--usd``, ``solvent.yaml:7``.
        on_exceed: ``block`` refuses the call that would pass it; ``warn`` and ``log`` let it pass, and tell.
    """

    meter: Meter
    amount: int
    window: str = ""
    time_zone: str = "UTC"
    source: str = ""
    on_exceed: OnExceed = "block"

    def __post_init__(self) -> None:
        if self.meter not in METERS + PATH_METERS:
            raise ValueError(f"meter must be one of {', '.join(METERS + PATH_METERS)}, got {self.meter!r}")
        check_amount(f"limit of {self.meter}", self.amount)
        if self.window not in WINDOWS:
            raise ValueError(f"window must be one of minute, hour, day, week, month, got {self.window!r}")
        if self.window and self.meter in ("parallel", *PATH_METERS):
            raise ValueError(f"a limit of {self.meter} has no window, got {self.window!r}")
        check_time_zone(self.time_zone)
        if self.on_exceed not in ON_EXCEED:
            raise ValueError(f"on_exceed must be block, warn or log, got {self.on_exceed!r}")

    @classmethod
    def of_account(cls, meter: str, window_key: str, amount: int, *, source: str) -> Self:
        """
        A limit as an account and a journal's posting name it.
        """
        window, _, time_zone = window_key.partition("@")
        return cls(meter=cast(Meter, meter), amount=amount, window=window, time_zone=time_zone or "UTC", source=source)

    @property
    def window_key(self) -> str:
        """
        The window as an account names it; calendar windows of two time zones are two accounts.
        """
        return self.window if self.window in ("", "minute") else f"{self.window}@{self.time_zone}"


def read_limit(
    meter: Meter,
    given: str | int | float | Decimal,
    *,
    name: str,
    source: str,
    on_exceed: OnExceed = "block",
    time_zone: str = "UTC",
) -> Limit:
    """
    A limit as people write it: ``0.50``, ``"200k"``, ``"15m"``, and with a window ``"20/day"``, ``"2M/minute"``.

    Args:
        name: What the error calls it.

    Raises:
        ValueError: It is no amount of this meter, or of no window that it can have.
    """
    amount, slash, window = given.partition("/") if isinstance(given, str) else (given, "", "")
    if slash and (meter in GAUGES or meter in PATH_METERS):
        raise ValueError(f'{name} must be an amount without a window, got "{given}"')
    if slash and window not in WINDOWS[1:]:
        expected = 'an amount per minute, hour, day, week or month such as "20/day"'
        raise ValueError(f'{name} must be {expected}, got "{given}"')
    return Limit(
        meter=meter,
        amount=_read_amount(meter, amount, name),
        window=window,
        time_zone=time_zone,
        source=source,
        on_exceed=on_exceed,
    )


def _read_amount(meter: Meter, amount: str | int | float | Decimal, name: str) -> int:
    if meter == "usd":
        return _amounts.nanodollars(amount, name=name)
    if isinstance(amount, Decimal):
        raise ValueError(f"{name} must be a whole number, got {amount!r}")
    if meter == "seconds":
        return _amounts.whole_seconds(amount, name=name)
    return _amounts.count(amount, name=name)  # type: ignore[arg-type]  # What is no whole number it refuses.


@dataclass(frozen=True, slots=True)
class Scope:
    """
    Whom a limit is for: ``org:acme/team:search/run:42``, widest first.
    """

    parts: tuple[tuple[str, str], ...]
    _text: str = field(init=False, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read ``kind:name("/" kind:name)*``; names are percent-encoded.

        Raises:
            ValueError: An unknown kind, a kind out of order, an empty or over-long name, or over 16 segments.
        """
        parts = []
        for segment in text.split("/"):
            kind, colon, name = segment.partition(":")
            if not colon:
                within = "" if segment == text else f" in {text!r}"
                raise ValueError(f"a scope is written kind:name, such as run:42; got {segment!r}{within}")
            parts.append((kind, unquote(name)))
        return cls(tuple(parts))

    def __post_init__(self) -> None:
        if not 1 <= len(self.parts) <= SEGMENTS_MAX:
            raise ValueError(f"a scope has 1 to {SEGMENTS_MAX} segments, got {len(self.parts)}")
        last = -1
        for kind, name in self.parts:
            if kind not in SCOPE_KINDS:
                raise ValueError(f"a scope's kind is one of {', '.join(SCOPE_KINDS)}; got {kind!r}")
            rank = SCOPE_KINDS.index(kind)
            nests = kind in ("agent", "step") and last >= SCOPE_KINDS.index("agent")
            if rank <= last and not nests:
                raise ValueError(f"{kind}:{name} cannot stand below {SCOPE_KINDS[last]} in a scope")
            size = _size(name)
            if not 1 <= size <= SEGMENT_BYTES_MAX:
                raise ValueError(f"a name in a scope has 1 to {SEGMENT_BYTES_MAX} bytes, got {size} in {kind}:")
            last = rank
        # Kept, for every call asks for it many times.
        object.__setattr__(self, "_text", "/".join(f"{kind}:{_encode(name)}" for kind, name in self.parts))

    def __str__(self) -> str:
        return self._text

    def child(self, kind: str, name: str) -> "Scope":
        return Scope((*self.parts, (kind, name)))

    def below(self, text: str) -> "Scope":
        """
        This scope with the segments of ``text`` added: a header may only add below what a key fixes.
        """
        return Scope(self.parts + Scope.parse(text).parts)

    def is_in(self, other: "Scope") -> bool:
        """
        Whether it is that one, or below it.
        """
        return self.parts[: len(other.parts)] == other.parts

    def path(self) -> tuple["Scope", ...]:
        """
        This scope and all above it, widest first: everything that a call here is charged to.
        """
        return tuple(Scope(self.parts[:length]) for length in range(1, len(self.parts) + 1))


def _encode(name: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f/:%]", lambda match: quote(match[0], safe=""), name)


def _size(name: str) -> int:
    """
    Bytes of a name as a scope holds it.
    """
    try:
        return len(_encode(name).encode())
    except UnicodeEncodeError:  # Bytes of a command line that are no text come as such characters.
        raise ValueError(f"a name in a scope is text in UTF-8, got {name!r}") from None


def matches(pattern: str, scope: Scope) -> bool:
    """
    Whether a policy's pattern (``team:*``, ``org:acme/run:nightly-*``) names this scope by its last segments.
    """
    wanted = [segment.partition(":")[::2] for segment in pattern.split("/")]
    if len(wanted) > len(scope.parts):
        return False
    return all(
        kind == want_kind and _names(want_name, name)
        for (kind, name), (want_kind, want_name) in zip(scope.parts[-len(wanted) :], wanted, strict=True)
    )


def _names(wanted: str, name: str) -> bool:
    """
    Whether a pattern's name, percent-encoded or as it is, is this one, or with ``*`` at its end, the beginning of it.
    """
    if wanted.endswith("*"):
        return name.startswith((wanted[:-1], unquote(wanted[:-1])))
    return name in (wanted, unquote(wanted))


def span(window_key: str, now_ns: int) -> tuple[int, int, int]:
    """
    The first bucket that counts in a window, the one that an amount reserved now belongs to, and until when (in
    nanoseconds since 1970) that is so. Numbers of buckets rise with time.

    Args:
        window_key: As in ``Limit.window_key``.
    """
    if window_key == "":
        return 0, 0, AMOUNT_MAX * SECOND_NS
    seconds = now_ns // SECOND_NS
    if window_key == "minute":
        return seconds - ROLLING_SECONDS, seconds, (seconds + 1) * SECOND_NS
    window, _, zone = window_key.partition("@")
    now = datetime.fromtimestamp(seconds, UTC)
    local = now.astimezone(_zone(zone))
    number = {
        "hour": int(_hour(local).timestamp()) // _QUARTER_SECONDS,  # Where clocks go back, both hours of that name.
        "day": local.toordinal(),
        "week": (local.toordinal() - 1) // 7,
        "month": local.year * 12 + local.month - 1,
    }[window]
    until = resets_at(window_key, now=now)
    assert until is not None
    return number, number, int(until.timestamp()) * SECOND_NS


def resets_at(window_key: str, *, now: datetime) -> datetime | None:
    """
    When a window has surely begun anew (UTC); ``None`` for the life of a scope, which never does.
    """
    if window_key == "minute":
        return now + timedelta(seconds=ROLLING_SECONDS + 1)
    window, _, zone = window_key.partition("@")
    if window not in ("hour", "day", "week", "month"):
        return None
    local = now.astimezone(_zone(zone))
    if window == "hour":
        return _hour(local) + timedelta(hours=1)
    today = local.date()
    first = {
        "day": today + timedelta(days=1),
        "week": today + timedelta(days=7 - today.weekday()),
        "month": date(today.year + today.month // 12, today.month % 12 + 1, 1),
    }[window]
    return datetime(first.year, first.month, first.day, tzinfo=_zone(zone)).astimezone(UTC)


def _hour(local: datetime) -> datetime:
    """
    When the running hour began, UTC: counted back from now, so that it never begins later and then earlier again.

    Where clocks are moved by half an hour, one hour has thirty minutes.
    """
    return local.astimezone(UTC) - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def check_time_zone(name: str) -> str:
    """
    The name itself, when it is that of a time zone.

    Raises:
        ValueError: It is not.
    """
    try:
        _zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time_zone must be a name such as UTC or Europe/Berlin, got {name!r}") from None
    return name


@cache
def check_window(key: str) -> None:
    """
    Raises:
        ValueError: It is no window as ``Limit.window_key`` names them.
    """
    window, at, zone = key.partition("@")
    if window not in WINDOWS or bool(at) == (window in ("", "minute")):
        expected = "empty, minute, or an hour, day, week or month in a time zone such as day@UTC"
        raise ValueError(f"window must be {expected}, got {key!r}")
    if at:
        check_time_zone(zone)


@lru_cache(maxsize=4_096)
def check_scope(text: str) -> None:
    """
    Raises:
        ValueError: It is no scope as ``Scope`` writes them.
    """
    if not isinstance(text, str):
        raise ValueError(f"a scope is a text such as run:42, got {text!r}")
    Scope.parse(text)


def show_amount(meter: str, amount: int) -> str:
    """
    An amount of a meter for people: ``$0.0420``, ``1,024 output tokens``, ``3 calls``.
    """
    if meter == "usd":
        return show_dollars(amount)
    name = _ONE.get(meter, meter.removesuffix("s")) if amount == 1 else meter
    return f"{amount:,} {name.replace('_', ' ')}"
