import asyncio
import gzip
import http.client
import json
import socket
import threading
import urllib.request
from collections.abc import Callable
from typing import Any

import aiohttp
import anthropic
import openai
import pytest
from fake_provider import Answer, Billed, Fake, Rates, Seen, count_input
from servers import Gate, RealModel, Recorder

Fakes = Callable[..., Fake]
Proxies = Callable[[str], Recorder]

HELLO: list[Any] = [{"role": "user", "content": "Hello."}]


def openai_at(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0)


def anthropic_at(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="sk-test", max_retries=0)


def chat(url: str, **options: Any) -> Any:
    return openai_at(url).chat.completions.create(model="m", messages=HELLO, **options)


def test_every_format_tells_the_bill_plain_and_streamed(fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=500, input_tokens=1000, cached_tokens=300, tool_calls=1))
    client, claude = openai_at(fake.url), anthropic_at(fake.url)
    told = []
    usage = chat(fake.url, max_tokens=40).usage
    told.append((usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens))
    usage = [*chat(fake.url, max_completion_tokens=40, stream=True, stream_options={"include_usage": True})][-1].usage
    told.append((usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens))
    whole = client.responses.create(model="m", input="Hello.", max_output_tokens=40)
    with client.responses.stream(model="m", input="Hello.", max_output_tokens=40) as stream:
        *_, last = stream
    assert last.type == "response.incomplete"
    for response in (whole, last.response):
        assert response.usage is not None
        details = response.usage.input_tokens_details
        told.append((response.usage.input_tokens, details.cached_tokens, response.usage.output_tokens))
    message = claude.messages.create(model="m", messages=HELLO, max_tokens=40)
    with claude.messages.stream(model="m", messages=HELLO, max_tokens=40) as events:
        streamed = events.get_final_message()
    assert streamed.stop_reason == message.stop_reason == "max_tokens"
    assert [block.type for block in streamed.content] == ["text", "tool_use"]
    for reply in (message, streamed):
        cached = reply.usage.cache_read_input_tokens or 0
        told.append((reply.usage.input_tokens + cached, cached, reply.usage.output_tokens))
    assert told == [(1000, 300, 40)] * 6
    assert [(b.input_tokens, b.cached_tokens, b.output_tokens, b.was_cut) for b in fake.bill] == [
        (1000, 300, 40, False)
    ] * 6
    assert fake.billed(Rates(input=2500, output=10_000, cached=1250)) == 6 * (700 * 2500 + 300 * 1250 + 40 * 10_000)


def test_caps_and_choices_are_followed_only_as_told(fake_provider: Fakes) -> None:
    fake = fake_provider(
        [
            Answer(output_tokens=100),
            Answer(output_tokens=100, usage="one choice"),
            Answer(output_tokens=100, honors_cap=False, honors_n=False),
        ]
    )
    replies = [chat(fake.url, max_tokens=30, n=4) for _ in range(3)]
    assert [(len(r.choices), r.usage.completion_tokens) for r in replies] == [(4, 120), (4, 30), (1, 100)]
    assert [billed.output_tokens for billed in fake.bill] == [120, 120, 100]


def test_a_stream_has_its_text_in_the_chunks_asked_for(fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=16_384, chunks=5))
    texts = [c.choices[0].delta.content for c in chat(fake.url, stream=True) if c.choices[0].delta.content]
    assert len(texts) == 5
    assert "".join(texts) == "tok " * 16_384


def test_a_cut_stream_is_billed_in_full(fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=400, cut_after=3))
    texts: list[str] = []
    with pytest.raises(openai.APIConnectionError):
        texts.extend(chunk.choices[0].delta.content for chunk in chat(fake.url, stream=True))
    assert texts == ["tok " * 50] * 3
    assert [(billed.output_tokens, billed.was_cut) for billed in fake.bill] == [(400, True)]


