"""
Plans played for real: a program with the workflow's names, over an SDK, against a provider that follows the plan.

What a plan drew is what happens: prompts and results of tools are texts of so many tokens, four bytes each, the reply
has as many tokens as the plan says, and the provider bills exactly these. Whether a run comes to its end is up to the
policy in force alone.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from fake_provider import Answer, Billed, Seen
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from plain import PICODOLLARS, rate_of
from plans import Did, Plan, PlannedCall, PlannedTool, Step

import solvent
from solvent.errors import BudgetExceeded
from solvent.forecast._model import Branch, Loop, Map, Par, Retry, Spawn, Workflow

BYTES_PER_TOKEN = 4
WORDS = "what a program reads and writes while it works on a question that somebody had "

Messages: TypeAlias = list[ChatCompletionMessageParam]


# The provider.


def follow(seen: Seen) -> Answer:
    """
    The answer that the plan has for a request, which tells it in its headers.
    """
    tokens = {name: int(seen.headers[f"x-plan-{name}"]) for name in ("input", "cached", "output")}
    return Answer(
        input_tokens=tokens["input"], cached_tokens=tokens["cached"], output_tokens=tokens["output"], honors_cap=False
    )


def billed_usd(workflow: Workflow, bill: Sequence[Billed]) -> float:
    """
    What the provider counted, at the workflow's prices.
    """
    total = 0
    for one in bill:
        rate = rate_of(workflow.models[one.model], one.input_tokens)
        total += (one.input_tokens - one.cached_tokens) * rate.input + one.cached_tokens * rate.cache_read
        total += one.output_tokens * rate.output
    return total / PICODOLLARS


# The program.


class Failed(Exception):
    """
    An attempt did not work, says the plan.
    """


@dataclass
class Talk:
    """
    The conversation of a growing loop.
    """

    prompts: dict[str, str] = field(default_factory=dict)
    history: Messages = field(default_factory=list)


class Player:
    """
    Plays plans.

    Args:
        side_by_side: Whether maps, pars and spawns are at work on several things at the same time.
    """

    def __init__(self, client: OpenAI, *, side_by_side: bool = False) -> None:
        self.client, self.side_by_side = client, side_by_side
        self._tools: list[int] = []  # What those of the run cost, in nanodollars.
        self._degraded: list[str] = []  # Models that answered in the place of those that were asked.
        self._number = count()

    def play(self, workflow: Workflow, plan: Plan) -> BudgetExceeded | None:
        """
        One run; returns what ended it before its end.
        """
        self._tools, self._degraded = [], []
        try:
            with solvent.budget(workflow.name):
                self._all(plan.steps, None)
        except BudgetExceeded as refused:
            return refused
        return None

    @property
    def tools_usd(self) -> float:
        """
        What the tools of the last run cost.
        """
        return sum(self._tools) / 1e9

    @property
    def tools_used(self) -> int:
        """
        How many that cost the last run used.
        """
        return len(self._tools)

    @property
    def degraded(self) -> int:
        """
        How many calls of the last run another model answered.
        """
        return len(self._degraded)

    def _all(self, steps: Sequence[Step], talk: Talk | None) -> None:
        for step in steps:
            match step:
                case PlannedCall():
                    self._call(step, talk)
                case PlannedTool():
                    self._tool(step, talk)
                case Did():
                    self._block(step, talk)

    def _call(self, step: PlannedCall, talk: Talk | None) -> None:
        if not step.block.history or talk is None:
            self._ask(step, [system(self._text(step.prompt))])
            return
        if step.block.path not in talk.prompts:
            talk.prompts[step.block.path] = self._text(step.prompt)
        reply = self._ask(step, [system(talk.prompts[step.block.path]), *talk.history])
        if step.sums_up:
            talk.history = []
        talk.history.append({"role": "assistant", "content": reply})

    def _ask(self, step: PlannedCall, messages: Messages) -> str:
        cached = step.again if step.finds_cache else 0
        with solvent.step(step.block.name):
            reply = self.client.chat.completions.create(
                model=step.block.model.name,
                messages=messages,
                max_completion_tokens=step.output_most,
                extra_headers={
                    "x-plan-input": str(step.reads),
                    "x-plan-cached": str(cached),
                    "x-plan-output": str(step.output),
                },
            )
        if reply.model != step.block.model.name:
            self._degraded.append(reply.model)
        return reply.choices[0].message.content or ""

    def _tool(self, step: PlannedTool, talk: Talk | None) -> None:
        with solvent.tool(step.block.name):
            cost = step.block.cost_nanodollars
            if cost:
                with solvent.call(step.block.name, usd=f"{cost / 1e9:.9f}"):
                    self._tools.append(cost)
        if talk is not None and step.result:
            talk.history.append({"role": "user", "content": self._text(step.result)})

    def _block(self, step: Did, talk: Talk | None) -> None:
        block, parts = step.block, step.parts
        match block:
            case Branch():
                for part in parts:
                    self._all(part, talk)
            case Retry():
                attempts = solvent.retry(block.name, times=block.most or len(parts), on=Failed, wait=0)
                for number, attempt in zip(range(1, len(parts) + 1), attempts, strict=False):
                    with attempt:
                        self._all(parts[number - 1], talk)
                        if number < len(parts):
                            raise Failed
            case Loop():
                talk = Talk() if block.grows else None
                for part, turn in zip(parts, solvent.loop(block.name, times=block.most), strict=False):
                    with turn:
                        self._all(part, talk)
            case Map():
                width = (block.concurrency or max(len(parts), 1)) if self.side_by_side else 1
                solvent.fan_out(self._part, parts, name=block.name, concurrency=width)
            case Par():
                self._each(parts, None)
            case Spawn():
                with solvent.agent(block.name):
                    self._all(parts[0], None)
                    self._each(parts[1:], block.concurrency)

    def _part(self, part: Sequence[Step]) -> None:
        self._all(part, None)

    def _each(self, parts: Sequence[Sequence[Step]], workers: int | None) -> None:
        if not self.side_by_side or len(parts) < 2:
            for part in parts:
                self._part(part)
            return
        with ThreadPoolExecutor(workers or len(parts)) as pool:
            list(pool.map(self._part, parts))

    def _text(self, tokens: int) -> str:
        """
        A text that no other one begins as.
        """
        size = BYTES_PER_TOKEN * tokens
        return (f"{next(self._number):x} " + WORDS * (size // len(WORDS) + 1))[:size]


def system(text: str) -> ChatCompletionMessageParam:
    return {"role": "system", "content": text}
