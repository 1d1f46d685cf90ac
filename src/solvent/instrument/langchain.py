"""
LangChain: its tools are steps of their names; what it tries again by itself ends where a limit is used up. A fallback
that a program chose is tried: it is another call, which may fit, or none.

Its agents are graphs: see ``langgraph.py``.

Source:
    langchain-core 1.7.2 and langchain 1.4.7, read 2026-11-22. Public: ``BaseTool.run`` and ``arun``, inside of whatever
    makes a message of a tool's error; ``wrap_model_call``, ``wrap_tool_call`` and their asynchronous kin of two
    middlewares. Private: ``_sync_retrying`` and ``_async_retrying`` of ``RunnableRetry``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from solvent._block import innermost
from solvent.errors import SolventError
from solvent.instrument._above import Over, is_final
from solvent.instrument._hooks import Unhook, Wrapper, wrap
from solvent.instrument._naming import runs


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``langchain_core.tools.base``, one of ``langchain_core.runnables`` or of langchain's middlewares.
    """
    kind, points = _POINTS[module.__name__.rpartition(".")[2]]
    owner = getattr(module, kind, None)
    found = [(name, wrapper) for name, wrapper in points.items() if name in getattr(owner, "__dict__", ())]
    return [wrap(owner, name, wrapper) for name, wrapper in found]


def _of_model(error: SolventError) -> SolventError | None:
    return error if is_final(error) else None


def _of_tool(_: SolventError) -> SolventError | None:
    """
    What ended the agent that called the tool. Of a limit of the tool's own the agent hears as of any error.
    """
    block = innermost()
    return None if block is None else block.stopped


def _trying(over: Callable[[SolventError], SolventError | None]) -> tuple[Wrapper, Wrapper]:
    """
    For what calls its second argument as often as it likes, and what awaits it.
    """

    def call(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        def handle(request: Any) -> Any:
            with _leaving(over):
                return handler(request)

        request, handler = _given(*args, **kwargs)
        with _left():
            return function(request, handle)

    async def acall(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        async def handle(request: Any) -> Any:
            with _leaving(over):
                return await handler(request)

        request, handler = _given(*args, **kwargs)
        with _left():
            return await function(request, handle)

    return call, acall


def _given(request: Any, handler: Callable[[Any], Any]) -> tuple[Any, Callable[[Any], Any]]:
    return request, handler


@contextmanager
def _leaving(over: Callable[[SolventError], SolventError | None]) -> Iterator[None]:
    try:
        yield
    except SolventError as error:
        refusal = over(error)
        if refusal is None:
            raise
        raise Over(refusal) from None


@contextmanager
def _left() -> Iterator[None]:
    try:
        yield
    except Over as over:
        raise over.refusal from None


def _tries(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    The loop of tenacity that a runnable is tried in, which ends at a refusal.
    """
    tries = function(*args, **kwargs)
    again = tries.retry
    tries.retry = lambda state: not (state.outcome.failed and is_final(state.outcome.exception())) and again(state)
    return tries


_tool = runs("tool", lambda tool, _args, _kwargs: tool.name)
_model_again, _amodel_again = _trying(_of_model)
_tool_again, _atool_again = _trying(_of_tool)
# By the module: a class, and what of it is wrapped, by what.
_POINTS: dict[str, tuple[str, dict[str, Wrapper]]] = {
    "base": ("BaseTool", {"run": _tool, "arun": _tool}),
    "model_retry": ("ModelRetryMiddleware", {"wrap_model_call": _model_again, "awrap_model_call": _amodel_again}),
    "retry": ("RunnableRetry", {"_sync_retrying": _tries, "_async_retrying": _tries}),
    "tool_retry": ("ToolRetryMiddleware", {"wrap_tool_call": _tool_again, "awrap_tool_call": _atool_again}),
}
