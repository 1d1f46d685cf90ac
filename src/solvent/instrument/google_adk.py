"""
Google ADK: what runs as an agent is a scope of its name, and so is each tool while it runs.

Every agent, be it the root, a sub-agent or a node of a workflow, is run by ``BaseAgent.run_async``, which is public.
What calls a tool, inside of the callbacks that may make an answer of its error, is private: ``run_async`` of the tools
is written anew by each kind of them. So is the tool that a sub-agent of ``mode="single_turn"`` becomes.

Source:
    google-adk 2.13.0, ``agents/base_agent.py``, ``flows/llm_flows/tools/_caller.py``, ``tools/agent_tool.py`` and
    ``workflow/``; 1.0.0, 1.39.1 and 2.0.0, ``agents/base_agent.py`` and ``flows/llm_flows/functions.py``; read
    2026-11-22.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from solvent._block import innermost
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._naming import runs


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: Of ``google.adk``: ``agents.base_agent``, ``tools.agent_tool``, ``flows.llm_flows.functions``, or, from
            some 2.x on, ``flows.llm_flows.tools._caller``.
    """
    points = {
        "base_agent": (getattr(module, "BaseAgent", None), "run_async", runs("agent", _agent)),
        "agent_tool": (getattr(module, "_SingleTurnAgentTool", None), "run_async", _single_turn),
        "functions": (module, "__call_tool_async", runs("tool", _tool)),
        "_caller": (module, "_call_tool_async", runs("tool", _tool)),
    }
    owner, name, wrapper = points[module.__name__.rpartition(".")[2]]
    return [wrap(owner, name, wrapper)] if name in getattr(owner, "__dict__", ()) else []


async def _single_turn(
    function: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> object:
    """
    It answers with the text of whatever error ended the agent.
    """
    answer = await function(*args, **kwargs)
    block = innermost()
    if block is not None and block.refusal is not None:
        raise block.refusal
    return answer


def _agent(agent: Any, *_: object) -> object:
    return agent.name


def _tool(_: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    return (args[0] if args else kwargs["tool"]).name
