"""
What a request asks, how it is rewritten, and how a refusal looks: one promise a test.
"""

import json

import msgspec
import pytest

from solvent.wire import FORMATS, Call, ServerTool, endpoint
from solvent.wire._text import json_bound, text_bound

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
RESPONSES = {"model": "gpt-5", "input": "hi"}
MESSAGES = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
REQUESTS = {
    "anthropic-messages": MESSAGES,
    "bedrock-converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
    "bedrock-invoke": {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": MESSAGES["messages"]},
    "cohere-chat": {"model": "command-a-03-2025", "messages": [{"role": "user", "content": "hi"}]},
    "cohere-embed": {"model": "embed-v4.0", "texts": ["hi"]},
    "gemini-embed": {"content": {"parts": [{"text": "hi"}]}},
    "gemini-generate": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "ollama-chat": {"model": "llama3.2", "messages": [{"role": "user", "content": "hi"}]},
    "ollama-embed": {"model": "all-minilm", "input": "hi"},
    "openai-chat": CHAT,
    "openai-completions": {"model": "gpt-3.5-turbo-instruct", "prompt": "hi"},
    "openai-embeddings": {"model": "text-embedding-3-small", "input": "hi"},
    "openai-responses": RESPONSES,
}
PATHS = {
    "anthropic-messages": "messages",
    "bedrock-converse": "model/us.amazon.nova-lite-v1:0/converse",
    "bedrock-invoke": "model/anthropic.claude-sonnet-5/invoke",
    "cohere-chat": "v2/chat",
    "cohere-embed": "v2/embed",
    "gemini-embed": "models/gemini-embedding-001:embedContent",
    "gemini-generate": "models/gemini-2.5-flash:generateContent",
    "ollama-chat": "api/chat",
    "ollama-embed": "api/embed",
    "openai-chat": "chat/completions",
    "openai-completions": "completions",
    "openai-embeddings": "embeddings",
    "openai-responses": "responses",
}
WITHOUT_OUTPUT = {"cohere-embed", "gemini-embed", "ollama-embed", "openai-embeddings"}
WITHOUT_TOOLS = {*WITHOUT_OUTPUT, "bedrock-converse", "openai-completions"}
MODEL_IN_BODY = {name for name, request in REQUESTS.items() if "model" in request}


def describe(name: str, provider: str = "openai", headers: dict[str, str] | None = None, **more: object) -> Call:
    request = {**REQUESTS[name], **more}
    return FORMATS[name].describe(request, provider=provider, path=PATHS[name], headers=headers or {})


def chat(*parts: object, **more: object) -> Call:
    return describe("openai-chat", messages=[{"role": "user", "content": list(parts)}], **more)


def anthropic(content: object, **more: object) -> Call:
    return describe("anthropic-messages", "anthropic", messages=[{"role": "user", "content": content}], **more)


def tokens(call: Call) -> int:
    return call.head.tokens_max + sum(item.tokens_max for item in call.items)


def prefix(call: Call) -> bytes:
    return msgspec.json.encode([call.head.value, *[item.value for item in call.items]], order="deterministic")


@pytest.mark.parametrize(
    ("text", "bound"),
    [("", 1), ("abc", 4), ("é", 3), ("日本", 7), ("😀", 5), ("\ufdfa", 34), ("\ufdfa" * 20, 661), ("\ud800", 4)],
)
def test_a_text_is_bounded_by_its_bytes_or_those_of_its_nfkc_form(text, bound):
    assert text_bound(text) == bound


def test_json_is_bounded_by_its_bytes_and_its_separators():
    assert json_bound({"a": [1, 2]}) == len('{"a": [1, 2]}') + 1
    assert json_bound({"a": "\ufdfa"}) >= 33 + len('{"a": ""}')
    assert json_bound({"a": "\ud800"}) >= len('{"a": ""}') + 3


@pytest.mark.parametrize("name", sorted(set(FORMATS) - MODEL_IN_BODY))
@pytest.mark.parametrize("path", ["", "x", "model", "model/", "model/converse", "models/:generateContent"])
def test_a_path_without_its_model_is_an_error_that_says_so(name, path):
    with pytest.raises(ValueError, match="model must be the name of a model"):
        FORMATS[name].describe(REQUESTS[name], provider="openai", path=path, headers={})


@pytest.mark.parametrize("name", sorted(set(FORMATS) - MODEL_IN_BODY))
def test_a_path_that_names_the_model_can_name_another(name):
    path = FORMATS[name].path_for(PATHS[name], model="other-model")

    assert FORMATS[name].describe(REQUESTS[name], provider="openai", path=path, headers={}).model == "other-model"
    assert FORMATS[name].rewrite(describe(name), model="other-model") is None


@pytest.mark.parametrize("name", sorted(MODEL_IN_BODY))
@pytest.mark.parametrize("model", [None, "", 7, ["gpt-4o"]], ids=repr)
def test_a_request_without_a_model_is_an_error_that_says_so(name, model):
    with pytest.raises(ValueError, match="model must be the name of a model"):
        describe(name, model=model)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("anthropic-messages", "max_tokens"),
        ("bedrock-invoke", "max_tokens"),
        ("cohere-chat", "max_tokens"),
        ("openai-chat", "max_tokens"),
        ("openai-chat", "max_completion_tokens"),
        ("openai-completions", "max_tokens"),
        ("openai-responses", "max_output_tokens"),
        ("openai-responses", "max_tool_calls"),
    ],
)
@pytest.mark.parametrize("value", [True, "100", 1.5, 100.0, [], 2**63], ids=repr)
def test_a_cap_that_is_no_number_is_an_error_that_names_it(name, field, value):
    with pytest.raises(ValueError, match=field):
        describe(name, **{field: value})


