"""
``solvent estimate`` and ``solvent cost``: what a person types, and what is printed line by line.
"""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from recorded import recordings
from typer.testing import CliRunner

from solvent.cli import app

REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 100}
RESPONSE = {
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}
EXCHANGE = {"provider": "openai", "path": "/v1/chat/completions", "request": REQUEST, "response": RESPONSE}
KEYS = [
    *("schema_version", "kind", "provider", "format", "model", "bound_nanodollars", "bound_parts", "answered", "usage"),
    *("cost_nanodollars", "price_source", "estimated", "bound_held", "notes"),
]


def said(*words, given=None, code=0):
    done = CliRunner().invoke(app, [*map(str, words)], input=given)
    assert done.exit_code == code, done.output
    return done.stdout


def rows(*exchanges, command="cost", code=0, more=()):
    given = "\n".join(json.dumps(exchange) for exchange in exchanges)
    return [json.loads(line) for line in said(command, "--json", *more, given=given, code=code).splitlines()]


def row(**fields):
    [found] = rows({**EXCHANGE, **fields})
    return found


def test_an_exchange_is_costed_by_the_providers_usage_and_held_against_its_bound():
    found = row()

    assert list(found) == KEYS
    assert (found["kind"], found["format"], found["model"]) == ("paid", "openai-chat", "gpt-4o-mini")
    assert found["usage"] == {"input_tokens": "10", "output_tokens": "2"}
    assert found["cost_nanodollars"] == "2700"  # 10 × $0.15 and 2 × $0.60 a million.
    assert found["bound_held"] is True
    parts = {part["name"]: part for part in found["bound_parts"]}
    assert parts["output"] == {
        "name": "output",
        "tokens": "100",
        "nanodollars": None,
        "reason": "the request's own cap",
    }
    assert found["bound_nanodollars"] == parts["usd"]["nanodollars"]
    assert int(found["bound_nanodollars"]) == int(parts["input"]["tokens"]) * 150 + 100 * 600


@pytest.mark.parametrize("form", ["one object", "an array", "lines", "lines with blanks"])
def test_one_object_an_array_and_lines_are_read_alike(form, tmp_path):
    one = json.dumps(EXCHANGE)
    text = {
        "one object": json.dumps(EXCHANGE, indent=2),
        "an array": f"[{one},\n{one}]",
        "lines": f"{one}\n{one}\n",
        "lines with blanks": f"\n{one}\n\n{one}",
    }[form]
    file = tmp_path / "exchanges.json"
    file.write_text(text)
    found = [json.loads(line) for line in said("cost", "--json", file).splitlines()]

    assert [each["cost_nanodollars"] for each in found] == ["2700"] * (1 if form == "one object" else 2)


def test_a_stream_is_read_from_its_text():
    chunk = {"choices": [], "model": "gpt-4o-mini-2024-07-18", "usage": RESPONSE["usage"]}
    sse = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
    exchange = {"provider": "openai", "path": "chat/completions", "request": {**REQUEST, "stream": True}, "sse": sse}

    assert rows(exchange)[0]["cost_nanodollars"] == "2700"


def test_a_request_alone_has_a_bound_and_no_cost():
    [found] = rows({key: EXCHANGE[key] for key in ("provider", "path", "request")}, command="estimate")

    assert int(found["bound_nanodollars"]) > 0
    assert (found["usage"], found["cost_nanodollars"], found["bound_held"]) == (None, None, None)


def test_what_would_make_a_bound_smaller_is_named():
    long = "word " * 2_000
    first = {**EXCHANGE, "run": "one", "request": {**REQUEST, "messages": [{"role": "user", "content": long}]}}
    grown = [*first["request"]["messages"], {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "So?"}]
    second = {**first, "request": {"model": "gpt-4o-mini", "messages": grown}}
    found = rows({**first, "response": {**RESPONSE, "usage": {"prompt_tokens": 2_010, "completion_tokens": 2}}}, second)

    tokenizer, prefix, cap = *found[0]["notes"], *[note for note in found[1]["notes"] if "tokenizer" not in note]
    assert tokenizer.startswith("tighter: at most 2,")
    assert tokenizer.endswith("by the model's own tokenizer")
    assert prefix.startswith("tighter: at most 2,")
    assert prefix.endswith("by what was billed for an earlier prompt")
    assert cap == "tighter: an output cap in the request; the model's largest counts, 16,384 tokens"


