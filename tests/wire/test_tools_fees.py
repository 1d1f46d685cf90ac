"""
Whatever a provider charges beside tokens is counted by the reply, has its fee, and is within the bound of the request.
"""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from test_traps import describe, messages_body, plain, stream
from wire_samples import exchanges

from solvent._amounts import Usage
from solvent._booking import Booking, Replied, book
from solvent._estimate import Estimator
from solvent.prices import Price, Prices
from solvent.wire import FORMATS, Call, Reading, ServerTool

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
PRICES = Prices.load()
ESTIMATOR = Estimator(PRICES)
FEES = ("web_searches", "web_searches_preview", "file_searches", "map_searches", "code_sessions")
TOLD = {"input_tokens": 7, "output_tokens": 2}

SEARCH = {"type": "web_search_call", "action": {"type": "search", "queries": ["a", "b"]}}
PAGES = [{"type": "web_search_call", "action": {"type": kind}} for kind in ("open_page", "find_in_page")]
FILES = {"type": "file_search_call"}


def ran(container: str | None) -> dict[str, object]:
    return {"type": "code_interpreter_call", "container_id": container}


def shelled(container: str) -> dict[str, object]:
    where = {"type": "container_reference", "container_id": container}
    return {"type": "shell_call", "environment": where}


def code(**container: object) -> dict[str, object]:
    return {"type": "code_interpreter", "container": {"type": "auto", **container}}


def shell(**environment: object) -> dict[str, object]:
    return {"type": "shell", "environment": environment}


AUTO_SHELL = shell(type="container_auto", memory_limit="16g")


def response(call: Call, *items: object, **usage: object) -> Reading:
    return plain("openai-responses", {"output": list(items), "usage": {**TOLD, **usage}}, call=call)


def fees(reading: Reading) -> dict[str, int]:
    assert reading.usage is not None, reading.problem
    return {name: getattr(reading.usage, name) for name in FEES if getattr(reading.usage, name)}


def priced(call: Call) -> Price:
    price = PRICES.find(call.provider, call.model)
    assert price is not None
    return price


def fees_max(call: Call) -> int:
    tools: Counter[str] = Counter()
    for tool in call.server_tools:
        tools[tool.name] += tool.calls_max or 0
    return priced(call).cost_max(
        input_tokens=0, output_tokens=0, tier=None, region=None, at=AT, cache_writes=(), tool_calls=tools
    )


def fees_paid(call: Call, reading: Reading) -> int:
    return priced(call).cost(Usage(**fees(reading)), tier=None, region=None, at=AT)


def booked(call: Call, reading: Reading) -> Booking:
    return book(
        call,
        ESTIMATOR.cheap(call, at=AT),
        Replied(status=200, reading=reading),
        sums_choices=True,
        price_of=lambda model: PRICES.find(call.provider, model),
        at=AT,
    )


@pytest.mark.parametrize(
    ("tools", "items", "used", "dollars"),
    [
        ([{"type": "web_search"}], [SEARCH, SEARCH, *PAGES], {"web_searches": 2}, "0.020"),
        ([{"type": "web_search_preview"}], [SEARCH, *PAGES], {"web_searches_preview": 1}, "0.025"),
        ([{"type": "web_search_preview_2025_03_11"}], [SEARCH], {"web_searches_preview": 1}, "0.025"),
        # No item says by which of the two it was found, so it is the dearer one.
        (
            [{"type": "web_search"}, {"type": "web_search_preview"}],
            [SEARCH],
            {"web_searches_preview": 1},
            "0.025",
        ),
        ([{"type": "file_search"}], [FILES, FILES], {"file_searches": 2}, "0.005"),
        ([code()], [ran("c1"), ran("c1")], {"code_sessions": 1}, "0.030"),
        ([code()], [ran(None)], {"code_sessions": 1}, "0.030"),
        ([{"type": "code_interpreter"}], [ran("c1")], {"code_sessions": 1}, "0.030"),
        ([code(memory_limit="4g")], [ran("c1"), ran("c2")], {"code_sessions": 8}, "0.240"),
        ([AUTO_SHELL], [shelled("c1"), shelled("c1")], {"code_sessions": 16}, "0.480"),
        ([AUTO_SHELL], [{"type": "shell_call", "environment": None}], {"code_sessions": 16}, "0.480"),
        ([AUTO_SHELL, code()], [shelled("c1"), ran("c2")], {"code_sessions": 17}, "0.510"),
        ([AUTO_SHELL, code()], [shelled("c1"), ran("c1")], {"code_sessions": 16}, "0.480"),
    ],
)
def test_tools_of_a_response_cost_their_fees_and_no_more_than_their_bound(tools, items, used, dollars):
    call = describe("openai-responses", model="gpt-4o", tools=tools, max_tool_calls=len(items))

    reading = response(call, *items)

    assert fees(reading) == used
    assert fees_paid(call, reading) == int(dollars.replace(".", "")) * 1_000_000
    assert fees_max(call) >= fees_paid(call, reading)
    bound = ESTIMATOR.cheap(call, at=AT)
    assert bound.nanodollars is not None
    assert bound.nanodollars >= (booked(call, reading).cost_nanodollars or 0) > fees_paid(call, reading)