@pytest.mark.parametrize(
    ("name", "field"), [("openai-chat", "n"), ("openai-completions", "n"), ("openai-completions", "best_of")]
)
@pytest.mark.parametrize("n", [True, "2", -1, 1.0, 2**40], ids=repr)
def test_a_number_of_choices_that_is_none_is_an_error(name, field, n):
    with pytest.raises(ValueError, match=f"{field} must be"):
        describe(name, **{field: n})


@pytest.mark.parametrize(
    ("provider", "caps", "most"),
    [
        ("openai", {}, None),
        ("openai", {"max_tokens": 10}, 10),
        ("openai", {"max_tokens": 10, "max_completion_tokens": 20}, 20),
        ("openai", {"max_tokens": -1}, None),
        ("openai", {"max_tokens": 0}, None),
        ("openai", {"max_tokens": -1, "max_completion_tokens": 20}, None),
        ("openai", {"max_tokens": 10, "prediction": {"type": "content", "content": "abcd"}}, 10 + 7),
        ("deepseek", {"max_completion_tokens": 20}, None),
        ("deepseek", {"max_tokens": 10, "max_completion_tokens": 20}, 10),
    ],
)
def test_a_cap_counts_only_where_it_can_be_counted_on(provider, caps, most):
    assert describe("openai-chat", provider, **caps).output_tokens_max == most


def test_other_formats_have_one_cap():
    assert describe("anthropic-messages").output_tokens_max == 100
    assert describe("anthropic-messages").output_cap_required
    assert describe("openai-responses").output_tokens_max is None
    assert describe("openai-responses", max_output_tokens=7).output_tokens_max == 7


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_clients_own_count_of_attempts_is_read(name):
    found = [
        describe(name, headers={"x-stainless-retry-count": value}).retry for value in ("2", "0", "-1", "x", "9" * 9)
    ]

    assert found == [2, 0, 0, 0, 0]
    assert describe(name).retry == 0


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_field_that_nobody_knows_counts_as_input(name):
    assert tokens(describe(name, unheard_of="x" * 500)) >= tokens(describe(name)) + 500


