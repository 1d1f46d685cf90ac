"""
Whatever stands in a file: it is a workflow, or an error that a person can go on by; never a crash.
"""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from solvent.errors import SettingsError
from solvent.forecast._model import Workflow, every
from solvent.forecast.spec import read_workflow
from solvent.prices import Prices

RESEARCH = (Path(__file__).parent.parent.parent / "examples" / "forecast" / "research.yaml").read_text()
EVERYTHING = """\
workflow: everything
models: {m: {input: 1, output: 2, cached: 90%, window: 200k}, n: {is: gpt-5-mini}, o: gpt-5-nano}
envelope: {size: {small: 60%, large: 40%}, items: {mean: [2.5, 3], min: 1, max: 20}, more: {small: 2, large: 9}}
graph:
- {call: c, model: m, prompt: {small: 10, large: {p50: 10, p95: 20, max: none}}, output: {one_of: {1: 50%, 3: 50%}}}
- branch: b
  either: [{share: [10%, 20%], do: [&t {tool: t, cost: 0.01, seconds: {p50: 1, p95: 2, max: 9}}]}]
- loop: l
  again: {small: 50%, large: [60%, 70%]}
  max: none
  history: grows
  compact: {at: 10k, to: 100}
  do:
  - {call: c, model: n, prompt: [1, 2], output: 5, seconds: {first_token: 1, per_output_token: 0.1}}
  - {call: d, model: n, prompt: 1, output: 5, history: none, seconds: 2}
  - {retry: r, fail: [1%, 90%], max: 3, do: [{tool: u, result: 100}]}
- {map: f, over: items, max: 10, concurrency: 2, do: [*t]}
- {map: g, over: more, do: [*t]}
- {par: p, parts: [[{tool: x}], [{spawn: s, children: {mean: 0.5, max: none}, max: 3, do: [*t]}]]}
volume: {runs_per_month: 40k, uncertainty: 10%, measured_runs: 300}
limits: {may_block: 1%, usd: 5, legitimate: [small], input_bound: 4.5, at: {80%: degrade m to o, 100%: stop}}
"""
WORDS = """
1e9 1e999999999 -1 +1 0 0.1 00 017 0x1F 1:30 1_000 .nan -.inf .5 5. 1.5 9007199254740993 4M 5M $ % 100% 0% 101% 0.5 99%
on null ~ true False *x &x !x *t &t !!int << | > ? - # @x `x` ' " { } [ ] , : [] {} [[[]]] {a:{b:1}} none 2k 1h30m
call tool branch retry loop map par spawn max p50 p95 mean min one_of rare grows over do history either share stop
gpt-5-mini sonar text-embedding-3-small m n small ٣ "\\ud800" "\\0"
"""
JUNK = st.one_of(
    st.sampled_from(WORDS.split()),
    st.text(max_size=8),
    st.integers(60, 4_000).map(lambda length: "9" * length),
    st.integers(1, 100).map(lambda depth: "[" * depth),
)
LIKELY = {  # In the place of a percent, of a count, or of anything else.
    "%": st.floats(0, 100).map("{:.2f}%".format),
    "0": st.sampled_from([0, 1, 2, 5, 30, 500, 9_999, 100_000, 4_000_000]).map(str),
    "": st.from_regex("[a-z]{1,3}", fullmatch=True),
}
PRICES = Prices.load()


@st.composite
def mutated(draw):
    text = draw(st.sampled_from([EVERYTHING, RESEARCH]))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        numbers_only = draw(st.integers(0, 3)) > 0
        words = [*re.finditer(r"\b\d[\d.k%]*" if numbers_only else r"[^\s{}\[\],:]+", text)] or [re.match("", text)]
        one, other = [draw(st.sampled_from(words)) for _ in range(2)]
        kind = "%" if one[0].endswith("%") else "0" if one[0].isdigit() else ""
        put = draw(st.one_of(LIKELY[kind], LIKELY[kind], JUNK, st.just(other[0]), st.just("")))
        text = text[: one.start()] + put + text[one.end() :]
        if draw(st.integers(0, 5)) == 0:
            lines = text.split("\n")
            at, to = [draw(st.integers(0, len(lines) - 1)) for _ in range(2)]
            lines.insert(to, lines[at] if draw(st.booleans()) else lines.pop(at))
            text = "\n".join(lines)
    return text


CHANGES = st.builds(
    "{}{}{}".format,
    st.lists(st.one_of(st.sampled_from(re.findall(r"[\w%]+", EVERYTHING)), JUNK), min_size=1, max_size=4).map(".".join),
    st.sampled_from(["=", "=", "=", ""]),
    st.one_of(JUNK, st.sampled_from(["{p50: 1, p95: 2, max: 3}", "[1, 2]", "[a, b", "{small: 1, large: 2}"])),
)


def check(path, text, changes=()):
    path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    try:
        found = read_workflow(path, changes=changes, prices=PRICES)
    except SettingsError as error:
        event("refused")
        said = str(error)
        assert "\nTo go on: " in said or "\n" not in said.replace("\n", " ", sum(map(len, changes)))
        assert str(path) in said or any(said.startswith(str(Path(change))[:100]) for change in changes)
        assert len(said) < 2_000
    else:
        event("read")
        assert isinstance(found, Workflow)
        hash(found.graph)
        paths = [block.path for block in every(found.graph)]
        assert len(set(paths)) == len(paths)


def check_all(tmp_path_factory, text, changes):
    check(tmp_path_factory.getbasetemp() / "fuzzed.yaml", text, changes)


def given_any(examples):
    """
    So many files, most of them nearly right.
    """

    def decorate(test):
        test = example(text=EVERYTHING, changes=[])(test)
        test = example(text=EVERYTHING, changes=["l.c.output=7"])(test)
        files = st.one_of(mutated(), mutated(), mutated(), st.just(EVERYTHING), st.text() | st.binary())
        changes = st.one_of(st.just([]), st.just([]), st.lists(CHANGES, min_size=1, max_size=2))
        test = given(text=files, changes=changes)(test)
        suppressed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        return settings(max_examples=examples, deadline=None, suppress_health_check=suppressed)(test)

    return decorate


@pytest.mark.slow
@given_any(60)
def test_any_file_is_a_workflow_or_an_error_to_go_on_by(tmp_path_factory, text, changes):
    check_all(tmp_path_factory, text, changes)


@pytest.mark.long
@pytest.mark.timeout(600)
@given_any(2_000)
def test_many_files_are_workflows_or_errors_to_go_on_by(tmp_path_factory, text, changes):
    check_all(tmp_path_factory, text, changes)


def test_the_file_with_everything_is_read(tmp_path):
    path = tmp_path / "everything.yaml"
    path.write_text(EVERYTHING)
    assert len({type(block) for block in every(read_workflow(path).graph)}) == 8