def test_items_that_a_stream_tells_again_and_again_count_once():
    call = describe("openai-responses", tools=[code(memory_limit="4g")], stream=True)
    items = [ran("c1"), SEARCH, FILES]
    kinds = ("added", "done")
    events = [
        {"type": f"response.output_item.{kind}", "output_index": number, "item": item}
        for number, item in enumerate(items)
        for kind in kinds
    ]
    whole = {"output": items, "usage": TOLD}

    reading, _ = stream("openai-responses", *events, {"type": "response.completed", "response": whole}, call=call)

    assert fees(reading) == {"web_searches": 1, "file_searches": 1, "code_sessions": 4}


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ({"type": "code_interpreter"}, "code_interpreter"),
        (code(), "code_interpreter"),
        (code(memory_limit=None), "code_interpreter"),
        (code(memory_limit="1g"), "code_interpreter"),
        (code(memory_limit="64g"), "code_interpreter_64g"),
        (AUTO_SHELL, "shell_16g"),
        ({"type": "web_search_preview_2025_03_11"}, "web_search_preview"),
    ],
)
def test_a_tool_has_the_name_of_its_fee(tool, name):
    call = describe("openai-responses", tools=[tool], max_tool_calls=2)

    assert (call.server_tools, call.unbounded) == ((ServerTool(name=name, calls_max=2),), ())


@pytest.mark.parametrize(
    ("tool", "item"),
    [
        ({"type": "code_interpreter", "container": "c1"}, ran("c1")),
        (shell(type="container_reference", container_id="c1"), shelled("c1")),
        (code(memory_limit="0g"), ran("c1")),
        (code(memory_limit=4), ran("c1")),
        (code(memory_limit="much"), ran("c1")),
    ],
)
def test_a_container_of_unknown_memory_has_no_bound_and_costs_what_the_largest_does(tool, item):
    call = describe("openai-responses", tools=[tool], max_tool_calls=1)

    assert call.unbounded == ("a container whose memory the request does not tell",)
    assert fees(response(call, item)) == {"code_sessions": 64}


def test_a_shell_of_the_caller_is_a_tool_call_and_costs_nothing():
    call = describe("openai-responses", tools=[shell(type="local")])

    readings = [response(call, {"type": "shell_call", "environment": where}) for where in (None, {"type": "local"})]

    assert [(fees(reading), reading.tool_calls) for reading in readings] == [({}, 1), ({}, 1)]


def test_tools_that_the_input_brings_are_tools_of_the_call():
    brought = [{"type": "additional_tools", "tools": [{"type": "web_search"}, {"type": "riddle"}]}]

    call = describe("openai-responses", input=brought, max_tool_calls=1)

    assert call.server_tools == (ServerTool(name="web_search", calls_max=1),)
    assert call.unbounded == ("a tool of type 'riddle'",)


@pytest.mark.parametrize("told", [None, 0, 3])
def test_images_of_a_response_are_told_or_not(told):
    usage = response(describe("openai-responses"), input_tokens_details={"image_tokens": told}).usage

    assert usage is not None
    assert (usage.image_input_tokens, usage.image_output_tokens) == (told, None)


CODE = {"type": "code_execution_20260120", "name": "code_execution"}
RAN = {"type": "server_tool_use", "name": "bash_code_execution"}
UPLOAD = [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]


