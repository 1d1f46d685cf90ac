from datetime import UTC, datetime
from typing import Any

import pytest
from clocks import ManualClock
from hypothesis import given, settings
from hypothesis import strategies as st
from run_journal import CENT, START, RunJournal

from solvent._amounts import Usage
from solvent._digest import HOUR_NS, Facts, Sums
from solvent._limits import Limit, Scope
from solvent._openings import OtherLimit, opening
from solvent._operations import Extend, Note, Reserve, SetLimit, Settle, TopUp
from solvent._records import BRANCHES, Account, Balance, CallRecord, Terms
from solvent.policy import LimitsInForce, Policy
from solvent.prices import Prices, UserPrice
from solvent.report import ModelUse, Refused, Share, Use, summarize
from solvent.report._rungs import rungs
from solvent.report._tree import CHILDREN_MAX
from solvent.stores._owner import this_process
from solvent.stores.memory import MemoryStore


def test_a_run_without_calls_is_a_report_of_zeros(journal: RunJournal) -> None:
    journal.open()

    report = summarize(journal.store, "run:triage")

    assert report.total == Use()
    assert report.models == ()
    assert report.limits == (
        Balance(account=Account("run:triage", "usd"), limit=100 * CENT),
        Balance(account=Account("run:triage", "calls"), limit=200),
    )


def test_a_limit_shows_what_its_account_holds(journal: RunJournal) -> None:
    journal.open()
    journal.call(2 * CENT)
    journal.call(5 * CENT, bound=3 * CENT)
    journal.reserve(4 * CENT)

    report = summarize(journal.store, "run:triage")

    assert report.limits == (
        Balance(
            account=Account("run:triage", "usd"),
            limit=100 * CENT,
            spent=7 * CENT,
            reserved=4 * CENT,
            overrun=2 * CENT,
        ),
        Balance(account=Account("run:triage", "calls"), limit=200, spent=2, reserved=1),
    )
    assert report.limits[0].remaining == 89 * CENT
    assert report.overruns == Share(count=1, nanodollars=2 * CENT)
    assert report.open == Share(count=1, nanodollars=4 * CENT)
    assert report.bounds == Share(count=2, nanodollars=6 * CENT)


def test_limits_are_those_of_the_last_opening(journal: RunJournal) -> None:
    journal.open()
    journal.limits = {"usd": 300 * CENT}
    journal.open()

    assert summarize(journal.store, "run:triage").limits == (
        Balance(account=Account("run:triage", "usd"), limit=300 * CENT),
    )


def test_use_is_counted_by_the_model_that_answered(journal: RunJournal) -> None:
    journal.call(2 * CENT, usage={"input_tokens": 100, "output_tokens": 7, "cache_read_tokens": 40})
    journal.call(1 * CENT, usage={"input_tokens": 50, "output_tokens": 3})
    journal.call(3 * CENT, model_asked="o9", model_used="o9", usage={"input_tokens": 1, "output_tokens": 1})
    # An error names no model; its call goes where the same request is mostly answered.
    journal.call(0, model_used=None, status="429")

    report = summarize(journal.store, "run:triage")

    tokens = {"cache_read_tokens": 40, "input_tokens": 150, "output_tokens": 10}
    assert report.models == (
        ModelUse(
            provider="openai",
            model="gpt-5-mini-2025-08-07",
            use=Use(calls=3, cost_nanodollars=3 * CENT, tokens=tokens),
        ),
        ModelUse(
            provider="openai",
            model="o9",
            use=Use(calls=1, cost_nanodollars=3 * CENT, tokens={"input_tokens": 1, "output_tokens": 1}),
        ),
    )
    assert report.total.calls == 4
    assert report.total.tokens == {"cache_read_tokens": 40, "input_tokens": 151, "output_tokens": 11}


def test_a_call_without_a_price_is_counted_and_costs_nothing(journal: RunJournal) -> None:
    journal.call(None)
    journal.call(2 * CENT)

    assert summarize(journal.store, "run:triage").total == Use(calls=2, cost_nanodollars=2 * CENT, unpriced=1)


