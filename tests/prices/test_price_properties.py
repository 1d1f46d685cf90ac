"""
What holds for every price, in every tier and region, whatever a call uses: no call costs more than its bound, and more
of anything never costs less.
"""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from price_table import TOOLS, Priced, every_price, times, usages

PRICES = every_price()

# Each count with the counts that it is a part of, for more of a part is more of the whole.
_COUNTS = {
    "input_tokens": (),
    "output_tokens": (),
    "cache_read_tokens": ("input_tokens",),
    "cache_write_5m_tokens": ("input_tokens",),
    "cache_write_1h_tokens": ("input_tokens",),
    "audio_input_tokens": ("input_tokens",),
    "audio_cache_read_tokens": ("audio_input_tokens", "cache_read_tokens", "input_tokens"),
    "image_input_tokens": ("input_tokens",),
    "image_output_tokens": ("output_tokens",),
    "audio_output_tokens": ("output_tokens",),
    "reasoning_tokens": ("output_tokens",),
    **dict.fromkeys(TOOLS, ()),
}


def test_every_model_tier_and_region_is_held_to_the_properties():
    assert len(PRICES) > 3_700
    assert len({(one.price.provider, one.price.model) for one in PRICES}) > 2_125


def check_bound(priced: Priced, usage, at, *, writes_known: bool, slack: int) -> None:
    usage = priced.within(usage, at)
    kinds = {kind for kind in ("5m", "1h") if getattr(usage, f"cache_write_{kind}_tokens")}
    most = priced.price.cost_max(
        input_tokens=usage.input_tokens + slack,
        output_tokens=usage.output_tokens + (slack if usage.output_tokens else 0),
        tier=priced.tier,
        region=priced.region,
        at=at,
        cache_writes=kinds if writes_known else None,
        tool_calls={tool: getattr(usage, field) for field, tool in TOOLS.items()},
    )
    assert priced.cost(usage, at) <= most, (priced, usage, at)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(usage=usages(), at=times(), writes_known=st.booleans(), slack=st.integers(0, 2))
def test_no_call_of_any_model_costs_more_than_its_bound(usage, at, writes_known, slack):
    usage.check()
    for priced in PRICES:
        if priced.has_begun(at):
            check_bound(priced, usage, at, writes_known=writes_known, slack=slack)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(priced=st.sampled_from(PRICES), usage=usages(), at=times(), writes_known=st.booleans(), slack=st.integers(0, 2))
def test_the_bound_holds_whatever_the_call(priced, usage, at, writes_known, slack):
    if priced.has_begun(at):
        check_bound(priced, usage, at, writes_known=writes_known, slack=slack)


@dataclass(frozen=True)
class More:
    count: str
    by: int

    def of(self, usage):
        names = (self.count, *_COUNTS[self.count])
        return replace(usage, **{name: (getattr(usage, name) or 0) + self.by for name in names})


more = st.builds(More, count=st.sampled_from(list(_COUNTS)), by=st.integers(1, 300_000))


def check_monotone(priced: Priced, usage, at, more: More) -> None:
    if more.count.startswith("image"):  # Nothing told is not none of them.
        usage = replace(usage, **{more.count: getattr(usage, more.count) or 0})
    larger = priced.within(more.of(usage), at)
    smaller = replace(usage, **{name: 0 for name in TOOLS if not getattr(larger, name)})
    assert priced.cost(priced.within(smaller, at), at) <= priced.cost(larger, at), (priced, smaller, larger, at)


@pytest.mark.slow
@settings(max_examples=2, deadline=None)
@given(usage=usages(), at=times(), by=st.integers(1, 300_000))
def test_more_of_any_count_never_costs_less_for_any_model(usage, at, by):
    for priced in PRICES:
        if priced.has_begun(at):
            for count in _COUNTS:
                check_monotone(priced, usage, at, More(count, by))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(priced=st.sampled_from(PRICES), usage=usages(), at=times(), more=more)
def test_more_of_anything_never_costs_less(priced, usage, at, more):
    if priced.has_begun(at):
        check_monotone(priced, usage, at, more)
