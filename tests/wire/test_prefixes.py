"""
Prefix tightening over every recorded run of several calls: no bill is above its bound.
"""

import statistics
from collections import defaultdict
from datetime import UTC, datetime
from functools import cache

import pytest
from test_bounds import countable

from solvent._estimate import Estimator, PromptChain
from solvent.prices import Prices

AT = datetime(2026, 11, 21, tzinfo=UTC)


@cache
def tightened() -> tuple[tuple[str, int, int, int], ...]:
    """
    The format, the bill, and the bound before and after, of every call whose bound an earlier bill of its run tightens.
    """
    runs = defaultdict(list)
    for exchange, call, billed in countable():
        runs[exchange.provider, exchange.run].append((exchange.step, call, billed))
    found = []
    for run in runs.values():
        estimator = Estimator(Prices.load())
        for _, call, billed in sorted(run, key=lambda step: step[0]):
            chain = PromptChain(call)
            before = estimator.cheap(call, at=AT)
            after = estimator.tighten(call, before, chain, scope="run:test", at=AT)
            if after is not before:
                assert before.input_tokens is not None
                assert after.input_tokens is not None
                found.append((call.format, billed, before.input_tokens, after.input_tokens))
            estimator.learn(chain, scope="run:test", input_tokens=billed)
    return tuple(found)


@pytest.mark.slow
def test_no_recorded_bill_is_above_its_tightened_bound():
    assert [row for row in tightened() if row[1] > row[3]] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "calls", "median"),
    [
        ("anthropic-messages", 50, 1.5),
        ("bedrock-converse", 20, 3),
        ("gemini-generate", 20, 6),
        ("openai-chat", 60, 3),
        ("openai-responses", 20, 3.5),
    ],
)
def test_an_earlier_bill_brings_the_bound_near(format, calls, median):
    ratios = [(before / billed, after / billed) for kind, billed, before, after in tightened() if kind == format]

    assert len(ratios) >= calls
    assert statistics.median(after for _, after in ratios) < median
    assert statistics.median(after for _, after in ratios) < statistics.median(before for before, _ in ratios)