def test_refusals_are_grouped_by_what_was_in_the_way(journal: RunJournal) -> None:
    for need in ("$0.03", "$0.04"):
        journal.refuse("budget_exceeded", f"run:triage has $0.01 left; this call needs up to {need}.", meter="usd")
    journal.refuse("budget_exceeded", "run:triage has 0 calls left.", meter="calls")
    journal.refuse("price_unknown", "'o9' has no price.", model="o9")
    journal.refuse("price_unknown", "'o8' has no price.", model="o8")

    report = summarize(journal.store, "run:triage")

    assert report.refusals == 5
    assert report.refused[0] == Refused(
        code="budget_exceeded",
        account=Account("run:triage", "usd"),
        limit=100 * CENT,
        count=2,
        reason="run:triage has $0.01 left; this call needs up to $0.04.",
    )
    assert {(refused.code, refused.model, refused.limit) for refused in report.refused[1:]} == {
        ("budget_exceeded", None, 200),
        ("price_unknown", "o8", None),
        ("price_unknown", "o9", None),
    }


def test_rungs_and_estimates_are_counted(journal: RunJournal) -> None:
    journal.call(rungs=["prefix", "wait 1.2 s", "shrink 513"])
    journal.call(rungs=["prefix"], estimated="cut")
    journal.release(journal.reserve(rungs=["wait 3.0 s"]))

    report = summarize(journal.store, "run:triage")

    assert report.rungs == {"prefix": 2, "shrink": 1, "wait": 1}
    assert report.estimated == {"cut": Share(count=1, nanodollars=2 * CENT)}
    assert report.released == 1
    assert report.total.calls == 2


def test_an_expired_call_is_charged_in_full_and_shown(journal: RunJournal, clock: ManualClock) -> None:
    journal.reserve(3 * CENT, rungs=["wait 1.2 s"])
    clock.advance(seconds=121)
    journal.store.expire()

    report = summarize(journal.store, "run:triage")

    assert report.expired == Share(count=1, nanodollars=3 * CENT)
    assert report.estimated == {"expired": Share(count=1, nanodollars=3 * CENT)}
    assert report.total == Use(calls=1, cost_nanodollars=3 * CENT)
    assert report.rungs == {"wait": 1}
    assert report.open == Share()


def test_a_late_truth_replaces_what_an_expiry_booked(journal: RunJournal, clock: ManualClock) -> None:
    id = journal.reserve(3 * CENT, rungs=["wait 1.2 s"])
    clock.advance(seconds=121)
    journal.store.expire()
    journal.settle(id, 5 * CENT, rungs=["wait 1.2 s"], usage={"input_tokens": 9})

    report = summarize(journal.store, "run:triage")

    assert report.total == Use(calls=1, cost_nanodollars=5 * CENT, tokens={"input_tokens": 9})
    assert [model.model for model in report.models] == ["gpt-5-mini-2025-08-07"]
    assert report.overruns == Share(count=1, nanodollars=2 * CENT)
    assert report.rungs == {"wait": 1}
    assert (report.expired, report.estimated, report.corrected) == (Share(), {}, 1)


def test_a_call_that_expired_and_was_never_sent_is_no_call(journal: RunJournal, clock: ManualClock) -> None:
    id = journal.reserve(3 * CENT)
    clock.advance(seconds=121)
    journal.store.expire()
    journal.release(id)

    report = summarize(journal.store, "run:triage")

    assert (report.total, report.released, report.corrected, report.expired) == (Use(), 1, 1, Share())


def test_a_call_that_expired_and_was_answered_with_an_error_is_a_call(journal: RunJournal, clock: ManualClock) -> None:
    journal.limits = {"usd": 100 * CENT}
    id = journal.reserve(3 * CENT)
    clock.advance(seconds=121)
    journal.store.expire()
    journal.settle(id, 0, status="429")

    report = summarize(journal.store, "run:triage")

    assert (report.total, report.released) == (Use(calls=1), 0)


