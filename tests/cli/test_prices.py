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
    assert ["input", "$0.15", "1M", "tokens", "[1]"] in rows
    assert ["cache_read", "$0.075", "1M", "tokens", "[1]"] in rows
    assert ["output", "$0.30", "1M", "tokens", "batch", "[1]", "from", "2026-10-14"] in rows
    assert ["code_session", "$30.00", "1,000", "uses", "[3]"] in rows
    assert lines[-3].startswith("[1] genai-prices ")
    assert lines[-1].startswith("[3] https://platform.openai.com/docs/pricing, Built-in tools: $0.03 for a container")
    assert said("voyage-3.5").splitlines()[-1].startswith("source: genai-prices ")


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
        (["gpt-4oo"], 1, "name a model as its provider does, or give a price with --price gpt-4oo=INPUT/OUTPUT"),
        (["gpt-4o", "--provider", "groq"], 1, "'gpt-4o' has no price at groq. Known and close: openai/gpt-4o"),
        (["deepseek-ai/DeepSeek-R1"], 1, "3 providers have a model 'deepseek-ai/DeepSeek-R1', each at its own price"),
        (["--provider", "nobody"], 1, "no provider 'nobody' is in the rate card"),
        (["gpt-4o", "--provider", "opnai"], 1, "no provider 'opnai' is in the rate card. Did you mean openai?"),
        ([""], 2, "expected the name of a model, got ''"),
        (["--at", "2026-01-01"], 2, "--at: expected a MODEL beside it, or --json"),
        (["gpt-4o", "--price", "my=gpt-4oo"], 2, "--price: expected a model that has a price, got gpt-4oo"),
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

    assert "is in force, with 1 model, in the place of genai-prices" in told
    assert "added: 1 (openai/new-1)" in told
    assert "gone: 2," in told
    sheet = json.loads(said("openai/new-1", "--json"))
    assert [price["dollars"] for price in sheet["unit_prices"]][:2] == ["1.5", "6"]
    again = json.loads(said("update", data, "--force", "--json"))
    assert again["path"].endswith("rates-2.jsonl")
    assert (again["models"], again["added"]) == (1, [])
    assert "genai-prices 0.2.3 is in force, with 2,125 models, in the place of genai-prices data" in said("reset")
    assert said("reset") == "There is no update to take back: genai-prices 0.2.3 is in force, with 2,125 models.\n"


def test_what_holds_now_comes_first_and_what_does_not_says_when_it_did():
    rows = [line.split() for line in said("o3", "--at", "2026-11-22").splitlines()[3:]]
    assert rows[0][:2] == ["input", "$2.00"]
    assert ["input", "$10.00", "1M", "tokens", "[1]", "not", "now:", "until", "2025-06-10"] in rows
    cheap = said("deepseek-chat", "--at", "2026-11-22T20:00").splitlines()[3]
    assert cheap.split()[:2] == ["input", "$0.135"]
    assert cheap.endswith("outside 00:30-16:30 UTC")


def test_a_day_before_the_data_begins_is_said_to_have_no_known_prices():
    lines = said("gpt-4o", "--at", "1990-01-01").splitlines()
    assert lines[1] == (
        "No prices of 1990-01-01 are known: the data begins on 2025-06-10. The earliest that it has are shown."
    )
    assert json.loads(said("gpt-4o", "--at", "1990-01-01", "--json"))["known_from"] == "2025-06-10"
    assert "known" not in said("gpt-4o", "--at", "2026-01-01")


@pytest.mark.slow
def test_prices_of_ones_own_are_counted_and_listed(tmp_path):
    policy = tmp_path / "solvent.yaml"
    policy.write_text("prices:\n  mine: {input: 1, output: 2}\n  ollama/*: {input: 0, output: 0}\n")
    own = ("--policy", policy, "--price", "my-deployment=gpt-4o")
    assert "3 of your own come before them: mine, ollama/*, my-deployment." in said(*own)
    lines = [json.loads(line) for line in said("--json", *own).splitlines()]
    assert [line["model"] for line in lines[:4]] == ["mine", "ollama/*", "my-deployment", "claude-2"]
    assert [line["by_user"] for line in lines[:4]] == [True, True, True, False]
    assert said("--provider", "ollama", *own) == "ollama/*\n"


def test_the_price_of_a_policy_for_unpriced_models_is_shown_as_what_it_is(tmp_path):
    policy = tmp_path / "solvent.yaml"
    policy.write_text("unpriced: {price_as: gpt-4o}\n")
    lines = said("whatever", "--policy", policy).splitlines()
    assert lines[0].startswith("whatever · ")
    assert any("unpriced.price_as, as openai/gpt-4o: genai-prices" in line for line in lines)
    assert "'whatever' has no price" in said("whatever", code=1)


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_a_sheet_fits_the_terminal(columns):
    for words in (["gpt-4o"], ["deepseek-v4-pro"], ["claude-opus-5-5"], ["gpt-4o", "--at", "2026-09-01"]):
        lines = said(*words, env={"COLUMNS": str(columns)}).splitlines()
        addresses = [line for line in lines if "https://" in line]  # Which cannot be folded.
        assert max(len(line) for line in lines if line not in addresses) <= columns


def test_the_help_of_the_group_has_the_options_of_its_default():
    text = said("--help")
    for option in ("--provider", "--price", "--policy", "--at", "--json"):
        assert option in text
    assert all(command in text for command in ("show", "update", "reset"))


def test_every_command_has_an_example_in_its_help():
    commands = typer.main.get_command(app).commands["prices"].commands
    assert set(commands) == {"reset", "show", "update"}
    assert all("Example: " in command.help for command in commands.values())
