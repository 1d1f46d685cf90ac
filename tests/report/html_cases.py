"""
Ledgers that are hard to draw: nothing in them, one call, no prices, very much, and names that nobody would choose.
"""

from collections.abc import Callable, Mapping

from clocks import ManualClock
from msgspec import Struct
from run_journal import CENT, START, RunJournal

from solvent._limits import Scope
from solvent._operations import TopUp
from solvent._records import Account
from solvent.stores.memory import MemoryStore

RUN = "run:triage"
LONG = "a-model-of-a-name-that-nobody-would-ever-choose-" * 4 + "0123456789"
SCRIPT = "<script>alert('x')</script>&\"><img src=x onerror=alert(1)>"


class Case(Struct, frozen=True, kw_only=True):
    """
    A ledger in memory and the scope that a page is to be made of.
    """

    store: MemoryStore
    clock: ManualClock
    scope: str | None = RUN


class _Writer:
    def __init__(self, limits: Mapping[str, int] | None = None, *, scope: str = RUN) -> None:
        self.clock = ManualClock(START)
        self.store = MemoryStore(clock=self.clock)
        self.journal = RunJournal(self.store, scope, limits={"usd": 100 * CENT} if limits is None else limits)
        self.journal.open(started=self.clock.now_ns())

    def call(self, scope: str, cost: int | None, *, seconds: float = 7, **record: object) -> None:
        """
        One call in a scope below the run's; its name is part of a path and so must be as one.
        """
        self.clock.advance(seconds=seconds)
        journal = RunJournal(self.store, scope, limits=self.journal.limits)
        now = self.clock.now_ns()
        told = {"status": "200", "started": now, "ended": now, "usage": {"input_tokens": 900, "output_tokens": 80}}
        id = f"call-{now}"
        journal.terms = lambda _: self.journal.terms(self.journal.limits)  # type: ignore[method-assign]  # Of the run.
        journal.reserve(cost or CENT, id=id)
        journal.settle(id, cost, bound=cost or CENT, **{**told, **record})

    def case(self, *, scope: str | None = RUN, is_closed: bool = True) -> Case:
        self.clock.advance(seconds=3)
        if is_closed:
            self.journal.close(ended=self.clock.now_ns())
        return Case(store=self.store, clock=self.clock, scope=scope)


def none() -> Case:
    return _Writer().case()


def never_opened() -> Case:
    clock = ManualClock(START)
    return Case(store=MemoryStore(clock=clock), clock=clock, scope=None)


def one() -> Case:
    writer = _Writer()
    writer.call(RUN, 2 * CENT)
    return writer.case()


def unpriced() -> Case:
    writer = _Writer({"calls": 50})
    for number in range(5):
        writer.call(f"{RUN}/agent:{'ab'[number % 2]}", None, price_source=None)
    return writer.case()


def names() -> Case:
    writer = _Writer()
    kinds = (
        "研究エージェント",
        "Исследователь-документов",
        "باحث-الوثائق",
        "שלום עולם",
        "🦊🦊🦊",
        SCRIPT,
        LONG,
        "a b\tc",
    )
    for number, name in enumerate(kinds, 1):
        path = str(Scope((("run", "triage"), ("agent", name), ("step", f"{name[:40]}-{number}"))))
        writer.call(path, number * CENT // 4, model_used=name, estimated="cut" if number % 3 == 0 else None)
    writer.journal.refuse("price_unknown", f"{LONG!r} has no price.\nTo go on: give one.", model=LONG)
    writer.journal.refuse("budget_exceeded", SCRIPT, meter="usd", model=SCRIPT)
    return writer.case()


def wide() -> Case:
    writer = _Writer()
    for number in range(60):
        writer.call(f"{RUN}/agent:a{number:02}", (60 - number) * CENT // 100)
    return writer.case()


def deep() -> Case:
    writer = _Writer()
    path = RUN
    for number in range(14):
        path += f"/agent:level-{number}"
        writer.call(path, CENT)
    return writer.case()


def many() -> Case:
    """
    800 calls up to a limit that is raised once, and past it; the last ones are refused.
    """
    writer = _Writer({"usd": 50 * CENT})
    for number in range(800):
        if number == 500:
            raised = TopUp(id="more", account=Account(RUN, "usd"), amount=40 * CENT)
            writer.store.apply([raised])
        agent = "planner" if number % 3 else "coder"
        writer.call(f"{RUN}/agent:{agent}", CENT // 12 + number % 7, seconds=4, attempt=int(number % 50 == 0))
        if number % 40 == 0:
            writer.journal.refuse("budget_exceeded", "run:triage has $0.00 left.", meter="usd")
    last = writer.journal.reserve(CENT, id="the-last")
    writer.journal.settle(last, 30 * CENT, bound=CENT, ended=writer.clock.now_ns())
    return writer.case(is_closed=False)


def held() -> Case:
    writer = _Writer({"usd": 40 * CENT})
    writer.call(f"{RUN}/agent:done", 9 * CENT)
    writer.journal.reserve(20 * CENT)
    return writer.case(is_closed=False)


CASES: Mapping[str, Callable[[], Case]] = {
    "deep": deep,
    "held": held,
    "many": many,
    "names": names,
    "never_opened": never_opened,
    "none": none,
    "one": one,
    "unpriced": unpriced,
    "wide": wide,
}
