"""
What ``solvent top`` knows of a ledger: which budgets are open, how they stand, how fast they are spent.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import golden_ledger as golden
import pytest
from run_journal import CENT, RunJournal
from top_world import SECOND, World, budget, row, scopes

from solvent._openings import IMPORTED, TOP_UP, OtherLimit, _json
from solvent._operations import Note, Reserve, SetLimit, Settle, TopUp
from solvent._records import Account, CallRecord, Entry, Terms
from solvent.stores._owner import _owner
from solvent.top._json import to_json
from solvent.top._reader import STEP, Reader, find_end, find_tail
from solvent.top._records import Picture

RUN = Account("run:triage", "usd")
TEAM = "org:acme/team:search"
DAY = Account(TEAM, "usd", "day@UTC")


def _budgets_json(picture: Picture) -> list[Any]:
    return json.loads(json.dumps(to_json(picture)))["budgets"]  # type: ignore[no-any-return]


def test_an_open_budget_is_shown_with_what_is_spent_reserved_and_left(world: World) -> None:
    run = world.run()
    run.call(2 * CENT)
    run.reserve(3 * CENT)

    found = world.budget()

    assert (found.state, found.calls, found.open_calls) == ("running", 1, 1)
    balances = {one.account.meter: one.balance for one in found.rows}
    usd, calls = balances["usd"], balances["calls"]
    assert (usd.limit, usd.spent, usd.reserved, usd.remaining) == (100 * CENT, 2 * CENT, 3 * CENT, 95 * CENT)
    assert (calls.limit, calls.spent, calls.reserved, calls.remaining) == (200, 1, 1, 198)


def test_a_budget_that_is_closed_is_gone(world: World) -> None:
    run = world.run()
    assert scopes(world.look()) == ["run:triage"]
    run.close()
    assert world.look().budgets == ()
    assert world.reader().look().budgets == ()


def test_a_run_that_is_imported_is_not_open(world: World) -> None:
    world.look()
    world.write(Note(kind="open", id=f"{IMPORTED}1", scope="run:past", call=CallRecord(started=1)))
    world.call("run:past", {Account("run:past", "usd"): None}, CENT)
    assert world.look().budgets == ()
    assert world.reader().look().burn == 0


def test_burn_is_what_was_spent_per_minute_since_the_opening(world: World) -> None:
    run = world.run()
    world.look()
    run.call(2 * CENT)
    world.clock.advance(seconds=30)
    assert world.row().burn == 4 * CENT
    assert world.row("calls").burn == 2
    assert world.row().seconds_left == 98 * 15  # At a cent in 15 seconds.
    assert world.look().burn == 4 * CENT


def test_the_first_seconds_of_a_budget_are_told_as_ten(world: World) -> None:
    run = world.run()
    world.look()
    run.call(2 * CENT)
    assert world.row().burn == 12 * CENT


def test_burn_forgets_what_was_spent_five_minutes_ago(world: World) -> None:
    run = world.run()
    world.look()
    run.call(2 * CENT)
    world.look()
    world.clock.advance(seconds=299)
    assert world.row().burn == Fraction(2 * CENT * 60, 299)
    world.clock.advance(seconds=1)
    assert (world.row().burn, world.row().seconds_left) == (0, None)


def test_burn_is_that_of_this_opening_alone(world: World) -> None:
    run = world.run()
    world.look()
    run.call(50 * CENT)
    world.clock.advance(seconds=60)
    world.look()
    run.close()
    world.clock.advance(seconds=60)
    run.open(started=world.clock.now_ns(), status=world.owner)
    world.look()
    run.call(2 * CENT)
    world.clock.advance(seconds=60)
    assert world.reader().look().burn == 2 * CENT


def test_burn_of_an_agent_that_is_opened_once_per_call_goes_on_over_its_openings(world: World) -> None:
    agent = Account("run:triage/agent:coder", "usd")
    limits = {RUN: 100 * CENT, agent: 50 * CENT}
    world.run()
    world.look()
    for _ in range(4):
        world.open(agent.scope, limits)
        world.call(agent.scope, limits, 2 * CENT)
        world.clock.advance(seconds=15)
        world.close(agent.scope)
        world.look()
    for picture in (world.look(), world.reader().look()):
        assert row(picture, scope=agent.scope).burn == picture.burn == 8 * CENT
        assert row(picture, scope=agent.scope).seconds_left == 42 * 60 // 8
    world.open(agent.scope, limits)
    shown = next(one for one in _budgets_json(world.reader().look()) if one["scope"] == agent.scope)
    assert (shown["accounts"][0]["burn_per_minute"], shown["accounts"][0]["seconds_left"]) == (str(8 * CENT), 315)
    assert budget(world.look(), agent.scope).opened_ns == world.clock.now_ns()


def test_burn_of_an_agent_goes_on_over_its_openings_where_nobody_opened_its_run(world: World) -> None:
    agent = Account("run:s-1/agent:coder", "usd")
    for _ in range(4):
        world.open(agent.scope, {agent: 50 * CENT})
        world.call(agent.scope, {agent: 50 * CENT}, 2 * CENT)
        world.clock.advance(seconds=15)
        world.close(agent.scope)
    world.open(agent.scope, {agent: 50 * CENT})
    picture = world.reader().look()
    assert row(picture, scope=agent.scope).burn == picture.burn == 8 * CENT


def test_what_an_agent_spent_in_a_run_that_was_killed_is_no_burn_of_the_next(world: World) -> None:
    agent = Account("run:triage/agent:coder", "usd")
    limits = {RUN: 100 * CENT, agent: 50 * CENT}
    alive, world.owner = world.owner, world.owner.replace(world.clock.boot_id(), "boot-0")
    run = world.run()
    world.open(agent.scope, limits)
    world.call(agent.scope, limits, 20 * CENT)
    world.clock.advance(seconds=60)
    world.owner = alive
    run.open(started=world.clock.now_ns(), status=world.owner)
    world.open(agent.scope, limits)
    world.call(agent.scope, limits, 2 * CENT)
    world.clock.advance(seconds=30)
    assert row(world.reader().look(), scope=agent.scope).burn == 4 * CENT


def test_burn_before_the_first_look_is_read_from_the_journal(world: World) -> None:
    run = world.run()
    run.call(7 * CENT)
    world.clock.advance(seconds=400)
    run.call(2 * CENT)
    world.clock.advance(seconds=60)
    assert world.row().burn == Fraction(2 * CENT, 5)  # Of the last five minutes.


def test_a_correction_lowers_the_burn(world: World) -> None:
    run = world.run()
    world.look()
    id = run.reserve(3 * CENT)
    world.clock.advance(seconds=130)
    world.store.expire()
    assert world.row().burn == Fraction(3 * CENT * 60, 130)
    run.settle(id, CENT)
    assert world.row().burn == Fraction(CENT * 60, 130)


def test_after_an_overrun_nothing_is_left(world: World) -> None:
    run = world.run(usd=4 * CENT)
    world.look()
    run.call(5 * CENT, bound=3 * CENT)
    found = world.row()
    assert (found.balance.remaining, found.seconds_left, found.used) == (-CENT, 0, Fraction(5, 4))
    assert found.balance.overrun == 2 * CENT


def test_a_budget_without_limits_is_shown_with_what_it_spent(world: World) -> None:
    world.open("run:free", {})
    world.call("run:free", {Account("run:free", "usd"): None}, 2 * CENT)
    found = row(world.look(), "usd", "run:free")
    assert (found.balance.limit, found.balance.spent, found.used, found.seconds_left) == (None, 2 * CENT, 0, None)


def test_a_limit_of_nothing_is_used_up(world: World) -> None:
    world.run(usd=0)
    assert world.row().used == 1


def test_top_ups_and_limits_that_the_ledger_sets_count(world: World) -> None:
    run = world.run()
    run.call(2 * CENT)
    world.write(TopUp(id="up", account=RUN, amount=50 * CENT))
    assert world.row().balance.limit == 150 * CENT
    world.write(SetLimit(id="set", account=RUN, limit=10 * CENT))
    assert world.row().balance.limit == 60 * CENT
    world.write(SetLimit(id="tokens", account=Account("run:triage", "tokens"), limit=9))
    assert world.row("tokens").balance.limit == 9


def test_a_top_up_in_code_raises_the_limit_and_opens_nothing(world: World) -> None:
    run = world.run()
    began = world.budget().opened_ns
    world.clock.advance(seconds=60)
    world.open("run:triage", {RUN: 130 * CENT}, reason=f"{TOP_UP}: more files")
    assert (world.row().balance.limit, world.budget().opened_ns) == (130 * CENT, began)
    run.close()
    assert world.look().budgets == ()


def test_wider_scopes_with_limits_are_shown_in_their_present_window(world: World) -> None:
    limits = {
        Account("org:acme", "usd", "month@UTC"): 500 * CENT,
        DAY: 20 * CENT,
        Account(f"{TEAM}/run:a", "usd"): None,
    }
    world.open(f"{TEAM}/run:a", limits)
    world.call(f"{TEAM}/run:a", limits, 2 * CENT)
    world.look()
    world.clock.advance(seconds=86_400)
    assert scopes(world.look()) == ["org:acme", TEAM, f"{TEAM}/run:a"]
    world.call(f"{TEAM}/run:a", limits, 3 * CENT)
    picture = world.look()
    day, month = row(picture, scope=TEAM), row(picture, scope="org:acme")
    assert (day.balance.spent, month.balance.spent) == (3 * CENT, 5 * CENT)
    assert (day.balance.limit, day.resets_seconds) == (20 * CENT, 13 * 3_600 + 45 * 60)
    assert day.burn == month.burn == Fraction(3 * CENT, 5)  # What a window dropped is no gain.


def test_a_wider_scope_that_only_the_ledger_limits_is_shown(world: World) -> None:
    run = Account(f"{TEAM}/run:a", "usd")
    world.open(run.scope, {run: CENT})
    assert scopes(world.look()) == [run.scope]
    world.write(SetLimit(id="set", account=DAY, limit=9 * CENT))
    assert row(world.look(), scope=TEAM).balance.limit == 9 * CENT


def test_a_rolling_minute_burns_what_it_holds(world: World) -> None:
    minute = Account("run:triage", "tokens", "minute")
    world.open("run:triage", {RUN: 100 * CENT, minute: 1_000})
    world.call("run:triage", {RUN: 100 * CENT, minute: 1_000}, CENT, tokens=400)
    found = world.row("tokens")
    assert (found.balance.spent, found.burn, found.seconds_left, found.resets_seconds) == (400, 400, 90, None)
    world.clock.advance(seconds=62)
    assert world.row("tokens").burn == 0


def test_agents_with_limits_of_their_own_are_shown_though_nobody_opened_them(world: World) -> None:
    agent = Account("run:triage/agent:coder", "usd")
    world.run()
    world.call(agent.scope, {RUN: 100 * CENT, agent: 8 * CENT}, 2 * CENT)
    world.call("run:triage/agent:free", {RUN: 100 * CENT}, 2 * CENT)
    found = row(world.look(), scope=agent.scope)
    assert (found.balance.limit, found.balance.spent) == (8 * CENT, 2 * CENT)
    world.call("run:triage/agent:late", {RUN: 100 * CENT, Account("run:triage/agent:late", "usd"): CENT}, CENT)
    assert scopes(world.look()) == ["run:triage/agent:late", agent.scope, "run:triage"]
    other = {Account("org:acme/run:other", "usd"): CENT}
    world.call("org:acme/run:other", other, CENT)  # Nobody opened it, and the organization is no run of its own.
    world.open("org:acme", {})
    assert "org:acme/run:other" not in scopes(world.look())


@pytest.mark.slow
def test_the_limit_of_an_agent_is_known_however_long_ago_its_last_call_was(world: World) -> None:
    agent = Account("run:triage/agent:coder", "usd")
    world.run()
    world.call(agent.scope, {RUN: 100 * CENT, agent: 8 * CENT}, 2 * CENT)
    for number in range(2 * STEP):
        world.write(Note(kind="refuse", id=f"r{number}", scope="run:triage", call=CallRecord()))
    assert row(world.reader().look(), scope=agent.scope).balance.limit == 8 * CENT


def test_an_agent_that_was_closed_is_shown_as_long_as_its_run_is_open(world: World) -> None:
    agent = Account("run:triage/agent:coder", "usd")
    run = world.run()
    world.open(agent.scope, {RUN: 100 * CENT, agent: 8 * CENT})
    assert world.budget(agent.scope).state == "running"
    world.close(agent.scope)
    found = world.budget(agent.scope)
    assert (found.state, found.opened_ns, found.rows[0].balance.limit) == (None, None, 8 * CENT)
    run.close()
    assert world.look().budgets == ()


def test_a_run_that_is_open_twice_is_open_until_both_are_closed(world: World) -> None:
    run = world.run()
    run.open(started=world.clock.now_ns(), status=world.owner)
    run.close()
    assert scopes(world.look()) == ["run:triage"]
    run.close()
    assert world.look().budgets == ()


def test_a_run_whose_first_process_was_killed_is_over_when_the_second_closes_it(world: World) -> None:
    run = world.run()
    world.clock.reboot()
    world.clock.advance(seconds=60)
    run.open(started=world.clock.now_ns(), status=world.owner.replace("boot-1", world.clock.boot_id()))
    assert world.budget().opened_ns == world.clock.now_ns()
    run.close()
    assert world.look().budgets == ()


@contextmanager
def another_process(world: World) -> Iterator[str]:
    """
    A process that is killed at the end, by its name in the journal.
    """
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    try:
        yield _owner(world.clock.boot_id(), process.pid)
    finally:
        process.kill()
        process.communicate()


def test_a_killed_budget_is_shown_for_ten_minutes(world: World) -> None:
    with another_process(world) as owner:
        run = RunJournal(world.store, limits={"usd": 100 * CENT})
        run.open(started=world.clock.now_ns(), status=owner)
        run.call(2 * CENT)
        run.reserve(3 * CENT)
        assert world.budget().state == "running"
    world.clock.advance(seconds=600)
    picture = world.look()
    assert (picture.open_count, picture.killed_count, picture.burn) == (0, 1, 0)
    found = row(picture)
    assert (budget(picture).state, found.burn, found.seconds_left) == ("killed", None, None)
    assert (found.balance.spent, found.balance.reserved) == (2 * CENT, 3 * CENT)
    world.clock.advance(seconds=1)
    assert world.look().budgets == ()


def test_a_budget_that_was_killed_long_before_the_first_look_is_not_shown(world: World) -> None:
    world.run().call(2 * CENT)
    world.clock.reboot()
    world.clock.advance(seconds=601)
    assert world.look().budgets == ()


def test_a_budget_that_was_killed_shortly_before_the_first_look_is_shown(world: World) -> None:
    world.run().call(2 * CENT)
    world.clock.reboot()
    world.clock.advance(seconds=250)
    assert world.budget().state == "killed"


def test_looking_writes_nothing(world: World) -> None:
    run = world.run()
    run.reserve(3 * CENT)
    world.clock.reboot()
    before = find_all(world)
    world.look()
    assert find_all(world) == before


def find_all(world: World) -> list[Entry]:
    return list(world.store.entries())


def test_a_process_that_cannot_be_seen_from_here_is_neither_running_nor_killed(world: World) -> None:
    world.open("run:triage", {RUN: CENT}, status=f"{world.clock.boot_id()}/1/2@another-container")
    assert (world.budget().state, world.look().open_count) == (None, 1)


def test_what_is_in_an_open_run_is_counted_as_that_run(world: World) -> None:
    agent = Account("run:triage/agent:coder", "usd")
    world.run()
    world.open(agent.scope, {RUN: 100 * CENT, agent: 50 * CENT})
    picture = world.look()
    assert (len(picture.budgets), picture.open_count, to_json(picture)["open"]) == (2, 1, 1)
    assert world.reader(agent.scope).look().open_count == 1  # Where its run is not shown.
    world.clock.reboot()
    world.clock.advance(seconds=60)
    picture = world.look()
    assert (len(picture.budgets), picture.open_count, picture.killed_count) == (2, 0, 1)


def test_a_scope_that_the_ledger_does_not_know_is_told_from_one_where_nothing_is_open(world: World) -> None:
    run = world.run("team:a/run:triage")
    world.refuse("team:b", "no price")
    run.close()
    assert world.reader("run:nope").look().unknown == "run:nope"
    for known in ("team:a", "team:a/run:triage", "team:b", None):
        assert world.reader(known).look().unknown is None


def test_only_what_is_below_a_scope_is_shown(world: World) -> None:
    limits = {DAY: 20 * CENT, Account(f"{TEAM}/run:a", "usd"): CENT}
    world.open(f"{TEAM}/run:a", limits)
    world.run("run:other")
    world.refuse("run:other", "of another one")
    world.refuse(f"{TEAM}/run:a", "its own")
    picture = world.reader(f"{TEAM}/run:a").look()
    assert (scopes(picture), [refusal.said for refusal in picture.refusals]) == ([f"{TEAM}/run:a"], ["its own"])
    assert scopes(world.reader(TEAM).look()) == [TEAM, f"{TEAM}/run:a"]
    store = Counting(world.store)
    Reader(store, world.clock, scope=f"{TEAM}/run:a").look()
    assert store.asked == [(f"{TEAM}/run:a", True)]


def test_the_budget_nearest_to_its_limit_is_first(world: World) -> None:
    for name, cost in (("a", 2), ("b", 9), ("c", 5)):
        world.run(f"run:{name}", usd=10 * CENT).call(cost * CENT)
    assert scopes(world.look()) == ["run:b", "run:c", "run:a"]


def test_limits_that_only_tell_and_the_deadline_are_shown(world: World) -> None:
    others = [
        OtherLimit(scope="run:triage", meter="seconds", limit="600"),
        OtherLimit(scope="run:triage", meter="usd", limit=str(CENT), on_exceed="warn"),
        OtherLimit(scope="call", meter="usd", limit=str(CENT)),
        OtherLimit(scope="run:triage", meter="depth", limit="3"),
    ]
    world.open("run:triage", {Account("run:triage", "calls"): 10}, bound_parts=tuple(map(_json, others)))
    world.call("run:triage", {RUN: None}, 2 * CENT)
    world.clock.advance(seconds=90)
    found = {one.account.meter: one for one in world.budget().rows}
    assert set(found) == {"calls", "seconds", "usd"}
    time, usd = found["seconds"], found["usd"]
    assert (time.balance.limit, time.balance.spent, time.seconds_left) == (600, 90, 510)
    assert (usd.on_exceed, usd.balance.limit, usd.balance.spent) == ("warn", CENT, 2 * CENT)


def test_a_limit_of_calls_at_a_time_stands_with_the_calls(world: World) -> None:
    parallel = Account("run:triage", "parallel")
    world.open("run:triage", {RUN: 100 * CENT, parallel: 4})
    terms = Terms.of({RUN: 100 * CENT, parallel: 4})
    world.write(Reserve(id="a", scope="run:triage", terms=terms, amounts={"usd": CENT, "calls": 1, "parallel": 1}))
    found = world.budget()
    assert (found.open_calls, found.open_most, [one.account.meter for one in found.rows]) == (1, 4, ["usd"])


def test_refusals_are_told_newest_first_and_those_alike_once(world: World) -> None:
    world.run()
    world.refuse("run:triage", "no room.\nTo go on: …")
    world.look()
    for said in ("none left.", "none left.", "no room."):
        world.clock.advance(seconds=1)
        world.refuse("run:triage", said)
    found = world.look().refusals
    assert [(one.said, one.count) for one in found] == [("no room.", 1), ("none left.", 2), ("no room.", 1)]
    assert found[1].at == world.clock.now_ns() - SECOND
    assert world.reader().look().refusals == found


class Counting:
    """
    A store that counts the entries it hands out, and notes after which one and whose balances it is asked for.
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self.read = 0
        self.after = 0
        self.asked: list[tuple[str | None, bool]] = []

    def balances(self, scope: str | None = None, *, below: bool = True) -> Any:
        self.asked.append((scope, below))
        return self._store.balances(scope, below=below)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def entries(self, **asked: Any) -> Any:
        self.after = asked["after"]
        for entry in self._store.entries(**asked):
            self.read += 1
            yield entry


