"""
What a bound, a usage and a price cost, beside floors that no reader of the same bytes can be under.

    python benchmarks/bounds.py [--quick] [--json FILE] [--check]

Figures are processor time of one thread, taken in turns in one run; a ratio is the median of the rounds' ratios.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import msgspec
from _bounds_price import price_part
from _goals import verdict
from _ledger_workload import Contender, Part, conclude, cpu_ns, interleaved, ratio
from _machine import cores, machine_facts, python_server
from _upstream import EVENTS, TOKENS

from solvent._estimate import Estimator
from solvent.prices import Prices
from solvent.wire import FORMATS
from solvent.wire._call import Call

BYTES, READING = "iterating its bytes, by httpx2", "and reading its usage"
REQUEST_BYTES = 48 * 1024
TEXT = "What it used is known when it ends. def handler(event): return {'status': 200, 'body': json.dumps(event)}  "
NOW = datetime(2026, 11, 22, tzinfo=UTC)

# The format, its provider and path, the request without its messages, where they go, and what one of them is.
Message = Callable[[str, str], dict[str, Any]]
REQUESTS: tuple[tuple[str, str, str, dict[str, Any], str, Message], ...] = (
    (
        "openai-chat", "openai", "chat/completions", {"model": "gpt-4o-mini", "max_tokens": 500},
        "messages", lambda role, text: {"role": role, "content": text},
    ),
    (
        "openai-responses", "openai", "responses", {"model": "gpt-5-mini", "max_output_tokens": 500},
        "input", lambda role, text: {"role": role, "content": text},
    ),
    (
        "anthropic-messages", "anthropic", "messages", {"model": "claude-sonnet-4-5", "max_tokens": 500},
        "messages", lambda role, text: {"role": role, "content": [{"type": "text", "text": text}]},
    ),
    (
        "gemini-generate", "gemini", "v1beta/models/gemini-2.5-flash:generateContent",
        {"generationConfig": {"maxOutputTokens": 500}},
        "contents", lambda role, text: {"role": {"assistant": "model"}.get(role, role), "parts": [{"text": text}]},
    ),
    (
        "bedrock-converse", "bedrock", "model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/converse",
        {"inferenceConfig": {"maxTokens": 500}},
        "messages", lambda role, text: {"role": role, "content": [{"text": text}]},
    ),
)  # fmt: skip


def bodies() -> Iterator[tuple[str, str, str, bytes]]:
    """
    A request of 48 kB in each format: a conversation in messages of a third of a kilobyte.
    """
    for name, provider, path, request, field, message in REQUESTS:
        messages, size = [], 0
        while size < REQUEST_BYTES:
            messages.append(message(("user", "assistant")[len(messages) % 2], TEXT * 3))
            size += len(json.dumps(messages[-1])) + 2
        yield name, provider, path, json.dumps({**request, field: messages}).encode()


def describing_part(*, rounds: int) -> Part:
    estimator = Estimator(Prices.load())
    lines, figures, goals = [f"  {'':24}{'json.loads':>14}{'describe + bound':>20}{'of it':>10}"], {}, []
    for name, provider, path, body in bodies():
        describe = partial(FORMATS[name].describe, msgspec.json.decode(body), provider=provider, path=path, headers={})
        contenders: dict[str, Contender] = {
            "json.loads": partial(json.loads, body),
            "bound": partial(_bound, estimator, describe),
        }
        found = interleaved(contenders, rounds=rounds, measure=partial(cpu_ns, pairs=50))
        of_floor = ratio(found["bound"], found["json.loads"])
        floor, own = (median(found[one]) / 1e3 for one in contenders)
        lines.append(f"  {name:24}{floor:>11.1f} µs{own:>17.1f} µs{of_floor:>9.2f} ×")
        figures[name] = found
        goals.append(verdict(f"bound of a 48 kB {name}, of json.loads", of_floor, " ×", 3, most=True))
    return Part(title="describe and bound a request of 48 kB", lines=lines, figures=figures, goals=goals)


def _bound(estimator: Estimator, describe: Callable[[], Call]) -> None:
    assert estimator.cheap(describe(), at=NOW).nanodollars is not None


def reading_part(*, rounds: int) -> Part:
    """
    A reply of 68 events, one a millisecond, iterated by a client with and without a look at what it used.
    """
    with python_server("_upstream.py", core=cores()[1]) as server, httpx2.Client() as client:
        contenders: dict[str, Contender] = {
            BYTES: partial(_receive, client, server.port),
            READING: partial(_receive, client, server.port, read=True),
        }
        found = interleaved(contenders, rounds=rounds, measure=partial(cpu_ns, pairs=5))
    lines = [f"  {'':40}{'a stream':>14}{'an event':>14}"]
    for name, values in found.items():
        own = median(values) / 1e3
        lines.append(f"  {name:40}{own:>11.0f} µs{own / EVENTS:>11.2f} µs")
    over = ratio(found[READING], found[BYTES]) - 1
    goal = verdict("reading a stream's usage, over iterating its bytes", over * 100, " %", 10, most=True)
    return Part(title=f"a streamed reply of {EVENTS} events", lines=lines, figures=found, goals=[goal])


def _receive(client: httpx2.Client, port: int, *, read: bool = False) -> None:
    request = {"model": "gpt-4o-mini", "messages": [], "stream": True, "stream_options": {"include_usage": True}}
    url, headers = f"http://127.0.0.1:{port}/v1/chat/completions", {"x-pace": "1,1"}
    with client.stream("POST", url, json=request, headers=headers) as reply:
        if not read:
            for _ in reply.iter_bytes():
                pass
            return
        call = FORMATS["openai-chat"].describe(request, provider="openai", path="chat/completions", headers={})
        reader = FORMATS["openai-chat"].reader(call, status=200, stream=True)
        for chunk in reply.iter_bytes():
            reader.feed(chunk)
        usage = reader.finish().usage
        assert usage is not None
        assert usage.output_tokens == TOKENS


def import_part(*, rounds: int) -> Part:
    program = "import time; began = time.process_time(); import solvent; print(time.process_time() - began)"
    times = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout) * 1e3
        for _ in range(rounds)
    ]
    return Part(
        title="import solvent, processor time",
        lines=[f"  {median(times):.1f} ms, at most {max(times):.1f} ms in {rounds} processes"],
        figures={"ms": times},
        goals=[verdict("import solvent", median(times), " ms", 50, most=True)],
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure bounds, usages and prices beside their floors.")
    parser.add_argument("--quick", action="store_true", help="a few seconds, with more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to a file")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a goal is missed")
    arguments = parser.parse_args()
    rounds = 5 if arguments.quick else 25
    with tempfile.TemporaryDirectory() as folder:
        facts = machine_facts(Path(folder))
    print(f"{facts['machine']}, load {facts['load_before']:.1f}")
    found = []
    for part in (describing_part, reading_part, price_part, import_part):
        found.append(part(rounds=rounds))
        print("", found[-1].title, *found[-1].lines, sep="\n", flush=True)
    return conclude(found, facts, arguments, width=56)


if __name__ == "__main__":
    sys.exit(main())
