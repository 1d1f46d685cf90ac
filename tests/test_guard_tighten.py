"""
The ladder's first rung, whole: by earlier bills, by a tokenizer, by the provider's count; and what broken bounds do.
"""

import asyncio
import functools

import pytest
from guard_world import RUN, World

from solvent._amounts import Usage
from solvent._booking import Replied
from solvent._counting import Counting
from solvent.errors import BudgetExceeded
from solvent.events import BoundBroken, CallClosed
from solvent.policy import TIGHTENINGS
from solvent.wire import FORMATS
from solvent.wire._call import Reading

TEXT = "word after word, " * 1_000  # 17,000 bytes and some 4,000 tokens, which gpt-4o reads for $0.01.
DENSE = TEXT + "\u8a9e" * 1_000  # What cannot be cut counts by its bytes: 7,000 in all, of which 5,000 are tokens.


def in_loop(test):
    @functools.wraps(test)
    def run(**arguments):
        asyncio.run(test(**arguments))

    return run


def ask(*texts, provider="openai", **more):
    messages = [{"role": "user", "content": text} for text in texts or (TEXT,)]
    request = {"model": "gpt-4o", "input": messages, "max_output_tokens": 16, **more}
    return FORMATS["openai-responses"].describe(request, provider=provider, path="responses", headers={})


class Provider:
    """
    Counts what it is asked for, or does not answer.
    """

    def __init__(self, answer=b'{"input_tokens": 5003}'):
        self.answer = answer
        self.asked = []

    def ask(self, path, body):
        self.asked.append((path, body))
        return self.answer

    async def aask(self, path, body):
        return self.ask(path, body)


async def admit(world, call, *, own_host=True, provider=None):
    counting = None if provider is None else Counting("responses", provider.aask)
    return await world.guard.aadmit(
        call,
        scope=RUN,
        fingerprint=bytes(str(len(world.events)), "ascii"),
        began=0.0,
        own_host=own_host,
        counting=counting,
    )


async def settle(world, admission, input_tokens):
    usage = Usage(input_tokens=input_tokens, output_tokens=16)
    outcome = Replied(status=200, reading=Reading(usage=usage, complete=True))
    return await world.guard.asettle(admission, outcome)


@in_loop
async def test_a_call_that_does_not_fit_by_its_bytes_is_counted_by_its_tokenizer():
    world = World(usd="0.02")
    admission = await admit(world, ask())

    assert admission.record.rungs == ("tokenizer",)
    assert [part.name for part in admission.bound.parts] == ["tokenizer", "output", "usd"]
    assert 4_000 < admission.bound.input_tokens < 4_200


@pytest.mark.parametrize(
    ("own_host", "policy"),
    [(False, {}), (True, {"tighten": ("prefix", "count")}), (True, {"tighten": ()})],
    ids=["another host", "not in the policy", "nothing in the policy"],
)
@in_loop
async def test_no_tokenizer_is_asked_where_nobody_knows_it_or_the_policy_does_not_say_so(own_host, policy):
    world = World(usd="0.02", **policy)
    with pytest.raises(BudgetExceeded):
        await admit(world, ask(), own_host=own_host)


@in_loop
async def test_what_was_added_to_a_billed_prompt_is_counted_by_the_tokenizer():
    world = World(usd="0.033")
    await settle(world, await admit(world, ask()), 4_003)
    admission = await admit(world, ask(TEXT, TEXT))

    assert admission.record.rungs == ("prefix", "tokenizer")
    assert [part.name for part in admission.bound.parts] == ["prefix", "tokenizer", "output", "usd"]
    assert 8_000 < admission.bound.input_tokens < 8_300


@in_loop
async def test_a_provider_is_asked_when_nothing_else_made_the_call_fit():
    world, provider = World(usd="0.013", tighten=TIGHTENINGS), Provider()
    admission = await admit(world, ask(DENSE, tools=[], metadata={"a": "b"}), provider=provider)

    assert admission.record.rungs == ("tokenizer", "count")
    assert admission.bound.input_tokens == 5_003 + 64
    assert admission.bound.parts[0].reason == "5,003 counted by the provider, and a margin"
    ((path, body),) = provider.asked
    assert path == "responses/input_tokens"
    assert body.startswith(b'{"model":"gpt-4o","input":[{')


@in_loop
async def test_a_count_bounds_what_an_id_stands_for():
    world, provider = World(usd="0.05", tighten=("count",)), Provider(b'{"input_tokens": 9000}')
    admission = await admit(world, ask("go on", previous_response_id="r"), provider=provider)

    assert admission.bound.input_tokens == 9_064


