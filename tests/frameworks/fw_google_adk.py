"""
Google ADK: Gemini through google-genai; the helper is an ``AgentTool``.
"""

import asyncio
from typing import Any

from google.adk.agents import LlmAgent, RunConfig
from google.adk.models import Gemini
from google.adk.runners import InMemoryRunner
from google.adk.tools.agent_tool import AgentTool
from google.genai import types
from pydantic import BaseModel
from scenario import Models, Task

OWN_LIMIT = "RunConfig(max_llm_calls=…)"
MODELS = Models("gemini-2.5-flash", "gemini-2.5-flash-lite")


class Question(BaseModel):
    question: str


def run(task: Task) -> str:
    return asyncio.run(arun(task))


async def arun(task: Task) -> str:
    return await _answer(task, RunConfig())


def run_limited(task: Task, limit: int) -> str:
    """
    With ``RunConfig(max_llm_calls=limit)``.
    """
    return asyncio.run(_answer(task, RunConfig(max_llm_calls=limit)))


async def _answer(task: Task, config: RunConfig) -> str:
    runner = InMemoryRunner(researcher(task), app_name="rivers")
    session = await runner.session_service.create_session(app_name="rivers", user_id="user")
    message = types.UserContent(task.prompt)
    answer = ""
    async for event in runner.run_async(user_id="user", session_id=session.id, new_message=message, run_config=config):
        if event.is_final_response() and event.content:
            answer = "".join([part.text or "" for part in event.content.parts])
    return answer


def researcher(task: Task) -> LlmAgent:
    helper = LlmAgent(
        name="helper",
        model=model_of(task, task.models.helper),
        instruction="Look it up.",
        input_schema=Question,
        tools=[task.lookup],
        generate_content_config=config_of(task),
    )
    ask_helper = AgentTool(helper)
    ask_helper.name = "ask_helper"
    return LlmAgent(
        name="researcher",
        model=model_of(task, task.models.researcher),
        instruction=task.instructions,
        tools=[task.search, task.fetch, task.broken, ask_helper],
        generate_content_config=config_of(task),
        on_tool_error_callback=_told,
    )


def model_of(task: Task, name: str) -> Gemini:
    return Gemini(
        model=name,
        base_url=task.url,
        retry_options=types.HttpRetryOptions(attempts=2, initial_delay=0.001, max_delay=0.001),
    )


def config_of(task: Task) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(max_output_tokens=task.max_tokens)


def _told(*, tool: Any, args: Any, tool_context: Any, error: Exception) -> dict[str, str]:
    """
    The model is told of an error; without it, a tool that raises ends the run.
    """
    return {"error": str(error)}
