"""
Threads and pools: what they run is charged to the budget of whoever started it.

``asyncio`` tasks and ``asyncio.to_thread`` inherit it by themselves; ``run_in_executor`` submits to a pool.

Source:
    CPython 3.11 to 3.14, ``threading.py`` (``Thread.start`` and ``run``), ``concurrent/futures/thread.py``
    (``submit``), ``interpreter.py`` beside it since 3.14, and ``multiprocessing/pool.py``, read 2026-11-22.
"""

import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from solvent._block import carried, innermost
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument.processes import task

_SUBMITS: ContextVar[bool] = ContextVar("solvent_submits", default=False)  # Work to a pool, which may start a thread.


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``threading``, ``concurrent.futures.thread`` or ``multiprocessing.pool``.
    """
    if module.__name__ == "threading":
        return [wrap(module.Thread, "start", _start)]
    if module.__name__ == "concurrent.futures.thread":
        return [wrap(module.ThreadPoolExecutor, "submit", _submit)]
    starts = wrap(module.ThreadPool, "__init__", _unkept)
    return [
        starts,
        *(wrap(module.Pool, name, _submit) for name in ("_map_async", "apply_async", "imap", "imap_unordered")),
    ]


def _start(wrapped: Callable[..., Any], thread: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    # Those of a pool have other work to do after this, and Solvent's own serve every budget: none may keep this one.
    if innermost() is not None and not _SUBMITS.get() and not thread.name.startswith("solvent-"):
        thread.run = carried(thread.run)
    return wrapped(*args, **kwargs)


def _submit(wrapped: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if _is_elsewhere(pool):
        return wrapped(*args, **kwargs)
    hand_over = task if _has_processes(pool) else carried
    if args:
        args = (hand_over(args[0]), *args[1:])
    elif "func" in kwargs:
        kwargs = {**kwargs, "func": hand_over(kwargs["func"])}
    return _unkept(wrapped, pool, args, kwargs)


def _unkept(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    What may start threads of a pool, which keep no budget.
    """
    token = _SUBMITS.set(True)
    try:
        return wrapped(*args, **kwargs)
    finally:
        _SUBMITS.reset(token)


def _is_elsewhere(pool: Any) -> bool:
    """
    Whether its work is pickled for another interpreter of this process, where Solvent is not.
    """
    executors = sys.modules.get("concurrent.futures.interpreter")
    return executors is not None and isinstance(pool, executors.InterpreterPoolExecutor)


def _has_processes(pool: Any) -> bool:
    pools = sys.modules.get("multiprocessing.pool")
    return pools is not None and isinstance(pool, pools.Pool) and not isinstance(pool, pools.ThreadPool)
