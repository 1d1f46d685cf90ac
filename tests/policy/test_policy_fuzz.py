"""
Whatever stands in a file: it is a policy that says just that, or an error that a person can go on by; never a crash.
"""

import re

import pytest
from documents import DOCUMENTS, as_texts, written
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from meaning import meaning, said_by

from solvent.errors import SettingsError
from solvent.policy._read import read_policy
from solvent.policy._schema import schema

pytestmark = pytest.mark.slow

VALIDATOR = Draft202012Validator(schema())
GOOD = """\
ledger: sqlite:///ledger.db
budgets:
  org:acme: {usd: [500/month, 50/day]}
  run:nightly-*:
    usd: {limit: 2.00, on_exceed: warn}
    tokens: 2M/minute
    seconds: 15m
call: {usd: 0.25, output_tokens: 8k}
time_zone: Europe/Berlin
alert: {at: [50%, 80%], webhook: "https://example.com/a", secret_env: S}
fallback:
- {at: 60%, from: a, to: gpt-4o}
shrink: {output_tokens_min: 512, explicit: false}
loops: {same_call: 5, within: 60s, on_exceed: block}
unpriced: {price_as: gpt-4o}
store_down: {open: $1}
prices: {my-model: {input: 3.00, output: 15.00}, other: gpt-4o}
wait: 10s
tighten: [prefix]
"""
WORDS = """
1e9 1e999999999 -1 +1 0.1 00 017 0x1F 1:30 1_000 .nan -.inf .5 5. 1.5 9007199254740993 $ % 100% 0% 101% yes on
null ~ true False *x &x !x !!int << | > ? - # @x `x` %x ' " { } [ ] , : [] {} [[[]]] {a:{b:{c:1}}} a:b run:* run:**
1s 1s1s 9d 999999999d soon block warn usd calls limit from at open refuse off count memory:// ../x.db a/b:c ٣
"""
JUNK = st.one_of(
    st.sampled_from(WORDS.split()),
    st.text(max_size=8),
    st.integers(60, 4_000).map(lambda length: "9" * length),
    st.integers(1, 400).map(lambda depth: "[" * depth),
)


@st.composite
def _mutated(draw, text: str) -> str:
    for _ in range(draw(st.integers(1, 3))):
        words = [*re.finditer(r"[^\s{}\[\],]+", text)]
        how = draw(st.sampled_from(["character", "cut", "junk", "repeat", "swap"]))
        if how in ("junk", "swap") and words:
            one = draw(st.sampled_from(words))
            by = draw(JUNK) if how == "junk" else draw(st.sampled_from(words))[0]
            text = text[: one.start()] + by + text[one.end() :]
        else:
            start = draw(st.integers(0, len(text)))
            end = min(len(text), start + draw(st.integers(0, 30)))
            kept = {"cut": "", "repeat": text[start:end] * 2}.get(how, draw(st.characters()))
            text = text[:start] + kept + text[end if how != "character" else start + 1 :]
    return text


def _is_told_or_means_the_same(path, data):
    path.write_bytes(data)
    try:
        policy = read_policy(path)
    except SettingsError as error:
        event("refused")
        said = str(error)
        assert said.startswith(str(path))
        assert len(said) < len(str(path)) + 1_000
        return
    event("taken")
    document = as_texts(data)
    assert said_by(policy) == meaning(document, path.parent)
    assert VALIDATOR.is_valid(document)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return (tmp_path_factory.mktemp("fuzz") / "solvent.yaml").resolve()


@settings(max_examples=200, deadline=None)
@given(document=DOCUMENTS)
def test_a_policy_says_what_stands_there(path, document):
    path.write_text(written(document))
    assert said_by(read_policy(path)) == meaning(document, path.parent)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=_mutated(GOOD))
def test_a_file_with_faults_is_told_or_means_what_it_says(path, text):
    _is_told_or_means_the_same(path, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=DOCUMENTS.map(written).flatmap(_mutated))
def test_any_policy_with_faults_is_told_or_means_what_it_says(path, text):
    _is_told_or_means_the_same(path, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=4)).map(
            lambda flip: GOOD.encode()[: flip[0]] + flip[1] + GOOD.encode()[flip[0] + 1 :]
        ),
    )
)
def test_bytes_are_told_or_mean_what_they_say(path, data):
    _is_told_or_means_the_same(path, data)


@pytest.mark.long
@pytest.mark.timeout(600)
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=_mutated(GOOD))
def test_faults_at_length(path, text):
    _is_told_or_means_the_same(path, text.encode("utf-8", "surrogatepass"))
