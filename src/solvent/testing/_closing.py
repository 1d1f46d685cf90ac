"""
Promises on how a reservation ends: once, with what was used, whatever comes late or twice.
"""

import pytest

from solvent._operations import Charge, Closed, Extend, Operation, Release, Reserve, Settle
from solvent._records import Account
from solvent.errors import ReservationClosed, ReservationNotFound
from solvent.testing._asking import (
    CALLS,
    PARALLEL,
    RUN,
    TEAM,
    TEAM_USD,
    TOKENS,
    USD,
    everything,
    is_admitted,
    one,
    reserve,
    sums,
)
from solvent.testing._clock import ManualClock
from solvent.testing._faces import Face

METERS = ("usd", "tokens", "input_tokens", "output_tokens", "calls", "branches")
SETTLE, RELEASE = Settle(id="a", actual={"usd": 10}), Release(id="a", reason="not_sent")


def expire(ledger: Face, clock: ManualClock) -> None:
    clock.advance(seconds=121)
    assert ledger.store.expire() == 1


class Closing:
    def test_settling_books_what_was_used_and_frees_the_rest(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60, more=[CALLS]))
        closed = ledger.do(Settle(id="a", actual={"usd": 25}))
        assert isinstance(closed, Closed)
        assert (closed.id, closed.state, closed.overrun, closed.run_total_nanodollars) == ("a", "settled", {}, 25)
        assert [(balance.reserved, balance.spent) for balance in closed.balances] == [(0, 25), (0, 25), (0, 1)]
        assert sums(ledger.store) == sums(ledger.store, TEAM_USD) == (0, 25, 0)
        assert sums(ledger.store, CALLS) == (0, 1, 0)
        assert is_admitted(ledger, reserve("b", 75))

    def test_a_closing_tells_how_its_accounts_stood_right_before(self, ledger: Face) -> None:
        ledger.do(reserve("b", 30))
        ledger.do(reserve("a", 60))
        closed, again = ledger.do(SETTLE), ledger.do(SETTLE)
        assert [(balance.reserved, balance.spent) for balance in closed.before] == [(90, 0), (90, 0)]
        assert [(balance.reserved, balance.spent) for balance in closed.balances] == [(30, 10), (30, 10)]
        assert tuple(again.before) == ()

    def test_what_expires_is_told_as_it_was_closed(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(reserve("a", 60))
        clock.advance(seconds=121)
        told: list[Closed] = []
        assert ledger.store.expire(told.append) == 1
        assert [(closed.id, closed.state) for closed in told] == [("a", "expired")]
        assert [(balance.reserved, balance.spent) for balance in told[0].before] == [(60, 0), (60, 0)]
        assert [(balance.reserved, balance.spent) for balance in told[0].balances] == [(0, 60), (0, 60)]

    def test_a_meter_that_was_not_reserved_is_booked_and_cannot_overrun(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        assert ledger.do(Settle(id="a", actual={"usd": 25, "tokens": 1_000})).overrun == {}
        assert sums(ledger.store, TOKENS) == sums(ledger.store, Account(TEAM, "tokens")) == (0, 1_000, 0)

    def test_a_release_leaves_nothing(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60, more=[CALLS, PARALLEL]))
        assert ledger.do(RELEASE).state == "released"
        assert sums(ledger.store) == sums(ledger.store, CALLS) == sums(ledger.store, PARALLEL) == (0, 0, 0)
        assert is_admitted(ledger, reserve("b", 100))

    def test_what_was_spent_is_booked_above_the_limit_and_admits_nothing_more(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        closed = ledger.do(Settle(id="a", actual={"usd": 130}))
        assert closed.overrun == {"usd": 70}
        assert closed.balances[0].remaining == -30
        assert sums(ledger.store) == (0, 130, 70)
        assert not is_admitted(ledger, reserve("b", 0))

    @pytest.mark.parametrize("meter", METERS)
    def test_an_overrun_takes_nothing_from_another_meter(self, ledger: Face, meter: str) -> None:
        accounts = {each: Account(RUN, each) for each in METERS}
        for id in ("a", "b"):
            charges = [Charge(account=account, amount=3, limit=10) for account in accounts.values()]
            assert is_admitted(ledger, Reserve.of(id=id, scope=RUN, charges=charges))
        ledger.do(Settle(id="a", actual={meter: 2**53 - 1}))
        assert sums(ledger.store, accounts.pop(meter)) == (3, 2**53 - 1, 2**53 - 4)
        for other, account in accounts.items():
            assert sums(ledger.store, account) == (3, 3, 0)
            assert not is_admitted(ledger, one(other, account, 5, limit=10))
            assert is_admitted(ledger, one(other, account, 4, limit=10))

    def test_a_second_overrun_is_added_to_the_first(self, ledger: Face) -> None:
        for id in ("a", "b"):
            ledger.do(reserve(id, 10))
        for id in ("a", "b"):
            ledger.do(Settle(id=id, actual={"usd": 2**53 - 1}))
        assert sums(ledger.store) == (0, 2 * (2**53 - 1), 2 * (2**53 - 11))

    @pytest.mark.parametrize("close", [SETTLE, RELEASE], ids=["settle", "release"])
    def test_closing_twice_gives_the_first_answer_again(self, ledger: Face, close: Settle | Release) -> None:
        ledger.do(reserve("a", 60))
        first = ledger.do(close)
        ledger.do(reserve("b", 20))
        ledger.do(Settle(id="b", actual={"usd": 20}))
        before = everything(ledger.store)
        for again in (close, Settle(id="a", actual={"usd": 99}) if isinstance(close, Settle) else close):
            second = ledger.do(again)
            assert (first.state, first.overrun, first.run_total_nanodollars) == (
                second.state,
                second.overrun,
                second.run_total_nanodollars,
            )
        assert everything(ledger.store) == before

    @pytest.mark.parametrize(
        ("close", "other", "state", "wanted"),
        [
            (SETTLE, RELEASE, "settled", "released"),
            (RELEASE, SETTLE, "released", "settled"),
            (SETTLE, Extend(id="a"), "settled", "extended"),
            (RELEASE, Extend(id="a"), "released", "extended"),
        ],
        ids=["settle, release", "release, settle", "settle, extend", "release, extend"],
    )
    def test_a_reservation_closes_once(
        self, ledger: Face, close: Settle | Release, other: Settle | Release | Extend, state: str, wanted: str
    ) -> None:
        ledger.do(reserve("a", 60))
        ledger.do(close)
        before = everything(ledger.store)
        with pytest.raises(ReservationClosed) as closed:
            ledger.do(other)
        assert (closed.value.id, closed.value.state, closed.value.wanted) == ("a", state, wanted)
        assert everything(ledger.store) == before

    @pytest.mark.parametrize(
        "operation",
        [Settle(id="x", actual={}), Release(id="x", reason=""), Extend(id="x")],
        ids=["settle", "release", "extend"],
    )
    def test_an_unknown_id_is_told(self, ledger: Face, operation: Operation) -> None:
        assert not is_admitted(ledger, reserve("x", 101))  # A refusal does not make it known.
        with pytest.raises(ReservationNotFound) as unknown:
            ledger.do(operation)
        assert unknown.value.id == "x"
        assert list(ledger.store.entries()) == []

    def test_what_expires_is_charged_in_full(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(reserve("a", 60, more=[CALLS]))
        clock.advance(seconds=119)
        assert ledger.store.expire() == 0
        clock.advance(seconds=2)
        assert (ledger.store.expire(), ledger.store.expire()) == (1, 0)
        assert sums(ledger.store) == sums(ledger.store, TEAM_USD) == (0, 60, 0)
        assert sums(ledger.store, CALLS) == (0, 1, 0)
        (*_, entry) = ledger.store.entries()
        assert (entry.kind, entry.call.status, entry.call.estimated) == ("expire", "expired", "expired")
        assert entry.call.cost_nanodollars == 60

    @pytest.mark.parametrize("actual", [25, 60, 85], ids=["less", "the same", "an overrun"])
    def test_the_truth_that_comes_after_an_expiry_is_one_correction(
        self, ledger: Face, clock: ManualClock, actual: int
    ) -> None:
        ledger.do(reserve("a", 60))
        expire(ledger, clock)
        overrun = {"usd": 25} if actual == 85 else {}
        for _ in range(2):
            closed = ledger.do(Settle(id="a", actual={"usd": actual}))
            assert (closed.state, closed.overrun, closed.run_total_nanodollars) == ("corrected", overrun, actual)
            assert sums(ledger.store) == (0, actual, overrun.get("usd", 0))
        assert ledger.do(Settle(id="a", actual={"usd": 1})).run_total_nanodollars == actual
        assert ledger.do(RELEASE).state == "corrected"
        assert sums(ledger.store)[1] == actual
        assert [entry.kind for entry in ledger.store.entries()] == ["reserve", "expire", "correct"]

    def test_a_call_that_was_never_sent_is_given_back_after_its_expiry(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(reserve("a", 60, more=[CALLS]))
        expire(ledger, clock)
        assert ledger.do(RELEASE).state == "corrected"
        assert sums(ledger.store) == sums(ledger.store, CALLS) == (0, 0, 0)

    def test_what_expired_cannot_be_extended(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(reserve("a", 60))
        expire(ledger, clock)
        with pytest.raises(ReservationClosed, match="a is expired and cannot be extended"):
            ledger.do(Extend(id="a"))

    def test_an_extended_reservation_lives_on_and_expires_at_what_it_used(
        self, ledger: Face, clock: ManualClock
    ) -> None:
        ledger.do(reserve("a", 60, more=[PARALLEL]))
        clock.advance(seconds=100)
        ledger.do(Extend(id="a", ttl_seconds=120, so_far={"usd": 70, "tokens": 5}))
        assert sums(ledger.store) == (60, 0, 0)
        clock.advance(seconds=100)
        assert ledger.store.expire() == 0
        clock.advance(seconds=30)
        assert ledger.store.expire() == 1
        assert sums(ledger.store) == (0, 70, 10)  # More than was reserved was used by then.
        assert sums(ledger.store, TOKENS) == (0, 5, 0)
        assert ledger.do(Settle(id="a", actual={"usd": 65, "tokens": 4})).overrun == {"usd": 5}
        assert sums(ledger.store) == (0, 65, 5)
        assert sums(ledger.store, TOKENS) == (0, 4, 0)

    def test_less_used_so_far_than_reserved_expires_in_full(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(reserve("a", 60))
        ledger.do(Extend(id="a", ttl_seconds=120, so_far={"usd": 10}))
        expire(ledger, clock)
        assert sums(ledger.store) == (0, 60, 0)

    def test_use_that_is_told_late_takes_nothing_back(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(reserve("a", 60))
        for so_far in ({"usd": 70}, {"usd": 65, "tokens": 5}, {}, {"tokens": 4}):
            ledger.do(Extend(id="a", ttl_seconds=120, so_far=so_far))
        expire(ledger, clock)
        assert sums(ledger.store) == (0, 70, 10)
        assert sums(ledger.store, TOKENS) == (0, 5, 0)

    @pytest.mark.parametrize("way", ["settle", "settle at more", "release", "expire", "correct"])
    def test_the_gauge_of_open_calls_closes_at_0_on_every_path(
        self, ledger: Face, clock: ManualClock, way: str
    ) -> None:
        ledger.do(reserve("a", 60, more=[PARALLEL]))
        assert sums(ledger.store, PARALLEL) == (1, 0, 0)
        if way in ("expire", "correct"):
            expire(ledger, clock)
        if way == "release":
            ledger.do(RELEASE)
        if way in ("settle", "settle at more", "correct"):
            ledger.do(Settle(id="a", actual={"usd": 1, **({} if way == "settle" else {"parallel": 3})}))
        assert sums(ledger.store, PARALLEL) == (0, 0, 0)

    def test_a_checked_meter_is_refused_once_more_was_booked_than_allowed(self, ledger: Face) -> None:
        tools = Account(RUN, "tool_calls")
        for id, used in (("a", 2), ("b", 1)):
            assert is_admitted(ledger, one(id, tools, 0, limit=2))
            assert ledger.do(Settle(id=id, actual={"tool_calls": used})).overrun == {}  # It is never reserved.
        assert sums(ledger.store, tools) == (0, 3, 0)
        assert not is_admitted(ledger, one("c", tools, 0, limit=2))
        assert is_admitted(ledger, one("d", tools, 0, limit=3))

    def test_the_running_total_is_that_of_the_run(self, ledger: Face) -> None:
        for id, actual, total in (("a", 5, 5), ("b", 7, 12)):
            ledger.do(reserve(id, 20))
            assert ledger.do(Settle(id=id, actual={"usd": actual})).run_total_nanodollars == total
        ledger.do(one("c", TEAM_USD, 9))
        assert ledger.do(Settle(id="c", actual={"usd": 9})).run_total_nanodollars is None
        assert sums(ledger.store, USD) == (0, 12, 0)
