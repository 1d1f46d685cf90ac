"""
Semantic Kernel's chat completion agents; a function runs the helper, for an agent as a plugin has the agent's name.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from openai import AsyncOpenAI
from scenario import Task
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.functions import KernelArguments, KernelPlugin, kernel_function

OWN_LIMIT = "FunctionChoiceBehavior.Auto(maximum_auto_invoke_attempts=…)"
MANY = 100  # An agent is done after five turns with tools, unless it is told so.


def run(task: Task) -> str:
    return asyncio.run(arun(task))


async def arun(task: Task) -> str:
    return await _answer(task, MANY)


def run_limited(task: Task, limit: int) -> str:
    """
    With ``maximum_auto_invoke_attempts`` of the researcher, which then asks once more for its answer.
    """
    return asyncio.run(_answer(task, limit))


async def _answer(task: Task, turns: int) -> str:
    async with researcher(task, turns) as agent:
        return str((await agent.get_response(task.prompt)).content)


@asynccontextmanager
async def researcher(task: Task, turns: int = MANY) -> AsyncIterator[ChatCompletionAgent]:
    async with AsyncOpenAI(base_url=f"{task.url}/v1", api_key="sk-test") as client:

        async def ask_helper(question: str) -> str:
            """
            Ask the helper.
            """
            agent = made("helper", client, task.models.helper, "Look it up.", task, [task.lookup])
            return str((await agent.get_response(question)).content)

        tools = [task.search, task.fetch, task.broken, ask_helper]
        yield made("researcher", client, task.models.researcher, task.instructions, task, tools, turns)


def made(
    name: str,
    client: AsyncOpenAI,
    model: str,
    instructions: str,
    task: Task,
    tools: Sequence[Callable[..., object]],
    turns: int = MANY,
) -> ChatCompletionAgent:
    return ChatCompletionAgent(
        name=name,
        service=OpenAIChatCompletion(ai_model_id=model, async_client=client),
        instructions=instructions,
        plugins=[KernelPlugin(name="tools", functions=[*map(kernel_function, tools)])],
        function_choice_behavior=FunctionChoiceBehavior.Auto(maximum_auto_invoke_attempts=turns),
        arguments=KernelArguments(OpenAIChatPromptExecutionSettings(max_tokens=task.max_tokens)),
    )