@pytest.mark.parametrize(
    ("fields", "kind", "note"),
    [
        ({"path": "/v1/teapots"}, "unknown", "no path of openai that Solvent knows: it is denied"),
        ({"path": "/v1/audio/speech"}, "unbounded", "audio costs something that nobody here can bound"),
        ({"path": "/v1/models", "method": "get"}, "free", None),
        ({"request": {**REQUEST, "model": "nobody-knows"}}, "paid", "unpriced: nobody-knows has no price"),
        ({"request": {**REQUEST, "model": 7}}, "invalid", "model must be the name of a model, got a number, 7"),
        ({"request": {**REQUEST, "max_tokens": 1.5}}, "invalid", "max_tokens must be a whole number"),
        ({"response": {"usage": {"prompt_tokens": -1}}}, "paid", "no usage that can be believed"),
        ({"response": {}}, "paid", "booked at the bound: usage missing"),
        ({"status": 429, "response": {"error": {"type": "rate_limit"}}}, "paid", "answered with an error: rate_limit"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_bounded_priced_or_read_says_why(fields, kind, note):
    found = rows({**EXCHANGE, **fields}, code=1 if kind == "invalid" else 0)[0]

    assert found["kind"] == kind
    assert any(note in each for each in found["notes"]) if note else found["notes"] == []
    if kind in ("unknown", "unbounded", "invalid"):
        assert (found["bound_nanodollars"], found["cost_nanodollars"]) == (None, None)


def test_a_missing_or_absurd_usage_is_booked_at_the_bound_and_never_at_nothing():
    for response in ({}, {"usage": {"prompt_tokens": -1}}, {"usage": {"prompt_tokens": 2**63}}, [], "x", 7):
        found = row(response=response)
        assert found["cost_nanodollars"] == found["bound_nanodollars"], response


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "standard input:1: expected JSON"),
        ('"text"', "standard input:1: expected an object with provider, path and request, got a text"),
        ('{"path": "x"}', "provider is missing: expected an object with provider, path and request"),
        ('{"provider": "openai", "pth": 1}', "provider, path and request; did you mean path by pth?"),
        ('{"provider": null, "path": "x"}', "provider is missing"),
        ('{"provider": 7, "path": "x"}', "provider must be a text, got 7"),
        ('{"provider": "openai", "path": "x", "request": []}', "request must be an object, got []"),
        ('{"provider": "openai", "path": "x", "status": true}', "status must be a whole number, got true"),
        ("7", "standard input:1: expected an object with provider, path and request, got a number"),
        ("null", "standard input:1: expected an object with provider, path and request, got null"),
        ('{"provider": "openai", "path": "x", "sse": 1}', "sse must be a text, got 1"),
    ],
)
def test_a_line_that_is_no_exchange_says_where_and_what_was_expected_and_the_others_are_read(line, expected):
    lines = said("cost", "--json", given=f"{line}\n{json.dumps(EXCHANGE)}\n", code=1).splitlines()
    bad, good = map(json.loads, lines)

    assert bad["kind"] == "invalid"
    assert expected in bad["notes"][0]
    assert good["cost_nanodollars"] == "2700"


def test_what_a_recording_left_out_is_bounded_from_its_length():
    def tokens(content):
        found = row(request={**REQUEST, "messages": [{"role": "user", "content": content}]})
        return int(found["bound_parts"][0]["tokens"]), found["notes"]

    whole, _ = tokens("")
    cut, notes = tokens("<cut 1000 chars>")
    assert cut == whole + 4_000
    assert notes == ["left out: 1 parts of the request, bounded by the lengths that stand in their place"]
    assert tokens("<base64 1000 chars>")[0] == whole + 1_000


def test_the_table_has_a_row_each_and_the_parts_of_a_single_bound():
    one = said("estimate", given=json.dumps(EXCHANGE)).splitlines()

    assert one[0].split() == ["format", "model", "input", "output", "at", "most"]
    assert one[1].split()[:2] == ["openai-chat", "gpt-4o-mini"]
    assert [line.split()[0] for line in one[3:]] == ["input", "output", "usd"]
    assert "the request's own cap" in one[4]


def test_the_costs_of_many_are_summed():
    free = {"provider": "openai", "path": "models", "method": "GET"}
    table = said("cost", given="\n".join(json.dumps(each) for each in (EXCHANGE, EXCHANGE, free))).splitlines()

    assert len(table) == 1 + 3 + 2
    assert table[-1] == "3 exchanges: cost $0.0000054; 2 counted, 1 free; bound held in 2 of 2"


