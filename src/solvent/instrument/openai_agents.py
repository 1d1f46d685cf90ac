"""
``openai-agents``: what an agent runs is a scope of its name, and so is each function tool while it runs.

After a handoff the turns are those of the agent that took over: its scope stands beside that of the first one.

Source:
    openai-agents 0.24.0, ``run.py``, ``tool.py`` and ``run_internal/``, read 2026-11-22. ``AgentRunner.run`` is what
    ``Runner.run``, ``Runner.run_sync`` and ``Agent.as_tool`` go through. All else here is private: the loop of a
    streamed run, which is a task of its own, the turns, and what calls a tool; 0.8.4 calls tools in other ways, and
    they go unnamed there.
"""

import sys
from collections.abc import Callable, Mapping
from copy import copy
from types import ModuleType
from typing import Any

from solvent._block import CURRENT, Block, innermost
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._naming import runs


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``agents.run``.
    """
    if not hasattr(module, "AgentRunner"):  # A program may have a package `agents` of its own.
        return []
    loop, execution = (sys.modules.get(f"agents.run_internal.{name}") for name in ("run_loop", "tool_execution"))
    function_tool = getattr(sys.modules.get("agents.tool"), "_FailureHandlingFunctionToolInvoker", None)
    points = [
        (module.AgentRunner, "run", _run),
        (module, "start_streaming", _run),
        (module, "run_single_turn", _turn),
        (loop, "run_single_turn_streamed", _turn),
        (execution, "_invoke_function_tool_with_metadata", runs("tool", _own_tool)),
        (function_tool, "__call__", _tool),
    ]
    return [wrap(owner, name, wrapper) for owner, name, wrapper in points if name in getattr(owner, "__dict__", ())]


def _run(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    given = dict(zip(("starting_agent", "input"), args, strict=False)) | dict(kwargs)
    state = given.get("run_state") or given.get("input")  # Of a run that goes on: whose turn it was.
    agent = getattr(state, "_current_agent", None) or given.get("starting_agent")
    return _run_agent(function, agent, args, kwargs)


def _turn(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    agents = (getattr(each, "public_agent", None) for each in (*args, *kwargs.values()))
    agent, block = next(filter(None, agents), None), innermost()
    if block is None or not block.is_agent or agent is None or block.runs is agent:
        return function(*args, **kwargs)
    return _beside(block, function, agent, args, kwargs)


async def _beside(
    block: Block, function: Callable[..., Any], agent: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    CURRENT.set(block.around())
    try:
        return await _run_agent(function, agent, args, kwargs)
    finally:
        CURRENT.set(block)


def _tool(function: Any, invoker: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    Inside of what makes a message for the model of a tool's error.
    """
    call, tool = getattr(invoker, "_invoke_tool_impl", None), getattr(invoker, "_function_tool", None)
    if call is None or tool is None or not hasattr(function, "__func__"):
        return function(*args, **kwargs)
    named = copy(invoker)
    named._invoke_tool_impl = lambda *given: _run_tool(call, tool, given, {})
    return function.__func__(named, *args, **kwargs)


def _own_tool(_: Any, _args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    """
    The name of a tool that a program made without ``function_tool``.
    """
    tool = kwargs["function_tool"]
    return None if hasattr(tool.on_invoke_tool, "_invoke_tool_impl") else tool.name


def _name(named: Any, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> object:
    return named.name


_run_agent, _run_tool = runs("agent", _name), runs("tool", _name, like="coroutine")
