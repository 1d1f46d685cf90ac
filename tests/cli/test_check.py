"""
``solvent check``: what a person types, what is printed line by line, and how it ends.
"""

import hashlib
import importlib.resources
import io
import json
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from solvent.cli import app
from solvent.cli._check_tables import write
from solvent.cli.check import FIRST_POLICY
from solvent.policy._contradictions import CONTRADICTIONS, NOTES
from solvent.policy._coverage import PARTIAL, PATTERNS
from solvent.report._json import SCHEMA_VERSION

sys.path.append(str(Path(__file__).parent.parent / "report"))
import test_report_json

ROOT = Path(__file__).parent.parent.parent
SCHEMA = json.loads(importlib.resources.files("solvent.cli").joinpath("check_schema.json").read_text())
DIGESTS = {1: "d1b09bbc6ad2d9de"}
# The policy of the design, and one in which something of every sort is found.
DESIGN = """\
budgets:
  org:acme:            {usd: [500/month, 50/day]}
  team:*:              {usd: 20/day, tokens: 2M/minute, parallel: 32}
  run:*:               {usd: {limit: 2.00, on_exceed: block}, calls: 200, tool_calls: 400, \
retries: 20, branches: 64, depth: 5, seconds: 900}
  agent:researcher:    {usd: 1.00}
time_zone: UTC
fallback: [{at: 60%, from: gpt-4-turbo, to: gpt-4o}, {at: 80%, from: gpt-4o, to: gpt-4o-mini}]
wait:     30s
loops:    {same_call: 5, within: 60s, on_exceed: warn}
"""
MIXED = """\
budgets:
  run:*: {usd: 2.00, calls: {limit: 200, on_exceed: warn}}
  agent:researcher: {usd: 5.00}
  agent:old: {calls: 0}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    for name in ("SOLVENT_POLICY", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def said(folder):
    def words(*words, text=None, code=0, width=80):
        if text is not None:
            (folder / "solvent.yaml").write_text(text)
        env = {"COLUMNS": str(width)} if width else {}
        done = CliRunner().invoke(app, ["check", *words], env=env)
        assert done.exit_code == code, done.output
        return done.stdout if code in (0, 1) else done.stderr

    return words


def problems(value, name):
    test_report_json.SCHEMA, kept = SCHEMA, test_report_json.SCHEMA
    try:
        return test_report_json.problems(value, SCHEMA["$defs"][name])
    finally:
        test_report_json.SCHEMA = kept


@pytest.mark.slow  # A fallback is looked up in the rate card.
def test_the_policy_of_the_design_at_80_columns(said):
    assert (
        said(text=DESIGN)
        == """\
Solvent check · solvent.yaml

limits
  scope             if passed  from            limits
  org:acme          block      solvent.yaml:2  $500.00 per month, $50.00 per day
  team:*            block      solvent.yaml:3  $20.00 per day, 2,000,000 tokens
                                               per minute, 32 parallel
  run:*             block      solvent.yaml:4  $2.00, 200 calls, 400 tool calls,
                                               20 retries, 64 branches, depth 5,
                                               15 min
  agent:researcher  block      solvent.yaml:5  $1.00

coverage
           invocation  agent loop     orchestration  platform
           call:       agent:, step:  run:           org:, team:, user:
  token                                              ✓
  output
  step     –                          ✓
  retry    –                          ✓
  fan-out  –                          ✓              ✓
  time     –                          ✓              –
  cost                 (✓)            ✓              ✓

  ✓ refuses · (✓) refuses for named scopes alone · ! only tells
  – does not apply

open: 2 failure patterns
  token bloat
    Each turn sends the whole conversation again, and calls grow until they fill
      the model's window.
    to close it, in the policy: call: {input_tokens: 100k}
    A call that names no cap may write as much as its model can, and every later
      turn reads it again.
    to close it, in the policy: call: {output_tokens: 8k}
  partial enforcement
    The token budget holds team:* alone; any other call goes past it.
    to close it, in run:* (solvent.yaml:4): tokens: 500k

to close all of them
  in the policy: call: {input_tokens: 100k, output_tokens: 8k}
  in run:* (solvent.yaml:4): tokens: 500k

notes: 1
  solvent.yaml:2, solvent.yaml:3
    No limit of org:acme, team:* holds a program that does not say which org and
      team it is in.
    to go on: put it in one, by `solvent run --scope org:acme/team:NAME` or
      budget(scope="org:acme/team:NAME")
