"""
No framework: a plain loop over the openai SDK, with Solvent's public names around what an agent and a tool do.

What it costs, and where it stops, is what every framework has to come to.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from openai import DefaultHttpxClient, OpenAI
from scenario import Task

import solvent

OWN_LIMIT = "range"


class OutOfTurns(Exception):
    """
    Raised when an agent has had all its turns.
    """


@dataclass(frozen=True)
class Agent:
    name: str
    model: str
    instructions: str
    tools: dict[str, Callable[..., str]]


def run(task: Task) -> str:
    return _run(task, count())


async def arun(task: Task) -> str:
    return await asyncio.to_thread(run, task)


def run_limited(task: Task, limit: int) -> str:
    """
    With so many turns of the researcher.
    """
    return _run(task, range(limit))


def _run(task: Task, turns: Iterable[int]) -> str:
    # Certificates, which take a tenth of a second to be read, are of no use at the server of the tests.
    with OpenAI(base_url=f"{task.url}/v1", api_key="sk-test", http_client=DefaultHttpxClient(verify=False)) as client:
        helper = Agent("helper", task.models.helper, "Look it up.", {"lookup": task.lookup})

        def ask_helper(question: str) -> str:
            return _answer(client, helper, question, task.max_tokens, count())

        tools = {"search": task.search, "fetch": task.fetch, "broken": task.broken, "ask_helper": ask_helper}
        researcher = Agent("researcher", task.models.researcher, task.instructions, tools)
        return _answer(client, researcher, task.prompt, task.max_tokens, turns)


def _answer(client: OpenAI, agent: Agent, prompt: str, max_tokens: int, turns: Iterable[int]) -> str:
    messages: list[Any] = [{"role": "system", "content": agent.instructions}, {"role": "user", "content": prompt}]
    with solvent.agent(agent.name):
        for _ in turns:
            reply = client.chat.completions.create(
                model=agent.model, messages=messages, tools=_described(agent), max_tokens=max_tokens
            )
            message = reply.choices[0].message
            if not message.tool_calls:
                return message.content or ""
            messages.append(message)
            for call in message.tool_calls:
                messages.append({"role": "tool", "tool_call_id": call.id, "content": _result(agent, call.function)})
    raise OutOfTurns(agent.name)


def _described(agent: Agent) -> Any:
    return [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
        for name in agent.tools
    ]


def _result(agent: Agent, call: Any) -> str:
    """
    What the model is told that a tool came to. A refusal is told, too, unless the agent itself has no room left.
    """
    try:
        with solvent.tool(call.name):
            return agent.tools[call.name](**json.loads(call.arguments))
    except solvent.BudgetExceeded as refusal:
        here = solvent.current_budget()
        if here is None or f"{here.scope}/".startswith(f"{refusal.scope}/"):
            raise
        return str(refusal)
    except Exception as error:  # Whatever a tool raises.
        return f"Error: {error}"
