"""
A program that makes model calls, with one system switched on: what it costs is what is measured.

    _hooks_program.py SYSTEM PORT FOLDER

Reads orders as lines of JSON, and answers each by a line: ``{"way": "openai", "calls": 50}`` makes calls, and ``{}``
asks how many of them the system says it saw.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from statistics import median

import anthropic
import httpx2
import openai
from _hooks_provider import BRIEF, CLAUDE, EVENTS, MESSAGES, MODEL, OUTPUT_MAX
from _hooks_systems import SYSTEMS


@dataclass
class Stream:
    """
    What was seen of one round's streams: until the first chunk, in time and in processor time, and how many came.
    """

    first_ns: list[int] = field(default_factory=list)
    first_cpu_ns: list[int] = field(default_factory=list)
    chunks: int = 0


class Program:
    """
    The ways that calls are made, each with a client that is kept.
    """

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._streamed = Stream()
        self.mark()

    def mark(self) -> None:
        self._cpu_ns = time.process_time_ns()

    def measured(self, make: Callable[[int], None], calls: int) -> dict[str, float]:
        """
        What some calls cost, and whatever else the process has done since the mark: some do their work in a thread.
        """
        self._streamed = streamed = Stream()
        began = time.perf_counter_ns()
        make(calls)
        cpu, wall = time.process_time_ns() - self._cpu_ns, time.perf_counter_ns() - began
        figures = {"cpu_us": cpu / calls / 1e3, "wall_us": wall / calls / 1e3}
        if streamed.chunks:
            figures["chunk_us"] = cpu / streamed.chunks / 1e3
            figures["first_us"] = median(streamed.first_ns) / 1e3
            figures["first_cpu_us"] = median(streamed.first_cpu_ns) / 1e3
        return figures

    @cached_property
    def _openai(self) -> openai.OpenAI:
        return openai.OpenAI(api_key="none", base_url=f"{self._url}/v1", max_retries=0)

    @cached_property
    def _aopenai(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key="none", base_url=f"{self._url}/v1", max_retries=0)

    @cached_property
    def _anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(api_key="none", base_url=self._url, max_retries=0)

    @cached_property
    def _httpx2(self) -> httpx2.Client:
        return httpx2.Client(headers={"authorization": "Bearer none"})

    @cached_property
    def _runner(self) -> asyncio.Runner:
        return asyncio.Runner()

    def openai(self, calls: int) -> None:
        for _ in range(calls):
            self._openai.chat.completions.create(model=MODEL, messages=MESSAGES, max_completion_tokens=OUTPUT_MAX)

    def openai_async(self, calls: int) -> None:
        async def make() -> None:
            for _ in range(calls):
                await self._aopenai.chat.completions.create(
                    model=MODEL, messages=MESSAGES, max_completion_tokens=OUTPUT_MAX
                )

        self._runner.run(make())

    def anthropic(self, calls: int) -> None:
        system, *messages = MESSAGES
        for _ in range(calls):
            self._anthropic.messages.create(
                model=CLAUDE, system=system["content"], messages=messages, max_tokens=OUTPUT_MAX
            )

    def httpx2(self, calls: int) -> None:
        request = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": OUTPUT_MAX}
        for _ in range(calls):
            self._httpx2.post(f"{self._url}/v1/chat/completions", json=request).json()

    def stream(self, calls: int, *, tokens: int) -> None:
        for _ in range(calls):
            began, began_cpu = time.perf_counter_ns(), time.process_time_ns()
            chunks = self._openai.chat.completions.create(
                model=MODEL,
                messages=MESSAGES,
                max_completion_tokens=2 * EVENTS,
                stream=True,
                stream_options={"include_usage": True},
                extra_headers={"x-tokens": str(tokens)},
            )
            with chunks:
                rest = iter(chunks)
                next(rest)
                self._streamed.first_ns.append(time.perf_counter_ns() - began)
                self._streamed.first_cpu_ns.append(time.process_time_ns() - began_cpu)
                self._streamed.chunks += 1 + sum(1 for _ in rest)


def ways(program: Program) -> dict[str, Callable[[int], None]]:
    return {
        "openai": program.openai,
        "openai async": program.openai_async,
        "anthropic": program.anthropic,
        "httpx2": program.httpx2,
        "first chunk": partial(program.stream, tokens=BRIEF),
        "stream": partial(program.stream, tokens=EVENTS),
    }


def main() -> None:
    system, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    seen = SYSTEMS[system](folder)
    program = Program(port)
    made = ways(program)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(program.measured(made[order["way"]], order["calls"]) if order else seen()), flush=True)
        program.mark()


if __name__ == "__main__":
    main()
