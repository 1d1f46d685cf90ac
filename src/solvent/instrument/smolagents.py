"""
``smolagents``: what an agent runs is a scope of its name, or of its class where it has none, and so is each tool while
it runs; a managed agent is both, for it is called as a tool.

Source:
    smolagents 1.26.0, ``agents.py``, ``tools.py``, ``models.py`` and ``utils.py``, read 2026-11-22.
    ``MultiStepAgent._run_stream``, which is private, is what ``run`` goes through, streamed or not. Its models try
    again, after minutes, where an error's text has "429" in it; an agent that is out of steps asks for a last answer,
    and takes the text of any error for one.
"""

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from types import ModuleType
from typing import Any

from solvent._block import innermost
from solvent.errors import SolventError
from solvent.instrument._hooks import Unhook, Wrapper, wrap
from solvent.instrument._naming import runs


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``smolagents.agents``.
    """
    agent, tool = module.MultiStepAgent, module.Tool
    tries = getattr(sys.modules.get("smolagents.utils"), "Retrying", None)
    points: list[tuple[Any, str, Wrapper]] = [
        (agent, "_run_stream", _run_agent),
        (agent, "__call__", _managed),
        (agent, "provide_final_answer", _last_answer),
        (tool, "__call__", _run_tool),
        (tries, "__call__", _tries),
    ]
    return [wrap(owner, name, wrapper) for owner, name, wrapper in points if name in getattr(owner, "__dict__", ())]


_run_agent = runs("agent", lambda agent, *_: agent.name or type(agent).__name__)
_run_managed = runs("tool", lambda call, *_: call.__self__.name)
_run_tool = runs("tool", lambda tool, *_: tool.name)


def _managed(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return _run_managed(function, function, args, kwargs)  # What the agent then runs is not this once more.


def _last_answer(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    answer, block = function(*args, **kwargs), innermost()
    if block is not None and block.refusal is not None:
        raise block.refusal
    return answer


def _tries(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    A refusal is no answer that another try would change, whatever figures are in its text.
    """
    if not args:
        return function(*args, **kwargs)
    call, refusals = args[0], list[SolventError]()

    @wraps(call)
    def once(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except SolventError as refusal:
            refusals.append(refusal)

    answer = function(once, *args[1:], **kwargs)
    if refusals:
        raise refusals[0]
    return answer
