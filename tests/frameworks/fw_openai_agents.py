"""
OpenAI Agents SDK over chat completions; the helper is an agent ``as_tool``.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI
from scenario import Task

OWN_LIMIT = "Runner.run(max_turns=…)"


@dataclass
class Question:
    question: str


def run(task: Task) -> str:
    return asyncio.run(arun(task))


async def arun(task: Task) -> str:
    return await _answer(task)


def run_limited(task: Task, limit: int) -> str:
    """
    With ``max_turns`` of the researcher; the helper's runs have ten turns each.
    """
    return asyncio.run(_answer(task, max_turns=limit))


async def _answer(task: Task, **limits: int) -> str:
    async with AsyncOpenAI(base_url=f"{task.url}/v1", api_key="sk-test") as client:
        result = await Runner.run(researcher(task, client), task.prompt, **({"max_turns": 100} | limits))
    return str(result.final_output)


def researcher(task: Task, client: AsyncOpenAI, model: Any = OpenAIChatCompletionsModel) -> Agent:
    """
    Args:
        model: Which of OpenAI's formats it asks in.
    """
    settings = ModelSettings(max_tokens=task.max_tokens)
    helper = Agent(
        name="helper",
        model=model(task.models.helper, client),
        instructions="Look it up.",
        model_settings=settings,
        tools=[function_tool(task.lookup)],
    )
    ask_helper = helper.as_tool("ask_helper", "Asks the helper.", parameters=Question)
    return Agent(
        name="researcher",
        model=model(task.models.researcher, client),
        instructions=task.instructions,
        model_settings=settings,
        tools=[*map(function_tool, (task.search, task.fetch, task.broken)), ask_helper],
    )