def test_a_client_that_leaves_a_held_stream_is_billed_in_full(fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=400, hold_after=(4, Gate())))
    stream = chat(fake.url, stream=True)
    assert [next(stream).choices[0].delta.content for _ in range(4)] == ["tok " * 50] * 4
    stream.close()
    fake.wait_until(lambda: fake.left_count == 1)
    assert [(billed.output_tokens, billed.was_cut) for billed in fake.bill] == [(400, True)]


def test_held_requests_are_all_open_at_once_and_billed_after(fake_provider: Fakes) -> None:
    gate = Gate()
    fake = fake_provider(Answer(hold=gate))
    threads = [threading.Thread(target=chat, args=(fake.url,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    fake.wait_until(lambda: fake.open_count == 8)
    assert fake.bill == []
    gate.open()
    for thread in threads:
        thread.join()
    assert len(fake.bill) == 8


def test_a_request_that_hangs_ends_when_the_client_leaves(fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(hangs=True))
    address = fake.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        fake.wait_until(lambda: len(fake.bill) == 1)
    fake.wait_until(lambda: fake.open_count == 0)
    assert fake.left_count == 1
    assert fake.bill[0].was_cut


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
def test_errors_come_in_the_providers_shape_and_are_not_billed(fake_provider: Fakes, status: int) -> None:
    fake = fake_provider(Answer(status=status, headers={"retry-after": "7"}))
    with pytest.raises(openai.APIStatusError) as raised:
        chat(fake.url)
    assert (raised.value.status_code, raised.value.response.headers["retry-after"]) == (status, "7")
    with pytest.raises(anthropic.APIStatusError, match=f"the fake answers {status}"):
        anthropic_at(fake.url).messages.create(model="m", messages=HELLO, max_tokens=9)
    assert fake.bill == []


def test_answers_by_a_function_see_the_request(fake_provider: Fakes) -> None:
    def answer(seen: Seen) -> Answer:
        return Answer(output_tokens=len(seen.body["messages"]), usage="none")

    fake = fake_provider(answer)
    assert chat(fake.url).usage is None
    assert fake.seen[0].headers["authorization"] == "Bearer sk-test"
    assert fake.bill == [
        Billed(
            format="openai-chat",
            model="m",
            stream=False,
            input_tokens=4 + 1 + 2,  # The message, "user", "Hello."
            cached_tokens=0,
            cache_write_tokens=0,
            output_tokens=1,
        )
    ]
    assert count_input({"messages": HELLO * 2}) == 2 * count_input({"messages": HELLO})


def test_gzip_bodies_and_bombs_and_redirects(fake_provider: Fakes) -> None:
    fake = fake_provider(
        [
            Answer(gzips=True),
            Answer(gzips=True),
            Answer(bomb_bytes=50_000_000),
            Answer(location="http://127.0.0.1:1/elsewhere"),
        ]
    )
    assert chat(fake.url).usage.completion_tokens == 10
    assert len([*chat(fake.url, stream=True)]) == 9
    connection = http.client.HTTPConnection(fake.url.removeprefix("http://"))
    connection.request("POST", "/v1/chat/completions", b"{}")
    bomb = connection.getresponse().read()
    assert len(bomb) < 300_000
    assert len(gzip.decompress(bomb)) == 50_000_000
    connection.request("POST", "/v1/chat/completions", b"{}")
    assert connection.getresponse().getheader("Location") == "http://127.0.0.1:1/elsewhere"
    connection.close()
    assert len(fake.bill) == 3


def test_the_proxy_keeps_what_passed_byte_for_byte(fake_provider: Fakes, recording_proxy: Proxies) -> None:
    fake = fake_provider(Answer(gzips=True, headers={"X-Mine": "a"}))
    proxy = recording_proxy(fake.url)
    body = json.dumps({"model": "m", "messages": HELLO, "stream": True}).encode()
    request = urllib.request.Request(f"{proxy.url}/v1/chat/completions?a=%2F", body, {"X-Asked": "b"})
    with urllib.request.urlopen(request) as reply:
        received = reply.read()
        assert reply.headers["X-Mine"] == "a"
    (exchange,) = proxy.wait_for_ends(1)
    assert (exchange.method, exchange.path, exchange.status) == ("POST", "/v1/chat/completions?a=%2F", 200)
    assert (exchange.body, exchange.header("x-asked"), exchange.reply) == (body, "b", received)
    assert exchange.end == "whole"
    assert fake.seen[0].path == "/v1/chat/completions?a=%2F"
    assert gzip.decompress(received).endswith(b"data: [DONE]\n\n")


def test_the_proxy_passes_cuts_on_in_both_directions(fake_provider: Fakes, recording_proxy: Proxies) -> None:
    fake = fake_provider([Answer(cut_after=3), Answer(cut_after=0), Answer(hold_after=(2, Gate())), Answer(status=429)])
    proxy = recording_proxy(fake.url)
    with pytest.raises(openai.APIConnectionError):
        [*chat(proxy.url, stream=True)]
    with pytest.raises(openai.APIConnectionError):
        chat(proxy.url)
    stream = chat(proxy.url, stream=True)
    next(stream)
    stream.close()
    with pytest.raises(openai.RateLimitError):
        chat(proxy.url)
    ends = [exchange.end for exchange in proxy.wait_for_ends(4)]
    assert ends == ["cut by upstream", "cut by upstream", "client left", "whole"]
    assert proxy.exchanges[0].reply.count(b"data: ") == 3
    fake.wait_until(lambda: fake.left_count == 1)


def test_the_proxy_says_when_there_is_no_upstream(recording_proxy: Proxies) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    proxy = recording_proxy(f"http://127.0.0.1:{port}")
    with pytest.raises(openai.InternalServerError):
        chat(proxy.url)
    assert proxy.wait_for_ends(1)[0].end == "refused"


def test_sixty_four_streams_pass_at_once(fake_provider: Fakes, recording_proxy: Proxies) -> None:
    gate = Gate()
    fake = fake_provider(Answer(hold_after=(1, gate)))
    proxy = recording_proxy(fake.url)

    async def one(session: aiohttp.ClientSession) -> bytes:
        body = {"model": "m", "messages": HELLO, "stream": True}
        async with session.post(f"{proxy.url}/v1/chat/completions", json=body) as reply:
            return await reply.read()

    async def all_of_them() -> list[bytes]:
        async with aiohttp.ClientSession() as session:
            tasks = [asyncio.ensure_future(one(session)) for _ in range(64)]
            await asyncio.to_thread(fake.wait_until, lambda: fake.open_count == 64)
            gate.open()
            return await asyncio.gather(*tasks)

    replies = asyncio.run(all_of_them())
    assert {len(reply) for reply in replies} == {len(replies[0])}
    assert [exchange.end for exchange in proxy.wait_for_ends(64)] == ["whole"] * 64


@pytest.mark.slow
def test_llmock_answers_behind_the_proxy(llmock: Callable[..., str], recording_proxy: Proxies) -> None:
    proxy = recording_proxy(llmock("--response-style", "hello"))
    reply = chat(proxy.url)
    message = anthropic_at(f"{proxy.url}/anthropic").messages.create(model="m", messages=HELLO, max_tokens=9)
    assert reply.usage.completion_tokens > 0
    assert message.usage.output_tokens > 0
    assert [exchange.status for exchange in proxy.wait_for_ends(2)] == [200, 200]


@pytest.mark.slow
@pytest.mark.xdist_group("real_model")
def test_the_real_model_counts_what_it_reads_and_writes(real_model: RealModel) -> None:
    before = real_model.counted()
    told = [chat(real_model.url, max_tokens=5, temperature=0).usage for _ in range(2)]
    counted = real_model.counted().since(before)
    assert counted.input_tokens == sum(usage.prompt_tokens for usage in told)
    assert counted.output_tokens == sum(usage.completion_tokens for usage in told)
