"""
Promises on the journal: it is only added to, and its sums are the balances.
"""

from collections import Counter

from solvent._digest import digest_of, within
from solvent._operations import Charge, Closed, Note, Refusal, Release, Reserve, Reserved, SetLimit, Settle, TopUp
from solvent._records import Account, CallRecord, Kind, Terms
from solvent.errors import IdConflict, ReservationNotFound
from solvent.stores._protocol import under
from solvent.testing._asking import CALLS, PARALLEL, RUN, TEAM, TEAM_USD, USD, everything, reserve, sums
from solvent.testing._clock import ManualClock
from solvent.testing._faces import Face


def lively(ledger: Face, clock: ManualClock) -> None:
    """
    Some of everything.
    """
    minute = Account(TEAM, "usd", "minute")
    for id in ("settled", "over", "released", "expired", "corrected", "open"):
        ledger.do(reserve(id, 10, more=[CALLS, PARALLEL, Charge(account=minute, amount=10)], ttl_seconds=500))
        clock.advance(seconds=7)
    ledger.do(Settle(id="settled", actual={"usd": 4, "tokens": 900}))
    ledger.do(Settle(id="over", actual={"usd": 25}))
    ledger.do(Release(id="released", reason="not_sent"))
    ledger.do(reserve("refused", 1_000))
    clock.advance(seconds=600)
    ledger.store.expire()
    ledger.do(Settle(id="corrected", actual={"usd": 3}))
    ledger.do(TopUp(id="top-up", account=USD, amount=5))
    ledger.do(SetLimit(id="limit", account=TEAM_USD, limit=500))
    ledger.do(reserve("last", 2, more=[PARALLEL]))


