"""
Which scopes are open and what they are held to, by the notes of a journal: openings and their ends.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct

from solvent._openings import IMPORTED, TOP_UP, OtherLimit, others_of
from solvent._records import Account, Entry

# ``None`` where its process cannot be seen from here, and of a scope that nobody opened by itself.
State = Literal["running", "killed"]
IsThere = Callable[[str], bool | None]  # Whether a process is still there, by its name in the journal.


class Opened(Struct, kw_only=True):
    """
    One scope, as its last opening left it.

    Attributes:
        since_ns: When it was opened.
        first_ns: When it was opened first, while its run is open: an agent may be opened once per call.
        seq: The entry of its last opening.
        owners: The processes that opened it and have not closed it; ``None`` where the journal does not name one.
        limits: Of the accounts on its path.
        others: The limits that no account refuses by.
    """

    scope: str
    since_ns: int
    first_ns: int
    seq: int
    owners: list[str | None]
    limits: dict[Account, int]
    others: tuple[OtherLimit, ...]

    def state(self, is_there: IsThere) -> State | None:
        found = [is_there(owner) if owner else None for owner in self.owners]
        if True in found:
            return "running"
        return None if None in found else "killed"


class Scopes:
    """
    The open scopes, and those below an open run that were open and have limits.
    """

    def __init__(self, is_there: IsThere) -> None:
        self._is_there = is_there
        self._runs: dict[str, dict[str, Opened]] = {}  # By run, for a run takes with it what is below.

    def __iter__(self) -> Iterator[Opened]:
        return (one for below in self._runs.values() for one in below.values())

    def find(self, scope: str) -> Opened | None:
        return self._runs.get(run_of(scope), {}).get(scope)

    def add(self, entry: Entry) -> None:
        if entry.kind == "open" and not entry.id.startswith(IMPORTED):  # Past calls spend from nothing now.
            self._open(entry)
        elif entry.kind == "close":
            self._close(entry.scope)

    def forget(self, scope: str) -> None:
        """
        It is over, and nobody will close it.
        """
        run = run_of(scope)
        below = self._runs.get(run, {})
        below.pop(scope, None)
        if scope == run or not below:
            self._runs.pop(run, None)

    def _open(self, entry: Entry) -> None:
        below = self._runs.setdefault(run_of(entry.scope), {})
        known, call = below.get(entry.scope), entry.call
        is_top_up = (call.reason or "").startswith(TOP_UP)
        since, owners = call.started or entry.at, [call.status]
        if known is not None:
            before = known.owners if is_top_up else self._left(known.owners)
            if before:
                since, owners = known.since_ns, before if is_top_up else [*before, call.status]
        below[entry.scope] = Opened(
            scope=entry.scope,
            since_ns=since,
            first_ns=since if known is None else known.first_ns,
            seq=entry.seq,
            owners=owners,
            limits={posting.account: posting.limit for posting in entry.postings if posting.limit is not None},
            others=others_of(call),
        )

    def _close(self, scope: str) -> None:
        run = run_of(scope)
        known = self.find(scope)
        if known is None:
            return
        # Who closed it is not told. One whose process is gone was killed, so it is another one's end, or its own.
        left = self._left(known.owners) if len(known.owners) > 1 else []
        known.owners = left[:-1] if len(left) == len(known.owners) else left
        has_own = any(account.scope == scope for account in known.limits)
        if not known.owners and (scope == run or not has_own):
            self.forget(scope)

    def _left(self, owners: list[str | None]) -> list[str | None]:
        return [owner for owner in owners if owner is None or self._is_there(owner) is not False]


@functools.lru_cache(maxsize=65_536)
def run_of(scope: str) -> str:
    """
    The run that a scope is in; where there is none, the scope itself.
    """
    parts = scope.split("/")
    for position, part in enumerate(parts):
        if part.startswith("run:"):
            return "/".join(parts[: position + 1])
    return scope


def above(scope: str) -> Iterator[str]:
    """
    The scopes above one, widest first.
    """
    parts = scope.split("/")
    return ("/".join(parts[:length]) for length in range(1, len(parts)))
