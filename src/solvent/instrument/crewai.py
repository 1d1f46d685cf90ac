"""
CrewAI: what an agent does for a task, or when it is kicked off by itself, is a scope of its role; each tool while it
runs is one of the name that the model calls it by.

Crews, flows, streams and a manager's delegations all come to the public methods of agents and tools that are wrapped
here. Private are ``_check_execution_error``, which says whether an agent begins anew (``max_retry_limit``), and
``BaseAgentTool._execute``, which like ``StepExecutor.execute`` makes an answer of every error.

Source:
    crewai 1.15.30, ``agent/core.py``, ``agents/agent_executor.py``, ``agents/step_executor.py``,
    ``tools/base_tool.py``, ``tools/structured_tool.py``, ``tools/tool_usage.py``,
    ``tools/agent_tools/base_agent_tools.py``; read 2026-11-22.
"""

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from solvent._block import innermost
from solvent.errors import SolventError
from solvent.instrument._deadlines import has_loop
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._naming import runs


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: Where ``Agent`` is, or ``StepExecutor``, or a kind of tool.
    """
    run_agent, begin_agent = runs("agent", _role), runs("agent", _role_here)
    run_tool = runs("tool", _tool)
    points = [
        ("Agent", "_check_execution_error", _ending),
        ("Agent", "aexecute_task", run_agent),
        ("Agent", "execute_task", run_agent),
        ("Agent", "kickoff", begin_agent),
        ("Agent", "kickoff_async", run_agent),
        ("BaseAgentTool", "_execute", _answering),
        ("BaseTool", "run", run_tool),
        ("CrewStructuredTool", "ainvoke", run_tool),
        ("CrewStructuredTool", "invoke", run_tool),
        ("StepExecutor", "execute", _answering),
        ("Tool", "run", run_tool),
    ]
    unhooks = []
    for kind, name, wrapper in points:
        owner = vars(module).get(kind)
        is_own = owner is not None and sys.modules.get(owner.__module__) is module  # Else it only uses it.
        if is_own and name in vars(owner):
            unhooks.append(wrap(owner, name, wrapper))
    return unhooks


def _ending(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    What returns where an agent is to begin anew: not for a refusal.
    """
    function(*args, **kwargs)
    error = args[0] if args else kwargs.get("e")
    refusals = [each for each in (error, getattr(error, "__cause__", None)) if isinstance(each, SolventError)]
    if refusals:
        raise refusals[0]


def _answering(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    What makes an answer of every error: not of a refusal, by which whatever is around it ends as well.
    """
    answer, block = function(*args, **kwargs), innermost()
    if block is not None and block.runs is not None and block.refusal is not None:
        block.stopped = block.refusal
        raise block.refusal
    return answer


def _role(agent: Any, *_: Any) -> object:
    return agent.role


def _role_here(agent: Any, *_: Any) -> object:
    return None if has_loop() else agent.role  # In a loop it returns what `kickoff_async` does.


def _tool(tool: Any, *_: Any) -> object:
    return sys.modules["crewai.utilities.string_utils"].sanitize_tool_name(tool.name)