def test_prices_of_the_command_line_and_of_a_policy_are_used(tmp_path):
    mine = {**EXCHANGE, "request": {**REQUEST, "model": "mine"}, "response": {**RESPONSE, "model": "mine"}}
    assert rows(mine, more=("--price", "mine=1/10"))[0]["cost_nanodollars"] == "30000"
    policy = tmp_path / "solvent.yaml"
    policy.write_text("prices: {mine: {input: 2.00, output: 10.00}}\n")
    assert rows(mine, more=("--policy", str(policy)))[0]["cost_nanodollars"] == "40000"


def test_prices_are_those_of_the_day_that_is_asked_for():
    def deepseek(at):
        request = {**REQUEST, "model": "deepseek-chat"}
        exchange = {**EXCHANGE, "provider": "deepseek", "request": request, "response": {"usage": RESPONSE["usage"]}}
        return rows(exchange, more=("--at", at))[0]["cost_nanodollars"]

    assert deepseek("2025-03-01T12:00:00") != deepseek("2025-12-01")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (
            ["--at", "soon"],
            2,
            "expected a day such as 2026-03-01, or a time in UTC such as 2026-03-01T14:30, got 'soon'",
        ),
        (["--at", "2026-13-01"], 2, "expected a day such as 2026-03-01"),
        (["--price", "m"], 2, "--price"),
        (["--price", "my=gpt-4oo"], 2, "--price: expected a model that has a price, got gpt-4oo; did you mean gpt-4o"),
        (["absent.json"], 1, "absent.json cannot be read: No such file or directory"),
        (["--policy", "absent.yaml"], 4, "absent.yaml"),
    ],
)
def test_bad_options_say_what_was_expected(words, code, text):
    for command in ("cost", "estimate"):
        done = CliRunner().invoke(app, [command, *words], input=json.dumps(EXCHANGE))
        assert done.exit_code == code
        assert text in done.stderr


def test_a_reader_who_leaves_early_is_no_error(tmp_path):
    file = tmp_path / "many.jsonl"
    file.write_text((json.dumps(EXCHANGE) + "\n") * 5_000)
    command = f"{sys.executable} -m solvent cost --json {file} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_every_recorded_exchange_has_a_line_and_no_bound_is_broken():
    text = io.StringIO()
    for file in recordings():
        text.write(Path(file).read_text())
    exchanges = [json.loads(line) for line in text.getvalue().splitlines()]
    found = [json.loads(line) for line in said("cost", "--json", *recordings()).splitlines()]

    assert len(found) == len(exchanges) > 1_000
    assert [each["model"] for each in found if each["bound_held"] is False] == []
    assert not [each for each in found if each["kind"] in ("unknown", "invalid")]
    told = [bool(exchange["usage_raw"]) for exchange in exchanges]
    unread = [
        (exchange["provider"], exchange["path"], one["notes"])
        for exchange, one, tells in zip(exchanges, found, told, strict=True)
        if tells and one["kind"] == "paid" and one["usage"] is None
    ]
    assert len(unread) < 10
    assert all(any("no usage that can be believed" in note for note in notes) for _, _, notes in unread), unread
    reasonless = [
        one for one in found if one["kind"] == "paid" and one["bound_nanodollars"] is None and not one["notes"]
    ]
    assert reasonless == []


DOCS = (Path(__file__).parents[2] / "docs/reference/estimate.md").read_text()


def cells(heading):
    section = DOCS.partition(f"\n{heading}")[2].partition("\n## ")[0] if heading else DOCS
    lines = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name.split()[0] for line in lines for name in re.findall(r"`([^`]+)`", line)]


def test_the_docs_name_every_option_and_every_field():
    for command in ("cost", "estimate"):
        parameters = typer.main.get_command(app).commands[command].params
        options = {name for each in parameters for name in each.opts if name.startswith("--")} - {"--help"}
        assert {name for name in cells("") if name.startswith("--")} == options
    assert cells("## Fields of a line of JSON") == KEYS


def test_the_docs_show_what_is_printed(tmp_path):
    request = {"model": "m", "messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 100}
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"provider": "openai", "path": "chat/completions", "request": request}))
    shown = DOCS.partition("$ solvent estimate --price m=1/10 request.json\n")[2].partition("```")[0]

    assert said("estimate", "--price", "m=1/10", file) == shown
