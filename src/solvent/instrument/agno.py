"""
Agno: what an agent, a team or a workflow runs is a scope of its name, or of its class where it has none, and so is each
tool while it runs.

Source:
    agno 3.1.10, ``agent/_run.py``, ``models/base.py``, ``team/_run.py``, ``tools/function.py``, ``workflow/step.py``
    and ``workflow/workflow.py``, read 2026-11-22.
    ``FunctionCall.execute`` and ``aexecute`` are public, and make a message for the model of what the tool's function
    raises, so the function itself is wrapped. All else is private: the functions that ``run``, ``arun`` and
    ``continue_run`` go through, streamed or not; and the one that every error of a model passes before the model, its
    fallbacks and the agent try again, and a run with the status of an error comes of it. Only a cancelled run is not
    tried again.
"""

import sys
from collections.abc import Callable, Mapping
from copy import copy
from types import ModuleType
from typing import Any

import wrapt

from solvent._block import Block, innermost
from solvent._wrapping import kind_of
from solvent.instrument._hooks import Unhook, Wrapper, wrap
from solvent.instrument._naming import refusal_behind, runs

_RUNS = ("_run", "_run_stream", "_arun", "_arun_stream")
_CONTINUES = ("_continue_run", "_continue_run_stream", "_acontinue_run", "_acontinue_run_stream")
_EXECUTES = ("_execute", "_execute_stream", "_aexecute", "_aexecute_stream")
_EXECUTES_ON = ("_continue_execute", "_continue_execute_stream", "_acontinue_execute", "_acontinue_execute_stream")


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``agno.agent._run``, ``agno.models.base``, ``agno.team._run``, ``agno.tools.function`` or
            ``agno.workflow.workflow``.
    """
    call, flow, model = (getattr(module, name, None) for name in ("FunctionCall", "Workflow", "Model"))
    points: list[tuple[Any, str, Wrapper]] = [
        *[(module, name, _run) for name in (*_RUNS, *_CONTINUES)],
        *[(flow, name, _run_agent) for name in (*_EXECUTES, *_EXECUTES_ON)],
        (call, "aexecute", _execute),
        (call, "execute", _execute),
        (model, "_is_retryable_error", _is_worth_trying),
    ]
    return [
        wrap(owner, name, wrapper)
        for owner, name, wrapper in points
        # Each class once, where it is made, although others of these modules have it too.
        if name in getattr(owner, "__dict__", ()) and getattr(owner, "__module__", module.__name__) == module.__name__
    ]


_run_agent = runs("agent", lambda agent, *_: agent.name or type(agent).__name__)


def _run(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return _run_agent(function, args[0] if args else kwargs.get("agent") or kwargs.get("team"), args, kwargs)


class _Entrypoint(wrapt.FunctionWrapper):  # type: ignore[type-arg]  # It stands for a function of any kind.
    """
    A tool's function that has a scope; one that a program wrapped for ends of its own has none yet.
    """


def _execute(function: Callable[..., Any], call: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    tool = call.function
    if getattr(tool, "entrypoint", None) is not None and not isinstance(tool.entrypoint, _Entrypoint):
        call.function = copy(tool)
        call.function.entrypoint = _Entrypoint(tool.entrypoint, _named(tool))
    return function(*args, **kwargs)


def _named(tool: Any) -> Wrapper:
    entrypoint = tool.entrypoint
    # What checks arguments is no generator function itself; what it calls may be one.
    run_tool = runs("tool", lambda *_: tool.name, like=kind_of(getattr(entrypoint, "raw_function", entrypoint)))
    return lambda function, _, args, kwargs: run_tool(function, None, args, kwargs)


def _is_worth_trying(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    A refusal is not: the agent's run is cancelled, and the refusal comes out of that.
    """
    error, found = refusal_behind(sys.exc_info()[1]), innermost()
    if error is None:
        return function(*args, **kwargs)
    if found is None or not found.is_agent:
        raise error
    block: Block | None = found
    while block is not None and block.is_agent and (block is found or block.refusal is error):
        block.stopped, block = error, block.outer  # A workflow may leave the stream of its agent before that ends.
    raise sys.modules["agno.exceptions"].RunCancelledException(str(error)) from error