def test_an_expiry_above_its_reservation_is_an_overrun_until_it_is_corrected(
    journal: RunJournal, clock: ManualClock
) -> None:
    id = journal.reserve(3 * CENT)
    journal.write(Extend(id=id, so_far={"usd": 5 * CENT}))
    clock.advance(seconds=121)
    journal.store.expire()

    expired = summarize(journal.store, "run:triage")
    journal.settle(id, 4 * CENT)
    corrected = summarize(journal.store, "run:triage")

    assert (expired.expired, expired.overruns) == (
        Share(count=1, nanodollars=5 * CENT),
        Share(count=1, nanodollars=2 * CENT),
    )
    assert (corrected.total.cost_nanodollars, corrected.overruns) == (4 * CENT, Share(count=1, nanodollars=CENT))


def test_its_time_is_what_it_was_open_in_all(journal: RunJournal, clock: ManualClock) -> None:
    journal.open()
    clock.advance(seconds=60)
    journal.close("budget", 3)
    clock.advance(seconds=3600)
    journal.open()
    clock.advance(seconds=5)
    journal.close("exited", 0)

    report = summarize(journal.store, "run:triage", clock=clock)

    assert (report.openings, report.exit_reason, report.exit_code) == (2, "exited", 0)
    assert (report.started, report.elapsed_seconds) == (ManualClock(START).now_ns(), 65)
    assert report.state == "ended"


def test_an_opening_that_nobody_closed_lasts_until_its_last_sign_of_life(
    journal: RunJournal, clock: ManualClock
) -> None:
    journal.open()
    clock.advance(seconds=7)
    journal.reserve()
    clock.advance(seconds=10_000)
    journal.store.expire()  # Whoever looks writes this, long after.

    unclosed = summarize(journal.store, "run:triage", clock=clock)
    journal.open()
    clock.advance(seconds=2)
    journal.close()

    assert (unclosed.ended, unclosed.exit_reason, unclosed.exit_code) == (None, None, None)
    assert (unclosed.elapsed_seconds, unclosed.state) == (7, None)
    assert summarize(journal.store, "run:triage", clock=clock).elapsed_seconds == 9


def test_a_run_is_running_while_its_process_is_there(journal: RunJournal, clock: ManualClock) -> None:
    journal.open(status=this_process(clock))
    clock.advance(seconds=7)
    journal.call()
    clock.advance(seconds=20)

    running = summarize(journal.store, "run:triage", clock=clock)
    clock.reboot()
    killed = summarize(journal.store, "run:triage", clock=clock)

    assert (running.state, running.elapsed_seconds) == ("running", 27)
    assert (killed.state, killed.elapsed_seconds) == ("killed", 7)


def test_tokens_that_nobody_told_count_as_they_were_booked(journal: RunJournal, clock: ManualClock) -> None:
    journal.call(2 * CENT, usage={"input_tokens": 9, "output_tokens": 2})
    id = journal.reserve(3 * CENT, tokens={"input_tokens": 2_000, "output_tokens": 300})
    clock.advance(seconds=121)
    journal.store.expire()

    expired = summarize(journal.store, "run:triage").total
    journal.settle(id, 2 * CENT, usage={"input_tokens": 20, "output_tokens": 3})
    corrected = summarize(journal.store, "run:triage").total

    assert expired.tokens == {"input_tokens": 2_009, "output_tokens": 302}
    assert corrected.tokens == {"input_tokens": 29, "output_tokens": 5}


def test_what_did_not_come_to_a_reply_is_counted_by_why(journal: RunJournal) -> None:
    journal.open()
    for status in ("429", "429", "500", "200", "cut"):
        journal.call(0, status=status)
    journal.release(journal.reserve(), "not_sent")
    journal.release(journal.reserve(), "client_gone")
    journal.close(usage={"denied": 2, "invalid_json": 1})
    journal.open()
    journal.close(usage={"denied": 1})

    report = summarize(journal.store, "run:triage")

    assert report.failed == {"429": 2, "500": 1}
    assert (report.released, report.unsent) == (2, {"client_gone": 1, "not_sent": 1})
    assert report.turned_away == {"denied": 3, "invalid_json": 1}
    assert report.total.tokens == {}


