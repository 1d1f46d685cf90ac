"""
What stands in one row: names of one model, days, searches, tiers, and what a bill does not tell.
"""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from bill_world import DAY, FIRST, GPT_4O, HAIKU, MINI, PRICES, Call, World
from hypothesis import given
from hypothesis import strategies as st

from solvent.reconcile import Reconciliation, read_bill, reconcile
from solvent.reconcile._compare import compare
from solvent.reconcile._gaps import Terms
from solvent.reconcile._rates import find_price, rates_of
from solvent.reconcile._records import Billed, Booked, Rates, Share

CALL = Call()
DATE = f"{FIRST:%Y-%m-%d}"


def of_table(world: World, folder: Path, text: str) -> Reconciliation:
    (folder / "bill.csv").write_text(text.replace("DATE", DATE))
    return reconcile(read_bill([str(folder / "bill.csv")]), world.store, PRICES)


def rows(found: Reconciliation) -> list[tuple[str, list[tuple[str, int]], int]]:
    return [(line.model, [(part.kind, part.amount) for part in line.parts], line.unexplained) for line in found.lines]


def exact(nanodollars: int) -> str:
    return f"{nanodollars}e-9"


@pytest.mark.parametrize(
    ("billed", "booked", "row"),
    [
        (["gpt-4o-mini"], [MINI], "gpt-4o-mini"),  # The bill has the short name alone.
        ([MINI], ["gpt-4o-mini"], MINI),
        ([MINI], [MINI, "gpt-4o-mini"], MINI),  # An expired call never learned which one answered.
        (["openai/gpt-4o-mini"], [MINI], "openai/gpt-4o-mini"),
    ],
)
def test_names_of_one_model_are_one_row_where_the_bill_has_only_one(
    billed: list[str], booked: list[str], row: str, tmp_path: Path
) -> None:
    world = World()
    for name in booked:
        world.book(CALL, model_used=name)
    text = "".join(f"DATE,{name},{exact(CALL.cost * len(booked) // len(billed))}\n" for name in billed)
    found = of_table(world, tmp_path, f"date,model,cost\n{text}")
    assert rows(found) == [(row, [], 0)]
    assert found.said[-1] == f"{' and '.join(sorted({*billed, *booked}))} are taken as one model, {row}."


def test_costs_and_usage_under_two_names_of_one_model_are_one_row(tmp_path: Path) -> None:
    world = World()
    world.book(CALL)
    start = {"object": "bucket", "start_time": int(FIRST.timestamp())}
    cost = {"amount": {"value": 0.00021, "currency": "usd"}, "line_item": "gpt-4o-mini"}
    for name, result in (("costs", cost), ("usage", {"model": MINI, "num_model_requests": 1, **CALL.tokens})):
        (tmp_path / name).write_text(json.dumps({"data": [{**start, "results": [result]}]}))
    bill = read_bill([str(tmp_path / "costs"), str(tmp_path / "usage")])
    found = reconcile(bill, world.store, PRICES)
    assert CALL.cost == 210_000
    assert [(line.bill, line.journal) for line in found.lines] == [(210_000, 210_000)]
    assert found.said[-1].startswith(f"gpt-4o-mini and {MINI} are taken as one model")


def test_names_that_the_bill_tells_apart_stay_apart(tmp_path: Path) -> None:
    world = World()
    world.book(CALL)
    found = of_table(world, tmp_path, f"date,model,cost\nDATE,{MINI},{exact(CALL.cost)}\nDATE,gpt-4o-mini,0.50\n")
    assert rows(found) == [("gpt-4o-mini", [("outside", 500_000_000)], 0), (MINI, [], 0)]


def test_models_of_other_prices_are_never_joined(tmp_path: Path) -> None:
    world = World()
    world.book(Call(model="gpt-4o-2024-05-13"))
    found = of_table(world, tmp_path, "date,model,cost\nDATE,gpt-4o,0.50\n")
    assert [line.model for line in found.lines] == ["gpt-4o", "gpt-4o-2024-05-13"]