@pytest.mark.slow
def test_a_look_reads_no_call_of_the_journal(world: World) -> None:
    world.run()
    terms = Terms.of({RUN: 100 * CENT})

    def calls(first: int) -> None:
        for number in range(first, first + 1_500):
            made = Reserve(id=f"c{number}", scope="run:triage", terms=terms, amounts={"usd": 1})
            world.write(made, Settle(id=f"c{number}", actual={"usd": 1}))

    calls(0)
    store = Counting(world.store)
    reader = Reader(store, world.clock)
    reader.look()
    store.read = 0
    world.refuse("run:triage", "no room.")
    calls(10_000)
    picture = reader.look()
    assert (row(picture).balance.spent, picture.refusals[0].said) == (3_000, "no room.")
    assert store.read < 12  # Its end was looked for.
    store.read = 0
    reader.look()
    assert store.read == 0
    assert store.after > 6_000 - STEP  # Nor are those of before passed over again.


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, STEP, STEP + 1, 3 * STEP + 7])
def test_the_end_of_the_journal_is_found_to_a_thousand_entries(world: World, count: int) -> None:
    for number in range(count):
        world.write(Note(kind="refuse", id=str(number), scope="run:triage", call=CallRecord()))
    assert count - STEP <= find_end(world.store) <= count
    assert count - STEP <= find_end(world.store, count // 2) <= count


@pytest.mark.slow
def test_of_the_calls_before_the_first_look_only_the_last_are_looked_at(world: World) -> None:
    began = world.clock.now_ns()
    for number in range(4 * STEP):
        if number % STEP == 0:
            world.clock.advance(seconds=60)
        world.write(Note(kind="refuse", id=str(number), scope="run:triage", call=CallRecord()))
    assert find_tail(world.store, 4 * STEP, began + 200 * SECOND) == (2 * STEP, 0)
    assert find_tail(world.store, 4 * STEP, began) == (0, 0)


def test_of_a_wide_scope_nothing_is_read_that_was_ever_below_it(world: World) -> None:
    limits = {Account("org:acme", "usd"): 9 * CENT, DAY: 20 * CENT, Account(f"{TEAM}/run:a", "usd"): 9 * CENT}
    for name in ("a", "b"):
        world.open(f"{TEAM}/run:{name}", limits)
        world.call(f"{TEAM}/run:{name}", limits, CENT)
    world.close(f"{TEAM}/run:b")
    store = Counting(world.store)
    picture = Reader(store, world.clock).look()
    assert sorted(store.asked) == [("org:acme", False), (TEAM, False), (f"{TEAM}/run:a", True)]
    assert row(picture, scope=TEAM).balance.spent == 2 * CENT


def test_the_amounts_of_the_golden_ledger_are_shown(tmp_path: Any) -> None:
    made = golden.golden(tmp_path / "ledger.db")
    store = made.open()
    picture = Reader(store, made.clock).look()
    lonely = row(picture, scope=golden.LONELY)
    assert scopes(picture) == [golden.LONELY]  # All others are closed.
    assert (lonely.balance.spent, lonely.balance.reserved) == (golden.LONELY_COST, golden.OPEN_RESERVED)
    assert sum(one.count for one in picture.refusals) == golden.REFUSALS

    for scope, limits in ((golden.TRIAGE, golden.TRIAGE_LIMITS), (golden.BANNER, golden.BANNER_LIMITS)):
        store.apply([Note(kind="open", id=scope, scope=scope, terms=Terms.of(limits), call=CallRecord())])
    picture = Reader(store, made.clock).look()
    spent = {(one.account.scope, one.account.meter): one.balance.spent for b in picture.budgets for one in b.rows}
    assert spent == {
        ("org:acme", "usd"): golden.COST,
        ("org:acme/team:search", "usd"): 0,  # A week later.
        (golden.TRIAGE, "usd"): golden.TRIAGE_COST,
        (golden.TRIAGE, "calls"): len(list(made.below(golden.TRIAGE))),
        (golden.BANNER, "usd"): golden.BANNER_COST,
        (golden.LONELY, "usd"): golden.LONELY_COST,
        (golden.RESEARCHER, "usd"): golden.RESEARCHER_COST,
    }
    triage = row(picture, scope=golden.TRIAGE).balance
    assert (triage.limit, triage.overrun) == (golden.DOLLAR + golden.DOLLAR // 2, golden.OVERRUN)
    store.close()


def test_amounts_travel_as_text_in_json(world: World) -> None:
    run = world.run()
    world.look()
    run.call(2 * CENT + 1)
    world.clock.advance(seconds=45)
    found = to_json(world.look())
    assert (found["schema_version"], found["open"]) == (1, 1)
    assert found["burn_nanodollars_per_minute"] == "26666668"
    (shown,) = found["budgets"]  # type: ignore[misc]
    usd, calls = shown["accounts"]
    assert (usd["spent"], usd["remaining"], usd["burn_per_minute"], usd["seconds_left"]) == (
        "20000001",
        "979999999",
        "26666668",
        2204,
    )
    assert (calls["spent"], calls["burn_per_minute"]) == ("1", "1.333")
