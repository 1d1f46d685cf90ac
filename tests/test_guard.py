"""
The guard: what it admits, what it does so that a call fits, what it refuses, and what it books.
"""

import asyncio
import json
from functools import wraps

import pytest
from clocks import ManualClock
from guard_world import RUN, THREE_CENTS, World, chat, messages

from solvent._admit import Authorizer
from solvent._amounts import AMOUNT_MAX, Usage, nanodollars
from solvent._booking import Lost, NotSent, Replied
from solvent._limits import Limit
from solvent._operations import Extend, Release, Reserve, SetLimit, Settle, TopUp
from solvent._records import Account
from solvent.errors import BudgetExceeded, DeadlinePassed, OutcomeUnknown, PriceUnknown, StoreUnavailable, Unbounded
from solvent.events import CallAdmitted, CallClosed, CallRefused, PriceAssumed, StoreFailed
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore
from solvent.wire._call import Reading


def in_loop(test):
    @wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


async def settle_soon(world, call, output_tokens):
    try:
        admission = await world.admit(call)
    except BudgetExceeded as refusal:
        return refusal
    await asyncio.sleep(0)  # Others are asked meanwhile.
    cap = admission.call.output_tokens_max or output_tokens
    await world.settle(admission, output_tokens=min(output_tokens, cap))
    return None


@in_loop
async def test_64_calls_of_3_cents_at_once_under_1_dollar_are_33():
    world = World(usd="1.00")
    refusals = await asyncio.gather(*(settle_soon(world, chat(), THREE_CENTS) for _ in range(64)))
    assert sum(refusal is None for refusal in refusals) == 33
    assert (world.balance().spent, world.balance().reserved) == (nanodollars("0.99"), 0)