"""
    )


def test_a_policy_with_everything_to_tell_of_at_80_columns(said):
    assert (
        said(text=MIXED, code=1)
        == """\
Solvent check · solvent.yaml

limits
  scope             if passed  from            limits
  run:*             block      solvent.yaml:2  $2.00
  run:*             warn       solvent.yaml:2  200 calls
  agent:researcher  block      solvent.yaml:3  $5.00
  agent:old         block      solvent.yaml:4  0 calls

coverage
           invocation  agent loop     orchestration  platform
           call:       agent:, step:  run:           org:, team:, user:
  token
  output
  step     –           (✓)            !
  retry    –
  fan-out  –
  time     –                                         –
  cost                 (✓)            ✓

  ✓ refuses · (✓) refuses for named scopes alone · ! only tells
  – does not apply

open: 7 failure patterns
  runaway recursion
    An agent that calls itself, or goes round in a loop, asks on until somebody
      notices.
    to close it, in run:* (solvent.yaml:2): calls: 200
  silent fan-out
    One step can hand 10,000 items to 10,000 branches, and nothing asks before
      the first one starts.
    to close it, in run:* (solvent.yaml:2): branches: 64
  retry storm
    While a provider fails, every layer asks again, and one call becomes dozens.
    to close it, in run:* (solvent.yaml:2): retries: 20
  token bloat
    Each turn sends the whole conversation again, and calls grow until they fill
      the model's window.
    to close it, in the policy: call: {input_tokens: 100k}
    A call that names no cap may write as much as its model can, and every later
      turn reads it again.
    to close it, in the policy: call: {output_tokens: 8k}
  stuck workflow
    A run that waits for an answer or for itself never ends, and holds what it
      has set aside.
    to close it, in run:* (solvent.yaml:2): seconds: 15m
  cost-latency coupling
    A run that gets slower can buy its speed back with money, by more calls at
      once, for as long as it likes.
    to close it, in run:* (solvent.yaml:2): seconds: 15m
  partial enforcement
    The step budget holds agent:old alone; any other call goes past it.
    to close it, in run:* (solvent.yaml:2): calls: 200
    Each run is held to its dollars, and nothing to how many runs there are. (A
      run is put into an organization, a team or a user by --scope.)
    to close it, under budgets: org:*: {usd: 50/day}

to close all of them
  in run:* (solvent.yaml:2): calls: 200, branches: 64, retries: 20, seconds: 15m
  in the policy: call: {input_tokens: 100k, output_tokens: 8k}
  under budgets: org:*: {usd: 50/day}

contradictions: 1
  solvent.yaml:3, solvent.yaml:2
    agent:researcher: the limit of $5.00 never decides: run:* refuses first, at
      $2.00.
    to go on: set it lower than that, raise the other one (solvent.yaml:2), or
      leave it out

notes: 1
  solvent.yaml:4
    agent:old: the limit of 0 calls forbids every call in it.
    to go on: leave it, if that is meant; no limit is no entry
"""
    )


def test_the_same_at_120_columns(said):
    assert (
        said(text=MIXED, code=1, width=120)
        == """\
Solvent check · solvent.yaml

limits
  scope             if passed  from            limits
  run:*             block      solvent.yaml:2  $2.00
  run:*             warn       solvent.yaml:2  200 calls
  agent:researcher  block      solvent.yaml:3  $5.00
  agent:old         block      solvent.yaml:4  0 calls

coverage
           invocation  agent loop     orchestration  platform
           call:       agent:, step:  run:           org:, team:, user:
  token
  output
  step     –           (✓)            !
  retry    –
  fan-out  –
  time     –                                         –
  cost                 (✓)            ✓

  ✓ refuses · (✓) refuses for named scopes alone · ! only tells · – does not apply

