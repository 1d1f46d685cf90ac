"""
The files that ``solvent cost`` and ``solvent estimate`` read: whatever form they have, nothing is lost or made free.
"""

import json
import os

import pytest
from typer.testing import CliRunner

from solvent.cli import app

REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 100}
RESPONSE = {"model": "gpt-4o-mini-2024-07-18", "usage": {"prompt_tokens": 10, "completion_tokens": 2}}
EXCHANGE = {"provider": "openai", "path": "/v1/chat/completions", "request": REQUEST, "response": RESPONSE}
TEXT = json.dumps(EXCHANGE)


@pytest.fixture
def cost(tmp_path):
    def cost(*contents, code=0, command="cost", more=()):
        files = []
        for place, content in enumerate(contents):
            files.append(tmp_path / f"{place}.json")
            files[-1].write_bytes(content if isinstance(content, bytes) else content.encode())
        done = CliRunner().invoke(app, [command, "--json", *map(str, files), *more])
        assert done.exit_code == code, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    return cost


def notes(row):
    return " ".join(row["notes"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_in_any_encoding_of_json_is_read(cost, encoding):
    assert [row["cost_nanodollars"] for row in cost(f"{TEXT}\n{TEXT}".encode(encoding))] == ["2700", "2700"]


def test_objects_one_after_the_other_are_read_as_lines_are(cost):
    pretty = json.dumps(EXCHANGE, indent=2)
    for text in (f"{pretty}\n{pretty}\n", f"{TEXT}{TEXT}", f"{TEXT}\r\n\r\n{TEXT}\r\n", f"[{TEXT}]\n[{pretty}]"):
        assert [row["cost_nanodollars"] for row in cost(text)] == ["2700", "2700"], text


def test_what_is_no_json_is_one_row_with_its_lines_and_the_others_are_read(cost):
    bad, good, other = cost(f"no\nJSON\nat all\n{TEXT}\n{{\n", code=1)

    assert notes(bad).endswith("0.json:1-3: expected JSON: objects one after the other, or an array of objects")
    assert good["cost_nanodollars"] == "2700"
    assert ".json:5: expected JSON" in notes(other)


def test_a_file_that_is_no_text_is_few_rows(cost):
    for content in (os.urandom(100_000), b"\xff\xfe" + os.urandom(1_001), b"\x00" * 99):
        assert len(cost(content, code=1)) < 20


@pytest.mark.parametrize("wrong", [b"Say \xff", rb"Say \ud800"])
def test_a_line_that_is_no_unicode_is_invalid_and_the_others_are_read(cost, wrong):
    bad, good = cost(TEXT.encode().replace(b"Say hi.", wrong) + b"\n" + TEXT.encode(), code=1)
    assert "0.json:1: expected JSON" in notes(bad)
    assert good["cost_nanodollars"] == "2700"
    (row,) = cost(TEXT.replace("Say hi.", r"Say \u00e9 \ud83d\ude00"))
    assert row["cost_nanodollars"] == "2700"


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace('"path":', '"path": "/v1/models", "path":'),
        TEXT.replace('"max_tokens":', '"max_tokens": 1, "max_tokens":'),
        TEXT.replace('"usage":', '"usage": {}, "usage":'),
    ],
)
def test_a_key_that_stands_twice_is_refused_as_the_gateway_does(cost, text):
    (row,) = cost(text, code=1)
    assert "stands twice" in notes(row)
    assert row["cost_nanodollars"] is None


def test_an_exchange_that_is_nested_too_deep_is_invalid_and_the_others_are_read(cost):
    for field, levels in (("request", 900), ("request", 100_000), ("response", 100_000)):
        nested = TEXT.replace(f'"{field}": {{', f'"{field}": {{"deep": {"[" * levels}{"]" * levels}, ')
        for command in ("cost", "estimate"):
            bad, good = cost(nested, TEXT, code=1, command=command)
            assert "nested too deep" in notes(bad)
            assert good["cost_nanodollars"] == "2700"


def test_files_without_an_exchange_say_so_alike(tmp_path):
    for text in ("", "[]", "\n \n"):
        file = tmp_path / "none.json"
        file.write_text(text)
        done = CliRunner().invoke(app, ["cost", str(file)])
        assert (done.exit_code, done.stdout) == (0, "0 exchanges\n")


def test_a_file_that_cannot_be_read_is_named_and_the_others_are(tmp_path):
    file = tmp_path / "good.json"
    file.write_text(TEXT)
    done = CliRunner().invoke(app, ["cost", "--json", "absent.json", str(file), str(tmp_path)])

    assert done.exit_code == 1
    assert json.loads(done.stdout)["cost_nanodollars"] == "2700"
    assert done.stderr.splitlines() == [
        "solvent: absent.json cannot be read: No such file or directory",
        f"solvent: {tmp_path} cannot be read: Is a directory",
    ]


@pytest.mark.parametrize("command", ["cost", "estimate"])
@pytest.mark.parametrize("method", [None, "POST", "post"])
def test_a_paid_call_without_its_request_is_invalid_and_never_free(cost, command, method):
    row = {"provider": "openai", "path": "/v1/chat/completions", "body": REQUEST, "response": RESPONSE}
    (found,) = cost(json.dumps(row | ({"method": method} if method else {})), code=1, command=command)

    assert (found["kind"], found["cost_nanodollars"], found["bound_nanodollars"]) == ("invalid", None, None)
    assert notes(found) == (
        "invalid: request is missing, the body of the call: expected provider, path, request and response or sse; "
        "did you mean request by body?"
    )


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"path": "/v1/messages", "provider": "anthropic", "requst": REQUEST}, "invalid"),
        ({"path": "/v1beta/models/gemini-2.5-pro:generateContent", "provider": "gemini"}, "invalid"),
        ({"path": "/model/us.amazon.nova-2-lite-v1:0/converse", "provider": "bedrock"}, "invalid"),
        ({"path": "/v1/images/generations"}, "unbounded"),
        ({"path": "/v1/teapots"}, "invalid"),
        ({"path": "/v1/teapots", "method": "GET"}, "unknown"),
        ({"path": "/v1/models"}, "free"),
        ({"path": "/v1/chat/completions", "method": "GET"}, "free"),
        ({"path": "/v1/responses/resp_1"}, "free"),
    ],
)
def test_without_a_request_only_a_path_that_is_known_to_be_free_is(cost, fields, kind):
    (found,) = cost(json.dumps({"provider": "openai", **fields}), code=1 if kind == "invalid" else 0)

    assert found["kind"] == kind
    assert found["cost_nanodollars"] == ("0" if kind == "free" else None)
