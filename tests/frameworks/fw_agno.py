"""
Agno.
"""

from collections.abc import Callable
from typing import Any

from agno.agent import Agent
from agno.models.openai import OpenAIChat
from scenario import Role, Task

OWN_LIMIT = "Agent(tool_call_limit=…)"
TAG_IN = "userMessage"  # The instructions are those of a developer, by its name for the role.


def run(task: Task) -> str:
    return str(researcher(task).run(task.prompt).content)


async def arun(task: Task) -> str:
    return str((await researcher(task).arun(task.prompt)).content)


def run_limited(task: Task, limit: int) -> str:
    """
    With so many tool calls of the researcher: Agno has no limit of turns. The helper has its own.
    """
    return str(researcher(task, tool_call_limit=limit).run(task.prompt).content)


def researcher(task: Task, **options: Any) -> Agent:
    helper = agent(task, "helper", [task.lookup])

    def ask_helper(question: str) -> str:
        """
        Ask the helper.

        Args:
            question: What to ask.
        """
        return str(helper.run(question).content)

    return agent(task, "researcher", [task.search, task.fetch, task.broken, ask_helper], **options)


def agent(task: Task, role: Role, tools: list[Callable[..., Any]], **options: Any) -> Agent:
    given = {"name": role, "instructions": task.instructions, "telemetry": False, **options}
    return Agent(model=model(task, role), tools=tools, **given)


def model(task: Task, role: Role, *, client: Any = None, **options: Any) -> OpenAIChat:
    return OpenAIChat(
        id=getattr(task.models, role),
        base_url=f"{task.url}/v1",
        api_key="sk-test",
        max_tokens=task.max_tokens,
        http_client=client,
        **options,
    )
