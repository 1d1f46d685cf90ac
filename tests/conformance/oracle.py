"""
The ledger once more, slow and obvious: a list of bookings that is added up whenever somebody asks.

No lanes, no buckets, no caches; of ``solvent`` it uses the words (operations, answers, accounts) and none of the rules.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from window_names import name_of

from solvent._limits import METERS
from solvent._operations import (
    Charge,
    Closed,
    Done,
    Extend,
    Note,
    Refusal,
    Release,
    Reserve,
    Reserved,
    SetLimit,
    Settle,
    TopUp,
)
from solvent._records import Account, Balance
from solvent.errors import IdConflict, ReservationClosed, ReservationNotFound, SolventError

LARGEST = 2**53 - 1
SECOND = 10**9


@dataclass
class Booking:
    """
    An amount in one account, since an instant of the ledger's time.
    """

    since: int
    reserved: int = 0
    spent: int = 0
    overrun: int = 0
    topped_up: int = 0


@dataclass
class Hold:
    request: Reserve
    since: int
    deadline: int
    state: str = "open"
    so_far: dict = field(default_factory=dict)
    booked: dict = field(default_factory=dict)
    overrun: dict = field(default_factory=dict)
    total: int | None = None


class Oracle:
    def __init__(self, clock):
        self._clock = clock
        self._ahead = clock.now_ns() - clock.uptime_ns()
        self.bookings = defaultdict(list)
        self.holds = {}
        self.limits = {}
        self.changes = {}
        self.journal = []
        self.marks = set()

    def apply(self, operation):
        try:
            return self._apply(operation)
        except SolventError as error:
            self.marks.add(type(error).__name__)
            return error

    def _apply(self, operation):
        match operation:
            case Reserve():
                return self._reserve(operation)
            case Settle() | Release():
                return self._close(operation)
            case Extend():
                return self._extend(operation)
            case Note():
                if (operation.kind, operation.id) not in self.journal:
                    self.journal.append((operation.kind, operation.id))
                return Done(id=operation.id)
            case TopUp() | SetLimit():
                return self._change(operation)

    def expire(self):
        now = self._clock.uptime_ns()
        due = [(id, hold) for id, hold in self.holds.items() if hold.state == "open" and hold.deadline < now]
        for id, hold in due:
            booked = {**hold.request.amounts, **hold.so_far}
            for meter, amount in hold.request.amounts.items():
                booked[meter] = max(amount, booked[meter])
                if booked[meter] > amount:
                    self.marks.add("expired above the reservation")
            self._book(id, hold, booked, "expired", "expire")
        return len(due)

    def balances(self):
        found = []
        for account in sorted(
            {*self.bookings, *self.limits}, key=lambda each: (each.scope, each.window, METERS.index(each.meter))
        ):
            balance = self._balance(account, None)
            if balance != Balance(account=account) or account in self.limits:
                found.append(balance)
        return found

    def _now(self):
        return self._clock.uptime_ns() + self._ahead

    def _reserve(self, operation):
        id, now = operation.id, self._now()
        known = self.holds.get(id)
        if known is not None:
            first = known.request
            if (first.scope, first.terms.accounts, first.amounts) != (
                operation.scope,
                operation.terms.accounts,
                operation.amounts,
            ):
                raise IdConflict(id=id)
            self.marks.add("repeated")
            return Reserved(id=id, state=known.state, balances=self._listed(operation))
        failing = self._failing(operation)
        if failing is not None:
            return failing
        for scope, window in self._places(operation):
            for meter, amount in operation.amounts.items():
                account = Account(scope, meter, window)
                if self._sum(account, "spent"):
                    self.marks.add("reserved beside spent")
                self.bookings[account].append(Booking(now, reserved=amount))
        deadline = self._clock.uptime_ns() + int(operation.ttl_seconds * SECOND)
        self.holds[id] = Hold(operation, now, deadline)
        self.journal.append(("reserve", id))
        self.marks.add("admitted")
        return Reserved(id=id, state="open", balances=self._listed(operation))

    def _failing(self, operation):
        listed = self.all_balances(operation)
        for balance in listed:
            asked = operation.amounts.get(balance.account.meter, 0)
            if balance.limit is None or balance.spent + balance.reserved + asked <= balance.limit:
                continue
            charges = {charge.account: charge for charge in operation.charges}
            charge = Charge(account=balance.account, amount=asked, limit=balance.limit)
            in_the_way = [
                hold
                for hold in self.holds.values()
                if hold.state == "open"
                and balance.account.place in self._places(hold.request)
                and self._counts(balance.account.window, hold.since)
                and hold.request.amounts.get(balance.account.meter)
            ]
            self.marks.add("refused: spent" if balance.spent + asked > balance.limit else "refused: only reserved")
            if balance.account not in charges:
                self.marks.add("refused: by a limit of the store's own")
            if balance.account.meter in ("parallel", "tool_calls"):
                self.marks.add(f"refused: {balance.account.meter}")
            if balance.account.window:
                self.marks.add(f"refused: {balance.account.window.partition('@')[0]}")
            return Refusal(
                charge=charges.get(balance.account, charge),
                balance=balance,
                balances=listed,
                open_count=len(in_the_way),
            )
        return None

    def _close(self, operation):
        id, hold = operation.id, self.holds.get(operation.id)
        if hold is None:
            raise ReservationNotFound(id=id)
        before = self._listed(hold.request)
        wanted = "settled" if isinstance(operation, Settle) else "released"
        if isinstance(operation, Settle):
            booked = {**hold.request.amounts, **operation.actual}
        else:
            booked = dict.fromkeys(hold.request.amounts, 0)
        if hold.state == "open":
            self._book(id, hold, booked, wanted, "settle" if wanted == "settled" else "release")
        elif hold.state == "expired":
            self._book(id, hold, booked, "corrected", "correct")
        elif hold.state in (wanted, "corrected"):
            self.marks.add("closed again")
            before = []
        else:
            raise ReservationClosed(id=id, state=hold.state, wanted=wanted)
        balances = self._listed(hold.request)
        return Closed(
            id=id,
            state=hold.state,
            balances=balances,
            before=before,
            overrun=hold.overrun,
            run_total_nanodollars=hold.total,
        )

    def _book(self, id, hold, booked, state, kind):
        """
        Take back what this reservation holds or has booked by now, and book this instead, where it was made.
        """
        held = hold.request.amounts
        booked = {meter: 0 if meter == "parallel" else amount for meter, amount in booked.items()}
        overrun = {
            meter: booked[meter] - amount
            for meter, amount in held.items()
            if meter not in ("tool_calls", "retries") and booked[meter] > amount
        }
        for scope, window in self._places(hold.request):
            for meter in booked.keys() | hold.booked.keys():
                self.bookings[Account(scope, meter, window)].append(
                    Booking(
                        hold.since,
                        reserved=-held.get(meter, 0) if hold.state == "open" else 0,
                        spent=booked.get(meter, 0) - hold.booked.get(meter, 0),
                        overrun=overrun.get(meter, 0) - hold.overrun.get(meter, 0),
                    )
                )
            if window and not self._counts(window, hold.since):
                self.marks.add("booked into a window that is over")
        self._mark(hold, booked, overrun, state)
        hold.state, hold.booked, hold.overrun = state, booked, overrun
        places = self._places(hold.request)
        runs = [scope for scope, window in places if not window and scope.split("/")[-1].startswith("run:")]
        hold.total = self._sum(Account(runs[0], "usd"), "spent") if runs else None
        self.journal.append((kind, id))

    def _mark(self, hold, booked, overrun, state):
        self.marks.add(state)
        if overrun:
            self.marks.add("overrun")
        if state == "corrected":
            before, after = hold.booked.get("usd", 0), booked.get("usd", 0)
            self.marks.add("corrected down" if after < before else "corrected up" if after > before else "corrected")

    def _extend(self, operation):
        hold = self.holds.get(operation.id)
        if hold is None:
            raise ReservationNotFound(id=operation.id)
        if hold.state != "open":
            raise ReservationClosed(id=operation.id, state=hold.state, wanted="extended")
        hold.deadline = self._clock.uptime_ns() + int(operation.ttl_seconds * SECOND)
        for meter, amount in operation.so_far.items():
            hold.so_far[meter] = max(amount, hold.so_far.get(meter, 0))
        return Done(id=operation.id)

    def _change(self, operation):
        known = self.changes.get(operation.id)
        if known is not None:
            if known != operation:
                raise IdConflict(id=operation.id)
            return Done(id=operation.id)
        account = operation.account
        if isinstance(operation, TopUp):
            self.bookings[account].append(Booking(self._now(), topped_up=operation.amount))
        elif operation.limit is None:
            self.marks.add("limit given back" if account in self.limits else "no limit to give back")
            self.limits.pop(account, None)
        else:
            if operation.limit < self._sum(account, "spent"):
                self.marks.add("limit below what is spent")
            self.limits[account] = operation.limit
        self.changes[operation.id] = operation
        self.journal.append(("top_up" if isinstance(operation, TopUp) else "set_limit", operation.id))
        return Done(id=operation.id)

    def _places(self, request):
        places = []
        for account in request.terms.accounts:
            if (account.scope, account.window) not in places:
                places.append((account.scope, account.window))
        return places

    def all_balances(self, request):
        """
        The balances of a request's accounts, then those in its places that were given a limit.
        """
        given = [Account(scope, meter, window) for scope, window in self._places(request) for meter in METERS]
        own = [account for account in given if account in self.limits and account not in request.terms.accounts]
        return self._listed(request) + [self._balance(account, None) for account in own]

    def _listed(self, request):
        return [self._balance(charge.account, charge.limit) for charge in request.charges]

    def _balance(self, account, limit):
        parts = {part: self._sum(account, part) for part in ("reserved", "spent", "overrun", "topped_up")}
        limit = self.limits.get(account, limit)
        if limit is not None and self.limits.get(account) != 0:
            limit = min(limit + parts["topped_up"], LARGEST)
        return Balance(account=account, limit=limit, **parts)

    def _sum(self, account, part):
        bookings = self.bookings.get(account, ())
        return sum(getattr(each, part) for each in bookings if self._counts(account.window, each.since))

    def _counts(self, window, since):
        """
        Whether what was booked at an instant still counts.
        """
        if window == "minute":
            return self._now() // SECOND - since // SECOND <= 60
        return name_of(window, since) == name_of(window, self._now())
