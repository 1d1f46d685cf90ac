"""
Formats whose streams are no events, and those without output, on their way through a real gateway.
"""

import json

from worlds import TOKEN, chunked, plain

from solvent._amounts import Usage
from solvent._booking import Lost, Replied

LINES_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b'{"model":"llama3.2","message":{"role":"assistant","content":"Hey"},"done":false}\n'
LAST = b'{"model":"llama3.2","message":{},"done":true,"prompt_eval_count":26,"eval_count":9}\n'
OLLAMA_CHAT = f"/{TOKEN}/ollama/api/chat"
OLLAMA_BODY = b'{"model":"llama3.2","messages":[{"role":"user","content":"Hi"}]}'


def test_lines_are_passed_on_while_they_come_and_the_last_one_is_booked(play):
    async def scene(here):
        async def script(_request, writer):
            writer.write(LINES_HEAD + chunked(PIECE[:20]))
            await writer.drain()
            writer.write(chunked(PIECE[20:] + LAST[:30]) + chunked(LAST[30:]) + chunked(b""))
            await writer.drain()

        here.upstream.script = script
        got = await here.call(OLLAMA_CHAT, body=OLLAMA_BODY)

        assert (got.status, got.body, got.complete) == (200, PIECE + LAST, True)
        assert here.upstream.received[0].body == OLLAMA_BODY
        outcome = here.guard.outcome()
        assert isinstance(outcome, Replied)
        assert outcome.reading.usage == Usage(input_tokens=26, output_tokens=9)

    play(scene, provider="ollama")


def test_half_a_line_is_not_held_back(play):
    async def scene(here):
        async def script(_request, writer):
            writer.write(LINES_HEAD + chunked(PIECE[:20]))
            await writer.drain()
            await here.upstream.closed.wait()

        here.upstream.script = script
        client = await here.connect()
        client.send(here.request(OLLAMA_CHAT, body=OLLAMA_BODY))
        got = await client.answer(until=PIECE[:20])
        client.close()
        await here.guard.settled.wait()

        assert got.body == PIECE[:20]
        assert isinstance(here.guard.outcome(), Lost)

    play(scene, provider="ollama")


def test_embeddings_are_booked_as_input_alone(play):
    async def scene(here):
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        reply = json.dumps({"model": "text-embedding-3-small", "data": [{"embedding": [0.5]}], "usage": usage})
        here.upstream.script = plain(reply.encode())
        body = b'{"model":"text-embedding-3-small","input":["Hi","there"]}'

        got = await here.call(f"/{TOKEN}/openai/v1/embeddings", body=body)

        assert (got.status, got.body) == (200, reply.encode())
        assert here.guard.admitted[0].call.format == "openai-embeddings"
        assert here.guard.admitted[0].call.output_tokens_max == 0
        outcome = here.guard.outcome()
        assert isinstance(outcome, Replied)
        assert outcome.reading.usage == Usage(input_tokens=7, image_input_tokens=0)

    play(scene)


def test_what_has_no_format_is_passed_on_without_a_bound(play):
    async def scene(here):
        here.upstream.script = plain(b'{"results":[]}')

        got = await here.call(f"/{TOKEN}/cohere/v2/rerank", body=b'{"model":"rerank-v3.5","query":"q","documents":[]}')

        assert got.status == 200
        assert here.guard.admitted[0].call.unbounded == ("v2/rerank",)
        assert here.guard.admitted[0].call.model == "rerank-v3.5"

    play(scene, provider="cohere")
