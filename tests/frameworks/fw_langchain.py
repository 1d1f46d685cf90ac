"""
LangChain's ``create_agent`` over chat completions; the helper is an agent that a tool runs.
"""

from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware, ToolErrorMiddleware
from langchain_core.tools import StructuredTool, tool
from langchain_openai import ChatOpenAI
from scenario import Task

OWN_LIMIT = "ModelCallLimitMiddleware(run_limit=…)"


def run(task: Task) -> str:
    return _answer_of(researcher(task).invoke(_asks(task.prompt)))


async def arun(task: Task) -> str:
    return _answer_of(await researcher(task).ainvoke(_asks(task.prompt)))


def run_limited(task: Task, limit: int) -> str:
    """
    With so many model calls of a run of the researcher; LangGraph's ``recursion_limit`` counts nodes.
    """
    limited = ModelCallLimitMiddleware(run_limit=limit, exit_behavior="error")
    return _answer_of(researcher(task, limited).invoke(_asks(task.prompt)))


def researcher(task: Task, *middleware: Any) -> Any:
    """
    Args:
        middleware: Beside that which tells the model of tools that failed.
    """
    helper = create_agent(
        model(task, task.models.helper), tools=[tool(task.lookup)], system_prompt="Look it up.", name="helper"
    )

    def ask_helper(question: str) -> str:
        """
        Asks the helper.
        """
        return _answer_of(helper.invoke(_asks(question)))

    async def aask_helper(question: str) -> str:
        return _answer_of(await helper.ainvoke(_asks(question)))

    return create_agent(
        model(task, task.models.researcher),
        tools=[
            *map(tool, (task.search, task.fetch, task.broken)),
            StructuredTool.from_function(ask_helper, coroutine=aask_helper, name="ask_helper"),
        ],
        system_prompt=task.instructions,
        middleware=[ToolErrorMiddleware(lambda error, _: f"Error: {error}"), *middleware],
        name="researcher",
    )


def model(task: Task, name: str) -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=f"{task.url}/v1", api_key="sk-test", max_tokens=task.max_tokens)


def _asks(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}]}


def _answer_of(result: dict[str, Any]) -> str:
    return str(result["messages"][-1].text)