def test_every_limit_in_force_is_reported(journal: RunJournal) -> None:
    scope = Scope.parse("run:triage")
    limits = LimitsInForce(Policy(budgets=(("run:*", Limit(meter="usd", amount=CENT, on_exceed="warn")),)))
    limits.open(scope, [Limit(meter="depth", amount=2), Limit(meter="usd", amount=9 * CENT)])
    call = Limit(meter="output_tokens", amount=8_000)
    journal.write(opening(scope, limits.rules(scope), per_call=[call], time_seconds=1.5))
    journal.call(2 * CENT, rungs=["warn usd"])

    report = summarize(journal.store, "run:triage")

    assert [(balance.account.meter, balance.limit) for balance in report.limits] == [("usd", 9 * CENT)]
    assert report.others == (
        OtherLimit(scope="run:triage", meter="usd", limit=str(CENT), on_exceed="warn", spent=2 * CENT),
        OtherLimit(scope="run:triage", meter="depth", limit="2"),
        OtherLimit(scope="call", meter="output_tokens", limit="8000"),
        OtherLimit(scope="run:triage", meter="seconds", limit="1.5"),
    )
    assert report.state == "running"
    assert report.rungs == {"warn usd": 1}


def test_what_stands_below_a_run_is_part_of_it(journal: RunJournal) -> None:
    journal.open()
    below = RunJournal(journal.store, "run:triage/agent:critic", limits={"usd": 10 * CENT})
    below.open()
    below.refuse("budget_exceeded", "too little left", meter="usd")
    below.close("budget", 3)
    RunJournal(journal.store, "run:triage-2").open()

    report = summarize(journal.store, "run:triage")

    assert (report.openings, report.ended, report.refusals) == (1, None, 1)
    assert [(balance.account.scope, balance.limit) for balance in report.limits] == [
        ("run:triage", 100 * CENT),
        ("run:triage", 200),
        ("run:triage/agent:critic", 10 * CENT),
    ]


def test_a_report_asks_its_store_once_for_all_that_stands_below_a_run(
    journal: RunJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    balances = journal.store.balances

    def counted(scope: str | None = None) -> list[Balance]:
        asked.append(scope)
        return balances(scope)

    journal.open()
    for number in range(20):
        below = RunJournal(journal.store, f"run:triage/step:req-{number}", limits={"usd": 10 * CENT})
        below.open()
        below.call(1)
    RunJournal(journal.store, "run:triage-2").open()
    monkeypatch.setattr(journal.store, "balances", counted)

    report = summarize(journal.store, "run:triage")

    assert asked == ["run:triage"]
    assert [balance.spent for balance in report.limits if "/step:" in balance.account.scope] == [1] * 20


def test_a_report_of_a_run_reads_no_account_of_another_run(
    journal: RunJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide, own, other = (Account(scope, "usd") for scope in ("org:acme", "org:acme/run:a", "org:acme/run:b"))
    read: list[Account] = []
    balances = journal.store.balances

    def watched(scope: str | None = None, *, below: bool = True) -> list[Balance]:
        found = balances(scope, below=below)
        read.extend(balance.account for balance in found)
        return found

    for account in (own, other):
        terms, id = Terms.of({account: 9, wide: 50}), account.scope
        journal.write(Note(kind="open", id=f"open {id}", scope=id, terms=terms, call=CallRecord()))
        journal.write(Reserve(id=id, scope=id, terms=terms, amounts={"usd": 7}, call=CallRecord()))
    monkeypatch.setattr(journal.store, "balances", watched)

    report = summarize(journal.store, own.scope)

    assert {balance.account: (balance.reserved, balance.limit) for balance in report.limits} == {
        own: (7, 9),
        wide: (14, 50),
    }
    assert {account.scope for account in read} == {wide.scope, own.scope}


def test_limits_are_those_in_force_also_where_the_ledger_has_its_own(journal: RunJournal) -> None:
    usd, calls, tokens = (Account("run:triage", meter) for meter in ("usd", "calls", "tokens"))
    journal.open()
    journal.call(2 * CENT)
    journal.store.apply(
        [
            TopUp(id="a", account=usd, amount=5 * CENT),
            SetLimit(id="b", account=calls, limit=7),
            SetLimit(id="c", account=tokens, limit=1_000),
        ]
    )

    report = summarize(journal.store, "run:triage")

    assert [(balance.account, balance.limit, balance.spent) for balance in report.limits] == [
        (usd, 105 * CENT, 2 * CENT),
        (tokens, 1_000, 0),
        (calls, 7, 1),
    ]


def test_a_limit_wider_than_the_run_shows_what_all_runs_spent(journal: RunJournal) -> None:
    def usd(run: str) -> Terms:
        return Terms.of(
            {Account("org:acme", "usd", "month@UTC"): 500 * CENT, Account(f"org:acme/run:{run}", "usd"): None}
        )

    for run in ("a", "b"):
        one = RunJournal(journal.store, f"org:acme/run:{run}")
        one.terms = lambda _, run=run: usd(run)  # type: ignore[method-assign]
        one.open()
        one.call(2 * CENT)

    report = summarize(journal.store, "org:acme/run:b")

    assert [(balance.account.scope, balance.limit, balance.spent) for balance in report.limits] == [
        ("org:acme/run:b", None, 2 * CENT),
        ("org:acme", 500 * CENT, 4 * CENT),
    ]
    assert report.total.cost_nanodollars == 2 * CENT


def test_the_cost_is_what_was_booked_where_record_and_balance_differ(journal: RunJournal) -> None:
    id = journal.reserve(3 * CENT)
    journal.write(Settle(id=id, actual={"usd": 2 * CENT + 1}))

    assert summarize(journal.store, "run:triage").total.cost_nanodollars == 2 * CENT + 1


_AMOUNTS = st.integers(0, 40 * CENT)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), _AMOUNTS),
        st.tuples(st.just("settle"), _AMOUNTS, st.sampled_from(["a", "b", None])),
        st.tuples(st.just("settle unpriced"), st.none(), st.just("a")),
        st.tuples(st.just("release")),
        st.tuples(st.just("expire")),
        st.tuples(st.just("refuse")),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(steps=_STEPS, with_account=st.booleans())