@in_loop
async def test_calls_wait_for_room_that_open_calls_hold():
    world = World(usd="1.00", wait_seconds=10)
    refusals = await asyncio.gather(*(settle_soon(world, chat(), THREE_CENTS // 10) for _ in range(64)))
    assert refusals == [None] * 64
    assert world.balance().spent == nanodollars("0.192")


@in_loop
async def test_who_waits_is_served_first_come_first_served():
    world = World(usd="0.03", wait_seconds=10)
    first = await world.admit(chat())
    served = []

    async def wait(name):
        admission = await world.admit(chat(max_tokens=1_000))
        served.append(name)
        await world.settle(admission, output_tokens=0)

    waiting = [asyncio.create_task(wait(name)) for name in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    await world.settle(first, output_tokens=0)
    await asyncio.gather(*waiting)
    assert served == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_call_never_waits_for_what_it_is_part_of(kind, tmp_path):
    async def main():
        store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "ledger.db")
        world = World(usd="0.03", wait_seconds=60, store=store)
        outer = await world.admit(chat())
        with pytest.raises(BudgetExceeded) as refused:
            await asyncio.wait_for(world.admit(chat(), within=(outer.id,)), 10)
        assert not refused.value.held
        waiting = asyncio.create_task(world.admit(chat(), within=("unknown",)))
        await world.settle(outer, output_tokens=0)
        await asyncio.wait_for(waiting, 10)

    asyncio.run(main())


@in_loop
async def test_who_goes_away_while_waiting_leaves_nothing_behind():
    world = World(usd="0.03", wait_seconds=10)
    first = await world.admit(chat())
    waiting = asyncio.create_task(world.admit(chat()))
    for _ in range(20):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await world.guard.adrain()
    await world.settle(first, output_tokens=0)
    assert world.kinds() == ["reserve", "settle"]
    assert not (await world.admit(chat())).record.rungs  # The queue is empty again.


@in_loop
async def test_who_goes_away_while_it_is_reserved_for_is_released(tmp_path):
    world = World(usd="1.00", store=SQLiteStore(tmp_path / "ledger.db"))
    asking = asyncio.create_task(world.admit(chat()))
    await asyncio.sleep(0)  # It waits for the ledger now.
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await world.guard.adrain()
    assert world.balance().reserved == 0
    assert world.balance().spent == 0


@in_loop
async def test_waiting_ends_and_says_that_only_open_calls_were_in_the_way():
    world = World(usd="0.03", wait_seconds=0.01)
    await world.admit(chat())
    with pytest.raises(BudgetExceeded) as refused:
        await world.admit(chat())
    assert refused.value.held
    assert "try again when an open call has ended" in str(refused.value)


@in_loop
async def test_an_output_without_a_cap_gets_the_one_it_can_afford():
    world = World(usd="0.05")
    admission = await world.admit(chat(max_tokens=None))
    assert json.loads(admission.body)["max_tokens"] == 5_000
    assert admission.record.rungs == ("shrink 5000",)
    await world.settle(admission, output_tokens=5_000)
    assert world.balance().spent == nanodollars("0.05")


@in_loop
async def test_an_output_whose_largest_nobody_knows_is_capped_too():
    world = World(usd="0.05")
    admission = await world.admit(chat("nobody-knows", max_tokens=None))
    assert json.loads(admission.body)["max_tokens"] == 5_000


@in_loop
async def test_a_cap_below_the_smallest_is_refused_rather_than_given():
    world = World(usd="0.01")
    with pytest.raises(BudgetExceeded) as refused:
        await world.admit(chat("nobody-knows", max_tokens=None))
    assert refused.value.requested == nanodollars("0.01024")
    assert refused.value.output_tokens_affordable == 1_000


@pytest.mark.parametrize(
    ("call", "policy", "shrunk"),
    [
        (chat(max_tokens=6_000), {}, False),
        (chat(max_tokens=6_000), {"shrink_explicit": True}, True),
        (messages(max_tokens=6_000), {}, True),  # The format cannot do without a cap, so it says nothing.
        (chat(max_tokens=None, response_format={"type": "json_object"}), {}, False),
        (chat(max_tokens=None), {}, True),
    ],
    ids=["named", "named, policy allows", "required", "structured", "none"],
)
@in_loop
async def test_only_a_cap_that_may_be_lowered_is(call, policy, shrunk):
    world = World(usd="0.05", **policy)
    if shrunk:
        assert (await world.admit(call)).call.output_tokens_max == 5_000
    else:
        with pytest.raises(BudgetExceeded):
            await world.admit(call)


@in_loop
async def test_a_prompt_that_extends_a_billed_one_costs_its_bill_and_what_was_added():
    world = World(usd="0.10")
    text = "word " * 1_000  # 5,000 bytes, billed as 1,000 tokens.
    history = [{"role": "user", "content": text}]
    first = await world.admit(chat("reads", messages=history))
    assert 5_000 < first.bound.input_tokens < 5_200
    await world.settle(first, input_tokens=1_000)
    longer = [*history, {"role": "assistant", "content": "ok"}, {"role": "user", "content": text}]
    second = await world.admit(chat("reads", messages=longer))  # Its bytes alone would cost more than remains.
    assert second.record.rungs == ("prefix",)
    assert 6_000 < second.bound.input_tokens < 6_300
    await world.settle(second, input_tokens=2_010)
    again = await world.admit(chat("reads", messages=longer))
    assert 2_010 <= again.bound.input_tokens < 2_200


@in_loop
async def test_a_model_without_a_price_is_refused_under_a_limit_in_dollars():
    world = World(usd="1.00")
    with pytest.raises(PriceUnknown, match="'no-such-model' has no price"):
        await world.admit(chat("no-such-model"))
    (entry,) = world.store.entries()
    assert (entry.kind, entry.call.status, entry.call.decision) == ("refuse", "price_unknown", "refused")


@in_loop
async def test_without_limits_everything_passes_and_is_told_as_unpriced():
    world = World()
    admission = await world.admit(chat("no-such-model"))
    await world.settle(admission, output_tokens=7)
    *_, entry = world.store.entries()
    assert (entry.call.cost_nanodollars, entry.call.usage["output_tokens"]) == (None, 7)


@in_loop
async def test_the_policy_may_price_a_model_as_another_one_and_says_so_once():
    world = World(usd="1.00", price_as="m")
    for _ in range(2):
        admission = await world.admit(chat("no-such-model"))
        assert (await world.settle(admission, output_tokens=THREE_CENTS)).cost_nanodollars == nanodollars("0.03")
    assert [event for event in world.events if isinstance(event, PriceAssumed)] == [
        PriceAssumed(model="no-such-model", priced_as="m")
    ]


@pytest.mark.parametrize(
    ("model", "need"),
    [
        ("m", r"up to \$0.1638, and \$0.0102 with its output cut to 1,024 tokens"),
        ("nobody-knows", r"up to \$0.0102 with its output cut to 1,024 tokens"),
    ],
)
@in_loop
async def test_a_refusal_tells_what_a_call_needs_as_written_and_shrunk(model, need):
    with pytest.raises(BudgetExceeded, match=need) as refused:
        await World(usd="0.01").admit(chat(model, max_tokens=None))
    assert refused.value.requested == nanodollars("0.01024")
    with pytest.raises(BudgetExceeded, match=r"up to \$0.03\.") as refused:
        await World(usd="0.01").admit(chat())
    assert refused.value.output_tokens_least is None
    none = Limit(meter="calls", amount=0)  # Whose need no shrinking makes smaller.
    with pytest.raises(BudgetExceeded, match=r"this call needs 1 call\.") as refused:
        await World(usd="1", limits=(none,)).admit(chat(model, max_tokens=None))
    assert (refused.value.output_tokens_least, refused.value.as_written) == (None, None)


@in_loop
async def test_a_part_without_a_bound_is_refused_where_a_limit_needs_it():
    call = chat(web_search_options={})
    world = World(usd="1.00")
    with pytest.raises(Unbounded, match=r"nothing bounds .* without a cap on its uses, and") as refused:
        await world.admit(call)
    assert "max_tool_calls" in str(refused.value)
    only_calls = World(limits=(Limit(meter="calls", amount=1),))
    await only_calls.admit(call)


@in_loop
async def test_zero_dollars_allow_no_paid_call():
    with pytest.raises(BudgetExceeded):
        await World(usd="0").admit(chat())


@in_loop
async def test_the_calls_of_a_run_are_counted():
    world = World(limits=(Limit(meter="calls", amount=2),))
    for _ in range(2):
        await world.settle(await world.admit(chat()))
    with pytest.raises(BudgetExceeded, match="has 0 calls left of 2 calls; this call needs 1 call"):
        await world.admit(chat())


@in_loop
async def test_calls_open_at_once_are_a_gauge():
    world = World(limits=(Limit(meter="parallel", amount=1),))
    first = await world.admit(chat())
    with pytest.raises(BudgetExceeded):
        await world.admit(chat())
    await world.settle(first)
    await world.admit(chat())


@in_loop
async def test_the_call_that_would_go_on_after_too_many_tool_calls_is_refused():
    world = World(limits=(Limit(meter="tool_calls", amount=2),))
    usage = Usage(input_tokens=5, output_tokens=1, tool_calls=2)
    await world.settle(await world.admit(chat()), usage=usage)
    await world.settle(await world.admit(chat()), usage=usage)
    with pytest.raises(BudgetExceeded, match="the replies so far asked for more"):
        await world.admit(chat())


@in_loop
async def test_the_same_request_after_a_failed_one_is_a_retry():
    world = World(limits=(Limit(meter="retries", amount=1),))
    for attempt in range(2):
        admission = await world.admit(chat(), fingerprint=b"same")
        assert admission.record.attempt == attempt
        await world.guard.asettle(admission, Replied(status=429, reading=Reading(error="rate_limit")))
    with pytest.raises(BudgetExceeded):
        await world.admit(chat(), fingerprint=b"same")
    await world.admit(chat(), fingerprint=b"other")


@in_loop
async def test_a_limit_of_the_single_call_is_held_against_its_bound():
    world = World(call=(Limit(meter="usd", amount=nanodollars("0.02"), source="solvent.yaml:3"),))
    with pytest.raises(BudgetExceeded, match=r"a call may need up to \$0.02; this call needs up to \$0.03") as refused:
        await world.admit(chat())
    assert refused.value.source == "solvent.yaml:3"
    await world.admit(chat(max_tokens=2_000))
    assert (await world.admit(chat(max_tokens=None))).call.output_tokens_max == 2_000


@in_loop
async def test_a_limit_of_the_single_call_holds_for_those_who_have_to_wait_too():
    limit = Limit(meter="output_tokens", amount=100)
    world = World(usd="0.03", wait_seconds=0.05, call=(limit,))
    first = await world.admit(messages("m", max_tokens=100, n=1))
    small = [asyncio.create_task(world.admit(chat(max_tokens=100))) for _ in range(40)]
    for _ in range(5):
        await asyncio.sleep(0)
    with pytest.raises(BudgetExceeded, match="a call may need up to 100 output tokens; this"):
        await world.admit(chat(max_tokens=2_500))
    await world.settle(first)
    for task in small:
        task.cancel()
    await asyncio.gather(*small, return_exceptions=True)
    await world.guard.adrain()


@in_loop
async def test_a_call_waits_no_longer_than_it_may_in_all(monkeypatch):
    world = World(usd="0.20", wait_seconds=0.1)
    wait, asked = Authorizer._queue_up, []

    def asked_to_wait(self, attempt, account, seconds):
        asked.append(seconds)
        return wait(self, attempt, account, seconds)

    monkeypatch.setattr(Authorizer, "_queue_up", asked_to_wait)
    for tokens in (10_000, 9_600):
        await world.admit(chat(max_tokens=tokens))
    with pytest.raises(BudgetExceeded):
        await world.admit(chat(max_tokens=None))  # Waits as it is, and once more for the least that it could be cut to.
    # Between the two, the machine may take any time; the second is what the first left, to the grain of the clocks.
    assert 0.1 <= sum(asked) < 0.11


@in_loop
async def test_a_window_that_is_spent_is_not_called_held():
    world = World(limits=(Limit(meter="calls", amount=1, window="minute"),), wait_seconds=0.01)
    await world.settle(await world.admit(chat()))
    with pytest.raises(BudgetExceeded) as refused:
        await world.admit(chat())
    assert not refused.value.held
    assert "or wait for the reset" in str(refused.value)


@in_loop
async def test_a_bound_above_all_that_a_ledger_can_hold_is_refused_and_counted_without_a_limit():
    with pytest.raises(BudgetExceeded):
        await World(usd="1.00").admit(chat(max_tokens=10**12))
    world = World()
    admission = await world.admit(chat(max_tokens=10**12))
    await world.guard.asettle(admission, Lost(reason="cut"))
    assert world.balance().spent == AMOUNT_MAX


@in_loop
async def test_a_cap_is_not_lowered_to_what_the_provider_would_not_take():
    thinking = {"type": "enabled", "budget_tokens": 4_000}
    assert (
        await World(usd="0.05").admit(messages(max_tokens=6_000, thinking=thinking))
    ).call.output_tokens_max == 5_000
    with pytest.raises(BudgetExceeded):
        await World(usd="0.03").admit(messages(max_tokens=6_000, thinking=thinking))


@in_loop
async def test_open_reservations_are_extended_whatever_a_round_before_met(monkeypatch):
    monkeypatch.setattr("solvent._guard.EXTEND_SECONDS", 0)
    world = World(usd="1.00", store=FailingStore((Extend,), DOWN, times=2))
    monkeypatch.setattr(world.store, "expire", lambda: 1 / 0)
    admission = await world.admit(chat())
    alive = asyncio.create_task(world.guard.keep_alive())
    for _ in range(2_000):
        await asyncio.sleep(0)
        if not world.store.times:
            break
    assert not alive.done()
    alive.cancel()
    await world.settle(admission)


NANO_3_CENTS = nanodollars("0.03")
BOUND = (NANO_3_CENTS, 1)


@pytest.mark.parametrize(
    ("outcome", "booked", "estimated"),
    [
        (NotSent(reason="refused"), (0, 0), None),
        (Replied(status=400, reading=Reading(error="bad")), (0, 1), None),
        (Replied(status=429, reading=Reading(error="slow")), (0, 1), None),
        (Replied(status=503, reading=Reading()), (0, 1), None),
        (Replied(status=529, reading=Reading()), (0, 1), None),
        (Replied(status=307, reading=Reading()), (0, 1), None),
        (Replied(status=500, reading=Reading()), BOUND, "provider_error"),
        (Replied(status=502, reading=Reading()), BOUND, "provider_error"),
        (Replied(status=504, reading=Reading()), BOUND, "provider_error"),
        (Lost(reason="cut"), BOUND, "cut"),
        (Lost(reason="cut", status=429, reading=Reading()), (0, 1), None),
        (Lost(reason="client_gone", status=200, reading=Reading(output_begun=True)), BOUND, "client_gone"),
        (
            Lost(reason="cut", status=200, reading=Reading(usage=Usage(output_tokens=9), complete=True)),
            (90_000, 1),
            None,
        ),
        (Replied(status=200, reading=Reading(complete=True)), BOUND, "usage_missing"),
        (Replied(status=200, reading=Reading()), BOUND, "cut"),
        (Replied(status=200, reading=Reading(problem="negative", complete=True)), BOUND, "usage_absurd"),
        (Replied(status=200, reading=Reading(usage=Usage(output_tokens=20_000), complete=True)), BOUND, "usage_absurd"),
        (Replied(status=200, reading=Reading(usage=Usage(output_tokens=9), complete=True)), (90_000, 1), None),
        (
            Replied(status=200, reading=Reading(usage=Usage(output_tokens=9), tier="warp", complete=True)),
            (90_000, 1),
            None,
        ),
        (Replied(status=200, reading=Reading(error="overloaded")), (0, 1), None),
        (Replied(status=200, reading=Reading(error="overloaded", output_begun=True)), BOUND, "cut"),
    ],
    ids=str,
)
@in_loop
async def test_what_became_of_a_call_is_booked_by_one_table(outcome, booked, estimated):
    world = World(usd="1.00")
    admission = await world.admit(chat())
    await world.guard.asettle(admission, outcome)
    assert (world.balance().spent, world.balance("calls").spent) == booked
    assert (world.balance().reserved, world.balance("calls").reserved) == (0, 0)
    *_, entry = world.store.entries()
    assert entry.call.estimated == estimated


@in_loop
async def test_several_choices_of_a_host_that_may_not_sum_them_are_booked_at_the_bound():
    world = World(usd="1.00")
    admission = await world.admit(chat(n=4))
    assert world.balance().reserved == 4 * NANO_3_CENTS
    await world.settle(admission, output_tokens=10)
    assert world.balance().spent == 4 * NANO_3_CENTS


@in_loop
async def test_a_bill_above_the_bound_is_booked_in_full_and_admits_nothing_more():
    world = World(usd="0.03")
    admission = await world.admit(chat(max_tokens=3_000))
    await world.settle(admission, output_tokens=16_000)
    assert world.balance().spent == nanodollars("0.16")
    assert world.balance().overrun == nanodollars("0.13")
    with pytest.raises(BudgetExceeded):
        await world.admit(chat(max_tokens=1))
    (closed,) = [event for event in world.events if isinstance(event, CallClosed)]
    assert closed.overrun_nanodollars == nanodollars("0.13")


@in_loop
async def test_every_reply_carries_the_running_total_and_what_remains():
    world = World(usd="1.00")
    admission = await world.admit(chat())
    assert admission.headers["x-solvent-remaining-usd"] == "0.970000000"
    settlement = await world.settle(admission, output_tokens=1_000)
    assert settlement.headers == {
        "x-solvent-id": admission.id,
        "x-solvent-cost-usd": "0.010000000",
        "x-solvent-spent-usd": "0.010000000",
        "x-solvent-remaining-usd": "0.990000000",
    }


@in_loop
async def test_a_reply_says_what_was_done_to_make_its_call_fit():
    world = World(usd="0.02")
    admission = await world.admit(chat(max_tokens=None))
    settlement = await world.settle(admission, output_tokens=1_000)
    assert admission.headers["x-solvent-rungs"] == settlement.headers["x-solvent-rungs"] == "shrink 2000"


@in_loop
async def test_a_total_is_not_told_where_the_calls_cost_is_not_known():
    world = World()
    admission = await world.admit(chat("no-such-model"))
    settlement = await world.settle(admission)
    assert set(admission.headers) == set(settlement.headers) == {"x-solvent-id"}
    priced = await world.admit(chat())
    assert priced.headers["x-solvent-spent-usd"] == "0.000000000"


@in_loop
async def test_a_refusal_is_written_once_and_told_once():
    world = World(usd="0.01", wait_seconds=0.01)
    with pytest.raises(BudgetExceeded):
        await world.admit(chat())
    (entry,) = world.store.entries()
    assert (entry.kind, entry.call.status) == ("refuse", "budget_exceeded")
    assert entry.call.reason == "run:test has $0.01 left of $0.01; this call needs up to $0.03."
    assert [type(event) for event in world.events] == [CallRefused]


@in_loop
async def test_listeners_hear_and_cannot_break_a_call():
    world = World(usd="1.00")

    def fail(_):
        raise RuntimeError("a listener's own fault")

    world.guard.listeners.add(fail)
    await world.settle(await world.admit(chat()))
    assert [type(event) for event in world.events] == [CallAdmitted, CallClosed]


@in_loop
async def test_after_the_deadline_nothing_is_admitted():
    world = World()
    world.guard.stop(DeadlinePassed(scope="run:test", seconds=60, source="--time"))
    with pytest.raises(DeadlinePassed, match="run:test had 1 min and they are over"):
        await world.admit(chat())


class FailingStore(MemoryStore):
    """
    Does not answer when it is told so.
    """

    def __init__(self, kinds, error, times=99, clock=None):
        super().__init__(clock=clock)
        self.kinds, self.error, self.times = kinds, error, times

    def apply(self, operations):
        if self.times and any(isinstance(operation, self.kinds) for operation in operations):
            self.times -= 1
            raise self.error
        return super().apply(operations)


DOWN = StoreUnavailable(ledger="memory://", reason="it is away")
UNKNOWN = OutcomeUnknown(ledger="memory://", id="1", reason="it is away")


@in_loop
async def test_without_an_answer_of_the_ledger_no_call_is_made():
    world = World(usd="1.00", store=FailingStore((Reserve,), DOWN))
    with pytest.raises(StoreUnavailable):
        await world.admit(chat())
    assert world.kinds() == []


@in_loop
async def test_an_unknown_outcome_is_asked_for_again_with_the_same_id():
    world = World(usd="1.00", store=FailingStore((Reserve,), UNKNOWN, times=2))
    await world.admit(chat())
    assert world.kinds() == ["reserve"]
    never = World(usd="1.00", store=FailingStore((Reserve,), UNKNOWN))
    with pytest.raises(OutcomeUnknown):
        await never.admit(chat())


@in_loop
async def test_what_cannot_be_settled_stays_reserved_and_the_reply_is_delivered():
    world = World(usd="1.00", store=FailingStore((Settle, Release), DOWN))
    admission = await world.admit(chat())
    settlement = await world.settle(admission, output_tokens=1_000)
    assert settlement.cost_nanodollars == nanodollars("0.01")
    assert world.balance().reserved == NANO_3_CENTS
    assert [type(event) for event in world.events] == [CallAdmitted, StoreFailed]


@in_loop
async def test_the_limits_of_a_scope_above_hold_for_those_below():
    world = World(usd="0.06")
    child = RUN.child("agent", "a")
    world.guard.open(child, (Limit(meter="usd", amount=nanodollars("0.04")),))

    async def ask(scope):
        return await world.guard.aadmit(chat(), scope=scope, fingerprint=b"", began=0.0)

    await ask(child)
    with pytest.raises(BudgetExceeded, match="run:test/agent:a has"):
        await ask(child)
    await ask(RUN)
    with pytest.raises(BudgetExceeded, match="run:test has"):
        await ask(RUN)


@in_loop
@pytest.mark.parametrize("error", [DOWN, UNKNOWN], ids=["down", "unknown"])
@pytest.mark.parametrize("is_expired", [False, True])
async def test_what_the_ledger_did_not_take_is_booked_when_it_answers_again(error, is_expired):
    clock = ManualClock()
    store = FailingStore((Settle, Release), error, clock=clock)
    world = World(usd="1.00", store=store)
    billed_above, released = await world.admit(chat()), await world.admit(chat())
    await world.settle(billed_above, output_tokens=3 * THREE_CENTS)
    await world.guard.asettle(released, NotSent(reason="refused"))
    await world.guard.adrain()
    assert world.balance().reserved == nanodollars("0.06")
    if is_expired:
        clock.advance(seconds=121)
        store.expire()
    store.times = 0
    await world.guard.adrain()
    booked = world.balance()
    assert (booked.reserved, booked.spent, booked.overrun) == (0, nanodollars("0.09"), nanodollars("0.06"))
    await world.guard.adrain()
    assert world.balance() == booked


@in_loop
async def test_a_refusal_names_the_ledger_where_the_limit_was_set_there():
    world = World(usd="1.00")
    world.store.apply([TopUp(id="a", account=Account(str(RUN), "usd"), amount=1)])
    for _ in range(33):
        await world.admit(chat())
    with pytest.raises(BudgetExceeded) as refused:
        await world.admit(chat())
    assert (refused.value.source, refused.value.limit) == ("--usd", nanodollars("1.00") + 1)
    world.store.apply([SetLimit(id="b", account=Account(str(RUN), "usd"), limit=5)])
    with pytest.raises(BudgetExceeded, match=r"raise the limit \(solvent ledger set-limit\)"):
        await world.admit(chat())