def test_a_bill_without_models_is_compared_day_by_day(tmp_path: Path) -> None:
    world = World()
    world.book(CALL)
    world.book(Call(model=GPT_4O))
    found = of_table(world, tmp_path, f"date,cost\nDATE,{exact(CALL.cost + Call(model=GPT_4O).cost)}\n")
    assert rows(found) == [("", [], 0)]
    assert found.said[-1] == "The bill tells no models, so all of a day are compared together."


def test_searches_on_a_line_of_their_own_are_taken_out_of_the_models_row(tmp_path: Path) -> None:
    world = World()
    call = Call(model=HAIKU, provider="anthropic", tokens={"input_tokens": 900, "output_tokens": 9, "web_searches": 3})
    world.book(call)
    fee = 30_000_000
    results = [
        {"currency": "USD", "amount": f"{(call.cost - fee) / 1e7:.7f}", "model": HAIKU, "cost_type": "tokens"},
        {"currency": "USD", "amount": "3.0000000", "model": None, "cost_type": "web_search"},
    ]
    (tmp_path / "bill").write_text(
        json.dumps({"data": [{"starting_at": f"{FIRST:%Y-%m-%d}T00:00:00Z", "results": results}]})
    )
    found = reconcile(read_bill([str(tmp_path / "bill")]), world.store, PRICES)
    assert rows(found) == [(HAIKU, [], 0), ("web search", [], 0)]
    assert [line.journal for line in found.lines] == [call.cost - fee, fee]


def test_a_bill_of_usage_is_shown_at_our_prices(tmp_path: Path) -> None:
    world = World()
    world.call(CALL)
    world.charge(CALL)
    world.write(tmp_path)
    found = reconcile(read_bill([str(tmp_path / "usage.json")]), world.store, PRICES)
    assert found.usage_only
    assert rows(found) == [(MINI, [("outside", CALL.cost)], 0)]
    assert (found.bill, found.journal) == (2 * CALL.cost, CALL.cost)


def test_calls_outside_of_a_model_without_a_price_are_named_without_an_amount(tmp_path: Path) -> None:
    world = World()
    world.call(CALL)
    cell = world.cell(DAY, "gpt-unheard-of")
    cell.requests, cell.tokens = 2, {"default": {"input_tokens": 10}}
    world.write(tmp_path)
    found = reconcile(read_bill([str(tmp_path / "usage.json")]), world.store, PRICES)
    assert rows(found) == [(MINI, [], 0), ("gpt-unheard-of", [("outside", 0)], 0)]


def test_a_bill_of_costs_explains_what_costs_can_tell(tmp_path: Path) -> None:
    world = World()
    world.book(CALL)
    world.book(Call(model=GPT_4O), estimated="cut")
    text = f"date,model,cost\nDATE,{MINI},{exact(CALL.cost + 5)}\nDATE,{GPT_4O},0.000000001\nDATE,o3,0.5\n"
    found = of_table(world, tmp_path, text)
    assert rows(found) == [
        (GPT_4O, [("estimated", 1 - Call(model=GPT_4O).cost)], 0),
        (MINI, [], 5),
        ("o3", [("outside", 500_000_000)], 0),
    ]
    assert found.lines[1].note == "the bill tells no tokens"


@pytest.mark.parametrize("days", [(0,), (0, 1)])
def test_amounts_without_their_tokens_do_not_say_that_none_were_used(days: tuple[int, ...], tmp_path: Path) -> None:
    world = World()
    for day in (0, 1):
        world.call(CALL.on(day))
        world.call(Call(model=GPT_4O).on(day))
    costs, usage = world.write(tmp_path, days=2)
    told = json.loads(Path(usage).read_text())
    told["data"] = [told["data"][day] for day in days]  # As where only the first page was saved.
    for bucket in told["data"]:
        bucket["results"] = [result for result in bucket["results"] if result["model"] == MINI]
    Path(usage).write_text(json.dumps(told))
    found = reconcile(read_bill([costs, usage]), world.store, PRICES)
    assert rows(found) == [(GPT_4O, [], 0), (MINI, [], 0)] * 2


