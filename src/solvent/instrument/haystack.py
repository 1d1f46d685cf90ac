"""
Haystack: what an ``Agent`` runs is a scope of its name, and so is each tool while it runs.

An agent has the name of its component in a pipeline, else that of the tool that it is, else that of its class. All
that is wrapped is public: ``Agent.run`` and ``run_async``, ``Tool.invoke`` and ``invoke_async``, and what makes a
``PipelineRuntimeError`` of any error of a component, which a refusal now passes.

Source:
    haystack-ai 3.4.0 and 2.31.0, ``components/agents/``, ``core/pipeline/``, ``core/errors.py`` and ``tools/``, read
    2026-11-22.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from solvent._block import innermost
from solvent.errors import SolventError
from solvent.instrument._hooks import Unhook, Wrapper, wrap
from solvent.instrument._naming import runs


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``haystack.components.agents.agent``, ``haystack.core.errors`` or ``haystack.tools.tool``.
    """
    points: list[tuple[Any, str, Wrapper]]
    if module.__name__ == "haystack.core.errors":
        points = [(module.PipelineRuntimeError, "from_exception", _passes)]
    elif module.__name__ == "haystack.tools.tool":
        points = [(module.Tool, "invoke", _invokes(module)), (module.Tool, "invoke_async", _ainvokes(module))]
    else:
        points = [(module.Agent, name, runs("agent", _agent)) for name in ("run", "run_async")]
    return [wrap(owner, name, wrapper) for owner, name, wrapper in points if name in vars(owner)]


def _passes(function: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    for error in (*args, *kwargs.values()):
        if isinstance(error, SolventError):
            raise error
    return function(*args, **kwargs)


def _invokes(module: ModuleType) -> Wrapper:
    def wrapper(function: Callable[..., Any], tool: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        def inside(*args: Any, **kwargs: Any) -> object:
            with _bare(module):
                return function(*args, **kwargs)

        with _wrapped(module, tool):
            return _run_tool(inside, tool, args, kwargs)

    return wrapper


def _ainvokes(module: ModuleType) -> Wrapper:
    async def wrapper(
        function: Callable[..., Any], tool: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> object:
        async def inside(*args: Any, **kwargs: Any) -> object:
            with _bare(module):
                return await function(*args, **kwargs)

        with _wrapped(module, tool):
            return await _run_tool(inside, tool, args, kwargs)

    return wrapper


@contextmanager
def _bare(module: ModuleType) -> Iterator[None]:
    """
    A refusal as itself while it leaves the tool's scope.
    """
    try:
        yield
    except module.ToolInvocationError as error:
        if isinstance(error.__cause__, SolventError):
            raise error.__cause__ from None
        raise


@contextmanager
def _wrapped(module: ModuleType, tool: Any) -> Iterator[None]:
    """
    A refusal as the agent has the errors of its tools, to tell the model or to raise.
    """
    try:
        yield
    except SolventError as refusal:
        raise module.ToolInvocationError(str(refusal), tool_name=tool.name) from refusal


def _agent(agent: Any, *_: object) -> object:
    name = getattr(agent, "__component_name__", None)
    block = innermost()
    if name is None and block is not None and block.runs is not None and block.scope.parts[-1][0] == "step":
        name = block.scope.parts[-1][1]
    return name or type(agent).__name__.lower()


def _tool(tool: Any, *_: object) -> object:
    return tool.name


_run_tool = runs("tool", _tool)
