"""
What the kill test holds a ledger's file against: its own reading of the tables and the journal, and the diaries in
which the workers' provider wrote what it really billed. Of the product it uses nothing.

Invariants are named as everywhere in this project's notes:

- I1 never over: spent + reserved ≤ limit whenever something is admitted, and at all times but for overruns.
- I2 books: what is reserved is the sum of the open reservations.
- I3 audit: every balance is the sum of its entries, which have no gaps.
- I4 cover: what was billed under a reservation is at most what it was closed at.
- I5 truth: what was billed is at most the limit.
- I6 all or nothing: an entry changes every account of its path, and what was refused has none.
- I7 once: a reservation is made once and closed once, and corrected once after an expiry.
- I8 tree: a scope has what those below it have.
"""

import itertools
import json
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import apsw
from torture_terms import BUDGET, BUDGET_CALLS, ORG, PARALLEL, is_loose

METERS = ("usd", "calls", "parallel")
PARTS = ("reserved", "spent", "overrun")
COLUMNS = tuple((part, meter) for part in PARTS for meter in METERS)
NAMES = ", ".join(f"{part}_{meter}" for part, meter in COLUMNS)
LIMITS = {"usd": BUDGET, "calls": BUDGET_CALLS}
SELECT_BUCKETS = f"SELECT bucket.id, scope, {NAMES} FROM bucket JOIN place ON place.id = bucket.place"
PLACES = 3  # Of each path: organization, team, run.
CLOSING = {"settle": "open", "release": "open", "expire": "open", "correct": "expired"}  # And the state before.

Sums = Counter[tuple[str, str]]


def budget_of(scope: str) -> int:
    return int(scope.split("/")[1].removeprefix("team:"))


def limits_of(scope: str) -> Mapping[str, int]:
    if scope == ORG:
        return {"parallel": PARALLEL}
    return LIMITS if scope.rpartition("/")[2].startswith("team:") else {}


class Reservation:
    def __init__(self, budget: int, bound: int) -> None:
        self.budget, self.bound = budget, bound
        self.state = "open"
        self.booked = self.overrun = 0


