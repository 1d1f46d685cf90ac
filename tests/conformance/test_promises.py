"""
The four promises of a store: all limits hold or nothing changes, a refusal changes nothing and binds no id, the same id
gives the same answer, and a reservation closes once.
"""

import pytest

from solvent._operations import Charge, Closed, Extend, Note, Refusal, Release, Reserve, Reserved, Settle
from solvent._records import Account, CallRecord, Terms
from solvent.errors import IdConflict, ReservationClosed, ReservationNotFound

TEAM, RUN = "team:search", "team:search/run:1"
USD, TEAM_USD, CALLS, PARALLEL = (
    Account(RUN, "usd"),
    Account(TEAM, "usd"),
    Account(RUN, "calls"),
    Account(RUN, "parallel"),
)


def reserve(id, amount, *, limit=100, team_limit=None, accounts=(), ttl=120):
    charges = [
        Charge(account=USD, amount=amount, limit=limit),
        Charge(account=TEAM_USD, amount=amount, limit=team_limit),
        *(Charge(account=account, amount=1) for account in accounts),
    ]
    return Reserve.of(
        id=id, scope=RUN, charges=tuple(charges), ttl_seconds=ttl, call=CallRecord(bound_nanodollars=amount)
    )


def apply(store, operation):
    (answer,) = store.apply([operation])
    return answer


def balance(store, account=USD):
    found = {balance.account: balance for balance in store.balances()}
    return (found[account].reserved, found[account].spent, found[account].overrun) if account in found else (0, 0, 0)


def test_a_reservation_is_admitted_up_to_the_limit_and_no_further(store):
    assert isinstance(apply(store, reserve("a", 60)), Reserved)
    assert isinstance(apply(store, reserve("b", 40)), Reserved)
    assert isinstance(apply(store, reserve("c", 1)), Refusal)
    assert balance(store) == (100, 0, 0)


def test_three_dimes_fit_into_thirty_cents(store):
    dime = 100_000_000
    answers = [apply(store, reserve(str(i), dime, limit=3 * dime)) for i in range(4)]
    assert [type(answer) for answer in answers] == [Reserved, Reserved, Reserved, Refusal]


def test_all_limits_hold_or_no_balance_changes(store):
    refusal = apply(store, reserve("a", 60, limit=100, team_limit=50))
    assert isinstance(refusal, Refusal)
    assert refusal.charge.account == TEAM_USD
    assert balance(store, USD) == balance(store, TEAM_USD) == (0, 0, 0)


def test_a_refusal_says_what_is_spent_and_what_only_reserved(store):
    apply(store, reserve("a", 30))
    apply(store, Settle(id="a", actual={"usd": 30}))
    apply(store, reserve("b", 50))
    refusal = apply(store, reserve("c", 60))
    assert (refusal.balance.spent, refusal.balance.reserved, refusal.balance.remaining) == (30, 50, 20)
    assert refusal.would_fit_alone
    assert refusal.open_count == 1
    assert not apply(store, reserve("d", 80)).would_fit_alone


def test_a_refusal_binds_no_id(store):
    assert isinstance(apply(store, reserve("a", 101)), Refusal)
    assert isinstance(apply(store, reserve("a", 100)), Reserved)


def test_the_same_id_gives_the_same_answer_and_counts_once(store):
    apply(store, reserve("a", 60))
    assert isinstance(apply(store, reserve("a", 60)), Reserved)
    assert balance(store) == (60, 0, 0)


def test_the_same_id_with_other_contents_is_a_conflict(store):
    apply(store, reserve("a", 60))
    assert isinstance(apply(store, reserve("a", 61)), IdConflict)
    assert balance(store) == (60, 0, 0)


def test_settling_books_what_was_used_and_frees_the_rest(store):
    apply(store, reserve("a", 60, accounts=[CALLS, PARALLEL]))
    closed = apply(store, Settle(id="a", actual={"usd": 25}))
    assert isinstance(closed, Closed)
    assert closed.run_total_nanodollars == 25
    assert balance(store) == (0, 25, 0)
    assert balance(store, CALLS) == (0, 1, 0)
    assert balance(store, PARALLEL) == (0, 0, 0)  # A gauge closes at 0.


def test_what_was_spent_is_booked_above_the_limit_and_admits_nothing_more(store):
    apply(store, reserve("a", 60))
    closed = apply(store, Settle(id="a", actual={"usd": 130}))
    assert closed.overrun == {"usd": 70}
    assert balance(store) == (0, 130, 70)
    assert isinstance(apply(store, reserve("b", 0)), Refusal)


@pytest.mark.parametrize(
    "close", [Settle(id="a", actual={"usd": 10}), Release(id="a", reason="not_sent")], ids=["settle", "release"]
)
def test_a_reservation_closes_once(store, close):
    apply(store, reserve("a", 60))
    first, second = apply(store, close), apply(store, close)
    assert (first.state, first.run_total_nanodollars) == (second.state, second.run_total_nanodollars)
    assert balance(store)[0] == 0
    other = Release(id="a", reason="late") if isinstance(close, Settle) else Settle(id="a", actual={})
    before = balance(store)
    assert isinstance(apply(store, other), ReservationClosed)
    assert balance(store) == before


def test_a_release_leaves_nothing(store):
    apply(store, reserve("a", 60, accounts=[CALLS]))
    assert apply(store, Release(id="a", reason="not_sent")).state == "released"
    assert balance(store) == balance(store, CALLS) == (0, 0, 0)


def test_an_unknown_id_is_told(store):
    for operation in (Settle(id="x", actual={}), Release(id="x", reason=""), Extend(id="x")):
        assert isinstance(apply(store, operation), ReservationNotFound)


