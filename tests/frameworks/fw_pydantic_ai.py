"""
Pydantic AI; the helper is run by a tool, as its guide on delegation has it.
"""

import asyncio
from typing import Any

from openai import AsyncOpenAI
from pydantic_ai import Agent, ModelSettings, RunContext, UsageLimits
from pydantic_ai.capabilities import Hooks
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from scenario import Task

OWN_LIMIT = "UsageLimits(request_limit=…)"


def run(task: Task) -> str:
    return asyncio.run(arun(task))


async def arun(task: Task) -> str:
    return await _answer(task, UsageLimits())


def run_limited(task: Task, limit: int) -> str:
    """
    With ``UsageLimits(request_limit=limit)`` of the researcher's run, in whose usage the helper's is counted.
    """
    return asyncio.run(_answer(task, UsageLimits(request_limit=limit)))


async def _answer(task: Task, limits: UsageLimits) -> str:
    async with AsyncOpenAI(base_url=f"{task.url}/v1", api_key="sk-test") as client:
        return (await researcher(task, client).run(task.prompt, usage_limits=limits)).output


def researcher(task: Task, client: AsyncOpenAI, model: Any = OpenAIChatModel) -> Agent[None, str]:
    """
    Args:
        model: Which of OpenAI's formats it asks in.
    """
    provider, settings = OpenAIProvider(openai_client=client), ModelSettings(max_tokens=task.max_tokens)
    helper = Agent(
        model(task.models.helper, provider=provider),
        name="helper",
        instructions="Look it up.",
        model_settings=settings,
        tools=[task.lookup],
    )

    async def ask_helper(ctx: RunContext[None], question: str) -> str:
        return (await helper.run(question, usage=ctx.usage)).output

    return Agent(
        model(task.models.researcher, provider=provider),
        name="researcher",
        instructions=task.instructions,
        model_settings=settings,
        tools=[task.search, task.fetch, task.broken, ask_helper],
        capabilities=[Hooks(tool_execute_error=_told)],
    )


async def _told(ctx: Any, *, call: Any, tool_def: Any, args: Any, error: Exception) -> str:
    """
    The model is told of an error; without it, a tool that raises ends the run.
    """
    return f"Error: {error}"