class Books:
    """
    Everything that was seen until now, and what is wrong with it.
    """

    def __init__(self, ledger: Path, folder: Path) -> None:
        self.wrong: list[str] = []
        self.marks: Counter[str] = Counter()  # What happened, and how often.
        self.billed: Counter[str] = Counter()
        self.reservations: dict[str, Reservation] = {}
        self._connection = apsw.Connection(str(ledger), flags=apsw.SQLITE_OPEN_READONLY)
        self._connection.set_busy_timeout(5_000)
        self._folder = folder
        self._read: Counter[Path] = Counter()
        self._refused: set[str] = set()
        self._asked: dict[str, int] = {}
        self._billed_to: Counter[int] = Counter()
        self._seq = 0
        self._sums: defaultdict[int, Sums] = defaultdict(Counter)
        self._scopes: dict[int, str] = {}

    def _begin_to_read(self) -> None:
        """
        Once more where somebody mends the log after a kill for longer than SQLite waits.
        """
        for _ in range(20):
            try:
                self._connection.execute("SELECT 1 FROM sqlite_schema").fetchall()
            except apsw.ProtocolError:
                time.sleep(0.1)
            else:
                return

    def look(self) -> None:
        """
        Read what is new, in one state of the file, and hold all of it against the invariants.
        """
        self.marks["looks"] += 1
        changed = self._read_diaries()  # Before the file: a bill is written while its reservation stands.
        with self._connection:  # One read transaction.
            self._begin_to_read()
            kept = {}
            for id, scope, *row in self._connection.execute(SELECT_BUCKETS):
                self._scopes[id] = scope
                kept[id] = _sums(row)
            changed |= self._read_journal()
            self._check_open()
        self._check_balances(kept)
        for id in changed:
            self._check_bill(id)
        for budget in {self.reservations[id].budget for id in changed if id in self.reservations}:
            if self._billed_to[budget] > BUDGET and not is_loose(budget):
                self._is_wrong("I5", f"budget {budget}: billed {self._billed_to[budget]:,} of {BUDGET:,}")

    def check_end(self, *, reconciled: bool) -> None:
        """
        Look once more, when nothing is open any more.

        Args:
            reconciled: Every bill was settled since, so each is booked to the unit.
        """
        self.look()
        for id, reservation in self.reservations.items():
            self._check_bill(id)
            if reservation.state == "open":
                self._is_wrong("I2", f"{id} is open")
            if reconciled and id in self.billed:
                self._check_reconciled(id, reservation)
        for id in self._refused & self.reservations.keys():
            self._is_wrong("I6", f"{id} was refused, and is reserved")

    def spent_share(self) -> float:
        """
        How much of a budget is used: the median of all but the newest three, from which calls were still made.
        """
        by_team = self._by_scope(self._sums, depth=2)
        shares = [by_team[team]["spent", "usd"] / BUDGET for team in sorted(by_team, key=budget_of)]
        return statistics.median(shares[:-3])

    def budgets(self) -> int:
        return len(self._by_scope(self._sums, depth=2))

    def _is_wrong(self, invariant: str, what: str) -> None:
        self.wrong.append(f"{invariant}: {what}")

    def _read_diaries(self) -> set[str]:
        changed = set()
        for path in self._folder.glob("*.diary"):
            with path.open("rb") as diary:
                diary.seek(self._read[path])
                text = diary.read().decode()
                text = text[: text.rfind("\n") + 1]
                self._read[path] += len(text)
                for line in text.splitlines():
                    word, *rest = line.split()
                    if word == "billed":
                        self.billed[rest[0]] += int(rest[1])
                        self._billed_to[self._asked[rest[0]]] += int(rest[1])
                        changed.add(rest[0])
                    elif word in ("dies", "halts"):
                        self.marks[line] += 1
                    else:
                        self._read_event(word, rest)
        return changed

    def _read_event(self, word: str, rest: list[str]) -> None:
        self.marks[word] += 1
        if word == "asks":
            self._refused.discard(rest[0])
            self._asked[rest[0]] = int(rest[1])
        elif word == "refused":
            self._refused.add(rest[0])
        elif word == "differs":
            self._is_wrong("I7", f"{rest[0]} was answered in two ways")

    def _read_journal(self) -> set[str]:
        """
        Fold the entries that are new into sums of our own, each at its moment; the reservations that they change.
        """
        changed = set()
        select = f"SELECT seq, kind, id, scope, buckets, {NAMES} FROM entry WHERE seq > ? ORDER BY seq"
        for seq, kind, id, scope, buckets, *row in self._connection.execute(select, (self._seq,)):
            if seq != self._seq + 1:
                self._is_wrong("I3", f"entry {seq:,} follows {self._seq:,}")
            self._seq = seq
            self.marks[kind] += 1
            change = _sums(row)
            touched = json.loads(buckets)
            if [self._scopes[bucket] for bucket in touched] != _path(scope):
                self._is_wrong("I6", f"entry {seq:,} of {scope} changes {touched}")
            for bucket in touched:
                self._sums[bucket].update(change)
                if kind == "reserve":
                    self._check_limit(bucket, self._sums[bucket], admitted=id)
            self._move(kind, id, scope, change)
            changed.add(id)
        return changed

    def _move(self, kind: str, id: str, scope: str, change: Mapping[tuple[str, str], int]) -> None:
        known = self.reservations.get(id)
        if kind == "reserve":
            if known is not None:
                self._is_wrong("I7", f"{id} was reserved twice")
            known = self.reservations[id] = Reservation(budget_of(scope), change["reserved", "usd"])
            return
        if known is None or known.state != CLOSING[kind]:
            self._is_wrong("I7", f"{kind} of {id}, which is {known.state if known else 'unknown'}")
            return
        known.state = {"expire": "expired"}.get(kind, "closed")
        known.booked += change["spent", "usd"]
        known.overrun += change["overrun", "usd"]
        self.marks["overrun"] += known.overrun > 0
        if kind == "expire":
            self.marks[f"expire {'.'.join(id.split('.')[:2])}"] += 1  # Of one life of a worker.

    def _check_open(self) -> None:
        held: defaultdict[int, Sums] = defaultdict(Counter)
        select = "SELECT amounts, buckets FROM reservation JOIN entry ON seq = reserving WHERE state = 'open'"
        for amounts, buckets in self._connection.execute(select):
            for bucket in json.loads(buckets):
                held[bucket].update({("reserved", meter): amount for meter, amount in json.loads(amounts).items()})
        self._held = held

    def _check_balances(self, kept: Mapping[int, Sums]) -> None:
        for bucket, sums in kept.items():
            if sums != self._sums[bucket]:
                self._is_wrong(
                    "I3", f"{self._scopes[bucket]}: {dict(sums)}, and by its entries {dict(self._sums[bucket])}"
                )
            for meter in METERS:
                reserved, held = sums["reserved", meter], self._held[bucket]["reserved", meter]
                if reserved != held:
                    self._is_wrong("I2", f"{self._scopes[bucket]} {meter}: reserved {reserved:,}, and open {held:,}")
            self._check_limit(bucket, sums)
        whole = [self._by_scope(kept, depth) for depth in range(1, PLACES + 1)]
        for above, below in itertools.pairwise(whole):
            children: defaultdict[str, Sums] = defaultdict(Counter)
            for scope, sums in below.items():
                children[scope.rpartition("/")[0]].update(sums)
            for scope, sums in above.items():
                if sums != children[scope]:
                    self._is_wrong("I8", f"{scope}: {dict(sums)}, and below it {dict(children[scope])}")

    def _check_limit(self, bucket: int, sums: Sums, *, admitted: str | None = None) -> None:
        scope = self._scopes[bucket]
        for meter, limit in limits_of(scope).items():
            used = sums["reserved", meter] + sums["spent", meter]
            over = 0 if admitted else sums["overrun", meter]
            if used - over > limit:
                self._is_wrong(
                    "I1", f"{scope} {meter}: {used:,} of {limit:,}, {over:,} of it overrun ({admitted or 'books'})"
                )

    def _check_bill(self, id: str) -> None:
        billed, known = self.billed[id], self.reservations.get(id)
        if known is None:
            if billed:
                self._is_wrong("I4", f"{id}: billed {billed:,}, and the journal does not know it")
            return
        # Above its bound a provider goes in loose budgets alone; while nobody says so, no ledger can know.
        covered = known.bound if known.state == "open" else known.booked
        if billed > covered and not (is_loose(known.budget) and known.state != "closed"):
            self._is_wrong("I4", f"{id}: billed {billed:,}, and {known.state} at {covered:,}")

    def _check_reconciled(self, id: str, reservation: Reservation) -> None:
        billed = self.billed[id]
        found = reservation.booked, reservation.overrun
        if found != (billed, max(0, billed - reservation.bound)):
            self._is_wrong("I4", f"{id}: billed {billed:,} of {reservation.bound:,}, booked and overrun {found}")

    def _by_scope(self, sums: Mapping[int, Sums], depth: int) -> dict[str, Sums]:
        return {self._scopes[id]: each for id, each in sums.items() if self._scopes[id].count("/") == depth - 1}


def _sums(row: Sequence[int]) -> Sums:
    return Counter(dict(zip(COLUMNS, row, strict=True)))


def _path(scope: str) -> list[str]:
    segments = scope.split("/")
    return ["/".join(segments[:depth]) for depth in range(1, len(segments) + 1)]
