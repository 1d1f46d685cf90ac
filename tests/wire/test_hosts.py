"""
How hosts that speak OpenAI's formats differ: what costs more than its tokens, and what they say that they charge.
"""

import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from test_formats import describe
from test_traps import chat_body, plain, responses_body, stream
from wire_samples import Exchange, exchanges

from solvent._amounts import Usage
from solvent._booking import Booking, Replied, book
from solvent._estimate import Estimator
from solvent.prices import Prices, UserPrice
from solvent.wire import Reading, ServerTool

AT = datetime(2026, 11, 22, tzinfo=UTC)
TOKENS = {"prompt_tokens": 10, "completion_tokens": 5}
SEARCH = (ServerTool(name="web_search", calls_max=None),)


def charged(usage: dict[str, object], provider: str = "openrouter") -> Reading:
    return plain("openai-chat", chat_body({**TOKENS, **usage}), call=describe("openai-chat", provider))


@pytest.mark.parametrize(
    ("usage", "nanodollars"),
    [
        ({}, None),
        ({"cost": None}, None),
        ({"cost": 0}, 0),
        ({"cost": 0.00216775, "is_byok": False}, 2_167_750),
        ({"cost": 1.13e-05}, 11_300),
        ({"cost": 0.0004970133333333333}, 497_014),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0003253}}, 325_300),
        ({"cost": 0.000016, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0003}}, 316_000),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, None),
        ({"cost": 0.002, "cost_details": {"upstream_inference_cost": 0.002}}, 2_000_000),
    ],
)
def test_what_openrouter_says_that_it_charges_is_read(usage, nanodollars):
    reading = charged(usage)

    assert reading.charged_nanodollars == nanodollars
    assert reading.usage == Usage(input_tokens=10, output_tokens=5)


@pytest.mark.parametrize(("ticks", "nanodollars"), [(37_756_000, 3_775_600), (1, 1), (11, 2), (0, 0), (None, None)])
def test_what_xai_says_that_it_charges_is_read_from_either_format(ticks, nanodollars):
    told = {"cost_in_usd_ticks": ticks, "input_tokens": 10, "output_tokens": 5}
    responses = plain("openai-responses", responses_body(told), call=describe("openai-responses", "xai"))

    assert charged(told, "xai").charged_nanodollars == responses.charged_nanodollars == nanodollars


@pytest.mark.parametrize(("usage", "provider"), [({"cost": 7}, "openai"), ({"cost_in_usd_ticks": 7}, "openrouter")])
def test_a_cost_of_another_host_is_not_believed(usage, provider):
    assert charged(usage, provider).charged_nanodollars is None


@pytest.mark.parametrize("cost", [True, "0.1", -0.1, 1e300, [], {}], ids=repr)
def test_an_absurd_cost_is_a_problem_and_no_usage(cost):
    reading = charged({"cost": cost})

    assert (reading.usage, reading.charged_nanodollars) == (None, None)
    assert str(reading.problem).startswith("cost must be an amount of dollars")


def test_a_streamed_cost_is_read():
    usage = {"choices": [], "usage": {**TOKENS, "cost": 0.00333825}}
    call = describe("openai-chat", "openrouter", stream=True)

    reading, _ = stream("openai-chat", usage, call=call)

    assert reading.charged_nanodollars == 3_338_250


def booked(exchange: Exchange, prices: Prices) -> Booking:
    call = exchange.call()
    reader = exchange.format.reader(call, status=exchange.status, stream=exchange.sse is not None)
    reader.feed(exchange.body)
    estimator = Estimator(prices)
    return book(
        call,
        estimator.cheap(call, at=AT),
        Replied(status=exchange.status, reading=reader.finish()),
        sums_choices=True,
        price_of=lambda model: estimator.price(call.provider, model),
        at=AT,
    )


def telling() -> list[tuple[Exchange, int]]:
    """
    The recorded exchanges with OpenRouter that tell a cost of the host's own key, and that cost.
    """
    found = []
    for exchange in exchanges():
        usage = next((usage for usage in reversed(exchange.usage_raw) if usage and "cost" in usage), None)
        if exchange.provider == "openrouter" and usage is not None and usage.get("is_byok") is not True:
            found.append((exchange, math.ceil(Decimal(repr(usage["cost"])) * 10**9)))
    return found


def test_what_openrouter_charged_is_booked_to_the_nanodollar():
    prices = Prices.load()
    wrong = [
        (exchange.run, booking.cost_nanodollars, cost)
        for exchange, cost in telling()
        if (booking := booked(exchange, prices)).cost_nanodollars != cost and booking.estimated != "usage_absurd"
    ]

    assert len(telling()) > 40
    assert wrong == []


