"""
What a ledger in memory knows by its ids: reservations, notes, and changes of limits.
"""

from collections import OrderedDict
from collections.abc import Mapping

from solvent._operations import Note, Reserve, SetLimit, TopUp
from solvent._records import Account, Place, State
from solvent.stores._books import Plan
from solvent.stores._closing import CLOSED_BY, Held
from solvent.stores._lines import Line

NO_OVERRUN: Mapping[str, int] = {}


class Reservation:
    """
    A reservation, and how it was closed.
    """

    __slots__ = ("deadline_ns", "held", "numbers", "overrun", "plan", "request", "run_total", "so_far", "state")

    def __init__(self, request: Reserve, plan: Plan, held: int, deadline_ns: int) -> None:
        self.request = request
        self.plan = plan
        self.numbers = plan.numbers
        self.held = held
        self.deadline_ns = deadline_ns
        self.state: State = "open"
        self.so_far: Mapping[str, int] = {}
        self.overrun = NO_OVERRUN
        self.run_total: int | None = None

    def buckets(self) -> dict[Place, int]:
        """
        The number of the bucket that it belongs to, by place.
        """
        return dict(zip((tally.place for tally in self.plan.tallies), self.numbers, strict=True))


About = Reservation | Note | TopUp | SetLimit  # What an entry is about.


class Known:
    """
    What was asked before.

    Args:
        closed_max: Of how many closed reservations the answers are kept, and of how many notes that they were made.
    """

    def __init__(self, *, closed_max: int) -> None:
        self.open: dict[str, Reservation] = {}
        self.closed: OrderedDict[str, Reservation] = OrderedDict()
        self.notes: OrderedDict[tuple[str, str], None] = OrderedDict()  # By kind and id.
        self.adjusted: dict[str, TopUp | SetLimit] = {}  # All that there were: people make them.
        self._closed_max = closed_max

    def learn(self, line: Line, about: About, overrun: Mapping[str, int]) -> None:
        """
        Remember an entry. Done again, it changes nothing.

        Args:
            overrun: Of a closing, what was used above the reservation.
        """
        id = line.id
        if isinstance(about, Reservation):
            if line.kind == "reserve":
                self.open[id] = about
            else:
                about.state, about.overrun, about.run_total = CLOSED_BY[line.kind], overrun, line.run_total
                self.closed[id] = about
                self.open.pop(id, None)
                while len(self.closed) > self._closed_max:
                    self.closed.popitem(last=False)
        elif isinstance(about, Note):
            self.notes[about.kind, id] = None
            while len(self.notes) > self._closed_max:
                self.notes.popitem(last=False)
        else:
            self.adjusted[id] = about

    def held_by(self, id: str) -> Held | None:
        known = self.open.get(id)
        return None if known is None else Held(known.buckets(), known.request.amounts)

    def open_in(self, account: Account, counting: range) -> int:
        """
        How many open reservations hold amounts in these buckets of an account.
        """
        return sum(
            known.buckets().get(account.place) in counting and bool(known.request.amounts.get(account.meter))
            for known in list(self.open.values())
        )