@pytest.mark.parametrize(
    ("usd", "own_host", "policy", "call", "provider"),
    [
        ("1", True, TIGHTENINGS, ask(), Provider()),
        ("0.013", True, ("prefix", "tokenizer"), ask(DENSE), Provider()),
        ("0.013", False, TIGHTENINGS, ask(DENSE), Provider()),
        ("0.013", True, TIGHTENINGS, ask(DENSE, model="grok-4", provider="xai"), Provider()),
        ("0.013", True, TIGHTENINGS, ask(DENSE), None),
    ],
    ids=["fits", "not in the policy", "another host", "a host without a count", "a face that cannot ask"],
)
@in_loop
async def test_no_provider_is_asked_without_need_and_leave(usd, own_host, policy, call, provider):
    world = World(usd=usd, tighten=policy)
    if usd == "1":
        await admit(world, call, own_host=own_host, provider=provider)
    else:
        with pytest.raises(BudgetExceeded):
            await admit(world, call, own_host=own_host, provider=provider)
    assert provider is None or provider.asked == []


@pytest.mark.parametrize(
    "answer", [None, b"", b'{"input_tokens": 0}', b'{"input_tokens": 1}', b'{"input_tokens": 90000}']
)
@in_loop
async def test_an_answer_that_says_nothing_changes_nothing(answer):
    world, provider = World(usd="0.013", tighten=("count",)), Provider(answer)
    with pytest.raises(BudgetExceeded) as refused:
        await admit(world, ask(DENSE), provider=provider)

    assert len(provider.asked) == 1
    assert refused.value.requested > 17_000 * 2_500
    assert world.kinds() == ["refuse"]


def test_a_synchronous_face_asks_synchronously():
    world, provider = World(usd="0.013", tighten=("count",)), Provider()
    admission = world.guard.admit(
        ask(DENSE), scope=RUN, fingerprint=b"", began=0.0, own_host=True, counting=Counting("responses", provider.ask)
    )

    assert admission.record.rungs == ("count",)


@in_loop
async def test_a_call_that_others_wait_before_is_tightened_for_its_turn():
    world, provider = World(usd="0.06", tighten=("count",), wait_seconds=30), Provider()
    first = await admit(world, ask(DENSE))
    others = [asyncio.create_task(admit(world, ask(DENSE), provider=provider)) for _ in range(2)]
    for _ in range(20):
        await asyncio.sleep(0)  # Both are at their places.
    assert [other.done() for other in others] == [False, False]
    await settle(world, first, 5_003)

    assert [(await other).bound.input_tokens for other in others] == [5_067, 5_067]
    assert len(provider.asked) == 2


@in_loop
async def test_a_bill_above_its_bound_is_told_and_booked_and_the_next_call_is_bounded():
    world = World(usd="1")
    first = await admit(world, ask("hello"))
    await settle(world, first, first.bound.input_tokens + 1_000)

    (broken,) = [event for event in world.events if isinstance(event, BoundBroken)]
    assert (broken.provider, broken.format, broken.model) == ("openai", "openai-responses", "gpt-4o")
    assert (broken.bound, broken.billed) == (first.bound.input_tokens, first.bound.input_tokens + 1_000)
    assert broken.raised["request"] == 2_000
    (closed,) = [event for event in world.events if isinstance(event, CallClosed)]
    assert closed.overrun_nanodollars == 1_000 * 2_500

    second = await admit(world, ask("hello"))
    assert second.bound.input_tokens == first.bound.input_tokens + 2_000
    await settle(world, second, first.bound.input_tokens + 1_000)
    assert len([event for event in world.events if isinstance(event, BoundBroken)]) == 1


@in_loop
async def test_a_call_without_a_limit_teaches_its_constants_too():
    world = World()
    first = await admit(world, ask("hello"))
    await settle(world, first, 5_000)

    assert (await admit(world, ask("hello"))).bound.input_tokens >= 5_000


def test_who_hears_of_a_broken_bound_may_use_the_guard():
    world = World(usd="1")
    first, second = (
        world.guard.admit(ask("hello"), scope=RUN, fingerprint=name, began=0.0, own_host=True) for name in (b"1", b"2")
    )
    billed = Replied(status=200, reading=Reading(usage=Usage(input_tokens=5_000), complete=True))

    def settle_the_other(event):
        if isinstance(event, BoundBroken) and event.id == first.id:
            world.guard.settle(second, billed)

    world.guard.listeners.add(settle_the_other)
    world.guard.settle(first, billed)
    assert world.balance().reserved == 0