@pytest.mark.parametrize("name", sorted(set(FORMATS) - WITHOUT_TOOLS))
def test_tools_count_with_their_whole_schema(name):
    tool = {"type": "function", "name": "f", "function": {"name": "f"}, "description": "d" * 300}
    if name in ("anthropic-messages", "bedrock-invoke"):
        tool = {"name": "f", "description": "d" * 300, "input_schema": {"type": "object"}}
    if name == "gemini-generate":
        tool = {"functionDeclarations": [{"name": "f", "description": "d" * 300}]}
    call = describe(name, tools=[tool, tool])

    assert call.tools == 2
    assert tokens(call) > tokens(describe(name)) + 600
    assert (call.server_tools, call.unbounded) == ((), ())


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000, "detail": "high"}},
        {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 9_000},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 9_000}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    ],
)
def test_an_image_is_counted_as_an_image_and_its_bytes_are_no_text(part):
    call = chat({"type": "text", "text": "see"}, part, part)

    assert sum(item.images for item in call.items) == 2
    assert tokens(call) < 50
    assert call.hidden_input is None


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "input_audio", "input_audio": {"data": "A" * 99}}, "audio"),
        ({"type": "file", "file": {"file_id": "f"}}, "a file"),
        ({"type": "input_file", "file_id": "f"}, "a file"),
        ({"type": "video_url", "video_url": {"url": "http://x"}}, "video"),
        ({"type": "document", "source": {"type": "base64", "data": "A" * 99}}, "a document"),
        ({"type": "document", "source": {"type": "url", "url": "http://x"}}, "a document"),
        ({"type": "hologram"}, "a part of type 'hologram'"),
        ({"type": ["text"]}, "a part of type ''"),
    ],
)
def test_what_is_not_in_the_request_hides(part, reason):
    assert chat(part).hidden_input == reason
    assert anthropic([part]).hidden_input == reason


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "A"}},
        {"type": "audio_url", "audio_url": {"url": "http://x"}},
        {"type": "audio", "audio": "A"},
        {"type": "video_url", "video_url": {"url": "http://x"}},
        {"type": "input_video", "video_url": "http://x"},
        {"type": "video", "video": "A"},
    ],
)
def test_sound_needs_a_price_wherever_it_stands(part):
    file = {"type": "file", "file": {"file_id": "f"}}
    result = {"type": "tool_result", "content": [part]}
    for parts in ([part], [file, part], [part, file], [file, result]):
        assert chat(*parts).has_audio
    assert not chat(file, {"type": "image_url", "image_url": {"url": "http://x"}}).has_audio


def test_sound_of_an_earlier_reply_needs_a_price():
    spoken = {"role": "assistant", "audio": {"id": "a"}}
    assert describe("openai-chat", messages=[spoken, {"role": "user", "content": "hi"}]).has_audio
    assert not chat({"type": "text", "text": "audio"}).has_audio


def test_a_text_document_is_text():
    source = {"type": "text", "media_type": "text/plain", "data": "d" * 400}
    nested = {"type": "content", "content": [{"type": "text", "text": "d" * 400}, {"type": "image", "source": {}}]}

    for content in (source, nested):
        call = anthropic([{"type": "document", "source": content}])
        assert call.hidden_input is None
        assert tokens(call) > 400
    assert call.items[0].images == 1


def test_images_and_documents_in_tool_results_are_found():
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "image", "source": {"data": "A" * 9_000}}],
    }
    hidden = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "document", "source": {"type": "url"}}]}
    output = {
        "type": "function_call_output",
        "call_id": "c",
        "output": [{"type": "input_image", "image_url": "A" * 9_000}],
    }

    assert anthropic([result]).items[0].images == 1
    assert tokens(anthropic([result])) < 60
    assert anthropic([hidden]).hidden_input == "a document"
    assert describe("openai-responses", input=[output]).items[0].images == 1
    assert tokens(describe("openai-responses", input=[output])) < 80


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("conversation", "a conversation by its id"),
        ("previous_response_id", "an earlier response by its id"),
        ("prompt", "a prompt template by its id"),
    ],
)
def test_ids_in_responses_hide_input(field, reason):
    assert describe("openai-responses", **{field: "x"}).hidden_input == reason
    assert (
        describe("openai-responses", input=[{"type": "item_reference", "id": "x"}]).hidden_input == "an item by its id"
    )
    assert describe("openai-responses", input=[{"type": "riddle"}]).hidden_input == "an item of type 'riddle'"


def test_server_tools_of_responses_have_the_cap_of_the_request():
    tools = [{"type": "web_search_preview"}, {"type": "mcp"}, {"type": "shell"}, {"type": "tool_search"}]
    local = [
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "tool_search", "execution": "client"},
        {"type": "local_shell"},
        {"type": "apply_patch"},
        {"type": "computer_use_preview"},
    ]

    capped = describe("openai-responses", tools=tools, max_tool_calls=3).server_tools
    names = ("web_search_preview", "mcp", "shell", "tool_search")
    assert capped == tuple(ServerTool(name=name, calls_max=3) for name in names)
    assert {tool.calls_max for tool in describe("openai-responses", tools=tools).server_tools} == {None}
    assert describe("openai-responses", tools=local).server_tools == ()
    assert describe("openai-responses", tools=local).unbounded == ()