def test_what_expires_is_charged_in_full(store, clock):
    apply(store, reserve("a", 60, accounts=[CALLS, PARALLEL]))
    clock.advance(seconds=119)
    assert store.expire() == 0
    clock.advance(seconds=2)
    assert store.expire() == 1
    assert balance(store) == (0, 60, 0)
    assert balance(store, CALLS) == (0, 1, 0)
    assert balance(store, PARALLEL) == (0, 0, 0)


def test_the_truth_that_comes_after_an_expiry_is_one_correction(store, clock):
    apply(store, reserve("a", 60))
    clock.advance(seconds=121)
    store.expire()
    for _ in range(2):
        assert apply(store, Settle(id="a", actual={"usd": 25})).state == "corrected"
        assert balance(store) == (0, 25, 0)


def test_an_extended_reservation_lives_on(store, clock):
    apply(store, reserve("a", 60))
    clock.advance(seconds=100)
    apply(store, Extend(id="a", ttl_seconds=120, so_far={"usd": 70}))
    clock.advance(seconds=100)
    assert store.expire() == 0
    clock.advance(seconds=30)
    assert store.expire() == 1
    assert balance(store) == (0, 70, 10)  # What was used by then, for it is more than was reserved.


def test_a_step_of_the_wall_clock_expires_nothing_and_refills_nothing(store, clock):
    apply(store, reserve("a", 60))
    clock.step(seconds=40 * 86_400)
    assert store.expire() == 0
    assert isinstance(apply(store, reserve("b", 60)), Refusal)


def test_a_day_admits_anew_when_it_changes_and_a_reservation_stays_in_its_own(store, clock):
    day = Account(RUN, "usd", "day@UTC")

    def reserve_today(id, amount):
        return apply(store, Reserve.of(id=id, scope=RUN, charges=(Charge(account=day, amount=amount, limit=100),)))

    assert isinstance(reserve_today("a", 80), Reserved)
    assert isinstance(reserve_today("b", 80), Refusal)
    clock.advance(seconds=12 * 3_600)
    assert isinstance(reserve_today("b", 80), Reserved)
    apply(store, Settle(id="a", actual={"usd": 80}))
    assert balance(store, day) == (80, 0, 0)  # The first belongs to yesterday.


def test_no_sixty_seconds_pass_the_limit_of_a_minute(store, clock):
    minute = Account(RUN, "calls", "minute")
    sent = []
    for second in range(300):
        for _ in range(3):
            request = Reserve.of(
                id=f"{second}-{len(sent)}", scope=RUN, charges=(Charge(account=minute, amount=1, limit=10),)
            )
            if isinstance(apply(store, request), Reserved):
                apply(store, Settle(id=request.id, actual={}))
                sent.append(second)
        clock.advance(seconds=1)
    assert max(sum(start <= second <= start + 60 for second in sent) for start in range(300)) == 10
    assert len(sent) >= 40


def test_a_checked_meter_is_refused_once_more_was_booked_than_allowed(store):
    tools = Account(RUN, "tool_calls")

    def ask(id):
        return apply(store, Reserve.of(id=id, scope=RUN, charges=(Charge(account=tools, amount=0, limit=2),)))

    for id, used in (("a", 2), ("b", 1)):
        assert isinstance(ask(id), Reserved)
        closed = apply(store, Settle(id=id, actual={"tool_calls": used}))
        assert closed.overrun == {}  # It is never reserved, so it cannot pass a reservation.
    assert isinstance(ask("c"), Refusal)


def test_a_note_is_kept_and_changes_nothing(store):
    apply(store, reserve("a", 60))
    record = CallRecord(decision="refused", reason="because")
    note = Note(kind="refuse", id="b", scope=RUN, terms=Terms((USD,), (100,)), call=record)
    apply(store, note)
    assert balance(store) == (60, 0, 0)
    *_, entry = store.entries(scope=TEAM)
    assert (entry.kind, entry.call.reason, entry.postings[0].limit) == ("refuse", "because", 100)


def test_the_journal_tells_what_was_written(store):
    call = CallRecord(provider="openai", usage={"input_tokens": 3}, stream=True, rungs=("prefix",), cost_nanodollars=25)
    apply(store, reserve("a", 60))
    apply(store, Settle(id="a", actual={"usd": 25}, call=call))
    reserving, settling = store.entries(scope=RUN)
    assert [entry.kind for entry in (reserving, settling)] == ["reserve", "settle"]
    assert (settling.call.usage, settling.call.stream, list(settling.call.rungs)) == (
        {"input_tokens": 3},
        True,
        ["prefix"],
    )
    assert settling.run_total_nanodollars == 25
    assert sum(posting.spent for posting in settling.postings if posting.account == USD) == 25
    assert list(store.entries(scope=RUN, after=reserving.seq)) == [settling]
    assert list(store.entries(scope="team:sea")) == []  # A name that only begins alike is another scope.


def test_the_last_run_that_was_opened_is_known(store):
    assert store.last_opened() is None
    for scope in ("run:a", "run:b"):
        apply(store, Note(kind="open", id=scope, scope=scope))
    assert store.last_opened().scope == "run:b"
    assert store.last_opened("run:a").id == "run:a"
    assert store.last_opened("run:c") is None


def test_a_batch_gives_each_operation_its_own_answer(store):
    answers = store.apply([reserve("a", 60), reserve("b", 60), Settle(id="a", actual={"usd": 10}), reserve("b", 60)])
    assert [type(answer) for answer in answers] == [Reserved, Refusal, Closed, Reserved]
    assert balance(store) == (60, 10, 0)
