"""
Haystack: each agent is a component of a pipeline, whose name it has; the helper's is a ``PipelineTool``.
"""

from haystack import Pipeline
from haystack.components.agents import Agent
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import PipelineTool, create_tool_from_function
from haystack.utils import Secret
from scenario import Task

OWN_LIMIT = "Agent(max_agent_steps=…)"


def run(task: Task) -> str:
    return _answer(pipeline(task).run(_asked(task)))


async def arun(task: Task) -> str:
    return _answer(await pipeline(task).run_async(_asked(task)))


def run_limited(task: Task, limit: int) -> str:
    """
    With ``Agent(max_agent_steps=limit)``.
    """
    return _answer(pipeline(task, max_agent_steps=limit).run(_asked(task)))


def _asked(task: Task) -> dict[str, dict[str, list[ChatMessage]]]:
    return {"researcher": {"messages": [ChatMessage.from_user(task.prompt)]}}


def _answer(outputs: dict[str, dict[str, ChatMessage]]) -> str:
    return outputs["researcher"]["last_message"].text or ""


def pipeline(task: Task, max_agent_steps: int = 100) -> Pipeline:
    outer = Pipeline()
    outer.add_component("researcher", researcher(task, max_agent_steps))
    return outer


def researcher(task: Task, max_agent_steps: int = 100, **more: object) -> Agent:
    tools = [create_tool_from_function(function) for function in (task.search, task.fetch, task.broken)]
    return Agent(
        chat_generator=generator(task, task.models.researcher),
        system_prompt=task.instructions,
        tools=[*tools, _ask_helper(task)],
        max_agent_steps=max_agent_steps,
        **more,
    )


def helper(task: Task) -> Agent:
    return Agent(
        chat_generator=generator(task, task.models.helper),
        system_prompt="Look it up.",
        tools=[create_tool_from_function(task.lookup)],
    )


def generator(task: Task, model: str) -> OpenAIChatGenerator:
    return OpenAIChatGenerator(
        api_key=Secret.from_token("sk-test"),
        api_base_url=f"{task.url}/v1",
        model=model,
        generation_kwargs={"max_tokens": task.max_tokens},
        max_retries=1,
    )


def _ask_helper(task: Task) -> PipelineTool:
    inner = Pipeline()
    inner.add_component("prompt", ChatPromptBuilder([ChatMessage.from_user("{{ question }}")]))
    inner.add_component("helper", helper(task))
    inner.connect("prompt.prompt", "helper.messages")
    return PipelineTool(
        pipeline=inner,
        name="ask_helper",
        description="Ask the helper.",
        input_mapping={"question": ["prompt.question"]},
        output_mapping={"helper.last_message": "answer"},
        outputs_to_string={"source": "answer", "handler": _text},
    )


def _text(message: ChatMessage) -> str:
    return message.text or ""