def test_other_tokens_for_as_many_calls_have_no_explanation(tmp_path: Path) -> None:
    world = World()
    world.call(CALL)
    world.cell(DAY, MINI).tokens["default"]["output_tokens"] += 10
    world.cell(DAY, MINI).cost += 6_000
    found = reconcile(read_bill(world.write(tmp_path)), world.store, PRICES)
    assert rows(found) == [(MINI, [], 6_000)]
    assert found.lines[0].note == "other tokens for as many calls"


def test_a_tier_without_a_known_price_takes_what_differs(tmp_path: Path) -> None:
    world = World()
    world.book(CALL)
    cell = world.cell(DAY, MINI)
    cell.cost, cell.requests, cell.tokens = CALL.cost * 3, 1, {"scale": dict(CALL.tokens)}
    found = reconcile(read_bill(world.write(tmp_path)), world.store, PRICES)
    assert rows(found) == [(MINI, [("tier", 2 * CALL.cost)], 0)]
    assert found.lines[0].parts[0].names == ("scale",)


def test_calls_outside_in_another_tier_are_worth_what_that_costs(tmp_path: Path) -> None:
    world = World()
    world.call(CALL)
    batch = Call(tier="batch")
    world.charge(batch)
    found = reconcile(read_bill(world.write(tmp_path)), world.store, PRICES)
    assert rows(found) == [(MINI, [("outside", batch.cost)], 0)]


def test_calls_moved_over_two_midnights_in_a_row_are_followed(tmp_path: Path) -> None:
    world = World()
    for day in range(3):
        world.call(CALL.on(day))
    for day, tokens in ((1, {"input_tokens": 5_000}), (2, {"input_tokens": 7_000})):
        early = Call(tokens=tokens).on(day, hour=0)
        world.book(early)
        world.charge(early, day=early.day - 1)
    found = reconcile(read_bill(world.write(tmp_path, days=3)), world.store, PRICES)
    five, seven = 750_000, 1_050_000
    assert [[(part.kind, part.amount) for part in line.parts] for line in found.lines] == [
        [("boundary", five)],
        [("boundary", seven - five)],
        [("boundary", -seven)],
    ]
    assert found.off == 0


def test_differences_that_cancel_out_are_no_moved_calls_when_nothing_ended_close_to_midnight(tmp_path: Path) -> None:
    world = World()
    for day in range(2):
        world.call(CALL.on(day))
        world.call(CALL.on(day))
    world.charge(CALL.on(0))
    world.charge(CALL.on(1), sign=-1)
    found = reconcile(read_bill(world.write(tmp_path, days=2)), world.store, PRICES)
    assert [line.parts[0].kind for line in found.lines] == ["outside", "missing"]


def test_calls_are_not_moved_over_a_day_without_any(tmp_path: Path) -> None:
    world = World()
    early = CALL.on(2, hour=0)
    world.call(CALL)
    world.call(CALL.on(2))
    world.book(early)
    world.charge(early, day=DAY)
    found = reconcile(read_bill(world.write(tmp_path, days=3)), world.store, PRICES)
    assert [line.parts[0].kind for line in found.lines] == ["outside", "missing"]


def test_a_failed_call_that_was_billed_is_not_what_differs(tmp_path: Path) -> None:
    world = World()
    bound = Call(tokens={"input_tokens": 1_000, "output_tokens": 900})
    world.call(CALL)
    for record in ({"estimated": "provider_error", "status": "502"}, {"estimated": "cut"}):
        world.book(bound, **record)
    world.charge(bound)
    world.charge(CALL)
    found = reconcile(read_bill(world.write(tmp_path)), world.store, PRICES)
    assert rows(found) == [(MINI, [("estimated", CALL.cost - bound.cost)], 0)]


def test_what_rounding_makes_of_each_call_belongs_to_the_calls() -> None:
    rates = Rates(standard={"input": 1_500}, tiers={}, source="a price of one and a half nanodollars")
    billed = Billed(cost=15 + 2 + 2, requests=3, tokens={"input": 12}, lines=1)
    booked = Booked(count=1, cost=15, tokens={"input": 10})
    [line] = compare(
        {(DAY, MINI): billed},
        {(DAY, MINI): booked},
        {(DAY, MINI): rates},
        Terms(told=("input",), tells_requests=True, unit=1),
    )
    assert [(part.kind, part.amount, part.count) for part in line.parts] == [("outside", 4, 2)]


