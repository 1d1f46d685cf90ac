"""
LlamaIndex: what an agent does is a scope of its name, and so is each tool while it runs.

``run`` of an agent begins the tasks of its workflow, which go on in its scope when it has returned. In an
``AgentWorkflow`` each turn and each tool is run in the scope of the agent whose turn it is; after a handoff that is the
agent which took over.

Source:
    llama-index-core 0.14.25, ``agent/workflow/``, and llama-index-workflows 2.26.1, ``plugins/basic.py``; read
    2026-11-22. ``run`` and ``take_step`` are public. ``_call_tool``, which makes an answer of a tool's error and is
    therefore handed a tool that is named inside of that, and ``_get_llm_response`` are private.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import wrapt

from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._naming import runs


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``llama_index.core.agent.workflow``.
    """
    points = [
        ("AgentWorkflow", "_call_tool", _call_tool_in_turn),
        ("AgentWorkflow", "_get_llm_response", _answer),
        ("BaseWorkflowAgent", "_call_tool", _call_tool),
        ("BaseWorkflowAgent", "run", runs("agent", _agent_name)),
        ("CodeActAgent", "take_step", _run_agent),
        ("FunctionAgent", "take_step", _run_agent),
        ("ReActAgent", "take_step", _run_agent),
    ]
    owners = [(vars(module).get(owner), name, wrapper) for owner, name, wrapper in points]
    return [wrap(owner, name, wrapper) for owner, name, wrapper in owners if name in getattr(owner, "__dict__", ())]


class _Tool(wrapt.ObjectProxy):  # type: ignore[type-arg]  # It stands for a tool of any kind.
    def acall(self, *args: Any, **kwargs: Any) -> Any:
        return _run_tool(self.__wrapped__.acall, self.__wrapped__, args, kwargs)


def _call_tool(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if len(args) > 1 and hasattr(args[1], "acall"):
        args = (args[0], _Tool(args[1]), *args[2:])
    return function(*args, **kwargs)


async def _call_tool_in_turn(
    function: Callable[..., Any], workflow: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    try:
        agent = workflow.agents[await args[0].store.get("current_agent_name")]
    except Exception:  # Whatever another version made of it: the tool is run without an agent's name.
        agent = None
    return await _run_agent(lambda *given, **named: _call_tool(function, workflow, given, named), agent, args, kwargs)


def _answer(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    The last one of an agent that is out of turns.
    """
    return _run_agent(function, args[2] if len(args) > 2 else kwargs.get("agent"), args, kwargs)


def _agent_name(agent: Any, *_: Any) -> object:
    return agent.name


def _tool_name(tool: Any, *_: Any) -> object:
    return tool.metadata.name


_run_agent, _run_tool = runs("agent", _agent_name, like="coroutine"), runs("tool", _tool_name, like="coroutine")
