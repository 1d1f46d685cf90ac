"""
LangGraph: an agent, and a graph of a program's own that has a name, is an agent of that name; a node of a program's own
is a step. No node is run again for a limit that is used up.

Source:
    langgraph 1.2.22 with langgraph-prebuilt 1.1.2 and langchain 1.4.7, read 2026-11-22: ``pregel/main.py``
    (``Pregel.stream`` and ``astream``, public; each way to run a graph comes to them), ``pregel/_runner.py`` and
    ``pregel/_retry.py`` (``run_with_retry``, ``arun_with_retry`` and ``_should_retry_on``, private), ``errors.py``, and
    ``prebuilt/chat_agent_executor.py`` and langchain's ``agents/factory.py``: what the nodes of an agent run.
"""

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from solvent._block import innermost
from solvent.instrument._above import is_final
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._naming import runs

_UNNAMED = "LangGraph"  # What a graph without a name is called.
_FRAMEWORK = ("langchain", "langgraph", "langgraph_supervisor")  # Whose code is nobody's node.
_AGENTS = ("langchain.agents.factory", "langgraph.prebuilt.chat_agent_executor")


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``langgraph.pregel.main``, ``langgraph.pregel._runner`` or ``langgraph.pregel._retry``.
    """
    pause_or_handover = getattr(sys.modules.get("langgraph.errors"), "GraphBubbleUp", None)
    signals = () if pause_or_handover is None else (pause_or_handover,)
    points = {
        "main": (getattr(module, "Pregel", None), ("stream", "astream"), runs("agent", _graph, signals=signals)),
        "_retry": (module, ("_should_retry_on",), _unless_final),
        "_runner": (module, ("run_with_retry", "arun_with_retry"), runs("step", _node, signals=signals)),
    }
    owner, names, wrapper = points[module.__name__.rpartition(".")[2]]
    return [wrap(owner, name, wrapper) for name in names if name in getattr(owner, "__dict__", ())]


def _graph(graph: Any, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> object:
    return graph.name if graph.name != _UNNAMED or _is_agent(graph) else None


def _node(_: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    """
    The name of a node that runs the program's own code, and no other graph.
    """
    task = args[0] if args else kwargs["task"]
    around = innermost()
    runs_it = getattr(task.proc, "steps", [task.proc])[0]  # Before those that write down what it returned.
    is_own = _module(runs_it).partition(".")[0] not in _FRAMEWORK and not _is_agent(around and around.runs)
    return task.name if is_own else None


def _is_agent(graph: Any) -> bool:
    """
    Whether all nodes of a graph are the framework's, or what its agents call.
    """
    return any(_module(node.bound) in _AGENTS for node in getattr(graph, "nodes", {}).values())


def _module(runnable: Any) -> str:
    """
    Where the code is from that it runs.
    """
    code = getattr(runnable, "func", None) or getattr(runnable, "afunc", None) or type(runnable)
    return getattr(code, "__module__", None) or ""


def _unless_final(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return not any(map(is_final, (*args, *kwargs.values()))) and function(*args, **kwargs)