open: 7 failure patterns
  runaway recursion
    An agent that calls itself, or goes round in a loop, asks on until somebody notices.
    to close it, in run:* (solvent.yaml:2): calls: 200
  silent fan-out
    One step can hand 10,000 items to 10,000 branches, and nothing asks before the first one starts.
    to close it, in run:* (solvent.yaml:2): branches: 64
  retry storm
    While a provider fails, every layer asks again, and one call becomes dozens.
    to close it, in run:* (solvent.yaml:2): retries: 20
  token bloat
    Each turn sends the whole conversation again, and calls grow until they fill the model's window.
    to close it, in the policy: call: {input_tokens: 100k}
    A call that names no cap may write as much as its model can, and every later turn reads it again.
    to close it, in the policy: call: {output_tokens: 8k}
  stuck workflow
    A run that waits for an answer or for itself never ends, and holds what it has set aside.
    to close it, in run:* (solvent.yaml:2): seconds: 15m
  cost-latency coupling
    A run that gets slower can buy its speed back with money, by more calls at once, for as long as it likes.
    to close it, in run:* (solvent.yaml:2): seconds: 15m
  partial enforcement
    The step budget holds agent:old alone; any other call goes past it.
    to close it, in run:* (solvent.yaml:2): calls: 200
    Each run is held to its dollars, and nothing to how many runs there are. (A run is put into an organization, a team
      or a user by --scope.)
    to close it, under budgets: org:*: {usd: 50/day}

to close all of them
  in run:* (solvent.yaml:2): calls: 200, branches: 64, retries: 20, seconds: 15m
  in the policy: call: {input_tokens: 100k, output_tokens: 8k}
  under budgets: org:*: {usd: 50/day}

contradictions: 1
  solvent.yaml:3, solvent.yaml:2
    agent:researcher: the limit of $5.00 never decides: run:* refuses first, at $2.00.
    to go on: set it lower than that, raise the other one (solvent.yaml:2), or leave it out

notes: 1
  solvent.yaml:4
    agent:old: the limit of 0 calls forbids every call in it.
    to go on: leave it, if that is meant; no limit is no entry
"""
    )


def test_what_a_scope_is_held_to_at_80_columns(said):
    assert (
        said("--explain", "org:acme/team:search/run:triage-1/agent:researcher", text=DESIGN)
        == """\
Solvent check · org:acme/team:search/run:triage-1/agent:researcher
solvent.yaml

limits, the widest scope first
  limit                        here     entry                 from
  $500.00 per month            decides  org:acme              solvent.yaml:2
  $50.00 per day               holds    org:acme              solvent.yaml:2
  $20.00 per day               decides  team:* (team:search)  solvent.yaml:3
  2,000,000 tokens per minute  decides  team:* (team:search)  solvent.yaml:3
  32 parallel                  decides  team:* (team:search)  solvent.yaml:3
  $2.00                        holds    run:* (run:triage-1)  solvent.yaml:4
  200 calls                    decides  run:* (run:triage-1)  solvent.yaml:4
  400 tool calls               decides  run:* (run:triage-1)  solvent.yaml:4
  20 retries                   decides  run:* (run:triage-1)  solvent.yaml:4
  64 branches                  decides  run:* (run:triage-1)  solvent.yaml:4
  depth 5                      decides  run:* (run:triage-1)  solvent.yaml:4
  15 min                       decides  run:* (run:triage-1)  solvent.yaml:4
  $1.00                        decides  agent:researcher      solvent.yaml:5

  decides: the smallest of its meter and window, and the first that a call here
    alone can meet
  holds: larger, and of a wider scope, from which others spend as well

besides
  tighten     prefix, tokenizer
  wait        up to 30 s for room that open calls hold
  fallback    gpt-4-turbo to gpt-4o, from 60 % of any limit on
              gpt-4o to gpt-4o-mini, from 80 % of any limit on
  shrink      to no less than 1,024 output tokens, where a program names no cap
  loops       warn where the same call comes more than 5 times in 1 min
              (solvent.yaml:9)
  unpriced    refuse
  store_down  refuse
"""
    )


def test_what_a_scope_is_held_to_at_120_columns(said):
    assert (
        said("--explain", "agent:researcher", text=MIXED, width=120)
        == """\
Solvent check · agent:researcher · solvent.yaml

limits, the widest scope first
  limit  here     entry             from
  $5.00  decides  agent:researcher  solvent.yaml:3

  decides: the smallest of its meter and window, and the first that a call here alone can meet

A program's calls are those of a run, and its limits hold too: --explain run:NAME/agent:researcher

besides
  tighten     prefix, tokenizer
  wait        up to 30 s for room that open calls hold
  shrink      to no less than 1,024 output tokens, where a program names no cap
  unpriced    refuse
  store_down  refuse