def test_server_tools_of_messages_have_caps_of_their_own():
    tools = [
        {"type": "web_search_20250305", "name": "w", "max_uses": 2},
        {"type": "web_fetch_20250910"},
        {"type": "bash_20250124"},
        {"type": "custom", "name": "f"},
    ]

    assert anthropic("hi", tools=tools, mcp_servers=[{"url": "http://x"}]).server_tools == (
        ServerTool(name="web_search", calls_max=2),
        ServerTool(name="web_fetch", calls_max=None),
        ServerTool(name="mcp", calls_max=None),
    )


@pytest.mark.parametrize(
    ("more", "tools"),
    [
        ({"web_search_options": {}}, (ServerTool(name="web_search", calls_max=None),)),
        ({"model": "gpt-4o-search-preview"}, (ServerTool(name="web_search", calls_max=None),)),
        (
            {"tools": [{"type": "openrouter:web_search", "parameters": {"max_uses": 1}}]},
            (ServerTool(name="web_search", calls_max=1),),
        ),
        ({"tools": [{"function": {"name": "f"}}, {"type": "custom"}]}, ()),
    ],
)
def test_chat_models_that_search_have_a_server_tool(more, tools):
    assert describe("openai-chat", **more).server_tools == tools


@pytest.mark.parametrize(
    ("name", "more", "part"),
    [
        ("openai-chat", {"modalities": ["text", "audio"]}, "output of kind 'audio'"),
        ("openai-chat", {"models": ["x"]}, "fallback models of the host"),
        ("openai-chat", {"model": "groq/compound-mini"}, "a compound of models, each at its own price"),
        ("openai-chat", {"tools": [{"type": "x"}]}, "a tool of type 'x'"),
        ("openai-chat", {"tools": ["x"]}, None),
        ("openai-responses", {"background": True}, "a background response"),
        ("openai-responses", {"reasoning": {"mode": "pro"}}, "a reasoning mode of several inferences"),
        ("openai-responses", {"tools": [{"type": "image_generation"}]}, "image generation"),
        ("openai-responses", {"tools": [{"type": "x"}]}, "a tool of type 'x'"),
        ("openai-responses", {"context_management": [{"type": "compaction"}]}, "compaction by the provider"),
        (
            "anthropic-messages",
            {"tools": [{"type": "advisor_20260301"}]},
            "the advisor tool, which another model answers",
        ),
        ("anthropic-messages", {"tools": [{"type": "x"}]}, "a tool of type x"),
        (
            "anthropic-messages",
            {"context_management": {"edits": [{"type": "compact_20260112"}]}},
            "compaction by the provider",
        ),
    ],
)
def test_what_nobody_can_bound_is_said_in_words(name, more, part):
    assert describe(name, **more).unbounded == (() if part is None else (part,))


def test_structured_output_is_noticed():
    schema = {"type": "json_schema", "json_schema": {"name": "a"}}

    assert describe("openai-chat", response_format=schema).structured_output
    assert describe("openai-chat", tool_choice="required").structured_output
    assert not describe("openai-chat", tool_choice="auto").structured_output
    assert describe("openai-responses", text={"format": schema}).structured_output
    assert describe("anthropic-messages", output_config={"format": schema}).structured_output
    assert describe("anthropic-messages", tool_choice={"type": "tool", "name": "f"}).structured_output
    assert not any(describe(name).structured_output for name in set(FORMATS) - WITHOUT_OUTPUT)


