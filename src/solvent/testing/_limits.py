"""
Promises on limits that change while calls run.
"""

import pytest
from msgspec.structs import replace

from solvent._operations import Done, Note, Refusal, Reserve, SetLimit, Settle, TopUp
from solvent._records import Account, Balance
from solvent.errors import IdConflict
from solvent.testing._asking import RUN, TEAM, TEAM_USD, USD, everything, is_admitted, one, reserve, sums
from solvent.testing._clock import ManualClock
from solvent.testing._faces import Face

DAY = Account(RUN, "usd", "day@UTC")
AMOUNT_MAX = 2**53 - 1


def limit_of(ledger: Face, account: Account) -> int | None:
    return next((balance.limit for balance in ledger.store.balances() if balance.account == account), None)


class Limits:
    def test_a_limit_below_what_is_spent_admits_nothing(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        ledger.do(Settle(id="a", actual={"usd": 60}))
        ledger.do(SetLimit(id="lower", account=USD, limit=50))
        refusal = ledger.do(reserve("b", 0))
        assert isinstance(refusal, Refusal)
        assert (refusal.balance.limit, refusal.balance.remaining) == (50, -10)
        assert limit_of(ledger, USD) == 50
        assert sums(ledger.store) == (0, 60, 0)

    def test_what_is_open_when_a_limit_falls_is_settled_as_ever(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        ledger.do(SetLimit(id="lower", account=USD, limit=0))
        assert ledger.do(Settle(id="a", actual={"usd": 60})).overrun == {}
        assert sums(ledger.store) == (0, 60, 0)

    def test_a_raised_limit_admits(self, ledger: Face) -> None:
        ledger.do(reserve("a", 100))
        ledger.do(SetLimit(id="raise", account=USD, limit=150))
        assert is_admitted(ledger, reserve("b", 50))
        assert not is_admitted(ledger, reserve("c", 1))

    def test_no_limit_gives_back_the_one_that_comes_with_the_charge(self, ledger: Face) -> None:
        ledger.do(SetLimit(id="lower", account=USD, limit=10))
        assert not is_admitted(ledger, reserve("a", 11))
        ledger.do(SetLimit(id="give back", account=USD, limit=None))
        assert is_admitted(ledger, reserve("a", 100))
        assert not is_admitted(ledger, reserve("b", 1))
        assert limit_of(ledger, USD) is None

    def test_a_limit_that_is_set_holds_for_charges_that_bring_none(self, ledger: Face) -> None:
        ledger.do(SetLimit(id="a", account=TEAM_USD, limit=10))
        refusal = ledger.do(reserve("b", 11, team_limit=None))
        assert isinstance(refusal, Refusal)
        assert (refusal.charge.account, refusal.balance.limit) == (TEAM_USD, 10)

    def test_a_limit_that_is_set_holds_for_a_meter_that_the_request_does_not_limit(self, ledger: Face) -> None:
        tokens = Account(RUN, "tokens")
        ledger.do(SetLimit(id="a", account=tokens, limit=10))
        request = reserve("b", 1)
        counted = Reserve(id="b", scope=RUN, terms=request.terms, amounts={"usd": 1, "tokens": 11})
        refusal = ledger.do(counted)
        assert isinstance(refusal, Refusal)
        assert refusal.balance == Balance(account=tokens, limit=10)
        assert tokens in [balance.account for balance in refusal.balances]

    def test_a_change_of_a_limit_resets_no_use(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        ledger.do(reserve("b", 30))
        ledger.do(Settle(id="a", actual={"usd": 70}))
        for id, limit in (("1", 10), ("2", 200), ("3", None)):
            ledger.do(SetLimit(id=id, account=USD, limit=limit))
            assert sums(ledger.store) == (30, 70, 10)

    def test_a_top_up_admits_as_much_more(self, ledger: Face) -> None:
        ledger.do(reserve("a", 100))
        ledger.do(TopUp(id="more", account=USD, amount=20))
        assert not is_admitted(ledger, reserve("b", 21))
        assert is_admitted(ledger, reserve("b", 20))
        assert not is_admitted(ledger, reserve("c", 1))

    def test_a_top_up_is_on_top_of_whatever_limit_is_in_force(self, ledger: Face) -> None:
        ledger.do(TopUp(id="more", account=USD, amount=20))
        ledger.do(SetLimit(id="set", account=USD, limit=50))
        assert not is_admitted(ledger, reserve("a", 71))
        assert is_admitted(ledger, reserve("a", 70))
        ledger.do(SetLimit(id="give back", account=USD, limit=None))
        assert is_admitted(ledger, reserve("b", 50))

    def test_a_limit_of_nothing_is_the_last_word_whatever_was_topped_up(self, ledger: Face) -> None:
        ledger.do(TopUp(id="more", account=USD, amount=1_000))
        ledger.do(SetLimit(id="stop", account=USD, limit=0))
        assert not is_admitted(ledger, reserve("a", 1))
        assert limit_of(ledger, USD) == 0
        ledger.do(SetLimit(id="go on", account=USD, limit=1))
        assert is_admitted(ledger, reserve("a", 1_001))

    def test_a_top_up_of_an_account_without_a_limit_limits_nothing(self, ledger: Face) -> None:
        ledger.do(TopUp(id="more", account=TEAM_USD, amount=1))
        assert is_admitted(ledger, reserve("a", 100))
        assert limit_of(ledger, TEAM_USD) is None

    def test_top_ups_go_no_further_than_the_largest_amount(self, ledger: Face) -> None:
        for id in ("a", "b"):
            ledger.do(TopUp(id=id, account=USD, amount=AMOUNT_MAX))
        ledger.do(reserve("c", AMOUNT_MAX))
        refusal = ledger.do(reserve("d", 1))
        assert isinstance(refusal, Refusal)
        assert refusal.balance.limit == AMOUNT_MAX

    def test_a_top_up_is_for_the_window_that_counts_now(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(TopUp(id="more", account=DAY, amount=20))
        assert is_admitted(ledger, one("a", DAY, 120))
        clock.advance(seconds=86_400)
        assert not is_admitted(ledger, one("b", DAY, 101))
        assert is_admitted(ledger, one("b", DAY, 100))

    def test_a_limit_that_is_set_stays_from_window_to_window(self, ledger: Face, clock: ManualClock) -> None:
        ledger.do(SetLimit(id="lower", account=DAY, limit=10))
        clock.advance(seconds=86_400)
        assert not is_admitted(ledger, one("a", DAY, 11))
        assert is_admitted(ledger, one("a", DAY, 10))

    @pytest.mark.parametrize(
        ("change", "other"),
        [
            (TopUp(id="a", account=USD, amount=20), TopUp(id="a", account=USD, amount=21)),
            (TopUp(id="a", account=USD, amount=20), TopUp(id="a", account=TEAM_USD, amount=20)),
            (TopUp(id="a", account=USD, amount=20), SetLimit(id="a", account=USD, limit=20)),
            (SetLimit(id="a", account=USD, limit=20), SetLimit(id="a", account=USD, limit=None)),
            (SetLimit(id="a", account=USD, limit=20), SetLimit(id="a", account=Account(TEAM, "calls"), limit=20)),
        ],
        ids=["amount", "account of a top-up", "kind", "limit", "account of a limit"],
    )
    def test_a_change_of_a_limit_counts_once_by_its_id(
        self, ledger: Face, change: TopUp | SetLimit, other: TopUp | SetLimit
    ) -> None:
        assert ledger.do(change) == Done(id="a")
        before = everything(ledger.store)
        assert ledger.do(change) == Done(id="a")
        with pytest.raises(IdConflict):
            ledger.do(other)
        assert everything(ledger.store) == before

    def test_a_change_told_again_with_another_reason_is_the_same(self, ledger: Face) -> None:
        change = TopUp(id="a", account=USD, amount=20, reason="a long night")
        for reason in ("a long night", "", "asked for again"):
            assert ledger.do(replace(change, reason=reason)) == Done(id="a")
        assert len(list(ledger.store.entries())) == 1

    def test_ids_of_notes_and_of_changes_have_nothing_to_do_with_each_other(self, ledger: Face) -> None:
        ledger.do(Note(kind="open", id="a", scope=RUN))
        for id in ("a", "aopen", "opena"):
            assert ledger.do(TopUp(id=id, account=USD, amount=1)) == Done(id=id)
        assert is_admitted(ledger, reserve("a", 103))

    def test_limits_of_the_store_are_told_in_one_order(self, ledger: Face) -> None:
        meters = ("tool_calls", "tokens")
        for meter in meters:
            ledger.do(SetLimit(id=meter, account=Account(RUN, meter), limit=0))
        request = reserve("a", 1)
        refusal = ledger.do(
            Reserve(id="a", scope=RUN, terms=request.terms, amounts={"usd": 1, "tokens": 1, "tool_calls": 1})
        )
        assert isinstance(refusal, Refusal)
        assert refusal.charge.account.meter == "tokens"
        assert [balance.account.meter for balance in refusal.balances] == ["usd", "usd", "tokens", "tool_calls"]

    def test_the_journal_tells_changes_of_limits(self, ledger: Face) -> None:
        ledger.do(TopUp(id="a", account=USD, amount=20, reason="a long night"))
        ledger.do(SetLimit(id="b", account=USD, limit=50))
        first, second = ledger.store.entries()
        assert (first.kind, first.id, first.call.reason) == ("top_up", "a", "a long night")
        assert [(posting.account, posting.topped_up) for posting in first.postings] == [(USD, 20)]
        assert (second.kind, second.call.reason) == ("set_limit", None)
        assert [(posting.account, posting.limit) for posting in second.postings] == [(USD, 50)]
