"""
Bounds: what each part is, what a bill makes of them, and that none is ever too low.
"""

import json
from datetime import UTC, datetime
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvent import _prefixes
from solvent._bounds import overhead
from solvent._estimate import Bound, Estimator, PromptChain
from solvent._ladder import Charges
from solvent._limits import Limit, Scope
from solvent.errors import Unbounded
from solvent.prices import Prices, UserPrice
from solvent.wire import FORMATS
from solvent.wire._call import Call

AT = datetime(2026, 11, 21, tzinfo=UTC)
PRICES = {
    "claude-*": UserPrice.per_million_tokens(input="3", output="15", output_tokens_max=64_000, input_tokens_max=200_000)
}
SYSTEM = "You are of help. " * 100
TOOL = {"name": "look", "description": "Looks. " * 100, "input_schema": {"type": "object"}}
CONSTANTS = 64  # Of a request, and 16 for each message.


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def thinks(text, thought="hm"):
    thinking = {"type": "thinking", "thinking": thought, "signature": thought}
    return {"role": "assistant", "content": [thinking, {"type": "text", "text": text}]}


def ask(*messages, model="claude-x", max_tokens=1_000, **more):
    request = {"model": model, "max_tokens": max_tokens, "messages": list(messages), "system": SYSTEM, **more}
    return FORMATS["anthropic-messages"].describe(request, provider="anthropic", path="messages", headers={})


class Known:
    """
    An estimator, and short words for its use in one scope.
    """

    def __init__(self) -> None:
        self.estimator = Estimator(Prices.load(PRICES))

    def bill(self, call: Call, tokens: int, scope: str = "run:a") -> None:
        self.estimator.learn(PromptChain(call), scope=scope, input_tokens=tokens)

    def cheap(self, call: Call) -> Bound:
        return self.estimator.cheap(call, at=AT)

    def tight(self, call: Call, scope: str = "run:a") -> Bound:
        return self.estimator.tighten(call, self.cheap(call), PromptChain(call), scope=scope, at=AT)


@pytest.fixture
def known():
    return Known()


def test_a_bound_is_the_text_and_the_constants(known):
    call = ask(user("hello"))

    bound = known.cheap(call)

    assert bound.input_tokens == call.head.tokens_max + call.items[0].tokens_max + overhead(call)
    assert overhead(call) == CONSTANTS + 16
    assert bound.output_tokens == 1_000
    assert bound.nanodollars == bound.input_tokens * 3_000 + 1_000 * 15_000


def test_what_was_billed_stands_for_the_beginning_of_a_longer_prompt(known):
    known.bill(ask(user("hello")), 400)
    longer = ask(user("hello"), assistant("yes?"), user("go on"))

    bound = known.tight(longer)

    added = sum(item.tokens_max for item in longer.items[1:])
    assert bound.input_tokens == 400 + added + CONSTANTS + 2 * 16
    assert [(part.name, part.tokens) for part in bound.input_parts] == [
        ("prefix", 400),
        ("input", added + CONSTANTS + 2 * 16),
    ]
    assert bound.parts[0].reason == "billed for a prompt that has the first 1 messages"
    assert bound.parts[1].reason == "UTF-8 and NFKC bytes of what was added, and constants"


def test_the_same_prompt_is_bound_by_its_bill(known):
    known.bill(ask(user("hello")), 400)

    assert known.tight(ask(user("hello"))).input_tokens == 400 + CONSTANTS


def test_a_new_conversation_shares_the_bill_of_its_head(known):
    known.bill(ask(user("hello"), tools=[TOOL]), 600)
    known.bill(ask(user("hello"), assistant("a" * 3_000), user("go on"), tools=[TOOL]), 1_500)
    fresh = ask(user("something else"), tools=[TOOL])

    assert known.tight(fresh).input_tokens == 600 + fresh.items[0].tokens_max + CONSTANTS + 16


def test_another_question_about_the_same_text_shares_its_bill(known):
    text = user("text " * 1_000)
    known.bill(ask(text, user("who?")), 1_500)
    other = ask(text, user("when?"))

    assert known.tight(other).input_tokens == 1_500 + other.items[1].tokens_max + CONSTANTS + 16


