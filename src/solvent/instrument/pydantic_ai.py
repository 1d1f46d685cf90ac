"""
``pydantic-ai``: what an agent runs is a scope of its name, and so is each tool while it runs.

An agent without a name is ``agent:agent``, as it is in the spans that pydantic-ai writes.

Source:
    pydantic-ai 2.62.0 and 2.68.0, ``agent/__init__.py``, ``agent/abstract.py`` and ``tool_manager.py``, read
    2026-11-22. ``Agent.iter``, which is public, is what ``run``, ``run_sync`` and all streamed runs go through.
    ``ToolManager._raw_execute`` is private: inside of it are the toolsets, around it the capabilities that may make an
    answer of a tool's error.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from solvent._block import CURRENT, Block
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._naming import runs


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``pydantic_ai.agent`` or ``pydantic_ai.tool_manager``.
    """
    if module.__name__ == "pydantic_ai.agent":
        return [wrap(module.Agent, "iter", _iter)]
    return [wrap(module.ToolManager, "_raw_execute", runs("tool", _tool))]


@asynccontextmanager
async def _iter(
    function: Callable[..., Any], agent: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> AsyncGenerator[Any, None]:
    """
    The block is open as long as the run is, and what goes on in between is in it.
    """
    async with asynccontextmanager(runs("agent", _name))(_steps, agent, (function, args, kwargs), {}) as (run, inside):
        outside = CURRENT.get()
        CURRENT.set(inside)
        try:
            yield run
        finally:
            if CURRENT.get() is inside:  # Not so where something that was opened in it is still open.
                CURRENT.set(outside)


async def _steps(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> AsyncGenerator[tuple[Any, Block | None], None]:
    async with function(*args, **kwargs) as run:
        yield run, CURRENT.get()


def _name(agent: Any, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> object:
    return agent.name or "agent"


def _tool(_: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    validated = args[0] if args else kwargs["validated"]
    return validated.call.tool_name
