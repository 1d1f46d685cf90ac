"""
The balances of a ledger in memory, and the rule on them.

An interrupt from the keyboard may come after any call and wherever a loop begins anew. What it must not part is changed
by one statement that calls nothing; sums that it left half changed are read anew from the journal.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import overload

from msgspec import Struct

from solvent._ledger import is_run, limit_in_force
from solvent._limits import METERS, span
from solvent._records import Account, Balance, Place, Terms
from solvent.stores._lanes import GUARDS, lane, pack_limits, unpack

PLANS_MAX = 4_096


class Extra(Struct, frozen=True, gc=False, kw_only=True):
    """
    What only few places have.

    Attributes:
        overrides: Limits that were set in place of those that come with charges.
        topped_up: Packed, of the buckets that count now.
        is_full: What was reserved before the machine's last start may still count.
    """

    overrides: Mapping[str, int]
    topped_up: int = 0
    is_full: bool = False

    def limit(self, meter: str, limit: int | None) -> int | None:
        return limit_in_force(limit, override=self.overrides.get(meter), topped_up=lane(self.topped_up, meter))


def _extra(overrides: Mapping[str, int], topped_up: int, is_full: bool) -> Extra | None:
    has_any = overrides or topped_up or is_full
    return Extra(overrides=overrides, topped_up=topped_up, is_full=is_full) if has_any else None


Sums = tuple[int, int, int, Extra | None]  # Used (spent and reserved), spent, overrun: packed.


class Tally:
    """
    The sums of one place: of each bucket, and of those that count now together.
    """

    __slots__ = (
        *("buckets", "extra", "first", "forgotten", "ids", "key", "last", "overrides", "overrun", "place", "spent"),
        *("until_ns", "used", "window"),
    )

    def __init__(self, place: Place) -> None:
        self.place = place
        self.window = place[1]
        self.key: int | None = None  # Of its row, where it has one; ``ids`` are those of its buckets.
        self.ids: dict[int, int] = {}
        self.forgotten = 0  # Buckets below are over for good, and nothing that comes late is booked there.
        self.reset()

    def reset(self) -> None:
        self.buckets: dict[int, list[int]] = {}  # By number: used, spent, overrun, topped up. Not without a window.
        self.overrides: dict[str, int] = {}
        self.used = self.spent = self.overrun = 0
        self.extra: Extra | None = None
        self.first = self.last = self.until_ns = 0

    def move(self, now_ns: int, full_until_ns: int = 0) -> None:
        """
        Let the buckets count that do so now. Time that goes back moves nothing.
        """
        if now_ns < self.until_ns or not self.window:
            return
        moved_until_ns = self.until_ns
        first, last, until_ns = span(self.window, now_ns)
        counting = [sums for number in range(first, last + 1) if (sums := self.buckets.get(number))]
        used, spent, overrun, topped_up = (sum(part) for part in zip([0] * 4, *counting, strict=True))
        extra = _extra(self.overrides, topped_up, self.window == "minute" and now_ns < full_until_ns)
        moved = first, last, until_ns, used, spent, overrun, extra
        if self.until_ns == moved_until_ns:  # Else a finalizer has moved it, and may have posted since.
            # One statement that calls nothing: no interrupt can come in the middle of it.
            self.first, self.last, self.until_ns, self.used, self.spent, self.overrun, self.extra = moved

    def post(self, number: int, used: int, spent: int, overrun: int) -> None:
        if self.window:
            if number < self.forgotten:
                return
            sums = self._bucket(number)
            sums[0] += used
            sums[1] += spent
            sums[2] += overrun
            if not self.first <= number <= self.last:
                return
        self.used += used
        self.spent += spent
        self.overrun += overrun

    def top_up(self, number: int, amount: int) -> None:
        self._bucket(number)[3] += amount
        extra = self.extra or Extra(overrides=self.overrides)
        self.extra = _extra(self.overrides, extra.topped_up + amount, extra.is_full)

    def set_limit(self, meter: str, limit: int | None) -> None:
        self.overrides = {name: value for name, value in self.overrides.items() if name != meter}
        if limit is not None:
            self.overrides[meter] = limit
        extra = self.extra or Extra(overrides=self.overrides)
        self.extra = _extra(self.overrides, extra.topped_up, extra.is_full)

    def load(self, rows: Iterable[tuple[int, int, int, int, int]], overrides: Mapping[str, int]) -> None:
        """
        Take the sums from elsewhere: number, used, spent, overrun and topped up of each bucket.
        """
        self.reset()
        self.overrides = dict(overrides)
        for number, *sums in rows:
            self.buckets[number] = sums
        if not self.window:
            self.used, self.spent, self.overrun, topped_up = self._bucket(0)
            self.extra = _extra(self.overrides, topped_up, is_full=False)

    def forget(self, number: int) -> None:
        """
        Drop the buckets below, unless something is still reserved in one of them.
        """
        old = [at for at in self.buckets if at < number]
        if all(self.buckets[at][0] == self.buckets[at][1] for at in old):
            self.forgotten = number  # First: what an interrupt then leaves of them counts no more.
            for at in old:
                self.buckets.pop(at, None)

    def sums(self) -> Sums:
        return self.used, self.spent, self.overrun, self.extra

    def counting(self) -> range:
        """
        The numbers of the buckets that count now.
        """
        return range(self.first, self.last + 1)

    def _bucket(self, number: int) -> list[int]:
        sums = self.buckets.get(number)
        if sums is None:
            sums = self.buckets.setdefault(number, [0, 0, 0, 0])  # A finalizer may have come first.
        return sums


class Plan:
    """
    What the terms of a path come to: its tallies, and their limits packed.
    """

    __slots__ = (
        *("_limits", "_lines", "_plain", "_windowed", "is_windowed", "key", "numbers", "run"),
        *("tallies", "terms", "where"),
    )

    def __init__(self, terms: Terms, tallies: tuple[Tally, ...]) -> None:
        self.terms = terms
        self.tallies = tallies
        self.key: int | None = None  # Of its row, where it has one.
        self._limits: list[dict[str, int | None]] = [{} for _ in tallies]
        by_place = dict(zip(terms.places, self._limits, strict=True))
        for account, limit in zip(terms.accounts, terms.limits, strict=True):
            by_place[account.place][account.meter] = limit
        self._lines = [
            (tally, pack_limits(limits), limits) for tally, limits in zip(tallies, self._limits, strict=True)
        ]
        positions = {place: position for position, place in enumerate(terms.places)}
        self.where = tuple(positions[account.place] for account in terms.accounts)
        self._plain = [tally for tally in tallies if not tally.window]
        self._windowed = [(position, tally) for position, tally in enumerate(tallies) if tally.window]
        self.is_windowed = bool(self._windowed)
        self.numbers: tuple[int, ...] = (0,) * len(tallies)
        self.run = next((tally for tally in tallies if is_run(tally.place)), None)

    def move(self, now_ns: int, full_until_ns: int = 0) -> None:
        for _, tally in self._windowed:
            tally.move(now_ns, full_until_ns)
        self.numbers = tuple([tally.last for tally in self.tallies])

    def fits(self, want: int) -> bool:
        for tally, limits, by_meter in self._lines:
            if tally.extra is not None:
                limits = _pack_in_force(by_meter, tally.used, tally.extra)
            if (limits - tally.used - want) & GUARDS != GUARDS:
                return False
        return True

    def post(self, numbers: Sequence[int], used: int, spent: int = 0, overrun: int = 0) -> None:
        if spent or overrun:
            for tally in self._plain:
                tally.used += used
                tally.spent += spent
                tally.overrun += overrun
        else:
            for tally in self._plain:
                tally.used += used
        for position, tally in self._windowed:
            tally.post(numbers[position], used, spent, overrun)

    def run_total(self, more: int = 0) -> int | None:
        """
        What the path's run has spent in nanodollars, with ``more`` (packed); ``None`` without a run.
        """
        return None if self.run is None else lane(self.run.spent + more, "usd")

    def standing(self) -> "Standing":
        sums = [(tally.used, tally.spent, tally.overrun, tally.extra) for tally in self.tallies]
        return Standing(self, tuple(sums))

    def all_balances(self) -> tuple[Balance, ...]:
        """
        The balances of the terms' accounts, then those of others in their places that the store itself limits.
        """
        own = [
            Account(tally.place[0], meter, tally.place[1])
            for tally, limits in zip(self.tallies, self._limits, strict=True)
            for meter in METERS
            if meter in tally.overrides and meter not in limits
        ]
        sums = {tally.place: tally.sums() for tally in self.tallies}
        return (*self.standing(), *(balance_of(account, None, sums[account.place]) for account in own))


class Standing(Sequence[Balance]):
    """
    The balances of a path's accounts as they were at one moment, worked out when somebody looks.
    """

    __slots__ = ("_plan", "_sums")

    def __init__(self, plan: Plan, sums: tuple[Sums, ...]) -> None:
        self._plan = plan
        self._sums = sums

    def __len__(self) -> int:
        return len(self._plan.terms.accounts)

    @overload
    def __getitem__(self, position: int) -> Balance: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Balance, ...]: ...
    def __getitem__(self, position: int | slice) -> Balance | tuple[Balance, ...]:
        terms = self._plan.terms
        if isinstance(position, slice):
            return tuple(self[at] for at in range(*position.indices(len(self))))
        account = terms.accounts[position]
        return balance_of(account, terms.limits[position], self._sums[self._plan.where[position]])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __repr__(self) -> str:
        return repr(tuple(self))


class Books:
    """
    Every tally that was asked for, by place, and every plan.
    """

    def __init__(self) -> None:
        self.tallies: dict[Place, Tally] = {}
        self._plans: dict[Terms, Plan] = {}

    def tally(self, place: Place) -> Tally:
        tally = self.tallies.get(place)
        if tally is None:
            tally = self.tallies.setdefault(place, Tally(place))  # A finalizer may have come first.
        return tally

    def plan(self, terms: Terms) -> Plan:
        plan = self._plans.get(terms)
        if plan is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            plan = self._plans[terms] = Plan(terms, tuple(self.tally(place) for place in terms.places))
        return plan

    def clear(self) -> None:
        self.tallies.clear()
        self._plans.clear()


def balance_of(account: Account, limit: int | None, sums: Sums) -> Balance:
    used, spent, overrun, extra = sums
    meter = account.meter
    booked = lane(spent, meter)
    reserved = lane(used, meter) - booked
    topped_up = 0
    if extra is not None:
        topped_up = lane(extra.topped_up, meter)
        limit = extra.limit(meter, limit)
        if extra.is_full and limit is not None:
            reserved = max(reserved, limit - booked)
    above = lane(overrun, meter)
    return Balance(account=account, limit=limit, spent=booked, reserved=reserved, overrun=above, topped_up=topped_up)


def balances_of(tallies: Iterable[Tally]) -> list[Balance]:
    """
    The accounts in which there is something: by place, and in the order of meters.
    """
    found = []
    for tally in sorted(tallies, key=lambda tally: tally.place):
        used, _, overrun, extra = sums = tally.sums()
        named = {*unpack(used), *unpack(overrun), *tally.overrides, *unpack(extra.topped_up if extra else 0)}
        accounts = (Account(tally.place[0], meter, tally.place[1]) for meter in METERS if meter in named)
        found += [balance_of(account, None, sums) for account in accounts]
    return found


def limits_kept(tallies: Iterable[Tally]) -> dict[Account, int]:
    """
    The limits that were set.
    """
    return {
        Account(tally.place[0], meter, tally.place[1]): limit
        for tally in tallies
        for meter, limit in tally.overrides.items()
    }


def kept(tallies: Iterable[Tally]) -> dict[tuple[Account, int], tuple[int, int, int, int]]:
    """
    Every bucket's reserved, spent, overrun and topped up, account by account.
    """
    found = {}
    for tally in tallies:
        buckets: Mapping[int, Sequence[int]] = tally.buckets
        if not tally.window:
            topped_up = tally.extra.topped_up if tally.extra else 0
            buckets = {0: (tally.used, tally.spent, tally.overrun, topped_up)}
        for number, (used, spent, overrun, topped_up) in buckets.items():
            if number < tally.forgotten:
                continue
            parts = [unpack(part) for part in (used - spent, spent, overrun, topped_up)]
            for meter in {meter for part in parts for meter in part}:
                reserved, booked, above, added = (part.get(meter, 0) for part in parts)
                found[Account(tally.place[0], meter, tally.place[1]), number] = reserved, booked, above, added
    return found


def _pack_in_force(limits: Mapping[str, int | None], used: int, extra: Extra) -> int:
    in_force: dict[str, int | None] = {meter: extra.limit(meter, limits.get(meter)) for meter in METERS}
    if extra.is_full:  # Nothing more goes in, but a checked meter asks for nothing.
        in_force = {
            meter: None if limit is None else min(limit, lane(used, meter)) for meter, limit in in_force.items()
        }
    return pack_limits(in_force)