def test_cache_writes_are_those_that_the_marks_ask_for():
    def marked(**mark: str) -> Call:
        return anthropic([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", **mark}}])

    assert anthropic("hi").cache_writes == frozenset()
    assert marked().cache_writes == {"5m"}
    assert marked(ttl="1h").cache_writes == {"1h"}
    assert marked(ttl="1d").cache_writes == {"1h", "5m"}
    assert anthropic("hi", cache_control={"type": "ephemeral"}).cache_writes == {"5m"}
    assert anthropic("hi", tools=[{"name": "f", "cache_control": {"ttl": "1h"}}]).cache_writes == {"1h"}
    assert anthropic("hi", system=[{"type": "text", "text": "s", "cache_control": {}}]).cache_writes == {"5m"}
    assert describe("openai-chat").cache_writes is None
    assert describe("openai-responses").cache_writes is None


def test_equal_prompts_compare_equal_though_marks_move_and_texts_become_blocks():
    mark = {"cache_control": {"type": "ephemeral"}}
    tool = {"name": "f", "input_schema": {}}
    one = anthropic("hi", system="be brief", tools=[tool])
    two = anthropic(
        [{"type": "text", "text": "hi", **mark}],
        system=[{"type": "text", "text": "be brief", **mark}],
        tools=[{**tool, **mark}],
    )
    result = {"type": "tool_result", "tool_use_id": "t", "content": "ok"}
    block = {**result, "content": [{"type": "text", "text": "ok"}], **mark}

    assert prefix(one) == prefix(two)
    assert prefix(anthropic([result, result])) == prefix(anthropic([block, result]))
    part = {"type": "input_text", "text": "hi"}
    assert prefix(describe("openai-responses")) == prefix(
        describe("openai-responses", input=[{"role": "user", "content": [part]}])
    )
    assert prefix(chat({"type": "text", "text": "hi"})) == prefix(describe("openai-chat"))


@pytest.mark.parametrize("name", sorted(MODEL_IN_BODY))
def test_the_prefix_holds_what_shapes_the_prompt_and_nothing_else(name):
    base = prefix(describe(name))

    for field, value in {"temperature": 0.5, "stream": True, "metadata": {"a": "b"}, "service_tier": "auto"}.items():
        assert prefix(describe(name, **{field: value})) == base
    for field, value in {"tool_choice": {"type": "auto"}, "thinking": {"type": "adaptive"}, "model": "other"}.items():
        assert prefix(describe(name, **{field: value})) != base


def test_a_request_that_needs_no_change_is_sent_as_it_is():
    assert {FORMATS[name].rewrite(describe(name)) for name in FORMATS} == {None}
    assert (
        FORMATS["openai-chat"].rewrite(describe("openai-chat", stream=True, stream_options={"include_usage": True}))
        is None
    )
    assert FORMATS["openai-chat"].rewrite(describe("openai-chat", "mistral", stream=True)) is None
    assert FORMATS["openai-responses"].rewrite(describe("openai-responses", stream=True)) is None


def test_a_rewrite_changes_what_it_must_and_preserves_the_rest_in_order():
    raw = b'{"z":1e-05,"model":"gpt-4o","big":123456789012345678901234567890,"f":1.0,'
    raw += b'"messages":[],"stream":true,"u":"\xc3\xa9"}'
    chat_format = FORMATS["openai-chat"]
    call = chat_format.describe(msgspec.json.decode(raw), provider="openai", path="chat/completions", headers={})

    out = chat_format.rewrite(call, model="gpt-4o-mini", output_tokens_max=5, own_cap="max_tokens")

    expected = {**json.loads(raw), "model": "gpt-4o-mini", "max_tokens": 5, "stream_options": {"include_usage": True}}
    assert out is not None
    assert json.loads(out) == expected
    assert list(json.loads(out)) == list(expected)
    assert b"123456789012345678901234567890" in out
    assert b" " not in out


@pytest.mark.parametrize(
    ("provider", "given", "own_cap", "field"),
    [
        ("openai", {"max_tokens": 9}, "max_completion_tokens", "max_tokens"),
        ("openai", {"max_completion_tokens": 9}, "max_tokens", "max_completion_tokens"),
        ("openai", {}, "max_tokens", "max_tokens"),
        ("openai", {}, "", "max_completion_tokens"),
        ("deepseek", {"max_completion_tokens": 9}, "max_completion_tokens", "max_tokens"),
    ],
)
def test_a_cap_goes_into_the_field_that_the_request_uses(provider, given, own_cap, field):
    call = describe("openai-chat", provider, **given)

    out = FORMATS["openai-chat"].rewrite(call, output_tokens_max=5, own_cap=own_cap)

    assert out is not None
    assert json.loads(out) == {**CHAT, **given, field: 5}


def test_the_rewritten_request_has_the_cap_that_was_asked_for():
    for name in set(FORMATS) - WITHOUT_OUTPUT:
        wire = FORMATS[name]
        out = wire.rewrite(describe(name), output_tokens_max=5, own_cap="max_tokens")
        assert out is not None
        assert wire.describe(json.loads(out), provider="openai", path=PATHS[name], headers={}).output_tokens_max == 5


def test_refusals_have_the_providers_own_shape():
    told = {"scope": "run:a", "limit": "1.00"}

    assert FORMATS["openai-chat"].refusal(code="budget_exceeded", message="no", metadata=told) == {
        "error": {
            "message": "no",
            "type": "insufficient_quota",
            "param": None,
            "code": "budget_exceeded",
            "metadata": told,
        }
    }
    assert FORMATS["anthropic-messages"].refusal(code="budget_exceeded", message="no", metadata=told) == {
        "type": "error",
        "error": {"type": "billing_error", "message": "no", "code": "budget_exceeded", **told},
        "request_id": None,
    }


@pytest.mark.parametrize(
    ("code", "openai", "anthropic_type"),
    [
        ("budget_held", "rate_limit_exceeded", "rate_limit_error"),
        ("gateway_closing", "server_error", "api_error"),
        ("internal_error", "server_error", "api_error"),
        ("ledger_unavailable", "server_error", "api_error"),
        ("upstream_lost", "server_error", "api_error"),
        ("upstream_unreachable", "server_error", "api_error"),
        ("price_unknown", "invalid_request_error", "invalid_request_error"),
    ],
)
def test_refusals_have_a_type_that_clients_know(code, openai, anthropic_type):
    found = [
        FORMATS[name].refusal(code=code, message="no", metadata={})["error"]["type"]
        for name in ("openai-chat", "openai-responses", "anthropic-messages")
    ]

    assert found == [openai, openai, anthropic_type]


@pytest.mark.parametrize(
    ("method", "path", "kind", "name"),
    [
        ("POST", "chat/completions", "paid", "openai-chat"),
        ("POST", "v1/chat/completions", "paid", "openai-chat"),
        ("POST", "openai/v1/chat/completions", "paid", "openai-chat"),
        ("POST", "api/v1/chat/completions", "paid", "openai-chat"),
        ("POST", "openai/deployments/gpt-4o/chat/completions", "paid", "openai-chat"),
        ("POST", "/v1/responses", "paid", "openai-responses"),
        ("POST", "v1/messages", "paid", "anthropic-messages"),
        ("POST", "v1/messages/count_tokens", "free", "messages/count_tokens"),
        ("GET", "v1/models", "free", "models"),
        ("GET", "v1/models/gpt-4o", "free", "models/*"),
        ("GET", "v1/models/meta-llama/llama-4", "free", "models/*/*"),
        ("GET", "v1/responses/resp_1", "free", "responses/*"),
        ("POST", "v1/responses/input_tokens", "free", "responses/input_tokens"),
        ("POST", "v1/completions", "paid", "openai-completions"),
        ("POST", "v1/embeddings", "paid", "openai-embeddings"),
        ("POST", "v1/fim/completions", "paid", "openai-completions"),
        ("POST", "beta/completions", "paid", "openai-completions"),
        ("POST", "v2/chat", "paid", "cohere-chat"),
        ("POST", "v2/embed", "paid", "cohere-embed"),
        ("POST", "v1/embed", "paid", "cohere-embed"),
        ("POST", "api/chat", "paid", "ollama-chat"),
        ("POST", "api/generate", "paid", "ollama-chat"),
        ("POST", "api/embed", "paid", "ollama-embed"),
        ("POST", "openai/deployments/my.gpt/completions", "paid", "openai-completions"),
        ("POST", "openai/deployments/my.gpt/embeddings", "paid", "openai-embeddings"),
        ("POST", "openai/deployments/my.gpt/responses", "paid", "openai-responses"),
        ("POST", "openai/responses", "paid", "openai-responses"),
        ("POST", "openai/v1/responses", "paid", "openai-responses"),
        ("POST", "v1/responses/compact", "paid", "openai-responses"),
        ("GET", "v1/realtime", "unbounded", "realtime"),
        ("POST", "v1/realtime/client_secrets", "unbounded", "realtime/*"),
        ("POST", "v1/images/generations", "unbounded", "images"),
        ("POST", "v2/rerank", "unbounded", "v2/rerank"),
        ("POST", "v1/rerank", "unbounded", "rerank"),
        ("POST", "v1/threads/t_1/runs/r_1/submit_tool_outputs", "unbounded", "threads"),
        ("DELETE", "v1/threads/t_1", "free", "threads"),
        ("GET", "v1/fine_tuning/jobs/j_1/events", "free", "fine_tuning"),
        ("POST", "v1/fine_tuning/jobs/j_1/cancel", "free", "fine_tuning"),
        ("POST", "v1/batches/b_1/cancel", "free", "batches"),
        ("GET", "v1/credits", "free", "credits"),
        ("GET", "api/tags", "free", "api/tags"),
        ("POST", "model/anthropic.claude-sonnet-5/converse", "paid", "bedrock-converse"),
        ("POST", "model/us.amazon.nova-lite-v1:0/converse-stream", "paid", "bedrock-converse"),
        ("POST", "model/arn:aws:bedrock:x:1:inference-profile/us.a.b-v1:0/converse", "paid", "bedrock-converse"),
        ("POST", "model/anthropic.claude-sonnet-5/invoke", "paid", "bedrock-invoke"),
        ("POST", "model/arn:aws:bedrock:x:1:application-inference-profile/a/invoke", "paid", "bedrock-invoke"),
        ("POST", "model/a.b-v1:0/invoke-with-response-stream", "paid", "bedrock-invoke"),
        ("POST", "model/a.b-v1:0/count-tokens", "free", "model/*/count-tokens"),
        ("POST", "async-invoke", "unbounded", "async-invoke"),
        ("GET", "async-invoke/arn:aws:bedrock:us-east-1:1:async-invoke/a", "free", "async-invoke"),
        ("POST", "guardrail/g/version/1/apply", "unbounded", "guardrail"),
        ("POST", "guardrail-checks/invoke", "unbounded", "guardrail-checks"),
    ],
)
def test_known_paths(method, path, kind, name):
    found = endpoint("openai", method, path)

    assert found is not None
    assert found.kind == kind
    assert (found.format.name if found.format else found.name) == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "chat/completions/../models"),
        ("GET", "v1/chat/completions/x/y/z"),
        ("POST", ""),
        ("POST", "v1"),
        ("POST", "v1//chat/completions"),
        ("POST", "v1/chat/completions;x"),
        ("POST", "v2/chat/completions"),
        ("PUT", "v1/chat/completions"),
        ("GET", "v1/files/a b"),
        ("GET", "v1/files/.."),
        ("POST", "admin"),
        ("GET", "v1/messages"),
        ("POST", "v1/models"),
        ("GET", "v1/files/" + "a" * 300),
        ("GET", "v1/files/é"),
        ("POST", "a/" * 5_000),
        ("GET", "model/a.b-v1:0/converse"),
        ("POST", "model/a.b-v1:0"),
        ("POST", "model/a.b-v1:0/unheard-of"),
        ("POST", "model/a%2Fb/converse"),
    ],
)
def test_other_paths_are_denied(method, path):
    assert endpoint("openai", method, path) is None


@pytest.mark.parametrize("name", [name for name in sorted(FORMATS) if name.startswith("openai-")])
def test_the_deployment_in_a_path_is_the_model_whatever_the_body_says(name):
    path = f"openai/deployments/my-gpt/{PATHS[name]}"
    unnamed = {key: value for key, value in REQUESTS[name].items() if key != "model"}

    for request in (unnamed, REQUESTS[name]):
        call = FORMATS[name].describe(request, provider="azure", path=path, headers={})
        assert call.model == "my-gpt"
    assert FORMATS[name].path_for(path, model="my-mini") == f"openai/deployments/my-mini/{PATHS[name]}"
    assert FORMATS[name].path_for(PATHS[name], model="my-mini") == PATHS[name]


def test_a_summary_of_a_conversation_takes_no_cap_and_shares_no_prefix_with_it():
    request = {**RESPONSES, "max_output_tokens": 10}
    called, summed = (
        FORMATS["openai-responses"].describe(request, provider="openai", path=path, headers={})
        for path in ("v1/responses", "v1/responses/compact")
    )

    assert (called.output_tokens_max, summed.output_tokens_max) == (10, None)
    assert summed.structured_output  # It is never cut.
    assert prefix(called) != prefix(summed)