@pytest.mark.parametrize(
    ("request_fields", "reply", "sessions"),
    [
        ({"tools": [CODE]}, {}, 0),
        ({"tools": [CODE]}, {"content": [RAN, RAN]}, 1),
        ({"tools": [CODE]}, {"content": [{"type": "server_tool_use", "name": "code_execution"}]}, 1),
        ({"tools": [CODE]}, {"container": {"id": "c1"}}, 1),
        ({"tools": [CODE], "messages": UPLOAD}, {}, 1),
        ({"messages": UPLOAD}, {}, 0),
        ({"tools": [CODE, {"type": "web_search_20250305"}]}, {"content": [RAN]}, 1),
        ({"tools": [CODE, {"type": "web_fetch_20250910"}]}, {"content": [RAN]}, 1),
        ({"tools": [CODE, {"type": "web_search_20260209"}]}, {"content": [RAN], "container": {"id": "c1"}}, 0),
        ({"tools": [CODE, {"type": "web_fetch_20260318"}]}, {"content": [RAN]}, 0),
        ({"tools": [CODE, {"type": "tool_search_tool_bm25_20261119"}]}, {"content": [RAN]}, 1),
    ],
)
def test_claude_charges_a_container_that_ran_code_or_got_files(request_fields, reply, sessions):
    call = describe("anthropic-messages", "anthropic", model="claude-sonnet-4-5", **request_fields)

    reading = plain("anthropic-messages", {**messages_body(TOLD), **reply}, call=call)

    assert fees(reading) == ({"code_sessions": 1} if sessions else {})
    assert fees_paid(call, reading) == sessions * 50_000_000


def test_code_that_claude_may_run_has_no_bound():
    bound = ESTIMATOR.cheap(describe("anthropic-messages", "anthropic", tools=[CODE]), at=AT)

    assert (bound.nanodollars, bound.unbounded) == (
        None,
        "the provider's tool code_execution without a cap on its uses",
    )


def test_a_stream_names_its_container_at_its_end():
    call = describe("anthropic-messages", "anthropic", tools=[CODE], stream=True)
    start = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}}}
    end = {"type": "message_delta", "usage": TOLD}

    readings = [
        stream("anthropic-messages", start, {**end, "delta": {"stop_reason": "end_turn", **more}}, call=call)[0]
        for more in ({}, {"container": {"id": "c1"}})
    ]

    assert [fees(reading) for reading in readings] == [{}, {"code_sessions": 1}]


@pytest.mark.parametrize(
    ("asked", "told", "cost"),
    [
        (None, None, 5_000_000),
        (None, "global", 5_000_000),
        (None, "us", 5_500_000),
        ("us", "us", 5_500_000),
        ("us", None, 5_500_000),
        ("us", "not_available", 5_500_000),
        ("us", "global", 5_000_000),
    ],
)
def test_claude_is_booked_where_the_reply_says_that_it_ran(asked, told, cost):
    call = describe("anthropic-messages", "anthropic", model="claude-opus-4-6", inference_geo=asked)

    reading = plain(
        "anthropic-messages",
        messages_body({"input_tokens": 1_000, "output_tokens": 0, "inference_geo": told}),
        call=call,
    )

    assert booked(call, reading).cost_nanodollars == cost


def test_elsewhere_the_address_is_the_region_of_claude():
    path = "projects/p/locations/europe-west1/publishers/anthropic/models/claude-sonnet-4-5:rawPredict"
    request = {"messages": [], "max_tokens": 10, "anthropic_version": "vertex-2023-10-16"}
    call = FORMATS["anthropic-messages"].describe(request, provider="vertex", path=path, headers={})

    reading = plain(
        "anthropic-messages",
        messages_body({"input_tokens": 1_000, "output_tokens": 0, "inference_geo": "global"}),
        call=call,
    )

    assert (call.region, reading.region) == ("europe-west1", None)
    assert booked(call, reading).cost_nanodollars == 3_300_000


XAI = {"code_interpreter_calls": 1, "file_search_calls": 2, "mcp_calls": 9, "web_search_calls": 3, "x_search_calls": 4}
XAI_FEES = {"web_searches": 7, "file_searches": 2, "code_sessions": 1}


