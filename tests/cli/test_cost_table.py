"""
The tables of ``solvent cost`` and ``solvent estimate``: what is no count says so, and every exchange is accounted for.
"""

import json
import re

import pytest
from recorded import recordings
from typer.testing import CliRunner

from solvent.cli import app

REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 100}
USAGE = {"prompt_tokens": 10, "completion_tokens": 2}
EXCHANGE = {
    "provider": "openai",
    "path": "/v1/chat/completions",
    "request": REQUEST,
    "response": {"model": "gpt-4o-mini-2024-07-18", "usage": USAGE},
}
BACKGROUND = {"path": "/v1/responses", "request": {"model": "gpt-4o", "input": "x", "background": True}}
UNPRICED = {**EXCHANGE, "request": {**REQUEST, "model": "nobody-knows"}, "response": {"usage": USAGE}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


def told(*exchanges, command="cost", more=(), code=0, columns=None):
    given = "\n".join(json.dumps(exchange) for exchange in exchanges)
    env = {"COLUMNS": str(columns)} if columns else None
    done = CliRunner().invoke(app, [command, *more], input=given, env=env)
    assert done.exit_code == code, done.output
    return done.stdout.splitlines()


def row(**fields):
    return json.loads(told({**EXCHANGE, **fields}, more=["--json"])[0])


@pytest.mark.parametrize(
    ("response", "remark"),
    [
        ({}, "estimated: usage missing"),
        ({"usage": {"prompt_tokens": 10, "completion_tokens": 50_000}}, "estimated: usage absurd"),
        ({"usage": USAGE, "service_tier": "warp"}, "estimated: price unknown"),
    ],
)
def test_a_row_says_that_its_cost_is_an_estimate_and_why(response, remark):
    line = told({**EXCHANGE, "response": response})[1]

    assert line.endswith(remark)
    assert line.count("$0.000075") == 2
    assert not told(EXCHANGE)[1].endswith(remark)


def test_a_row_without_a_response_says_so():
    (_, line) = told({**EXCHANGE, "response": None})

    assert line.endswith("$0.000075        unanswered: there is no response in it")


def test_a_cut_stream_is_an_estimate():
    exchange = {**EXCHANGE, "request": {**REQUEST, "stream": True}, "sse": 'data: {"choices": []}\n\n'}
    assert told({**exchange, "response": None})[1].endswith("estimated: cut")


def test_nothing_is_said_to_be_booked_at_a_bound_that_is_not_there():
    found = row(**BACKGROUND, response={"id": "resp_1", "status": "queued"})

    assert (found["cost_nanodollars"], found["estimated"], found["answered"]) == (None, None, True)
    assert "without a cost, for there is no bound: usage missing" in found["notes"]
    assert not [note for note in found["notes"] if note.startswith("booked")]


def test_the_footer_accounts_for_every_exchange():
    free = {"provider": "openai", "path": "models", "method": "GET"}
    given = {
        "counted": [EXCHANGE, {**EXCHANGE, "response": {"usage": USAGE}}],
        "estimated": [{**EXCHANGE, "response": {}}],
        "failed": [{**EXCHANGE, "status": 429, "response": {"error": {"type": "rate_limit"}}}],
        "unanswered": [{name: EXCHANGE[name] for name in ("provider", "path", "request")}],
        "without a cost": [UNPRICED],
        "free": [free, free, free],
        "unbounded": [{**EXCHANGE, "path": "/v1/audio/speech"}],
        "unknown": [{**EXCHANGE, "path": "/v1/teapots"}],
        "invalid": [{}],
    }
    footer = told(*(exchange for some in given.values() for exchange in some), code=1)[-1]

    assert footer == (
        "12 exchanges: cost $0.0000804, $0.000075 of it estimated; 2 counted, 1 estimated, 1 failed, 1 unanswered, "
        "1 without a cost, 3 free, 1 unbounded, 1 unknown, 1 invalid; bound held in 3 of 3"
    )


@pytest.mark.slow
def test_the_footer_of_recorded_exchanges_adds_up():
    for file in recordings():
        lines = CliRunner().invoke(app, ["cost", str(file)]).stdout.splitlines()
        whole, _, rest = lines[-1].partition(" exchanges: cost ")
        counts = [int(count.replace(",", "")) for count in re.findall(r"([\d,]+) [a-z]", rest.split("; ")[1])]
        assert sum(counts) == int(whole.replace(",", "")) == len(lines) - 3


def test_a_provider_that_nobody_knows_is_named_with_the_one_that_was_meant():
    assert row(provider="opnai")["notes"][0] == (
        "unpriced: opnai is no provider that the rate card knows; did you mean openai?"
    )
    assert row(provider="somebody")["notes"][0] == "unpriced: somebody is no provider that the rate card knows"


def test_audio_at_a_users_price_without_one_has_no_price_and_says_which_key_gives_it():
    request = {**REQUEST, "model": "gpt-4o-audio-preview", "messages": [{"role": "user", "content": [AUDIO]}]}
    exchange = {"provider": "openai", "path": "/v1/chat/completions", "request": request}
    note = json.loads(told(exchange, more=["--json", "--price", "gpt-4o-audio-preview=2.5/10"])[0])["notes"][0]

    assert note == (
        "unpriced: the audio input of gpt-4o-audio-preview has no price; "
        "give it as audio_input under prices: in a policy"
    )
    assert json.loads(told(exchange, more=["--json"])[0])["bound_nanodollars"] is not None


def test_prices_of_a_day_before_the_data_begins_are_marked():
    at = ["--at", "2024-01-01"]
    (note,) = [note for note in json.loads(told(EXCHANGE, more=["--json", *at])[0])["notes"] if "no prices" in note]
    assert note == "other day: no prices of 2024-01-01 are known, for the data begins on 2025-06-10"
    assert told(EXCHANGE, EXCHANGE, more=at)[-1] == (
        "No prices of 2024-01-01 are known, for the data begins on 2025-06-10; the earliest that it has are used for "
        "2 of 2"
    )
    assert told(EXCHANGE, more=[*at, "--price", "gpt-4o-mini=1/1"])[-1].startswith("openai-chat")
    assert told(EXCHANGE, more=["--at", "2026-01-01"])[-1].startswith("openai-chat")


def test_a_bound_of_tokens_is_held_to_also_where_there_is_no_price():
    found = row(**UNPRICED)
    assert (found["bound_nanodollars"], found["cost_nanodollars"], found["bound_held"]) == (None, None, True)


def test_an_embedding_has_no_output_rather_than_a_cap():
    request = {"model": "text-embedding-3-small", "input": "Hi."}
    (found,) = told({"provider": "openai", "path": "/v1/embeddings", "request": request}, more=["--json"])
    output = next(part for part in json.loads(found)["bound_parts"] if part["name"] == "output")
    assert (output["tokens"], output["reason"]) == ("0", "nothing is written in reply")


@pytest.mark.parametrize("columns", [50, 60, 80, 120, 200])
def test_tables_fit_the_terminal_and_leave_out_what_matters_least(columns):
    exchanges = [EXCHANGE, {**EXCHANGE, "response": {}}, {**EXCHANGE, "path": "/v1/teapots"}]
    for command in ("cost", "estimate"):
        lines = told(*exchanges, command=command, columns=columns)
        assert max(map(len, lines)) <= columns
        assert ("cost" if command == "cost" else "at most") in lines[0]
    lines = told(*exchanges, columns=70)
    assert "cached" not in lines[0]
    assert "(left out: cached; --json has them)" in lines
    assert "cached" in told(*exchanges)[0]


def test_the_parts_of_a_bound_fit_the_terminal():
    lines = told(EXCHANGE, command="estimate", columns=50)
    assert max(map(len, lines)) <= 50
    assert "UTF-8 and NFKC bytes" in " ".join(lines)
