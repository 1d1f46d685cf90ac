"""
Promises on bad input: a clear error that names the field and the value, before anything is recorded.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from solvent._operations import Charge, Extend, Release, Reserve, Reserved, SetLimit, Settle, TopUp
from solvent._records import Account, CallRecord, Terms
from solvent.errors import ReservationNotFound
from solvent.testing._asking import RUN, USD, everything, is_admitted, one, reserve, sums
from solvent.testing._faces import Face

WRONG: tuple[Any, ...] = (-1, 2**53, 1.5, 1.0, math.nan, math.inf, True, "1", b"1")

# Where an amount enters, and what the error calls it.
AMOUNTS: dict[str, Callable[[Any], object]] = {
    "amount of usd": lambda amount: Charge(account=USD, amount=amount),
    "amount of usd ": lambda amount: Reserve(id="a", scope=RUN, terms=Terms((USD,), (None,)), amounts={"usd": amount}),
    "limit of usd": lambda amount: Charge(account=USD, amount=1, limit=amount),
    "limit of usd ": lambda amount: Terms((USD,), (amount,)),
    "limit of usd  ": lambda amount: SetLimit(id="a", account=USD, limit=amount),
    "so far, usd": lambda amount: Extend(id="a", so_far={"usd": amount}),
    "actual usd": lambda amount: Settle(id="a", actual={"usd": amount}),
    "top-up of usd": lambda amount: TopUp(id="a", account=USD, amount=amount),
}
METERS: dict[str, Callable[[Any], object]] = {
    "reserve": lambda meter: one("a", Account(RUN, meter), 1),
    "settle": lambda meter: Settle(id="a", actual={meter: 1}),
    "extend": lambda meter: Extend(id="a", so_far={meter: 1}),
    "top-up": lambda meter: TopUp(id="a", account=Account(RUN, meter), amount=1),
    "limit": lambda meter: SetLimit(id="a", account=Account(RUN, meter), limit=1),
}
# What only a clock or a calendar could tell later, when half of an operation is done.
TIMES: dict[str, Callable[[Any], object]] = {
    "reserve": lambda seconds: replace(reserve("a", 1), ttl_seconds=seconds),
    "extend": lambda seconds: Extend(id="a", ttl_seconds=seconds),
}
WRONG_TIMES: tuple[Any, ...] = (-1, math.nan, math.inf, 1e30, True, "1", None)
WINDOWS: dict[str, Callable[[str], object]] = {
    "reserve": lambda window: one("a", Account(RUN, "usd", window), 1),
    "top-up": lambda window: TopUp(id="a", account=Account(RUN, "usd", window), amount=1),
    "limit": lambda window: SetLimit(id="a", account=Account(RUN, "usd", window), limit=1),
}
# What a record may not hold, for a database could not: half of a character, and more than 64 bits.
FIELDS: dict[str, Callable[[], object]] = {
    "model_asked": lambda: CallRecord(model_asked="\ud800"),
    "status": lambda: CallRecord(status="half \ud83d"),
    "usage": lambda: CallRecord(usage={"\udfff": 1}),
    "bound_parts": lambda: CallRecord(bound_parts=[{"part": "\ud800"}]),
    "rungs": lambda: CallRecord(rungs=["wait", "\ud800"]),
    "cost_nanodollars": lambda: CallRecord(cost_nanodollars=2**63),
    "bound_nanodollars": lambda: CallRecord(bound_nanodollars=2**64),
    "attempt": lambda: CallRecord(attempt=2**100),
    "started": lambda: CallRecord(started=-(2**64)),
    "ended": lambda: CallRecord(ended=2**63),
    "decision": lambda: replace(CallRecord(), decision="perhaps"),
    "reason ": lambda: Release(id="a", reason="\ud800"),
    "reason  ": lambda: TopUp(id="a", account=USD, amount=1, reason="\ud800"),
    "reason   ": lambda: SetLimit(id="a", account=USD, limit=1, reason="\ud800"),
}
SCOPES = (
    "team:Zürich/run:日本",
    "run:🚀 🚀",
    'run:it\'s "quoted"; DROP TABLE entry --',
    "run:%_*?[a]",
    "run:" + "x" * 256,
)


class BadInput:
    @pytest.mark.parametrize("wrong", WRONG, ids=repr)
    @pytest.mark.parametrize(("name", "make"), AMOUNTS.items(), ids=AMOUNTS)
    def test_an_amount_that_is_none_is_refused_by_name(
        self, name: str, make: Callable[[Any], object], wrong: Any
    ) -> None:
        with pytest.raises(ValueError, match=rf"^{name.strip()} must be (a whole number|within)") as refused:
            make(wrong)
        assert str(refused.value).endswith(repr(wrong))

    @pytest.mark.parametrize("make", [AMOUNTS[name] for name in AMOUNTS if not name.startswith("limit")])
    def test_an_amount_that_is_unknown_is_refused(self, make: Callable[[Any], object]) -> None:
        with pytest.raises(ValueError, match="whole number, got None"):
            make(None)

    @pytest.mark.parametrize("make", METERS.values(), ids=METERS)
    def test_a_meter_that_is_none_is_refused(self, make: Callable[[Any], object]) -> None:
        with pytest.raises(ValueError, match=r"^meter must be one of usd, .*, got 'dollars'$"):
            make("dollars")

    @pytest.mark.parametrize("wrong", WRONG_TIMES, ids=repr)
    @pytest.mark.parametrize("make", TIMES.values(), ids=TIMES)
    def test_a_length_of_time_that_is_none_is_refused(self, make: Callable[[Any], object], wrong: Any) -> None:
        with pytest.raises(ValueError, match=r"^ttl_seconds must be ") as refused:
            make(wrong)
        assert repr(wrong) in str(refused.value)

    @pytest.mark.parametrize("wrong", ["daily", "day", "day@Mars/Base", "minute@UTC", "@UTC"])
    @pytest.mark.parametrize("make", WINDOWS.values(), ids=WINDOWS)
    def test_a_window_that_is_none_is_refused(self, make: Callable[[str], object], wrong: str) -> None:
        with pytest.raises(ValueError, match=r"^(window|time_zone) must be ") as refused:
            make(wrong)
        assert repr(wrong) in str(refused.value) or repr(wrong.partition("@")[2]) in str(refused.value)

    @pytest.mark.parametrize(("name", "make"), FIELDS.items(), ids=FIELDS)
    def test_a_field_of_a_record_that_no_store_could_keep_is_refused_by_name(
        self, name: str, make: Callable[[], object]
    ) -> None:
        with pytest.raises(ValueError, match=rf"^{name.strip()} must be "):
            make()

    def test_a_record_is_kept_as_it_is(self, ledger: Face) -> None:
        record = CallRecord(
            model_asked="日本 🚀 \x00 'quoted'",
            usage={"input_tokens": 2**70},
            cost_nanodollars=2**63 - 1,
            started=-(2**63 - 1),
            stream=False,
        )
        ledger.do(replace(reserve("a", 1), call=record))
        assert [entry.call for entry in ledger.store.entries()] == [record]

    @pytest.mark.parametrize("id", ["\ud800", "\n", ""])
    def test_an_id_that_cannot_be_is_unknown_and_costs_no_other(self, ledger: Face, id: str) -> None:
        answers = ledger.do_all([reserve("a", 60), Settle(id=id, actual={}), Extend(id=id), reserve("b", 40)])
        kinds = [type(answer) for answer in answers]
        assert kinds == [Reserved, ReservationNotFound, ReservationNotFound, Reserved]

    def test_a_reservation_of_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least one charge"):
            Reserve.of(id="a", scope=RUN, charges=[])

    def test_an_account_stands_in_a_reservation_once(self) -> None:
        with pytest.raises(ValueError, match="may stand in a reservation once"):
            reserve("a", 1, more=[Charge(account=USD, amount=1)])

    def test_a_meter_has_one_amount(self) -> None:
        with pytest.raises(ValueError, match="one amount of usd, got 1 and 2"):
            reserve("a", 1, more=[Charge(account=USD, amount=2)])

    def test_10_000_charges_are_too_many_and_256_are_not(self, ledger: Face) -> None:
        def charges(count: int) -> list[Charge]:
            return [Charge(account=Account(f"run:{i}", "usd"), amount=1, limit=1) for i in range(count)]

        with pytest.raises(ValueError, match="at most 256 charges, got 10000"):
            Reserve.of(id="a", scope=RUN, charges=charges(10_000))
        for id, admitted in (("a", True), ("b", False)):
            assert is_admitted(ledger, Reserve.of(id=id, scope="run:1", charges=charges(256))) is admitted
        assert sum(balance.reserved for balance in ledger.store.balances()) == 256

    @pytest.mark.parametrize("scope", SCOPES)
    def test_a_scope_may_have_any_name(self, ledger: Face, scope: str) -> None:
        account = Account(scope, "usd")
        assert is_admitted(ledger, one("a", account, 80))
        assert not is_admitted(ledger, one("b", account, 80))
        ledger.do(Settle(id="a", actual={"usd": 80}))
        (balance,) = ledger.store.balances(scope)
        assert (balance.account, balance.spent) == (account, 80)
        assert [entry.scope for entry in ledger.store.entries(scope=scope)] == [scope, scope]

    def test_what_is_wrong_beside_what_is_right_changes_nothing(self, ledger: Face) -> None:
        ledger.do(reserve("a", 60))
        before = everything(ledger.store)
        with pytest.raises(ValueError, match="actual usd must be within"):
            ledger.do_all([reserve("b", 1), Settle(id="a", actual={"usd": -1})])
        assert everything(ledger.store) == before
        assert sums(ledger.store) == (60, 0, 0)