def test_reasoning_that_may_have_been_dropped_is_not_taken_for_billed(known):
    """
    A new turn dropped the reasoning from what was billed; in the middle of a turn it would be read again.
    """
    first, reply = user("hello"), thinks("yes?", thought="hm " * 1_000)
    known.bill(ask(first, reply, user("go on")), 500)
    branch = ask(first, reply, user([{"type": "tool_result", "tool_use_id": "1", "content": "x"}]))

    assert known.tight(branch).input_tokens >= 500 + branch.items[1].tokens_max


@pytest.mark.parametrize(
    "settings",
    [{"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, {"truncation": "auto"}],
    ids=["context editing", "truncation"],
)
def test_a_bill_for_a_prompt_that_was_cut_holds_under_the_same_setting_only(known, settings):
    text, more = user("text " * 1_000), user("go on")
    known.bill(ask(text, more, **settings), 500)

    assert known.tight(ask(text, more)) == known.cheap(ask(text, more))
    assert known.tight(ask(text, user("or not"), **settings)).input_tokens > 5_000
    assert known.tight(ask(text, more, user("now"), **settings)).input_tokens < 700


def test_the_tightest_of_what_is_known_counts(known):
    text = user("text " * 100)
    known.bill(ask(user("hi")), 300)
    known.bill(ask(text, user("x" * 50_000)), 12_000)

    bound = known.tight(ask(text, user("who?")))

    assert bound.input_tokens < 300 + 500 + 100 + CONSTANTS + 32


def test_a_bill_never_makes_a_bound_looser(known):
    call = ask(user("hello"))
    known.bill(call, 100_000)

    assert known.tight(call) == known.cheap(call)


def test_a_bill_above_its_bound_ends_what_gave_that_bound(known):
    known.bill(ask(user("hello")), 100)
    known.bill(ask(user("other")), 900)
    third = ask(user("third"))

    assert known.tight(third).input_tokens == 900 + third.items[0].tokens_max + CONSTANTS + 16


def test_a_bill_of_fewer_tokens_than_messages_is_not_believed(known):
    known.bill(ask(user("hello"), assistant("yes?"), user("go on")), 3)

    call = ask(user("hello"), assistant("yes?"), user("go on"), assistant("so"), user("end"))
    assert known.tight(call) == known.cheap(call)


@pytest.mark.parametrize(
    "other",
    [
        ask(user("hello"), model="claude-y"),
        ask(user("hello"), system=SYSTEM + "Now."),
        ask(user("hello"), tools=[TOOL]),
        ask(user("hello"), tool_choice={"type": "none"}),
        ask(user("hullo there, this is another text"), system="Hi"),
    ],
    ids=["model", "system", "tools", "setting of the prompt", "text"],
)
def test_a_bill_says_nothing_of_another_prompt(known, other):
    known.bill(ask(user("hello")), 400)

    assert known.tight(other) == known.cheap(other)


def test_a_bill_says_nothing_in_another_scope(known):
    known.bill(ask(user("hello")), 400)

    assert known.tight(ask(user("hello")), scope="run:b") == known.cheap(ask(user("hello")))


def test_marks_for_the_cache_may_move(known):
    def marked(text):
        return user([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}])

    known.bill(ask(marked("hello")), 400)

    bound = known.tight(ask(user("hello"), assistant("yes?"), marked("go on")))
    assert (bound.parts[0].name, bound.parts[0].tokens) == ("prefix", 400)


def test_a_shrunk_call_keeps_its_tightened_input(known):
    known.bill(ask(user("hello")), 400)
    call = ask(user("hello"))

    bound = known.estimator.capped(call, known.tight(call), 10, at=AT)

    assert (bound.input_tokens, bound.output_tokens, bound.output_cap) == (400 + CONSTANTS, 10, 10)


@pytest.mark.parametrize("way", ["prefix", "count"])
def test_a_tighter_input_leaves_the_output_as_the_ladder_bounded_it(way):
    uncapped = UserPrice.per_million_tokens(input="0", output="10")  # Nobody knows the longest answer.
    estimator = Estimator(Prices.load({"m": uncapped}))
    request = {"model": "m", "messages": [user("Say something. " * 10)]}
    call = FORMATS["openai-chat"].describe(request, provider="openai", path="chat/completions", headers={})
    bound = estimator.capped(call, estimator.cheap(call, at=AT), 100_000, at=AT)
    if way == "prefix":
        estimator.learn(PromptChain(call), scope="run:a", input_tokens=33)
        tighter = estimator.tighten(call, bound, PromptChain(call), scope="run:a", at=AT)
    else:
        tighter = estimator.by_count(call, bound, 33, at=AT)
    assert tighter.input_tokens < bound.input_tokens
    assert (tighter.output_tokens, tighter.output_cap, tighter.nanodollars) == (100_000, 100_000, 10**9)


def test_sound_without_a_price_has_no_bound_in_dollars_whatever_stands_before_it(known):
    file = {"type": "file", "file": {"file_id": "f"}}
    for kind in ("input_audio", "video_url"):
        for parts in ([{"type": kind}], [file, {"type": kind}]):
            call = ask({"role": "user", "content": parts})
            assert known.cheap(call).nanodollars is None
            assert known.cheap(call).price_error.what == "audio input"
    assert known.cheap(ask({"role": "user", "content": [file]})).nanodollars > 0


def test_nothing_is_reserved_for_a_call_without_a_bound_of_what_is_limited():
    limit = Limit(meter="usd", amount=1, source="--usd")
    charges = Charges.on(Scope.parse("run:a"), (("run:a", limit),), (), ())
    unknown = Bound(input_tokens=1, output_tokens=None, nanodollars=None, output_cap=None, price=None)
    with pytest.raises(Unbounded, match="in dollars"):
        charges.amounts(unknown, retry=False)


def test_tools_that_a_message_brings_are_counted_anew(known):
    def ask_responses(*items):
        request = {"model": "claude-x", "input": list(items), "instructions": SYSTEM, "max_output_tokens": 10}
        return FORMATS["openai-responses"].describe(request, provider="other", path="responses", headers={})

    tools = [{"type": "function", "name": "f", "parameters": {}}]
    before, brings = user("hello"), {"type": "additional_tools", "tools": tools}
    known.bill(ask_responses(before), 400)
    longer = ask_responses(before, brings)

    assert longer.tools == 1
    added = longer.items[1].tokens_max
    assert known.tight(longer).input_tokens == 400 + added + 320 + 16 + 900 + 48


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]},
        {"tools": [{"type": "unheard_of", "name": "x"}]},
        {"container": "c1"},
    ],
    ids=["server tools", "unbounded", "hidden input"],
)
def test_a_call_that_is_more_than_its_text_stays_at_its_bound(known, more):
    call = ask(user("hello"), **more)
    known.bill(call, 400)

    assert known.tight(call).input_tokens == known.cheap(call).input_tokens
    assert known.tight(call).parts[0] == known.cheap(call).parts[0]


