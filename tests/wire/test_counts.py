"""
Asking a provider for its count: what is sent, what the answer says, and that a recorded bill is never above it.
"""

import json
from typing import Any

import pytest
from recorded import recorded

from solvent._bounds import counted_max
from solvent.wire import FORMATS, Call, endpoint


def describe(name: str, provider: str, path: str, request: dict[str, Any]) -> Call:
    return FORMATS[name].describe(request, provider=provider, path=path, headers={})


MESSAGES = [{"role": "user", "content": "hi"}]
GEMINI = "v1beta/models/gemini-2.5-pro"
VERTEX = "v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro"
CLAUDE = "model/us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    ("name", "provider", "path", "request_", "asked_path", "asked"),
    [
        (
            "anthropic-messages",
            "anthropic",
            "messages",
            {"model": "m", "max_tokens": 9, "messages": MESSAGES, "system": "s", "stream": True, "temperature": 1},
            "messages/count_tokens",
            {"model": "m", "messages": MESSAGES, "system": "s"},
        ),
        (
            "bedrock-converse",
            "bedrock",
            f"{CLAUDE}/converse-stream",
            {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "inferenceConfig": {"maxTokens": 5}},
            "model/anthropic.claude-sonnet-4-5-20250929-v1:0/count-tokens",
            {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}}},
        ),
        (
            "gemini-generate",
            "gemini",
            f"{GEMINI}:streamGenerateContent",
            {"contents": [{"parts": [{"text": "hi"}]}], "generation_config": {"maxOutputTokens": 5}},
            f"{GEMINI}:countTokens",
            {
                "generateContentRequest": {
                    "contents": [{"parts": [{"text": "hi"}]}],
                    "generationConfig": {"maxOutputTokens": 5},
                    "model": "models/gemini-2.5-pro",
                }
            },
        ),
        (
            "gemini-generate",
            "vertex",
            f"{VERTEX}:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "labels": {"a": "b"}},
            f"{VERTEX}:countTokens",
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        ),
        (
            "openai-responses",
            "openai",
            "responses",
            {"model": "m", "input": "hi", "previous_response_id": "r", "max_output_tokens": 9, "store": False},
            "responses/input_tokens",
            {"model": "m", "input": "hi", "previous_response_id": "r"},
        ),
    ],
    ids=["anthropic", "bedrock", "gemini", "vertex", "openai"],
)
def test_the_provider_is_asked_for_all_that_it_would_read(name, provider, path, request_, asked_path, asked):
    found = FORMATS[name].count_request(describe(name, provider, path, request_), path)

    assert found is not None
    assert (found[0], json.loads(found[1])) == (asked_path, asked)
    known = endpoint(provider, "POST", found[0])
    assert known is not None
    assert known.kind == "free"


@pytest.mark.parametrize(
    ("name", "provider", "path", "request_"),
    [
        ("anthropic-messages", "anthropic", "messages", {"model": "m", "messages": MESSAGES, "container": "c"}),
        ("anthropic-messages", "deepseek", "messages", {"model": "m", "messages": MESSAGES}),
        (
            "bedrock-converse",
            "bedrock",
            f"{CLAUDE}/converse",
            {"messages": [], "promptVariables": {"a": {"text": "b"}}},
        ),
        ("gemini-generate", "gemini", f"{GEMINI}:generateContent", {"contents": [], "cachedContent": "c"}),
        ("gemini-generate", "vertex", f"{VERTEX}:generateContent", {"contents": [], "toolConfig": {"a": 1}}),
        ("openai-chat", "openai", "chat/completions", {"model": "m", "messages": MESSAGES}),
        ("openai-responses", "openai", "responses", {"model": "m", "input": "hi", "conversation": "c"}),
        ("openai-responses", "openai", "responses", {"model": "m", "input": "hi", "prompt": {"id": "p"}}),
        ("openai-responses", "openai", "responses/compact", {"model": "m", "input": "hi"}),
        ("openai-responses", "xai", "responses", {"model": "m", "input": "hi"}),
    ],
)
def test_a_provider_is_not_asked_for_what_its_count_leaves_out(name, provider, path, request_):
    assert FORMATS[name].count_request(describe(name, provider, path, request_), path) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b"[1]",
        b"{",
        b'{"a": 1}',
        b'{"%s": null}',
        b'{"%s": -1}',
        b'{"%s": 0}',
        b'{"%s": 1.5}',
        b'{"%s": true}',
        b'{"%s": "9"}',
        b'{"%s": "\xff"}',
        b"[" * 100_000,
    ],
)
def test_an_answer_without_a_count_tells_none(answer):
    names = {
        "anthropic-messages": b"input_tokens",
        "bedrock-converse": b"inputTokens",
        "gemini-generate": b"totalTokens",
    }
    for name, field in {**names, "openai-responses": b"input_tokens"}.items():
        assert FORMATS[name].read_count(answer.replace(b"%s", field)) is None
        assert FORMATS[name].read_count(b'{"%s": 12, "more": {}}' % field) == 12
    assert FORMATS["openai-chat"].read_count(b'{"input_tokens": 12}') is None


def test_no_recorded_bill_is_above_its_count_and_the_margin():
    runs: dict[tuple[str, str], dict[str, Any]] = {}
    for host in ("anthropic", "gemini", "openai", "vertex"):
        for line in (recorded("provider-wire-samples") / f"{host}.jsonl").read_text().splitlines():
            row = json.loads(line)
            kind = "count" if row["path"].endswith(("count_tokens", "countTokens", "input_tokens")) else "call"
            if row["status"] == 200:
                runs.setdefault((host, row["run"]), {}).setdefault(kind, row)
    pairs = [(host, rows["count"], rows["call"]) for (host, _), rows in runs.items() if len(rows) == 2]
    pairs = [(host, counted, called) for host, counted, called in pairs if _prompt(counted) == _prompt(called)]

    assert len(pairs) == 6
    for host, counted, called in pairs:
        path = called["path"].lstrip("/")
        found = endpoint(host, "POST", path)
        assert found is not None
        assert found.format is not None
        call = found.format.describe(called["request"], provider=host, path=path, headers={})
        tokens = found.format.read_count(json.dumps(counted["response"]).encode())
        reader = found.format.reader(call, status=200, stream=False)
        reader.feed(json.dumps(called["response"]).encode())
        usage = reader.finish().usage
        assert usage is not None
        assert tokens == usage.input_tokens <= counted_max(call, tokens) - 64


def _prompt(row: dict[str, Any]) -> list[Any]:
    return [row["request"].get(name) for name in ("contents", "input", "messages", "system", "tools")]


def test_a_count_that_is_an_estimate_has_a_margin():
    def margin(provider: str, tokens: int) -> int:
        call = describe("openai-chat", provider, "chat/completions", {"model": "m", "messages": MESSAGES})
        return counted_max(call, tokens) - tokens

    assert [margin("openai", tokens) for tokens in (1, 10_000)] == [64, 64]
    assert [margin("anthropic", tokens) for tokens in (1, 10_000, 10_001)] == [65, 564, 565]
