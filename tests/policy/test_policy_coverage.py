"""
What a policy leaves open: every pattern by its own rule, and what is said to close it closes it.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from solvent._limits import METERS, PATH_METERS, Limit
from solvent.cli.check import FIRST_POLICY
from solvent.policy import Policy
from solvent.policy._contradictions import contradictions
from solvent.policy._coverage import LAYERS, NOT_APPLICABLE, PARTIAL, PATTERNS, TYPES, coverage, holes, together
from solvent.policy._outranked import CALL
from solvent.policy._read import read_policy

CALL_METERS = ("usd", "tokens", "input_tokens", "output_tokens")
SCOPES = (CALL, "run:*", "run:nightly-*", "agent:*", "agent:researcher", "step:*", "team:*", "org:acme", "user:ann")


@pytest.fixture
def read(tmp_path):
    def found(text):
        path = tmp_path / "solvent.yaml"
        path.write_text(text)
        return read_policy(path)

    return found


def limit(meter, amount=10**9, window="", on_exceed="block"):
    return Limit(meter=meter, amount=amount, window=window, on_exceed=on_exceed, source="solvent.yaml:1")


def with_limits(policy, placed):
    return replace(
        policy,
        budgets=(*policy.budgets, *(each for each in placed if each[0] != CALL)),
        call=(*policy.call, *(one for pattern, one in placed if pattern == CALL)),
    )


def closed(policy):
    return with_limits(policy, dict.fromkeys(hole.closing for hole in holes(policy)))


def open_patterns(policy):
    return list(dict.fromkeys(hole.pattern for hole in holes(policy)))


def test_every_meter_makes_one_budget_type():
    assert sorted(meter for meters in TYPES.values() for meter in meters) == sorted(METERS + PATH_METERS)


def test_without_limits_every_pattern_is_open_and_none_is_enforced_in_part():
    assert open_patterns(Policy()) == list(PATTERNS)
    assert {cell for cells in coverage(Policy()).values() for cell in cells.values()} == {"none", "not applicable"}


def test_what_a_first_policy_is_told_to_be_leaves_nothing_open(read):
    policy = read(FIRST_POLICY)

    assert holes(policy) == []
    assert [one.kind for one in contradictions(policy)] == ["needs_scope"]  # For org:*, which is no failure.


def test_what_closes_all_is_the_first_policy(read):
    """
    In the words that a person is told, the lines of all holes are a policy.
    """
    lines = together(Policy(), holes(Policy()))
    assert lines == [
        ("under budgets", "run:*: {calls: 200, branches: 64, retries: 20, seconds: 15m, usd: 2.00}"),
        ("in the policy", "call: {input_tokens: 100k, output_tokens: 8k}"),
    ]
    policy = read(f"budgets:\n  {lines[0][1]}\n{lines[1][1]}\n")
    assert [hole.line for hole in holes(policy)] == ["org:*: {usd: 50/day}"]


@pytest.mark.parametrize(
    ("pattern", "place"), [(name, at) for name, needs in PATTERNS.items() for at in range(len(needs))]
)
def test_each_need_is_met_by_any_of_its_meters_in_any_of_its_layers_and_by_nothing_else(pattern, place):
    need = PATTERNS[pattern][place]
    full = closed(closed(Policy()))
    assert holes(full) == []
    bare = replace(
        full,
        budgets=tuple(each for each in full.budgets if each[1].meter not in need.meters),
        call=tuple(one for one in full.call if one.meter not in need.meters),
    )
    assert pattern in open_patterns(bare)

    for meter in (*METERS, *PATH_METERS):
        for layer, kinds in LAYERS.items():
            for scopes in (CALL,) if kinds == (CALL,) else tuple(f"{kind}:*" for kind in kinds):
                if scopes != CALL or meter in CALL_METERS:
                    met = meter in need.meters and layer in need.layers
                    found = holes(with_limits(bare, [(scopes, limit(meter))]))
                    assert (need.without not in [hole.what for hole in found]) == met, (meter, scopes)


@pytest.mark.parametrize(
    ("scopes", "one"),
    [
        ("run:*", limit("calls", on_exceed="warn")),
        ("run:*", limit("calls", window="minute")),
        ("run:*", limit("calls", window="hour")),
        ("run:nightly-*", limit("calls")),
        ("org:*/run:*", limit("calls")),
    ],
)
def test_what_only_tells_or_slows_or_holds_some_closes_nothing(scopes, one):
    assert "runaway recursion" in open_patterns(Policy(budgets=((scopes, one),)))
    assert "runaway recursion" not in open_patterns(Policy(budgets=(("run:*", limit("calls", window="day")),)))


@pytest.mark.parametrize(
    ("budgets", "cell"),
    [
        ([("run:*", limit("usd"))], "blocks"),
        ([("run:nightly", limit("usd")), ("run:*", limit("usd", on_exceed="log"))], "some"),
        ([("run:*", limit("usd", on_exceed="warn"))], "tells"),
        ([("agent:*", limit("usd"))], "none"),
        ([("team:*", limit("usd")), ("team:a/run:*", limit("usd"))], "some"),
    ],
)
def test_a_cell_tells_how_far_a_type_is_limited_in_a_layer(budgets, cell):
    assert coverage(Policy(budgets=tuple(budgets)))["cost"]["orchestration"] == cell


def test_cells_that_do_not_apply_are_those_of_the_table_unless_they_are_limited():
    found = coverage(Policy(budgets=(("team:*", limit("seconds")),)))

    assert found["time"]["platform"] == "blocks"
    assert {(type, layer) for type, cells in found.items() for layer in cells if cells[layer] == "not applicable"} == {
        *NOT_APPLICABLE
    } - {("time", "platform")}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("run:*: {retries: {limit: 9, on_exceed: warn}}", "The retry budget only tells, and refuses nothing (FILE:2)."),
        ("agent:*: {retries: 9}", "The retry budget holds agent:* alone; any other call goes past it."),
        (
            "team:a: {parallel: 9}\n  team:b: {branches: 9}",
            "The fan-out budget holds team:a and team:b alone; any other call goes past it.",
        ),
        ("run:nightly-*: {depth: 9}", "The step budget holds run:nightly-* alone; any other call goes past it."),
    ],
)
def test_a_type_that_is_limited_for_some_only_is_enforced_in_part(read, text, what):
    found = [hole.what for hole in holes(read(f"budgets:\n  {text}\n")) if hole.pattern == PARTIAL]

    assert found == [what.replace("FILE", "solvent.yaml")]


def test_dollars_of_every_run_without_any_of_all_runs_are_enforced_in_part(read):
    def partial(text):
        return [hole.closing[0] for hole in holes(read(text)) if hole.pattern == PARTIAL]

    assert partial("budgets:\n  run:*: {usd: 2.00}\n") == ["org:*"]
    assert partial("budgets:\n  run:*: {usd: 2.00}\n  team:*: {calls: 9/day}\n") == ["run:*", "team:*"]
    assert partial("budgets:\n  run:*: {usd: 2.00}\n  org:acme: {usd: 50/day}\n") == []
    assert partial("budgets:\n  run:*: {usd: 2.00}\n  org:acme: {usd: {limit: 50/day, on_exceed: warn}}\n") == [
        "org:acme"
    ]


def test_a_line_keeps_what_stands_there_already(read):
    policy = read("budgets:\n  run:*: {usd: {limit: 1.50, on_exceed: warn}, calls: [40/minute, 2k/hour]}\n")
    lines = {hole.closing[1].meter: (hole.where, hole.line) for hole in holes(policy)}

    assert lines["usd"] == ("in run:* (solvent.yaml:2)", "usd: [{limit: 1.50, on_exceed: warn}, 2.00]")
    assert lines["calls"] == (
        "in run:* (solvent.yaml:2)",
        "calls: [40/minute, 2k/hour, 2k]",
    )  # No less than those of an hour.


def test_a_line_leaves_out_what_only_tells_of_what_it_refuses(read):
    policy = read("budgets:\n  run:*: {usd: {limit: 3.50, on_exceed: warn}}\n")

    assert {hole.line for hole in holes(policy) if hole.closing[0] == "run:*" and hole.closing[1].meter == "usd"} == {
        "usd: 3.50"
    }


def test_an_amount_contradicts_none_that_the_policy_has(read):
    policy = read("budgets:\n  run:*: {calls: 10, tokens: 5k}\n  agent:*: {usd: 9.00}\n")
    amounts = {(scopes, one.meter): one.amount for scopes, one in (hole.closing for hole in holes(policy))}

    assert amounts["run:*", "retries"] == 10  # Not 20, for a retry is a call.
    assert amounts["run:*", "usd"] == 9 * 10**9  # Not 2.00, for an agent may use more.


def test_an_amount_of_tokens_is_no_less_than_an_output_is_cut_to(read):
    (line,) = [hole.line for hole in holes(read("shrink: {output_tokens_min: 20k}\n")) if "output" in hole.line]

    assert line == "call: {output_tokens: 20k}"


@st.composite
def policies(draw):
    placed = []
    for _ in range(draw(st.integers(0, 6))):
        scopes = draw(st.sampled_from(SCOPES))
        meter = draw(st.sampled_from(CALL_METERS if scopes == CALL else (*METERS, *PATH_METERS)))
        windowed = scopes != CALL and meter not in ("parallel", *PATH_METERS)
        window = draw(st.sampled_from(("", "minute", "hour", "day", "month"))) if windowed else ""
        least = 2_000 if "tokens" in meter else 10**9 if meter == "usd" else 1
        amount = draw(st.sampled_from((1, 5, 50, 1_000))) * least
        placed.append((scopes, limit(meter, amount, window, draw(st.sampled_from(("block", "warn"))))))
    return with_limits(Policy(), placed)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(policies())
def test_what_is_said_to_close_every_hole_does_and_contradicts_nothing_new(policy):
    before = {(one.kind, one.what) for one in contradictions(policy)}
    found = closed(closed(policy))  # A limit of every run brings the question how many runs there are.

    assert holes(found) == []
    new = [one for one in contradictions(found) if (one.kind, one.what) not in before and not one.is_note]
    assert not new
