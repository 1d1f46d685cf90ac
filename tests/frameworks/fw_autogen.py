"""
AutoGen over its OpenAI client; a function runs the helper, for an ``AgentTool`` has its agent's name.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from scenario import Task

OWN_LIMIT = "AssistantAgent(max_tool_iterations=…)"
MANY = 100  # An agent answers with what its tools came to after one turn, unless it is told so.


def run(task: Task) -> str:
    return asyncio.run(arun(task))


async def arun(task: Task) -> str:
    return await _answer(task, MANY)


def run_limited(task: Task, limit: int) -> str:
    """
    With ``max_tool_iterations`` of the researcher; it takes what the last ones came to for its answer.
    """
    return asyncio.run(_answer(task, limit))


async def _answer(task: Task, turns: int) -> str:
    async with researcher(task, turns) as agent:
        result = await agent.run(task=task.prompt)
    return result.messages[-1].to_model_text()


@asynccontextmanager
async def researcher(task: Task, turns: int = MANY, **more: bool) -> AsyncIterator[AssistantAgent]:
    """
    Args:
        more: Of the researcher's settings.
    """
    async with client(task, task.models.researcher) as model, client(task, task.models.helper) as helpers_model:

        async def ask_helper(question: str) -> str:
            """
            Ask the helper.
            """
            helper = AssistantAgent(
                "helper",
                helpers_model,
                tools=[task.lookup],
                system_message="Look it up.",
                max_tool_iterations=MANY,
            )
            result = await helper.run(task=question)
            return result.messages[-1].to_model_text()

        yield AssistantAgent(
            "researcher",
            model,
            tools=[task.search, task.fetch, task.broken, ask_helper],
            system_message=task.instructions,
            max_tool_iterations=turns,
            **more,
        )


@asynccontextmanager
async def client(task: Task, model: str) -> AsyncIterator[OpenAIChatCompletionClient]:
    made = OpenAIChatCompletionClient(
        model=model, base_url=f"{task.url}/v1", api_key="sk-test", max_tokens=task.max_tokens
    )
    try:
        yield made
    finally:
        await made.close()
