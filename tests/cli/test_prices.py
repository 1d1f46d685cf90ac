"""
``solvent prices``: what a person types, and what is printed line by line.
"""

import json

import pytest
import typer.main
from typer.testing import CliRunner

from solvent.cli import app


def said(*words, code=0, env=None):
    done = CliRunner().invoke(app, ["prices", *map(str, words)], env=env)
    assert done.exit_code == code, done.output
    return done.output if code else done.stdout


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_model_is_shown_with_every_price_and_its_source():
    lines = said("gpt-4o-mini").splitlines()

    assert lines[0] == "openai/gpt-4o-mini · largest input 128,000 tokens · largest output 16,384 tokens"
    rows = [line.split() for line in lines[3:]]
    assert ["input", "$0.15", "1M", "tokens"] in rows
    assert ["cache_read", "$0.075", "1M", "tokens"] in rows
    assert ["output", "$0.30", "1M", "tokens", "batch", "from", "2026-10-14"] in rows
    assert lines[-1].startswith("source: genai-prices ")


def test_json_has_every_price_exactly():
    sheet = json.loads(said("openai/gpt-4o-mini", "--json"))

    assert sheet["schema_version"] == 1
    assert (sheet["provider"], sheet["model"], sheet["by_user"]) == ("openai", "gpt-4o-mini", False)
    assert (sheet["input_tokens_max"], sheet["output_tokens_max"]) == (128_000, 16_384)
    units = {(price["unit"], price["tier"]): price for price in sheet["unit_prices"]}
    assert units["input", "standard"]["dollars"] == "0.15"
    assert units["input", "standard"]["per"] == "1M tokens"


def test_show_may_be_named_or_left_out():
    assert said("gpt-4o-mini") == said("show", "gpt-4o-mini")


def test_prices_are_marked_that_do_not_hold_at_the_time_that_was_asked_for():
    def in_force(at):
        sheet = json.loads(said("deepseek-chat", "--at", at, "--json"))
        return [
            price["dollars"]
            for price in sheet["unit_prices"]
            if price["unit"] == "input" and price["tier"] == "standard" and price["in_force"]
        ]

    assert in_force("2025-03-01T12:00:00") == ["0.27"]
    assert in_force("2025-03-01T20:00:00") == ["0.135"]
    assert "not now" in said("deepseek-chat", "--at", "2025-03-01T12:00:00")


def test_a_price_of_the_command_line_wins():
    sheet = json.loads(said("mine", "--price", "mine=1/2.50", "--json"))

    assert sheet["by_user"]
    assert {price["unit"]: price["dollars"] for price in sheet["unit_prices"]}["output"] == "2.5"


def test_without_a_model_the_providers_are_counted_and_with_one_its_models_are_listed():
    every = said().splitlines()
    assert "providers have a price: genai-prices" in every[0]
    listed = dict(line.split() for line in every[3:-2])
    models = said("--provider", "groq").splitlines()
    assert int(listed["groq"]) == len(models) > 10
    assert "llama-3.3-70b-versatile" in models
    lines = [json.loads(line) for line in said("--provider", "groq", "--json").splitlines()]
    assert [line["model"] for line in lines] == models


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["gpt-4o-minni"], 1, "'gpt-4o-minni' has no price. Known and close: gpt-4o-mini"),
        (["nope"], 1, "give a price with --price nope=INPUT/OUTPUT"),
        (["--provider", "nobody"], 1, "no provider 'nobody' is in the rate card"),
        (["gpt-4o", "--at", "soon"], 2, "--at"),
        (["update", "absent.json"], 4, "absent.json: expected a file that can be read"),
    ],
)
@pytest.mark.usefixtures("own_data")
def test_what_cannot_be_shown_says_how_to_go_on(words, code, text):
    assert text in said(*words, code=code)


@pytest.mark.usefixtures("own_data")
def test_update_says_that_nothing_is_newer():
    assert said("update").startswith("Nothing is newer: genai-prices ")
    assert json.loads(said("update", "--json"))["path"] is None


def test_update_says_what_changed_and_the_next_command_has_it(own_data):
    data = own_data / "data.json"
    model = {"id": "new-1", "match": {"equals": "new-1"}, "prices": {"input_mtok": 1.5, "output_mtok": 6}}
    provider = {"id": "openai", "name": "OpenAI", "api_pattern": "x", "models": [model]}
    data.write_text(json.dumps([provider]))
    told = said("update", data, "--force")

    assert "is in force, with 1 models, in the place of genai-prices" in told
    assert "added: 1 (openai/new-1)" in told
    assert "gone: 2," in told
    sheet = json.loads(said("openai/new-1", "--json"))
    assert [price["dollars"] for price in sheet["unit_prices"]][:2] == ["1.5", "6"]


def test_both_commands_have_an_example_in_their_help():
    commands = typer.main.get_command(app).commands["prices"].commands
    assert set(commands) == {"show", "update"}
    assert all("Example: " in command.help for command in commands.values())
