"""
CrewAI: a crew of the researcher, over CrewAI's own OpenAI client; the helper is kicked off by a tool.
"""

from typing import Any

from crewai import LLM, Agent, Crew
from crewai import Task as CrewTask
from crewai.tools import tool
from scenario import Task

OWN_LIMIT = "Agent(max_iter=…)"


def run(task: Task) -> str:
    return str(crew(task).kickoff().raw)


async def arun(task: Task) -> str:
    return str((await crew(task).akickoff()).raw)


def run_limited(task: Task, limit: int) -> str:
    """
    With ``max_iter`` of the researcher.
    """
    return str(crew(task, max_iter=limit).kickoff().raw)


def crew(task: Task, **more: Any) -> Crew:
    agent = researcher(task, **more)
    wanted = CrewTask(description=task.prompt, expected_output="What you found.", agent=agent)
    return Crew(agents=[agent], tasks=[wanted])


def researcher(task: Task, **more: Any) -> Agent:
    helper = _agent("helper", "Look it up.", _llm(task, task.models.helper), [task.lookup])

    def ask_helper(question: str) -> str:
        """
        Ask the helper.

        Args:
            question: What to ask.
        """
        return str(helper.kickoff(question).raw)

    tools = [task.search, task.fetch, task.broken, ask_helper]
    return _agent("researcher", task.instructions, _llm(task, task.models.researcher), tools, **more)


def _agent(role: str, goal: str, llm: LLM, tools: list[Any], **more: Any) -> Agent:
    return Agent(role=role, goal=goal, backstory="", llm=llm, tools=[tool(each) for each in tools], **more)


def _llm(task: Task, model: str) -> LLM:
    return LLM(model=model, base_url=f"{task.url}/v1", api_key="sk-test", max_tokens=task.max_tokens)