"""
    )


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("words", [[], ["--explain", "org:acme/team:search/run:triage-1/agent:researcher"]])
@pytest.mark.parametrize("text", [DESIGN, MIXED, FIRST_POLICY, "wait: 5s\n"])
def test_no_line_is_wider_than_the_terminal(folder, words, text, width):
    (folder / "solvent.yaml").write_text(text)
    done = CliRunner().invoke(app, ["check", *words], env={"COLUMNS": str(width)})

    assert [line for line in done.stdout.splitlines() if len(line) > width] == []


def test_a_pipe_gets_the_same_words_plain(said):
    text = said(text=MIXED, code=1, width=0)

    assert "\x1b" not in text
    assert text.split() == said(code=1, width=80).split()


@pytest.mark.parametrize(
    ("text", "strict", "code"),
    [(FIRST_POLICY, True, 0), (DESIGN, False, 0), (DESIGN, True, 1), (MIXED, False, 1), ("wait: 5s\n", True, 1)],
)
def test_the_exit_code_tells_contradictions_and_when_strict_holes(said, text, strict, code):
    said(*["--strict"] * strict, text=text, code=code)


def test_notes_alone_are_no_failure(said):
    assert "notes: 2" in said(
        "--strict", text=f"{FIRST_POLICY}loops: {{same_call: 5}}\n".replace("run:*:", "agent:old: {calls: 0}\n  run:*:")
    )


def test_the_exemplary_policy_leaves_nothing_open(said):
    path = ROOT / "examples" / "solvent.yaml"

    assert said("--strict", str(path)).endswith("\nno failure pattern is open, and nothing contradicts\n")
    done = json.loads(said("--json", str(path)))
    assert (done["holes"], done["contradictions"], [one["kind"] for one in done["notes"]]) == ([], [], ["needs_scope"])


def test_without_a_policy_a_first_one_is_shown_that_nothing_is_found_in(said):
    text = said(code=4)

    head, first = text.split("\n\n", 1)
    assert head == (
        "solvent: there is no policy to check: neither ~/config/solvent/solvent.yaml nor solvent.yaml is there.\n"
        "To go on: name one (solvent check FILE), or write a first one into solvent.yaml:"
    )
    said("--strict", text="\n".join(line[2:] for line in first.splitlines()))


def test_a_policy_that_is_set_to_none_is_told_of(said, monkeypatch):
    monkeypatch.setenv("SOLVENT_POLICY", "")

    assert said(text=DESIGN, code=4) == (
        "solvent: there is no policy to check: SOLVENT_POLICY is set to nothing.\n"
        "To go on: unset SOLVENT_POLICY, or name a file: solvent check FILE.\n"
    )


def test_a_policy_is_that_of_the_word_or_of_the_environment_or_of_the_folder(said, folder, monkeypatch):
    (folder / "other.yaml").write_text("call: {usd: 3.00}\n")
    (folder / "third.yaml").write_text("call: {usd: 4.00}\n")
    assert said(text="call: {usd: 2.00}\n").startswith("Solvent check · solvent.yaml\n")

    monkeypatch.setenv("SOLVENT_POLICY", "third.yaml")
    assert "third.yaml:1  $4.00" in said()
    assert "other.yaml:1  $3.00" in said("other.yaml")


def test_a_users_own_policy_and_the_folders_are_told_together(said, folder):
    own = folder.parent / "home" / "config" / "solvent"
    own.mkdir(parents=True)
    (own / "solvent.yaml").write_text("budgets:\n  run:*: {usd: 5.00}\n")

    lines = said(text="budgets:\n  run:*: {usd: 2.00}\n").splitlines()
    assert lines[0] == "Solvent check · ~/config/solvent/solvent.yaml · solvent.yaml"
    assert lines[4:6] == [
        "  run:*  block      ~/config/solvent/solvent.yaml:2  $5.00",
        "  run:*  block      solvent.yaml:2                   $2.00",
    ]


@pytest.mark.parametrize("words", [["absent.yaml"], ["."]])
def test_a_policy_that_cannot_be_read_ends_with_4(said, words):
    assert said(*words, code=4).startswith(f"solvent: {words[0]}")


def test_a_policy_that_is_not_understood_is_told_with_its_line(said):
    assert said(text="budgets:\n  runs:*: {usd: 1}\n", code=4).startswith("solvent: solvent.yaml:2: budgets")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--explain", "triage"], "did you mean run:triage?"),
        (["--explain", "run:*"], "did you mean run:NAME?"),
        (["--explain", "agent:x/run:y"], "did you mean run:y/agent:x?"),
        (["--explain", ""], "a scope is written kind:name"),
        (["--explain", "run:x/agent:"], "a name in a scope has 1 to 256 bytes, got 0 in agent:"),
        (["--explain", "run:x", "--strict"], "--strict and --explain exclude each other"),
    ],
)
def test_wrong_usage_is_told_with_what_may_be_meant(said, words, told):
    assert told in said(*words, text=DESIGN, code=2)


def test_a_scope_that_nothing_holds_is_told_so(said):
    text = said("--explain", "run:triage", text="budgets:\n  team:*: {usd: 1.00}\n")

    assert "No limit applies to a call there. The policy's entries: team:*.\n" in text


def test_limits_of_owners_that_do_not_hold_a_scope_are_noted_with_the_ways_to_be_in_one(said):
    text = "budgets:\n  org:*: {usd: 9/day}\n  team:a: {usd: 1.00}\n"
    note = (
        'no limit of org:* holds run:x, which is in no org; --scope org:NAME or budget(scope="org:NAME") puts it in one'
    )

    assert note in said("--explain", "run:x", text=text).replace("\n", " ")
    assert json.loads(said("--explain", "run:x", "--json"))["notes"][0] == note
    assert json.loads(said("--explain", "org:b/team:a/run:x", "--json"))["notes"] == []
    assert json.loads(said("--explain", "org:b", "--json"))["notes"] == []


@pytest.mark.slow
def test_json_is_what_the_schema_says(said):
    for text in (DESIGN, MIXED, "wait: 5s\n"):
        found = json.loads(said("--json", text=text, code=int(text == MIXED)))
        assert problems(found, "findings") == []
    assert [one["kind"] for one in json.loads(said("--json", text=MIXED, code=1))["contradictions"]] == [
        "never_decides"
    ]

    explained = json.loads(said("--explain", "run:x/agent:researcher", "--json", text=MIXED))
    assert problems(explained, "explained") == []
    assert [one["state"] for one in explained["limits"]] == ["decides", "tells", "never"]
    assert explained["limits"][2]["instead"]["limit"] == "2000000000"


def test_another_schema_is_another_version():
    digest = hashlib.sha256(json.dumps(SCHEMA, sort_keys=True).encode()).hexdigest()

    assert digest[:16] == DIGESTS[SCHEMA_VERSION], "where fields went or changed, raise SCHEMA_VERSION"


def test_the_schema_names_every_kind_and_every_pattern():
    properties = SCHEMA["$defs"]["findings"]["properties"]
    kinds = [properties[name]["items"]["properties"]["kind"]["enum"] for name in ("contradictions", "notes")]

    assert kinds == [[*CONTRADICTIONS], [*NOTES]]
    assert properties["holes"]["items"]["properties"]["pattern"]["enum"] == [*PATTERNS, PARTIAL]
    assert properties["schema_version"] == {"const": SCHEMA_VERSION}


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self):
        return True

    @property
    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize(
    ("environment", "encoding", "text"),
    [
        ({}, "utf-8", "\x1b[32m✓\x1b[0m · é\n"),
        ({"NO_COLOR": "1"}, "utf-8", "✓ · é\n"),
        ({"TERM": "dumb"}, "utf-8", "✓ · é\n"),
        ({"NO_COLOR": "1"}, "ascii", "yes - ?\n"),
    ],
)
def test_a_terminal_gets_colors_unless_it_wants_none_and_marks_that_it_knows(environment, encoding, text):
    terminal = Terminal(encoding)
    write(
        terminal,
        lambda pen, _: [pen.paint("green", "yes" if pen.ascii else "✓") + pen.dot + pen.plain("é")],
        environment=environment,
    )

    assert terminal.text == text


def test_every_option_has_its_line_in_the_docs():
    command = typer.main.get_command(app).commands["check"]
    options = {name for each in command.params for name in each.opts if name.startswith("--")} - {"--help"}
    text = (ROOT / "docs" / "reference" / "check.md").read_text()

    assert {line.split("`")[1].split()[0] for line in text.splitlines() if line.startswith("| `--")} == options