def test_server_tools_of_one_name_are_added_up():
    estimator = Estimator(Prices.load())

    def searches(*uses):
        kinds = ("web_search_20250305", "web_search_20250401")
        tools = [{"type": kind, "name": f"s{kind}", "max_uses": most} for kind, most in zip(kinds, uses, strict=False)]
        call = ask(user("hello"), model="claude-sonnet-4-5", tools=tools)
        return estimator.cheap(call, at=AT)

    assert searches(2, 3).nanodollars == searches(5).nanodollars
    assert searches(2, 3).parts[0].reason == "6 times the model's largest input, for the provider runs tools"


def test_an_image_of_unknown_size_is_counted_where_it_was_billed(known):
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    def ask_chat(*messages):
        request = {"model": "claude-x", "messages": list(messages), "max_tokens": 10}
        return FORMATS["openai-chat"].describe(request, provider="other", path="chat/completions", headers={})

    seen = {"role": "user", "content": [image]}
    assert known.cheap(ask_chat(seen)).input_tokens == 200_000
    known.bill(ask_chat(seen), 1_234)
    longer = ask_chat(seen, assistant("a cat"))

    assert known.tight(longer).input_tokens == 1_234 + longer.items[1].tokens_max + 320 + 16
    assert known.tight(ask_chat(seen, seen)).input_tokens == 200_000