def test_a_call_belongs_to_the_utc_day_on_which_it_ended(tmp_path: Path) -> None:
    world = World()
    late = Call(at=FIRST + timedelta(days=1) - timedelta(milliseconds=1))
    world.book(late, ended=None)
    world.book(late)
    world.book(CALL.on(1, hour=0))
    found = of_table(
        world, tmp_path, f"date,model,cost\nDATE,{MINI},{exact(2 * late.cost)}\n2026-11-02,{MINI},{exact(CALL.cost)}\n"
    )
    assert rows(found) == [(MINI, [], 0), (MINI, [], 0)]


def test_calls_that_were_never_sent_and_refusals_are_in_no_row(tmp_path: Path) -> None:
    world = World()
    world.call(CALL)
    world.book(Call(model=GPT_4O), cost=0, status="429", usage={})
    found = reconcile(read_bill(world.write(tmp_path)), world.store, PRICES)
    assert found.difference == 0


AMOUNTS = st.integers(0, 10**10)
TOKENS = st.dictionaries(st.sampled_from(["input", "cache_read", "output"]), st.integers(0, 10**6))
SHARES = st.builds(
    lambda count, cost, tokens: Share(count=count, cost=cost, tokens=tokens), st.integers(0, 5), AMOUNTS, TOKENS
)
BILLED = st.builds(
    lambda cost, credit, requests, tokens, tiers, lines: Billed(
        cost=None if cost is None else cost - credit,
        credit=0 if cost is None else -credit,
        requests=requests,
        tokens=tokens,
        tiers=None if tiers is None else {"": tokens or {}, "batch": tiers},
        lines=lines,
    ),
    st.none() | AMOUNTS,
    st.just(0) | AMOUNTS,
    st.none() | st.integers(0, 9),
    st.none() | TOKENS,
    st.none() | TOKENS,
    st.integers(0, 3),
)
BOOKED = st.builds(
    lambda count, cost, tokens, unpriced, estimated, failed, early, late: Booked(
        count=count,
        cost=cost + estimated.cost + failed.cost,
        tokens=tokens,
        unpriced=unpriced,
        estimated={"cut": estimated},
        failed=failed,
        early=early,
        late=late,
        tiers={"": tokens},
    ),
    st.integers(1, 9),
    AMOUNTS,
    TOKENS,
    *[SHARES] * 5,
)
KEYS = st.tuples(st.integers(DAY, DAY + 3), st.sampled_from([MINI, "gpt-unheard-of"]))
TERMS = st.builds(
    lambda told, requests, tiers, unit: Terms(told=told, tells_requests=requests, tells_tiers=tiers, unit=unit),
    st.sampled_from([(), ("input", "output"), ("input", "cache_read", "output")]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 10_000_000]),
)


def _rates() -> Rates:
    price = find_price(PRICES, ("openai",), MINI)
    assert price is not None
    return rates_of(price, DAY, {"batch"})


@pytest.mark.slow
@given(st.dictionaries(KEYS, BILLED, max_size=6), st.dictionaries(KEYS, BOOKED, max_size=6), TERMS)
def test_whatever_is_compared_what_is_explained_and_what_is_not_is_all_that_differs(
    bill: dict[tuple[int, str], Billed], journal: dict[tuple[int, str], Booked], terms: Terms
) -> None:
    rates = {key: RATES for key in {*bill, *journal} if key[1] == MINI}
    lines = compare(bill, journal, rates, terms)
    assert {(line.day, line.model) for line in lines} == {*bill, *journal}
    for line in lines:
        assert sum(part.amount for part in line.parts) + line.unexplained == line.difference == line.bill - line.journal
        assert all(part.amount or part.count for part in line.parts)
        if line.volume is not None and line.price is not None:
            credit = sum(part.amount for part in line.parts if part.kind == "credit")
            assert line.volume + line.price + credit == line.difference
    for key, cell in bill.items():
        if cell.cost is not None:
            [line] = [line for line in lines if (line.day, line.model) == key]
            assert line.bill == cell.cost


RATES = _rates()
