"""
LlamaIndex: function agents over its own OpenAI class, which streams; the helper is run by a tool.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI
from scenario import Task

OWN_LIMIT = "FunctionAgent.run(max_iterations=…)"


def run(task: Task) -> str:
    return asyncio.run(arun(task))


async def arun(task: Task) -> str:
    return str(await researcher(task).run(task.prompt))


def run_limited(task: Task, limit: int) -> str:
    """
    With ``max_iterations`` of the researcher.
    """

    async def limited() -> str:
        return str(await researcher(task).run(task.prompt, max_iterations=limit))

    return asyncio.run(limited())


def researcher(task: Task) -> FunctionAgent:
    helper = _agent(task, "helper", task.models.helper, "Look it up.", [task.lookup])

    async def ask_helper(question: str) -> str:
        """
        Ask the helper.

        Args:
            question: What to ask.
        """
        return str(await helper.run(question))

    tools = [task.search, task.fetch, task.broken, ask_helper]
    return _agent(task, "researcher", task.models.researcher, task.instructions, tools)


def _agent(task: Task, name: str, model: str, prompt: str, tools: list[Callable[..., Any]]) -> FunctionAgent:
    return FunctionAgent(name=name, system_prompt=prompt, llm=llm_of(task, model), tools=tools)


def llm_of(task: Task, model: str) -> OpenAI:
    return OpenAI(model=model, api_base=f"{task.url}/v1", api_key="sk-test", max_tokens=task.max_tokens)