def at_xai(name: str, usage: dict[str, object], provider: str = "xai", **request: object) -> tuple[Call, Reading]:
    call = describe(name, provider, model="grok-4", **request)
    names = ("prompt_tokens", "completion_tokens") if name == "openai-chat" else ("input_tokens", "output_tokens")
    body = {"choices": [{"message": {"content": "x"}}], "usage": {**dict.fromkeys(names, 7), **usage}}
    return call, plain(name, body, call=call)


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses"])
def test_xai_tells_what_its_tools_did(name):
    call, reading = at_xai(name, {"server_side_tool_usage_details": XAI, "num_sources_used": 50})
    _, sources = at_xai(name, {"num_sources_used": 3})
    _, elsewhere = at_xai(name, {"server_side_tool_usage_details": XAI}, provider="groq")

    assert fees(reading) == XAI_FEES
    assert fees_paid(call, reading) == 7 * 5_000_000 + 2 * 2_500_000 + 5_000_000
    assert fees(sources) == {"web_searches": 3}
    assert fees(elsewhere) == {}


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses"])
def test_what_no_fee_is_known_for_is_paid_as_xai_says_or_not_believed(name):
    details = {"server_side_tool_usage_details": {**XAI, "image_generation_calls": 1}}
    _, unknown = at_xai(name, details)
    call, charged = at_xai(name, {**details, "cost_in_usd_ticks": 292_331_500})
    _, absurd = at_xai(name, {"server_side_tool_usage_details": {"web_search_calls": "3"}})

    assert (unknown.usage, unknown.problem) == (None, "'image_generation_calls' have a price of their own")
    assert fees(charged) == XAI_FEES
    assert booked(call, charged).cost_nanodollars == 29_233_150
    assert absurd.usage is None


def test_what_xai_shows_counts_where_it_tells_nothing():
    tools = [{"type": kind} for kind in ("code_execution", "file_search", "web_search", "x_search")]
    call = describe("openai-responses", "xai", model="grok-4", tools=tools, max_tool_calls=3)
    x_search = {"type": "custom_tool_call", "name": "x_keyword_search"}

    reading = response(call, x_search, SEARCH, PAGES[0], ran(None), ran(None), FILES)

    assert fees(reading) == {"web_searches": 3, "file_searches": 1, "code_sessions": 2}
    assert reading.tool_calls == 0
    assert fees_max(call) >= fees_paid(call, reading) > 0
    assert response(describe("openai-responses", "xai"), x_search).tool_calls == 1


@pytest.mark.parametrize(("name", "kind"), [("openai-chat", "file"), ("openai-responses", "input_file")])
def test_files_that_xai_searches_have_no_bound(name, kind):
    messages = [{"role": "user", "content": [{"type": kind, "file_id": "f"}]}]
    field = "messages" if name == "openai-chat" else "input"
    calls = [describe(name, provider, **{field: messages}) for provider in ("xai", "openai")]

    assert [call.unbounded for call in calls] == [("a file that the host reads for a fee",), ()]


@pytest.mark.parametrize(
    ("details", "images"),
    [
        (None, None),
        ([{"modality": "TEXT", "tokenCount": 9}], 0),
        ([{"modality": "IMAGE", "tokenCount": 4}, {"modality": "VIDEO", "tokenCount": 3}], 7),
    ],
)
def test_gemini_tells_images_and_video_apart_from_text(details, images):
    call = describe("gemini-generate", "gemini")
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 0, "promptTokensDetails": details}

    told = plain("gemini-generate", {"candidates": [], "usageMetadata": usage}, call=call).usage

    assert told is not None
    assert told.image_input_tokens == images


def test_a_map_costs_its_fee():
    call = FORMATS["gemini-generate"].describe(
        {"contents": [], "tools": [{"googleMaps": {}}]},
        provider="gemini",
        path="v1beta/models/gemini-2.5-pro:generateContent",
        headers={},
    )
    grounding = {"groundingMetadata": {"groundingChunks": [{"maps": {}}]}}
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 1}

    reading = plain("gemini-generate", {"candidates": [grounding], "usageMetadata": usage}, call=call)

    assert fees_paid(call, reading) == 25_000_000
    assert ESTIMATOR.cheap(call, at=AT).nanodollars is None


def test_recorded_replies_have_the_fees_that_they_show():
    found: Counter[str] = Counter()
    for exchange in exchanges():
        if exchange.format.name not in ("anthropic-messages", "openai-responses") or exchange.status >= 400:
            continue
        reader = exchange.format.reader(exchange.call(), status=exchange.status, stream=exchange.sse is not None)
        reader.feed(exchange.body)
        usage = reader.finish().usage
        if usage is None:
            continue
        found.update({f"{exchange.format.name} {name}": getattr(usage, name) for name in FEES})
        if exchange.format.name == "anthropic-messages":
            has_container = '"container": {' in json.dumps(exchange.response) or '"container":{' in (exchange.sse or "")
            is_free = "web_search_20260209" in json.dumps(exchange.request)
            assert usage.code_sessions == int(has_container and not is_free), exchange.run

    assert {name: uses for name, uses in found.items() if uses} == {
        "anthropic-messages code_sessions": 20,
        "anthropic-messages web_searches": 11,
        "openai-responses code_sessions": 2,
        "openai-responses file_searches": 4,
        "openai-responses web_searches": 33,
    }