def test_what_is_remembered_has_an_end(known, monkeypatch):
    monkeypatch.setattr(_prefixes, "PREFIXES_MAX", 6)
    for number in range(10):
        known.bill(ask(user(f"{number} {'text ' * 100}"), user("x")), 300)

    assert len(known.estimator._inputs._prefixes) == 6
    last, first = (ask(user(f"{number} {'text ' * 100}"), user("x")) for number in (9, 0))
    assert known.tight(last).input_tokens == 300 + CONSTANTS
    # Of the first only the head is remembered, which all share.
    assert known.tight(first).input_tokens > 300 + 500


class Tokenizer:
    """
    What a provider makes of prompts. No text has more tokens than bytes, and all else is as much as it may be.
    """

    def __init__(self, *, fine: bool) -> None:
        self._fine = fine

    def tokens(self, text: str) -> int:
        size = len(text.encode())
        return size if self._fine or not size else 1 + crc32(text.encode()) % size

    def bill(self, call: Call) -> int:
        """
        Frames, the texts, the reasoning of the running turn alone, and only what the settings leave.
        """
        request, messages = call.request, call.request["messages"]
        if request.get("context_management") and len(messages) > 2:
            messages = messages[-1:]
        turn = max((index for index, one in enumerate(messages) if one["role"] == "user"), default=0)
        tools = 890 + self.tokens(json.dumps(TOOL)) if request.get("tools") else 0
        total = CONSTANTS + self.tokens(request["system"]) + tools
        for index, message in enumerate(messages):
            parts = message["content"] if isinstance(message["content"], list) else [{"text": message["content"]}]
            total += 20 + sum(self.tokens(part["text"]) for part in parts if "text" in part)
            total += sum(self.tokens(part["thinking"]) for part in parts if "thinking" in part and index > turn)
        return total


USERS = st.builds(user, st.sampled_from(["", "a", "hello " * 30, "größer ﷺ " * 20, "日本語" * 40, "x" * 1_000]))
REPLIES = st.sampled_from([assistant(""), assistant("b" * 500), thinks("ja", thought="hm" * 1_000)])
EDITS = st.one_of(
    st.tuples(st.just("append"), USERS),
    st.tuples(st.just("append"), REPLIES),
    st.tuples(st.just("change"), st.integers(0, 9), st.one_of(USERS, REPLIES)),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("compact"), USERS),
    st.tuples(st.just("go back"), st.integers(1, 2)),
    st.tuples(st.just("switch"), st.integers(0, 1)),
    st.tuples(st.just("head"), st.sampled_from(["context_management", "system", "tools"])),
)
HEADS = {"system": "Hi", "tools": [TOOL], "context_management": {"edits": [{"type": "clear_x"}]}}


def edited(history, edit):
    match edit:
        case ("append", message):
            return [*history, message]
        case ("change", place, message) if history:
            place %= len(history)
            return [*history[:place], message, *history[place + 1 :]]
        case ("remove", place) if history:
            place %= len(history)
            return history[:place] + history[place + 1 :]
        case ("compact", summary):
            return [summary]
        case ("go back", steps):
            return history[:-steps]
    return history


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(EDITS, min_size=4, max_size=30), st.booleans(), st.sets(st.integers(0, 30)))
def test_no_bound_is_ever_below_the_bill(edits, fine, unbilled):
    """
    Two conversations of one scope that grow, branch, are edited and compacted, under heads that change.
    """
    known, provider, place = Known(), Tokenizer(fine=fine), 0
    histories, heads = [[], []], [{}, {}]
    for number, edit in enumerate(edits):
        if edit[0] == "switch":
            place = edit[1]
        elif edit[0] == "head":
            heads[place] = {} if edit[1] in heads[place] else {**heads[place], edit[1]: HEADS[edit[1]]}
        histories[place] = edited(histories[place], edit)
        call = ask(*histories[place], **heads[place])
        cheap, bound, bill = known.cheap(call), known.tight(call), provider.bill(call)

        assert bill <= bound.input_tokens <= cheap.input_tokens
        assert bound.nanodollars == bound.input_tokens * 3_000 + 1_000 * 15_000
        if number not in unbilled:
            known.bill(call, bill)
