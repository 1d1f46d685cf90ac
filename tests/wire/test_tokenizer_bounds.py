"""
Bounds by a tokenizer over every recorded exchange with a model whose tokenizer is known: no bill is above them.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from test_bounds import countable

from solvent._estimate import Estimator, PromptChain
from solvent._tokenizers import counter_for
from solvent.prices import Prices
from solvent.wire import Call

pytest.importorskip("quicktok")

AT = datetime(2026, 11, 22, tzinfo=UTC)
OWN = ("openai", "openrouter")


@cache
def tightened() -> tuple[tuple[str, int, int, int], ...]:
    """
    The host, the bill, and the bound before and after, of every call whose bound a tokenizer tightens; both alone and
    with what its run was billed for before.
    """
    runs: dict[tuple[str, str], Estimator] = {}
    found = []
    for exchange, call, billed in sorted(countable(), key=lambda one: one[0].step):
        chain, known = PromptChain(call), runs.setdefault((exchange.provider, exchange.run), Estimator(Prices.load()))
        for estimator in (known, Estimator(Prices.load())):
            before = estimator.cheap(call, at=AT)
            after = estimator.tighten(call, before, chain, scope="run:test", at=AT, by="tokenizer")
            if after is not before:
                assert before.input_tokens is not None
                assert after.input_tokens is not None
                found.append((exchange.provider, billed, before.input_tokens, after.input_tokens))
        known.learn(chain, scope="run:test", input_tokens=billed)
    return tuple(found)


@pytest.mark.slow
def test_no_recorded_bill_is_above_its_bound_by_a_tokenizer():
    assert [row for row in tightened() if row[1] > row[3]] == []
    assert Counter(host for host, *_ in tightened()) >= Counter(openai=480, groq=40, bedrock=10, cerebras=10)


@pytest.mark.slow
def test_recorded_bills_for_plain_text_are_what_the_tokenizer_counts_and_a_frame():
    """
    Three tokens a message and three a reply, and what a host's template adds, which is the same for each of its models.
    """
    beyond = [(call.provider in OWN, billed - counted) for call, billed, counted in _plain()]
    own = [tokens for is_own, tokens in beyond if is_own]

    assert own.count(0) + own.count(-1) > 0.85 * len(own) > 70
    assert min(own) >= -4
    assert max(own) <= 64
    assert max(tokens for is_own, tokens in beyond if not is_own) <= 64


def _plain() -> Iterator[tuple[Call, int, int]]:
    for exchange, call, billed in countable():
        counter, messages = counter_for(call), _messages(call)
        if exchange.path.endswith("/compact"):
            continue  # OpenAI adds an instruction of its own.
        if counter is None or messages is None or call.tools or call.structured_output:
            continue
        yield call, billed, 3 + sum(3 + counter._count(role) + counter._count(text) for role, text in messages)


def _messages(call: Call) -> list[tuple[str, str]] | None:
    """
    The roles and texts of a prompt of nothing else; ``None`` where there is more.
    """
    head = [call.head.value.get("instructions"), call.head.value.get("system")]
    found = [("system", _text(content)) for content in head if content]
    for item in call.items:
        message: Any = item.value
        if not isinstance(message, dict) or message.keys() - {"content", "role", "type"}:
            return None
        if message.get("type", "message") != "message":
            return None
        found.append((message["role"], _text(message["content"])))
    plain = [(role, text) for role, text in found if text is not None and role not in ("tool", "function")]
    return plain if len(plain) == len(found) else None


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in content] if isinstance(content, list) else [None]
    return "".join(texts) if all(isinstance(text, str) for text in texts) else None
