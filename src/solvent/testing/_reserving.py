"""
Promises on what is admitted: all limits hold or nothing changes, a refusal leaves nothing, an id is used once.
"""

import pytest

from solvent._operations import Charge, Refusal, Release, Reserve, Reserved, Settle
from solvent._records import Account, Terms
from solvent.errors import IdConflict
from solvent.testing._asking import CALLS, PARALLEL, RUN, TEAM, TEAM_USD, USD, everything, is_admitted, reserve, sums
from solvent.testing._faces import Face


class Reserving:
    def test_a_reservation_is_admitted_up_to_the_limit_and_no_further(self, ledger: Face) -> None:
        assert is_admitted(ledger, reserve("a", 60))
        assert is_admitted(ledger, reserve("b", 40))
        assert not is_admitted(ledger, reserve("c", 1))
        assert is_admitted(ledger, reserve("d", 0))
        assert sums(ledger.store) == (100, 0, 0)

    def test_three_dimes_fit_into_thirty_cents(self, ledger: Face) -> None:
        dime = 100_000_000
        admitted = [is_admitted(ledger, reserve(str(i), dime, limit=3 * dime)) for i in range(4)]
        assert admitted == [True, True, True, False]

    def test_a_limit_of_0_admits_nothing_and_no_limit_admits_all(self, ledger: Face) -> None:
        most = 2**53 - 1
        assert not is_admitted(ledger, reserve("a", 1, limit=0))
        assert is_admitted(ledger, reserve("b", most, limit=None))
        assert is_admitted(ledger, reserve("c", most, limit=None))
        assert sums(ledger.store) == (2 * most, 0, 0)

    def test_all_limits_hold_or_no_balance_changes(self, ledger: Face) -> None:
        assert is_admitted(ledger, reserve("a", 30))
        before = everything(ledger.store)
        refusal = ledger.do(reserve("b", 40, team_limit=50, more=[CALLS]))
        assert isinstance(refusal, Refusal)
        assert (refusal.charge.account, refusal.charge.amount, refusal.charge.limit) == (TEAM_USD, 40, 50)
        assert everything(ledger.store) == before

    def test_every_meter_of_every_account_changes_or_none(self, ledger: Face) -> None:
        tokens = [Charge(account=Account(scope, "tokens"), amount=7, limit=10) for scope in (TEAM, RUN)]
        assert is_admitted(ledger, reserve("a", 30, more=tokens))
        for account, amount in ((USD, 30), (TEAM_USD, 30), (tokens[0].account, 7), (tokens[1].account, 7)):
            assert sums(ledger.store, account) == (amount, 0, 0)
        assert not is_admitted(ledger, reserve("b", 30, more=tokens))
        assert sums(ledger.store, TEAM_USD) == sums(ledger.store, USD) == (30, 0, 0)

    def test_a_refusal_says_what_is_spent_and_what_only_reserved(self, ledger: Face) -> None:
        ledger.do(reserve("a", 30))
        ledger.do(Settle(id="a", actual={"usd": 30}))
        ledger.do(reserve("b", 50))
        refusal = ledger.do(reserve("c", 60))
        assert isinstance(refusal, Refusal)
        assert (refusal.balance.spent, refusal.balance.reserved, refusal.balance.remaining) == (30, 50, 20)
        assert [balance.account for balance in refusal.balances] == [USD, TEAM_USD]
        assert (refusal.would_fit_alone, refusal.open_count) == (True, 1)
        refusal = ledger.do(reserve("d", 80))
        assert isinstance(refusal, Refusal)
        assert not refusal.would_fit_alone

    def test_what_a_refusal_calls_affordable_fits(self, ledger: Face) -> None:
        ledger.do(reserve("a", 37))
        refusal = ledger.do(reserve("b", 64))
        assert isinstance(refusal, Refusal)
        assert refusal.balance.remaining == 63
        assert is_admitted(ledger, reserve("b", 63))

    def test_a_refusal_binds_no_id(self, ledger: Face) -> None:
        assert not is_admitted(ledger, reserve("a", 101))
        assert is_admitted(ledger, reserve("a", 100))

    def test_the_same_id_gives_the_same_answer_and_counts_once(self, ledger: Face) -> None:
        for _ in range(3):
            answer = ledger.do(reserve("a", 60))
            assert isinstance(answer, Reserved)
            assert (answer.id, answer.state, answer.balances[0].reserved) == ("a", "open", 60)
        assert sums(ledger.store) == (60, 0, 0)
        ledger.do(Settle(id="a", actual={"usd": 5}))
        answer = ledger.do(reserve("a", 60))
        assert isinstance(answer, Reserved)
        assert answer.state == "settled"
        assert sums(ledger.store) == (0, 5, 0)

    def test_a_known_id_is_answered_where_a_new_one_would_be_refused(self, ledger: Face) -> None:
        assert is_admitted(ledger, reserve("a", 100))
        assert is_admitted(ledger, reserve("a", 100, limit=10))  # A limit is no part of what was asked for.
        assert sums(ledger.store) == (100, 0, 0)

    @pytest.mark.parametrize(
        "other",
        [
            reserve("a", 61),
            reserve("a", 60, more=[CALLS]),
            reserve("a", 1_000),
            Reserve(id="a", scope=RUN, terms=Terms((TEAM_USD,), (None,)), amounts={"usd": 60}),
            Reserve(id="a", scope=TEAM, terms=Terms((USD, TEAM_USD), (100, None)), amounts={"usd": 60}),
        ],
        ids=["amount", "charge", "above the limit", "account", "scope"],
    )
    def test_the_same_id_with_other_contents_is_a_conflict(self, ledger: Face, other: Reserve) -> None:
        ledger.do(reserve("a", 60))
        before = everything(ledger.store)
        with pytest.raises(IdConflict) as conflict:
            ledger.do(other)
        assert conflict.value.id == "a"
        assert everything(ledger.store) == before

    def test_as_many_calls_are_open_at_once_as_the_gauge_allows(self, ledger: Face) -> None:
        def call(id: str) -> Reserve:
            return reserve(id, 1, more=[Charge(account=PARALLEL, amount=1, limit=2)])

        assert [is_admitted(ledger, call(id)) for id in "abc"] == [True, True, False]
        ledger.do(Settle(id="a", actual={"usd": 1}))
        assert is_admitted(ledger, call("c"))
        ledger.do(Release(id="b", reason="not_sent"))
        assert is_admitted(ledger, call("d"))
        assert not is_admitted(ledger, call("e"))