def test_a_price_that_the_user_gave_holds_whatever_the_host_says():
    own = UserPrice.per_million_tokens(input="1000", output="1000")
    exchange, _ = telling()[0]

    booking = booked(exchange, Prices.load({exchange.request["model"]: own}))

    assert booking.usage is not None
    assert booking.cost_nanodollars == booking.usage.tokens * 1_000_000
    assert booking.price_source == own.source


def test_a_model_without_a_price_is_booked_at_what_the_host_charged():
    exchange, cost = next((one, cost) for one, cost in telling() if ":free" in one.request["model"])

    booking = booked(exchange, Prices.load())

    assert (booking.cost_nanodollars, booking.price_source) == (cost, "the reply")


@pytest.mark.parametrize(
    ("provider", "more", "part"),
    [
        ("azure", {"data_sources": [{"type": "azure_search"}]}, "a data source of the host"),
        ("mistral", {"guardrails": [{"moderation_llm_v1": {}}]}, "guardrails of the host"),
        ("openrouter", {"plugins": [{"id": "web"}]}, "plugins of the host"),
        ("openrouter", {"preset": "mine"}, "a preset of the host"),
        ("xai", {"deferred": True}, "a deferred completion"),
        ("groq", {"model": "groq/compound"}, "a compound of models, each at its own price"),
        ("zai", {"tools": [{"type": "mcp"}]}, "a tool of type 'mcp'"),
    ],
)
def test_what_a_host_does_beside_the_answer_has_no_bound(provider, more, part):
    assert describe("openai-chat", provider, **more).unbounded == (part,)


@pytest.mark.parametrize(
    ("provider", "more", "tools"),
    [
        ("xai", {"search_parameters": {"mode": "auto"}}, SEARCH),
        ("xai", {"search_parameters": {}}, SEARCH),
        ("xai", {"search_parameters": {"mode": "off"}}, ()),
        ("groq", {"search_settings": {"include_domains": ["x"]}}, SEARCH),
        ("openrouter", {"model": "openai/gpt-4o:online"}, SEARCH),
        ("zai", {"tools": [{"type": "web_search", "web_search": {"enable": True}}]}, SEARCH),
        ("groq", {"tools": [{"type": "browser_search"}]}, SEARCH),
    ],
)
def test_a_search_by_the_host_is_a_server_tool_without_a_cap(provider, more, tools):
    assert describe("openai-chat", provider, **more).server_tools == tools


def test_a_file_at_openrouter_is_read_for_a_fee():
    part = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "see"}, part]}]

    at_openrouter = describe("openai-chat", "openrouter", messages=messages)
    at_openai = describe("openai-chat", "openai", messages=messages)

    assert at_openrouter.unbounded == ("a file that the host reads for a fee",)
    assert (at_openai.unbounded, at_openai.hidden_input) == ((), "a file")


def test_tools_that_groq_ran_are_counted_once_each():
    tool = {"index": 0, "type": "search", "arguments": "{}"}
    message = {"content": "x", "executed_tools": [tool, {**tool, "index": 1}]}
    body = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": TOKENS}
    deltas = [
        {"choices": [{"index": 0, "delta": delta}]} for delta in ({"content": "x"}, *[{"executed_tools": [tool]}] * 2)
    ]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "x_groq": {"usage": TOKENS}}

    whole = plain("openai-chat", body, call=describe("openai-chat", "groq"))
    streamed, _ = stream("openai-chat", *deltas, last, call=describe("openai-chat", "groq", stream=True))

    assert whole.usage == Usage(input_tokens=10, output_tokens=5, web_searches=2)
    assert streamed.usage == Usage(input_tokens=10, output_tokens=5, web_searches=1)


def test_a_search_that_zai_made_is_counted():
    body = {**chat_body(TOKENS), "web_search": [{"title": "t", "link": "http://x"}]}

    reading = plain("openai-chat", body, call=describe("openai-chat", "zai"))

    assert reading.usage == Usage(input_tokens=10, output_tokens=5, web_searches=1)


@pytest.mark.parametrize(("told", "read"), [({}, None), ({"image_tokens": 0}, 0), ({"image_tokens": 4}, 4)], ids=repr)
def test_tokens_of_images_are_known_where_a_host_tells_them(told, read):
    reading = plain("openai-chat", chat_body({**TOKENS, "prompt_tokens_details": told}))

    assert reading.usage is not None
    assert (reading.usage.image_input_tokens, reading.usage.image_output_tokens) == (read, None)


def test_mistral_names_the_tier_in_the_usage():
    reading = plain("openai-chat", chat_body({**TOKENS, "service_tier": "priority"}))

    assert reading.tier == "priority"
