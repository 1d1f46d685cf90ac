"""
A difference of each kind, planted in a bill that agreed with its journal: it is found and named with its exact amount,
and nothing else is.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from bill_world import DAY, GPT_4O, MINI, PRICES, Call, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solvent.reconcile import EXPLANATIONS, Reconciliation, read_bill, reconcile

Found = dict[tuple[int, str, str], int]  # By day, model and explanation.
Plant = Callable[[World, Call], Found]


def compared(world: World, folder: Path, *, days: int = 1, decimals: int = 9) -> Reconciliation:
    found = reconcile(read_bill(world.write(folder, days=days, decimals=decimals)), world.store, PRICES)
    for line in found.lines:
        assert sum(part.amount for part in line.parts) + line.unexplained == line.difference
        assert line.bill - line.journal == line.difference
    assert sum(found.explained.values()) + found.unexplained == found.difference
    return found


def named(found: Reconciliation) -> Found:
    return {(line.day - DAY, line.model, part.kind): part.amount for line in found.lines for part in line.parts}


def more(call: Call) -> Call:
    """
    Another call beside one: other tokens, the same model and time.
    """
    return Call(
        model=call.model,
        at=call.at,
        tokens={name: count * 3 + 7 for name, count in call.tokens.items()},
    )


def outside(world: World, call: Call) -> Found:
    world.charge(more(call))
    return {(call.day - DAY, call.model, "outside"): more(call).cost}


def missing(world: World, call: Call) -> Found:
    world.charge(call, sign=-1)
    return {(call.day - DAY, call.model, "missing"): -call.cost}


def estimated(world: World, call: Call) -> Found:
    true, bound = call, more(call)
    world.book(bound, estimated="cut")
    world.charge(true)
    return {(call.day - DAY, call.model, "estimated"): true.cost - bound.cost}


def failed(world: World, call: Call) -> Found:
    world.book(more(call), estimated="provider_error", status="500")
    return {(call.day - DAY, call.model, "failed"): -more(call).cost}


def price(world: World, call: Call) -> Found:
    cell = world.cell(call.day, call.model)
    before, cell.cost = cell.cost, cell.cost * 5 // 4
    return {(call.day - DAY, call.model, "price"): cell.cost - before}


def tier(world: World, call: Call) -> Found:
    world.book(more(call))
    batch = Call(model=call.model, at=call.at, tokens=more(call).tokens, tier="batch")
    world.charge(batch)
    return {(call.day - DAY, call.model, "tier"): batch.cost - more(call).cost}


def unpriced(world: World, call: Call) -> Found:
    world.book(more(call), cost=None)
    world.charge(more(call))
    return {(call.day - DAY, call.model, "unpriced"): more(call).cost}


def credit(world: World, call: Call) -> Found:
    world.cell(call.day, call.model).credit = -12_345_678
    return {(call.day - DAY, call.model, "credit"): -12_345_678}


def boundary(world: World, call: Call) -> Found:
    late = Call(model=call.model, tokens=more(call).tokens).on(call.day - DAY + 1, hour=0, minute=2)
    world.book(late)
    world.charge(late, day=call.day)
    day = call.day - DAY
    return {(day, call.model, "boundary"): late.cost, (day + 1, call.model, "boundary"): -late.cost}


PLANTS: dict[str, Plant] = {
    plant.__name__: plant for plant in (outside, missing, estimated, failed, price, tier, unpriced, credit, boundary)
}


def test_there_is_a_difference_to_plant_of_every_kind() -> None:
    assert {*PLANTS, "rounding"} == set(EXPLANATIONS)


def test_a_bill_that_agrees_names_nothing(tmp_path: Path) -> None:
    world = World()
    for hour in range(24):
        world.call(Call().on(0, hour=hour))
    found = compared(world, tmp_path)
    assert (named(found), found.difference, found.off) == ({}, 0, 0)
    assert found.bill == found.journal == 24 * Call().cost


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("model", [MINI, GPT_4O])
def test_a_planted_difference_is_found_with_its_exact_amount(plant: str, model: str, tmp_path: Path) -> None:
    world = World()
    for day in range(3):
        for hour in (0, 9, 17, 23):
            world.call(Call(model=model).on(day, hour=hour))
    expected = PLANTS[plant](world, Call(model=model).on(1))
    if plant == "missing":
        world.call(Call(model=model).on(1))

    found = compared(world, tmp_path, days=3)

    assert named(found) == expected
    assert found.unexplained == 0


@pytest.mark.parametrize(
    "plants", [("unpriced", "price"), ("outside", "price"), ("boundary", "price", "credit"), ("tier", "price")]
)
def test_differences_that_a_bill_tells_apart_are_found_in_one_row(plants: tuple[str, ...], tmp_path: Path) -> None:
    world = World()
    expected: Found = {}
    for day in range(2):
        world.call(Call().on(day))
    for plant in plants:
        expected |= PLANTS[plant](world, Call())
    found = compared(world, tmp_path, days=2)
    assert named(found) == expected
    assert found.unexplained == 0


CALLS = st.builds(
    lambda read, cached, written: {"input_tokens": read, "cache_read_tokens": cached, "output_tokens": written},
    st.integers(1_000, 9_000),
    st.integers(0, 999),
    st.integers(1, 2_000),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.slow
def test_what_is_found_is_what_was_planted(data: st.DataObject, tmp_path: Path) -> None:
    world, expected, days = World(), {}, data.draw(st.integers(1, 4), "days")
    for model in (MINI, GPT_4O):
        is_taken = False  # By calls that moved over the midnight before.
        for day in range(days):
            calls = data.draw(st.lists(CALLS, min_size=1, max_size=4), f"calls of {model} on day {day}")
            for tokens in calls:
                world.call(Call(model=model, tokens=tokens).on(day, hour=data.draw(st.integers(0, 23))))
            possible = [name for name in PLANTS if name != "boundary" or day < days - 1]
            plants = [] if is_taken else data.draw(_compatible(possible), "planted")
            is_taken = "boundary" in plants
            for name in plants:
                call = Call(model=model, tokens=data.draw(CALLS)).on(day)
                if name == "missing":
                    world.call(call)
                expected |= PLANTS[name](world, call)

    found = compared(world, tmp_path, days=days)

    assert named(found) == expected
    assert found.unexplained == 0


def _compatible(names: list[str]) -> st.SearchStrategy[list[str]]:
    """
    Differences that a bill can tell apart on one row: one in what is used, another price of all that, and a credit.
    """
    used = st.sampled_from([[], *([name] for name in names if name not in ("credit", "price"))])
    priced, credited = st.sampled_from([[], ["price"]]), st.sampled_from([[], ["credit"]])
    return st.tuples(used, priced, credited).map(lambda parts: [name for part in parts for name in part])


def test_amounts_in_cents_differ_by_rounding_alone(tmp_path: Path) -> None:
    world = World()
    for hour in range(40):
        world.call(Call(tokens={"input_tokens": 12_345, "output_tokens": 999}).on(0, hour=hour % 24))
    found = compared(world, tmp_path, decimals=2)
    [line] = found.lines
    exact = 40 * Call(tokens={"input_tokens": 12_345, "output_tokens": 999}).cost
    assert named(found) == {(0, MINI, "rounding"): 100_000_000 - exact}
    assert (line.unexplained, found.off) == (0, 0)
