"""
Promises on windows: they begin when their calendar says so, and no step of the wall clock moves them.
"""

import random
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from solvent._operations import Refusal, Settle
from solvent._records import Account
from solvent.testing._asking import RUN, is_admitted, one, sums
from solvent.testing._clock import ManualClock
from solvent.testing._faces import Face

Opened = Callable[[ManualClock], Face]

HOUR, DAY = 3_600, 86_400
MINUTE = Account(RUN, "usd", "minute")
MINUTE_NS = 60 * 10**9
LIMIT = 100

# A window, an instant (UTC), and how many seconds later the window begins anew.
BEGINNINGS = {
    "hour": ("hour@UTC", "2026-03-01T12:34:56", 1_504),
    "hour of a zone 45 minutes off": ("hour@Asia/Kathmandu", "2026-03-01T12:00:00", HOUR // 4),
    "the hour before clocks go back": ("hour@Europe/Berlin", "2026-10-25T00:30:00", HOUR // 2),
    "the hour of the same name after it": ("hour@Europe/Berlin", "2026-10-25T01:30:00", HOUR // 2),
    "the hour before clocks go forward": ("hour@Europe/Berlin", "2026-03-29T00:10:00", 50 * 60),
    "half an hour that is skipped": ("hour@Australia/Lord_Howe", "2026-10-03T15:31:00", 29 * 60),
    "the hour before half an hour comes twice": ("hour@Australia/Lord_Howe", "2026-04-04T14:10:00", 50 * 60),
    "half an hour that comes twice": ("hour@Australia/Lord_Howe", "2026-04-04T15:01:00", 29 * 60),
    "an hour that begins at a quarter": ("hour@Pacific/Chatham", "2026-04-04T14:16:00", 59 * 60),
    "day": ("day@UTC", "2026-03-01T12:00:00", DAY // 2),
    "a day of 23 hours": ("day@Europe/Berlin", "2026-03-28T23:00:00", 23 * HOUR),
    "a day of 25 hours": ("day@Europe/Berlin", "2026-10-24T22:00:00", 25 * HOUR),
    "a day of 23.5 hours": ("day@Australia/Lord_Howe", "2026-10-03T13:30:00", 23 * HOUR + HOUR // 2),
    "a day of 24.5 hours": ("day@Australia/Lord_Howe", "2026-04-04T13:00:00", 24 * HOUR + HOUR // 2),
    "a day that begins at one": ("day@Asia/Beirut", "2026-03-28T22:00:00", 23 * HOUR),
    "the leap day": ("day@UTC", "2028-02-29T00:00:00", DAY),
    "week": ("week@UTC", "2026-02-25T00:00:00", 5 * DAY),
    "a week of 167 hours": ("week@Europe/Berlin", "2026-03-22T23:00:00", 7 * DAY - HOUR),
    "a week over the new year": ("week@UTC", "2026-12-28T00:00:00", 7 * DAY),
    "the last second of a month": ("month@UTC", "2026-01-31T23:59:59", 1),
    "February": ("month@UTC", "2027-02-01T00:00:00", 28 * DAY),
    "February of a leap year": ("month@UTC", "2028-02-01T00:00:00", 29 * DAY),
    "December": ("month@UTC", "2026-12-01T00:00:00", 31 * DAY),
    "a month with a clock change": ("month@Europe/Berlin", "2026-02-28T23:00:00", 31 * DAY - HOUR),
}


class Windows:
    @pytest.mark.parametrize(("window", "start", "seconds"), BEGINNINGS.values(), ids=BEGINNINGS)
    def test_a_window_admits_anew_when_it_begins(self, opened: Opened, window: str, start: str, seconds: int) -> None:
        account, clock = Account(RUN, "usd", window), ManualClock(start)
        ledger = opened(clock)
        assert is_admitted(ledger, one("a", account, 80))
        clock.advance(seconds=seconds - 1)
        assert not is_admitted(ledger, one("b", account, 80))
        clock.advance(seconds=1)
        assert is_admitted(ledger, one("b", account, 80))
        assert not is_admitted(ledger, one("c", account, 80))

    @pytest.mark.parametrize("window", ["day@UTC", "hour@Europe/Berlin", "week@UTC", "month@UTC"])
    def test_a_reservation_belongs_to_the_window_it_was_made_in(self, opened: Opened, window: str) -> None:
        account, clock = Account(RUN, "usd", window), ManualClock()
        ledger = opened(clock)
        for id in ("settled", "corrected"):
            ledger.do(one(id, account, 40))
        clock.advance(seconds=32 * DAY)
        ledger.do(one("new", account, 80))
        assert ledger.store.expire() == 2
        for id in ("settled", "corrected"):
            ledger.do(Settle(id=id, actual={"usd": 50}))
        assert sums(ledger.store, account) == (80, 0, 0)
        buckets = {
            posting.bucket
            for entry in ledger.store.entries()
            for posting in entry.postings
            if entry.id != "new" and posting.account == account
        }
        assert len(buckets) == 1

    def test_accounts_of_several_windows_each_keep_their_own_time(self, opened: Opened) -> None:
        clock = ManualClock("2026-03-01T23:59:59")
        ledger = opened(clock)
        accounts = [Account(RUN, "usd", window) for window in ("", "minute", "day@UTC", "day@Europe/Berlin")]
        for id, account in enumerate(accounts):
            assert is_admitted(ledger, one(str(id), account, 80))
        clock.advance(seconds=1)
        assert [sums(ledger.store, account)[0] for account in accounts] == [80, 80, 0, 80]
        clock.advance(seconds=60)
        assert [sums(ledger.store, account)[0] for account in accounts] == [80, 0, 0, 80]

    @pytest.mark.parametrize("step", [HOUR, -HOUR, 40 * DAY, -40 * DAY], ids=["+1 h", "-1 h", "+40 days", "-40 days"])
    def test_a_step_of_the_wall_clock_expires_nothing_and_refills_nothing(self, opened: Opened, step: int) -> None:
        clock = ManualClock()
        ledger = opened(clock)
        accounts = [Account(RUN, "usd", f"{window}@UTC") for window in ("hour", "day", "week", "month")]
        accounts += [Account(RUN, "usd"), MINUTE]
        for id, account in enumerate(accounts):
            assert is_admitted(ledger, one(str(id), account, 80))
        clock.step(seconds=step)
        assert ledger.store.expire() == 0
        for account in accounts:
            assert not is_admitted(ledger, one("more", account, 21)), account.window
            assert sums(ledger.store, account) == (80, 0, 0)

    def test_a_calendar_window_never_goes_back(self, opened: Opened) -> None:
        clock, steps = ManualClock(), random.Random(1)
        ledger = opened(clock)
        account = Account(RUN, "usd", "hour@UTC")
        for id in range(60):
            clock.advance(seconds=steps.uniform(0, 2 * HOUR))
            clock.step(seconds=steps.choice((HOUR, -HOUR, 40 * DAY, -40 * DAY)))
            ledger.do(one(str(id), account, 1, limit=None))
        entries = list(ledger.store.entries())
        buckets = [entry.postings[0].bucket for entry in entries]
        assert buckets == sorted(buckets)
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
        assert 30 <= len(set(buckets)) <= 60

    @pytest.mark.parametrize(
        ("pause_seconds", "burst", "least"),
        [(3.0, 1, 100), (0.8, 1, 0.9 * 4 * LIMIT), (0.2, 1, 0.9 * 4 * LIMIT), (8.0, 20, 0.9 * 4 * LIMIT)],
        ids=["calm", "enough", "crowded", "in bursts"],
    )
    def test_no_sixty_seconds_pass_the_limit_of_a_minute_and_what_it_allows_can_be_used(
        self, opened: Opened, pause_seconds: float, burst: int, least: float
    ) -> None:
        clock, arrivals = ManualClock(), random.Random(7)
        ledger, sent = opened(clock), list[tuple[int, int]]()
        end = clock.uptime_ns() + 4 * MINUTE_NS
        while clock.uptime_ns() < end:
            for _ in range(burst):
                amount = arrivals.randint(1, 5)
                request = one(str(len(sent)), MINUTE, amount, limit=LIMIT)
                if is_admitted(ledger, request):
                    sent.append((clock.uptime_ns(), amount))
                    ledger.do(Settle(id=request.id, actual={}))
            clock.advance(seconds=arrivals.expovariate(1 / pause_seconds))
        worst = max(sum(amount for at, amount in sent if start <= at <= start + MINUTE_NS) for start, _ in sent)
        assert worst <= LIMIT
        assert sum(amount for _, amount in sent) >= least

    @pytest.mark.parametrize(("window", "seconds"), [("day@UTC", DAY), ("minute", 61)])
    def test_a_refusal_counts_only_reservations_that_hold_room_in_its_window(
        self, ledger: Face, clock: ManualClock, window: str, seconds: int
    ) -> None:
        account = Account(RUN, "usd", window)
        assert is_admitted(ledger, one("before", account, 80))
        clock.advance(seconds=seconds)
        for id in ("a", "b"):
            assert is_admitted(ledger, one(id, account, 40))
        refusal = ledger.do(replace(one("c", account, 60), within=("before", "a")))
        assert isinstance(refusal, Refusal)
        assert (refusal.balance.reserved, refusal.open_count) == (80, 2)
        assert refusal.own == {account: 40}
        assert refusal.would_fit_alone

    def test_a_closing_told_again_shows_the_balances_of_now(self, ledger: Face, clock: ManualClock) -> None:
        account = Account(RUN, "usd", "day@UTC")
        ledger.do(one("a", account, 80))
        assert ledger.do(Settle(id="a", actual={"usd": 50})).balances[0].spent == 50
        clock.advance(seconds=DAY)
        assert ledger.do(Settle(id="a", actual={"usd": 50})).balances[0].spent == 0