class Journal:
    def test_sums_over_the_journal_equal_the_balances(self, ledger: Face, clock: ManualClock) -> None:
        lively(ledger, clock)
        assert ledger.store.verify() is None
        added: Counter[tuple[Account, str]] = Counter()
        for entry in ledger.store.entries():
            for posting in entry.postings:
                if posting.account.window != "minute":  # All of it is long over.
                    for part in ("reserved", "spent", "overrun"):
                        added[posting.account, part] += getattr(posting, part)
        kept = {
            (balance.account, part): getattr(balance, part)
            for balance in ledger.store.balances()
            for part in ("reserved", "spent", "overrun")
        }
        assert {key: amount for key, amount in added.items() if amount} == {
            key: amount for key, amount in kept.items() if amount
        }
        assert sums(ledger.store) == (2, 4 + 25 + 10 + 3 + 10, 15)

    def test_entries_are_numbered_without_gaps_and_never_change(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(reserve("first", 10, ttl_seconds=600))
        before = list(ledger.store.entries())
        lively(ledger, clock)
        after = list(ledger.store.entries())
        assert after[: len(before)] == before
        assert [entry.seq for entry in after] == list(range(1, len(after) + 1))
        closings = ["settle", "settle", "release", "expire", "expire", "expire", "expire", "correct"]
        assert [entry.kind for entry in after[7:]] == [*closings, "top_up", "set_limit", "reserve"]

    def test_the_journal_is_read_by_scope_and_from_where_one_left_off(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        ledger.do(Settle(id="a", actual={"usd": 25}))
        first, second = ledger.store.entries()
        assert list(ledger.store.entries(scope=RUN)) == list(ledger.store.entries(scope=TEAM)) == [first, second]
        assert list(ledger.store.entries(scope=RUN, after=first.seq)) == [second]
        assert list(ledger.store.entries(after=second.seq)) == []
        # A name that only begins alike is another scope.
        assert list(ledger.store.entries(scope="team:sea")) == list(ledger.store.entries(scope=f"{RUN}2")) == []
        assert ledger.store.balances("team:sea") == []
        assert [balance.account for balance in ledger.store.balances(RUN)] == [USD]

    def test_the_journal_is_read_by_kind(self, ledger: Face, clock: ManualClock) -> None:
        lively(ledger, clock)
        sets: tuple[tuple[Kind, ...], ...] = (
            ("settle",),
            ("expire", "correct"),
            ("top_up", "set_limit"),
            ("release", "reserve"),
        )
        for kinds in sets:
            expected = [entry for entry in ledger.store.entries() if entry.kind in kinds]
            assert expected
            assert list(ledger.store.entries(kinds=kinds)) == expected
            assert list(ledger.store.entries(scope=RUN, kinds=kinds, after=expected[0].seq)) == [
                entry for entry in expected[1:] if under(entry.scope, RUN)
            ]

    def test_the_digest_is_what_the_journal_adds_up_to(self, ledger: Face, clock: ManualClock) -> None:
        lively(ledger, clock)
        for scope in (None, TEAM, RUN, "team:nobody"):
            assert ledger.store.groups(scope=scope) == digest_of(ledger.store.entries(scope=scope))
        groups = ledger.store.groups()
        spent = sum(balance.spent for balance in ledger.store.balances() if balance.account == USD)
        assert sum(sums.cost for sums in groups.values()) == spent > 0
        hour = next(iter(groups)).hour
        assert ledger.store.groups(hours=(hour, hour + 1)) == within(groups, (hour, hour + 1))
        assert ledger.store.groups(scope=RUN, hours=(hour + 1, hour + 2)) == {}
        middle = 2 * len(list(ledger.store.entries())) // 3
        assert ledger.store.groups(after=middle) == digest_of(ledger.store.entries(), middle)

    def test_the_last_sign_of_life_is_no_expiry(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(reserve("a", 10))
        first = clock.now_ns()
        clock.advance(seconds=7)
        ledger.do(reserve("b", 10))
        clock.advance(seconds=600)
        ledger.store.expire()
        assert ledger.store.last_seen(RUN) == ledger.store.last_seen(TEAM) == first + 7_000_000_000
        assert ledger.store.last_seen(RUN, before=2) == first
        assert ledger.store.last_seen(RUN, before=1) is ledger.store.last_seen("team:nobody") is None

    def test_balances_are_those_of_a_scope_alone_or_of_all_below_it(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        assert {balance.account.scope for balance in ledger.store.balances(TEAM)} == {TEAM, RUN}
        assert {balance.account.scope for balance in ledger.store.balances(TEAM, below=False)} == {TEAM}
        assert ledger.store.balances(RUN, below=False) == ledger.store.balances(RUN)

    def test_limits_are_the_newest_that_came_with_calls(self, ledger: Face) -> None:
        for id, limit in (("a", 900), ("b", 700)):
            charges = [Charge(account=USD, amount=1, limit=limit), Charge(account=CALLS, amount=1)]
            ledger.do(Reserve.of(id=id, scope=RUN, charges=charges))
        assert ledger.store.limits() == ledger.store.limits(TEAM) == ledger.store.limits(RUN) == {USD: 700}
        assert ledger.store.limits("team:nobody") == {}

    def test_what_is_held_are_the_reservations_that_are_open(self, ledger: Face, clock: ManualClock) -> None:
        lively(ledger, clock)
        assert [(entry.kind, entry.id) for entry in ledger.store.held()] == [("reserve", "last")]
        assert ledger.store.held(RUN) == ledger.store.held(TEAM) == ledger.store.held()
        assert ledger.store.held("team:nobody") == []

    def test_an_entry_tells_the_call(self, ledger: Face) -> None:
        call = CallRecord(
            provider="openai", usage={"input_tokens": 3}, stream=True, rungs=("prefix",), cost_nanodollars=25
        )
        ledger.do(reserve("a", 60))
        ledger.do(Settle(id="a", actual={"usd": 25}, call=call))
        reserving, settling = ledger.store.entries()
        assert (reserving.kind, reserving.scope, reserving.call.bound_nanodollars) == ("reserve", RUN, 60)
        assert [(posting.account, posting.reserved, posting.limit) for posting in reserving.postings] == [
            (USD, 60, 100),
            (TEAM_USD, 60, None),
        ]
        told = settling.call
        assert (settling.kind, told.usage, told.stream, list(told.rungs or ())) == (
            *("settle", {"input_tokens": 3}, True),
            ["prefix"],
        )
        assert (settling.run_total_nanodollars, told.cost_nanodollars) == (25, 25)
        assert [(posting.reserved, posting.spent) for posting in settling.postings] == [(-60, 25), (-60, 25)]

    def test_a_release_tells_its_reason(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        ledger.do(Release(id="a", reason="client_gone", call=CallRecord(status="not_sent")))
        *_, entry = ledger.store.entries()
        assert (entry.kind, entry.call.reason, entry.call.status) == ("release", "client_gone", "not_sent")

    def test_a_note_is_kept_once_and_changes_nothing(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        balances = ledger.store.balances()
        record = CallRecord(decision="refused", reason="because")
        note = Note(kind="refuse", id="b", scope=RUN, terms=Terms((USD,), (100,)), call=record)
        for _ in range(2):
            assert ledger.do(note).id == "b"
        ledger.do(Note(kind="close", id="b", scope=RUN))
        assert ledger.store.balances() == balances
        _, entry, other = ledger.store.entries(scope=TEAM)
        assert (entry.kind, entry.call.reason, entry.postings[0].limit) == ("refuse", "because", 100)
        assert (other.kind, other.postings) == ("close", ())

    def test_the_last_run_that_was_opened_is_known(self, ledger: Face) -> None:
        assert ledger.store.last_opened() is None
        for id, scope in (("1", "run:a"), ("2", "run:b"), ("3", "run:a")):
            ledger.do(Note(kind="open", id=id, scope=scope))
        ledger.do(Note(kind="close", id="4", scope="run:b"))
        last, of_b = ledger.store.last_opened(), ledger.store.last_opened("run:b")
        assert last is not None
        assert of_b is not None
        assert (last.id, last.scope, of_b.id) == ("3", "run:a", "2")
        assert ledger.store.last_opened("run:c") is None

    def test_the_secret_of_fingerprints_stays_the_same(self, ledger: Face) -> None:
        assert ledger.store.fingerprint_key() == ledger.store.fingerprint_key()
        assert len(ledger.store.fingerprint_key()) >= 16

    def test_a_batch_gives_each_operation_its_own_answer(self, ledger: Face) -> None:
        answers = ledger.do_all(
            [reserve("a", 60), reserve("b", 60), Settle(id="a", actual={"usd": 10}), reserve("b", 60)]
        )
        assert [type(answer) for answer in answers] == [Reserved, Refusal, Closed, Reserved]
        assert sums(ledger.store) == (60, 10, 0)

    def test_an_operation_that_fails_costs_no_other(self, ledger: Face) -> None:
        answers = ledger.do_all(
            [
                reserve("a", 60),
                Settle(id="unknown", actual={"usd": 5}),
                reserve("a", 61),
                reserve("b", 40),
                reserve("c", 1),
            ]
        )
        kinds = [type(answer) for answer in answers]
        assert kinds == [Reserved, ReservationNotFound, IdConflict, Reserved, Refusal]
        assert sums(ledger.store) == (100, 0, 0)

    def test_a_batch_of_256_is_256_operations(self, ledger: Face) -> None:
        answers = ledger.do_all([reserve(str(i), 1, limit=200) for i in range(256)])
        assert Counter(type(answer) for answer in answers) == {Reserved: 200, Refusal: 56}
        assert sums(ledger.store) == (200, 0, 0)
        assert len(list(ledger.store.entries())) == 200

    def test_a_batch_of_nothing_is_nothing(self, ledger: Face) -> None:
        before = everything(ledger.store)
        assert ledger.do_all([]) == []
        assert everything(ledger.store) == before
