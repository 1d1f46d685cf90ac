"""
AutoGen: what an agent does is a scope of its name, in a team as well, and so is each tool while it runs.

A team has no scope of its own: its members, and the calls by which it picks a speaker, are in that of whoever runs it.
A tool that hands over to another agent has none either.

Source:
    autogen-agentchat, autogen-core and autogen-ext 0.7.5, ``agents/``, ``teams/_group_chat/``, ``tools/_base.py`` and
    ``tools/_static_workbench.py``, read 2026-11-22. Private are ``ChatAgentContainer.handle_request``, by which a team
    runs an agent of any class, and ``SerializableException``, by which it makes a text of an error.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from types import ModuleType
from typing import Any

from solvent.errors import SolventError
from solvent.instrument._hooks import Unhook, Wrapper, wrap
from solvent.instrument._naming import refusal_in, runs

# By the run of a team: the refusals that there are texts of.
_TOLD: dict[object, dict[str, SolventError]] = {}


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``autogen_agentchat.agents``, ``autogen_agentchat.teams`` or ``autogen_core.tools``.
    """
    agents = ("BaseChatAgent", "AssistantAgent", "CodeExecutorAgent", "SocietyOfMindAgent")
    ways = ("run", "run_stream", "on_messages", "on_messages_stream")
    points: list[tuple[str, str, Wrapper]] = [
        *[(agent, way, _run_agent) for agent in agents for way in ways],
        ("BaseTool", "run_json", _run_tool),
        ("BaseStreamTool", "run_json_stream", _run_tool),
        ("BaseGroupChat", "run_stream", _run_team),
        ("_group_chat._chat_agent_container.ChatAgentContainer", "handle_request", _run_member),
        ("_group_chat._events.SerializableException", "from_exception", _tell),
    ]
    found = [(_at(module, path), name, wrapper) for path, name, wrapper in points]
    return [wrap(owner, name, wrapper) for owner, name, wrapper in found if name in getattr(owner, "__dict__", ())]


def _at(module: ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _agent(agent: Any, *_: Any) -> object:
    """
    Of a team, or of what only filters for another agent, nothing.
    """
    is_agent = hasattr(agent, "on_messages_stream") and not hasattr(agent, "_wrapped_agent")
    return agent.name if is_agent else None


def _tool(tool: Any, *_: Any) -> object:
    is_handoff = getattr(getattr(tool, "_func", None), "__module__", "") == "autogen_agentchat.base._handoff"
    return None if is_handoff else tool.name


_run_agent, _run_tool = runs("agent", _agent), runs("tool", _tool)
_run_named = runs("agent", _agent, like="coroutine")


def _run_member(function: Callable[..., Any], container: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return _run_named(function, container._agent, args, kwargs)


def _tell(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    made = function(*args, **kwargs)
    refusal = refusal_in(args[0] if args else kwargs.get("exc"))
    if refusal is not None:
        for told in [*_TOLD.values()]:
            told[str(made)] = refusal
    return made


def _run_team(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return _steps(function(*args, **kwargs))


async def _steps(steps: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """
    A team's run, out of which a refusal comes as itself.
    """
    run, told = object(), dict[str, SolventError]()
    _TOLD[run] = told
    try:
        async with aclosing(steps):
            async for step in steps:
                yield step
    except RuntimeError as error:
        refusal = told.get(str(error))
        if refusal is None:
            raise
        raise refusal from None
    finally:
        del _TOLD[run]
