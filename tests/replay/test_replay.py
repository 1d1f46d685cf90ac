"""
An agent that resends a growing history is refused only where what it asks for passes the limit.

The rule is computed here a second time, from the recorded usage and the sizes of the messages; prices are written out.
Source: Anthropic's price list of February 2026, by genai-prices 0.2.3, read 2026-11-21.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import pytest
from session_replay import MAX_TOKENS, TOOLS, Outcome, Replay, Step, call_of, folder, sessions

DOLLAR = 1_000_000_000
SHRINK_TOKENS_MIN = 1_024
FRAME, MESSAGE, TOOL, TOOL_PROMPT = 64, 16, 48, 900  # Tokens that no request shows, in `_bounds`.

# Nanodollars a token: input, output. Where more than 200,000 tokens are read, Opus and Sonnet cost more.
SHORT = {
    "claude-haiku-4-5-20251001": (1_000, 5_000),
    "claude-opus-4-6": (5_000, 25_000),
    "claude-sonnet-4-5-20250929": (3_000, 15_000),
}
LONG = {
    "claude-haiku-4-5-20251001": (1_000, 5_000),
    "claude-opus-4-6": (10_000, 37_500),
    "claude-sonnet-4-5-20250929": (6_000, 22_500),
}
SESSIONS = ("258c7280", "8463c716", "ae4a77f8", "short", "subagent", "tool_heavy")


@cache
def replay(session: str, dollars: int, max_tokens: int, prefixes: bool) -> tuple[Outcome, ...]:
    return tuple(Replay(sessions()[session], dollars * DOLLAR, max_tokens=max_tokens, prefixes=prefixes).run())


@cache
def sizes(step: Step) -> tuple[int, tuple[int, ...]]:
    """
    The most tokens of the text of the head, and of each message.
    """
    call = call_of(step)
    return call.head.tokens_max, tuple(item.tokens_max for item in call.items)


def rates(step: Step, input_tokens: int) -> tuple[int, int]:
    return (LONG if input_tokens > 200_000 else SHORT)[step.model]


def cost(step: Step, cap: int) -> int:
    """
    What the recorded usage costs, its output cut at the cap.
    """
    of = step.billed
    rate, output_rate = rates(step, of.input_tokens)
    tenths = rate * (10 * of.fresh + of.read) + rate * (25 * of.write_5m + 40 * of.write_1h) // 2
    return -(-(tenths + 10 * output_rate * min(of.output, cap)) // 10)


@dataclass
class Rule:
    """
    The most that a call's input can be: what was billed for a prompt that begins like it, and the bytes of the rest.
    """

    prefixes: bool
    billed: dict[tuple[object, ...], int] = field(default_factory=dict)

    def input_most(self, step: Step) -> int:
        head, each = sizes(step)
        most = FRAME + TOOL_PROMPT + TOOL * TOOLS + head + sum(each) + MESSAGE * len(each)
        if self.prefixes:
            for length in range(len(each) + 1):
                before = self.billed.get(self.key(step, length))
                if before is not None:
                    rest = each[length:]
                    most = min(most, before + FRAME + sum(rest) + MESSAGE * len(rest))
        return most

    def learn(self, step: Step) -> None:
        head, whole = self.key(step, 0), self.key(step, len(step.messages))
        self.billed[head] = min(self.billed.get(head, step.billed.input_tokens), step.billed.input_tokens)
        self.billed[whole] = step.billed.input_tokens

    @staticmethod
    def key(step: Step, length: int) -> tuple[object, ...]:
        """
        A prompt by who its parts are, not by what they say.
        """
        return (step.model, id(step.head), *map(id, step.messages[:length]))


def price_most(step: Step, input_tokens: int, cap: int) -> int:
    rate, output_rate = rates(step, input_tokens)
    written = rate * 2 if step.billed.write_1h else rate * 5 // 4
    return input_tokens * written + cap * output_rate


def expected_cap(step: Step, input_tokens: int, room: int, max_tokens: int) -> int | None:
    """
    The output cap that fits: the program's own, or as much of it as there is room for; ``None`` for less than 1,024.
    """
    _, output_rate = rates(step, input_tokens)
    cap = min((room - price_most(step, input_tokens, 0)) // output_rate, max_tokens)
    return cap if cap >= SHRINK_TOKENS_MIN else None


@pytest.mark.slow
def test_the_replay_is_of_every_recorded_call_with_its_usage():
    rows = [json.loads(line) for line in (folder() / "calls.jsonl").read_text().splitlines()]
    names = ("input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "output_tokens")
    recorded = [(row["model"], *(row[name] for name in names)) for row in rows]

    replayed = [
        (step.model, of.fresh, of.write_5m, of.write_1h, of.read, of.output)
        for steps in sessions().values()
        for step in steps
        for of in (step.billed,)
    ]

    assert len(replayed) == 551
    assert sorted(replayed) == sorted(recorded)


@pytest.mark.slow
def test_every_prompt_has_more_bytes_than_the_tokens_it_was_billed_for():
    texts = [(step, *sizes(step)) for steps in sessions().values() for step in steps]
    ratios = [(head + sum(each)) / step.billed.input_tokens for step, head, each in texts]

    assert 4 <= min(ratios) < max(ratios) < 5.5


@pytest.mark.slow
@pytest.mark.parametrize("prefixes", [True, False], ids=["prefixes", "no prefixes"])
@pytest.mark.parametrize("dollars", [2, 10])
@pytest.mark.parametrize("session", SESSIONS)
def test_a_call_is_refused_only_where_it_could_pass_the_limit(session, dollars, prefixes):
    rule, spent = Rule(prefixes), 0
    for outcome in replay(session, dollars, MAX_TOKENS, prefixes):
        step = outcome.step
        assert outcome.spent_before == spent
        input_most = rule.input_most(step)
        assert step.billed.input_tokens <= input_most
        assert outcome.cap == expected_cap(step, input_most, dollars * DOLLAR - spent, MAX_TOKENS)
        if outcome.cap is not None:
            spent += cost(step, outcome.cap)
            rule.learn(step)
            assert outcome.spent == spent
            assert spent - outcome.spent_before <= outcome.bound <= dollars * DOLLAR - outcome.spent_before
    assert spent <= dollars * DOLLAR


def first(outcomes: tuple[Outcome, ...], dollars: int, *, shrunk: bool = False) -> str | None:
    """
    The share of the limit that was spent when a call was first refused, or cut.
    """
    for outcome in outcomes:
        if outcome.cap is None or (shrunk and outcome.is_shrunk):
            return f"{outcome.spent_before * 100 / (dollars * DOLLAR):.1f} %"
    return None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("session", "dollars", "without", "with_prefixes"),
    [
        ("258c7280", 2, "10.2 %", "57.6 %"),
        ("8463c716", 2, "12.7 %", "35.4 %"),
        ("ae4a77f8", 2, "68.3 %", "83.9 %"),
        ("258c7280", 10, "17.9 %", "83.6 %"),
        ("8463c716", 10, "13.9 %", "89.5 %"),
        ("ae4a77f8", 10, "52.7 %", None),
        ("subagent", 2, "15.4 %", None),
    ],
)
def test_prefixes_let_a_long_session_use_its_budget(session, dollars, without, with_prefixes):
    assert first(replay(session, dollars, MAX_TOKENS, False), dollars) == without
    assert first(replay(session, dollars, MAX_TOKENS, True), dollars) == with_prefixes


@pytest.mark.slow
@pytest.mark.parametrize(("session", "dollars"), [("258c7280", 2), ("8463c716", 10), ("ae4a77f8", 2)])
def test_a_smaller_cap_of_the_program_only_puts_off_the_first_cut(session, dollars):
    """
    The cap is cut before anything is refused, so it does not decide what is refused first; no recorded reply is cut.
    """
    large, small = (replay(session, dollars, cap, True) for cap in (MAX_TOKENS, 8_000))

    assert first(large, dollars) == first(small, dollars)
    cut_large, cut_small = (first(outcomes, dollars, shrunk=True) for outcomes in (large, small))
    assert cut_large is not None
    assert cut_small is not None
    assert float(cut_large[:-2]) < float(cut_small[:-2])
    assert not any(outcome.cut for outcome in (*large, *small))


@pytest.mark.slow
def test_after_a_compaction_the_head_is_bound_by_its_bill():
    """
    The history starts anew with its summary; without the bill of the head it would be bound at a token a byte again.
    """
    outcomes = replay("8463c716", 2, MAX_TOKENS, True)
    compacted = [outcome for outcome in outcomes if len(outcome.step.messages) == 1]

    assert [outcome.cap is not None for outcome in compacted] == [True, True, True]
    assert f"{outcomes[-1].spent * 100 / (2 * DOLLAR):.1f} %" == "68.6 %"


@pytest.mark.slow
def test_a_cache_is_lost_within_its_lifetime_so_the_highest_price_is_the_bound():
    """
    An hour was paid for; 157 seconds later all but the head was written, and billed, again.
    """
    main = [step for step in sessions()["258c7280"] if step.conversation.startswith("258c7280")]
    lost = [
        (later.at - before.at, later.billed.read, before.billed.input_tokens)
        for before, later in pairwise(main)
        if before.billed.write_1h and later.billed.read < before.billed.input_tokens // 2
        if len(later.messages) > len(before.messages)
    ]

    assert [(gap.seconds, read, billed) for gap, read, billed in lost] == [(157, 21_460, 111_068), (4, 21_460, 76_541)]