def test_sums_over_the_report_equal_the_balances(steps: list[Any], with_account: bool) -> None:
    clock = ManualClock(START)
    store = MemoryStore(clock=clock)
    journal = RunJournal(store, limits={"usd": 2**52, "calls": 10**6} if with_account else {"calls": 10**6})
    journal.open()
    open_ids: list[str] = []
    expired: set[str] = set()
    bounds: dict[str, int] = {}
    costs: dict[str, int] = {}  # By call: what it truly cost, kept beside the journal.
    refused = 0
    for kind, *arguments in steps:
        if kind == "reserve":
            id = journal.reserve(arguments[0])
            open_ids.append(id)
            bounds[id] = arguments[0]
        elif kind == "expire":
            clock.advance(seconds=121)
            store.expire()
            fresh = [id for id in open_ids if id not in expired]
            costs.update({id: bounds[id] for id in fresh})
            expired.update(fresh)
        elif kind == "refuse":
            journal.refuse("budget_exceeded", "too little left", meter="calls")
            refused += 1
        elif open_ids:
            id = open_ids.pop(len(open_ids) // 2)
            expired.discard(id)
            if kind == "release":
                journal.release(id)
                costs.pop(id, None)
            else:
                cost, model = arguments
                journal.settle(id, cost, bound=bounds[id], model_used=model, status="200")
                costs[id] = cost or 0

    report = summarize(store, "run:triage")

    assert (report.total.calls, report.total.cost_nanodollars) == (len(costs), sum(costs.values()))
    assert sum(model.use.cost_nanodollars for model in report.models) == report.total.cost_nanodollars
    assert sum(model.use.calls for model in report.models) == report.total.calls
    assert report.open.count == len([id for id in open_ids if id not in expired])
    assert report.expired.count == len(expired)
    assert report.refusals == refused
    by_account = {balance.account: balance for balance in store.balances("run:triage")}
    for shown in report.limits:
        kept = by_account.get(shown.account, Balance(account=shown.account))
        assert (shown.spent, shown.reserved, shown.overrun) == (kept.spent, kept.reserved, kept.overrun)
        spent = report.total.cost_nanodollars if shown.account.meter == "usd" else report.total.calls
        assert shown.spent == spent
        if shown.account.meter == "usd":
            assert report.overruns.nanodollars == kept.overrun
            assert report.open.nanodollars == kept.reserved


def test_a_run_that_goes_on_tells_what_was_spent_before(journal: RunJournal) -> None:
    journal.open()
    journal.call(7)
    journal.close("exited", 0)
    journal.open()
    journal.call(5)

    report = summarize(journal.store, "run:triage")

    assert (report.before.calls, report.before.cost_nanodollars) == (1, 7)
    assert (report.total.calls, report.total.cost_nanodollars) == (2, 12)


def test_what_was_spent_before_is_of_the_hours_that_were_asked_for(journal: RunJournal, clock: ManualClock) -> None:
    for cost in (7, 5, 3):
        journal.open()
        journal.call(cost, ended=clock.now_ns())
        clock.advance(seconds=3_600)
    journal.call(2, ended=clock.now_ns())
    hour = clock.now_ns() // HOUR_NS

    found = [summarize(journal.store, "run:triage", hours=hours) for hours in ((hour - 2, hour), (hour, hour + 1))]

    assert [(report.before.cost_nanodollars, report.total.cost_nanodollars) for report in found] == [(5, 8), (0, 2)]


def test_the_branches_of_a_fan_out_are_no_open_calls(journal: RunJournal) -> None:
    terms = Terms.of({Account("run:triage", "branches"): 64})
    call = CallRecord(format=BRANCHES)
    journal.write(Reserve(id="branches", scope="run:triage", terms=terms, amounts={"branches": 8}, call=call))
    journal.reserve(3 * CENT)

    assert summarize(journal.store, "run:triage").open == Share(count=1, nanodollars=3 * CENT)


def test_what_a_cheaper_model_saved_is_that_of_all_its_calls() -> None:
    facts = Facts(
        scope="run:a", hour=492_000, kind="settle", provider="openai", model_asked="gpt-4o", rungs=("degrade",)
    )
    one, three = (
        Sums(count=n, cost=n * 150_000, tokens={"input_tokens": n * 1_000, "output_tokens": n * 10}) for n in (1, 3)
    )

    [[saved_by_one], [saved_by_three]] = (rungs({facts: sums}) for sums in (one, three))

    assert (saved_by_one.saved_nanodollars or 0) > 0
    assert saved_by_three.saved_nanodollars == 3 * (saved_by_one.saved_nanodollars or 0)


def test_what_a_cheaper_model_saved_is_exact_where_the_size_of_a_call_does_not_matter() -> None:
    price = Prices.load({"dear": UserPrice(input=3_000, output=8_000, cache_read=1_000)}).find("openai", "dear")
    assert price is not None
    facts = Facts(scope="run:a", hour=492_000, kind="settle", provider="openai", model_asked="dear", rungs=("degrade",))
    uses = [(7, 2, 3, 1), (5, 0, 4, 2), (9, 1, 0, 1), (4, 3, 1, 0)]
    names = ("input_tokens", "cache_read_tokens", "output_tokens", "cache_write_5m_tokens")
    calls = [dict(zip(names, use, strict=True)) for use in uses]
    tokens = {name: sum(call[name] for call in calls) for name in names}
    sums = Sums(count=4, cost=11, tokens={**tokens, "tokens_of_a_later_version": 3})

    [rung] = rungs({facts: sums}, lambda *_: price)

    at = datetime(2026, 2, 15, 12, tzinfo=UTC)
    each = [price.cost(Usage(**call), tier=None, region=None, at=at) for call in calls]
    assert rung.saved_nanodollars == sum(each) - 11


def test_what_the_cheapest_scopes_hold_is_told_as_one(journal: RunJournal) -> None:
    for number in range(CHILDREN_MAX + 2):
        RunJournal(journal.store, f"run:{number}", limits={"usd": 9}).reserve(3)

    node = summarize(journal.store, None).tree

    assert node is not None
    assert (node.children[-1].count, node.children[-1].reserved_nanodollars) == (2, 6)
    assert sum(child.reserved_nanodollars for child in node.children) == node.reserved_nanodollars == 3 * 102
