"""
smolagents.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from openai import DefaultHttpxClient
from scenario import Role, Task
from smolagents import LogLevel, MultiStepAgent, OpenAIModel, ToolCallingAgent, tool
from smolagents.models import ChatMessage, ChatMessageToolCall, ChatMessageToolCallFunction

OWN_LIMIT = "ToolCallingAgent(max_steps=…)"


class Model(OpenAIModel):
    """
    What it answers without a tool is the final answer, as it is in other frameworks.
    """

    def parse_tool_calls(self, message: ChatMessage) -> ChatMessage:
        function = ChatMessageToolCallFunction(name="final_answer", arguments={"answer": message.content})
        message.tool_calls = [ChatMessageToolCall(function=function, id="final", type="function")]
        return message


def run(task: Task) -> str:
    return str(researcher(task, max_steps=100).run(task.prompt))


async def arun(task: Task) -> str:
    return await asyncio.to_thread(run, task)


def run_limited(task: Task, limit: int) -> str:
    """
    With so many ``max_steps`` of the researcher; the helper has its own.
    """
    return str(researcher(task, max_steps=limit).run(task.prompt))


def researcher(task: Task, **options: Any) -> MultiStepAgent:
    helper = agent(task, "helper", [task.lookup])

    def ask_helper(question: str) -> str:
        """
        Ask the helper.

        Args:
            question: What to ask.
        """
        return str(helper.run(question))

    return agent(task, "researcher", [task.search, task.fetch, task.broken, ask_helper], **options)


def agent(
    task: Task,
    role: Role,
    tools: list[Callable[..., str]],
    *,
    kind: type[MultiStepAgent] = ToolCallingAgent,
    client: dict[str, Any] | None = None,
    **options: Any,
) -> MultiStepAgent:
    """
    Args:
        client: Settings of the SDK's client.
    """
    model = Model(
        getattr(task.models, role),
        api_base=f"{task.url}/v1",
        api_key="sk-test",
        # Certificates, which take a tenth of a second to be read, are of no use at the server of the tests.
        client_kwargs={"http_client": DefaultHttpxClient(verify=False), **(client or {})},
        max_tokens=task.max_tokens,
    )
    given = {"name": role, "description": "It looks things up.", "instructions": task.instructions, **options}
    return kind(model=model, tools=[tool(each) for each in tools], verbosity_level=LogLevel.OFF, **given)
