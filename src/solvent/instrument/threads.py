"""
Threads and pools of threads: what they run is charged to the budget of whoever started it.

``asyncio`` tasks and ``asyncio.to_thread`` inherit it by themselves; ``run_in_executor`` submits to a pool.

Source:
    CPython 3.11 to 3.14, ``threading.py`` (``Thread.start`` and ``run``), ``concurrent/futures/thread.py`` (``submit``)
    and, since 3.14, ``interpreter.py`` beside it, read 2026-11-22.
"""

import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from solvent._block import carried, innermost
from solvent.instrument._hooks import Unhook, wrap

_SUBMITS: ContextVar[bool] = ContextVar("solvent_submits", default=False)  # Work to a pool, which may start a thread.


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``threading``, or ``concurrent.futures.thread``.
    """
    if module.__name__ == "threading":
        return [wrap(module.Thread, "start", _start)]
    return [wrap(module.ThreadPoolExecutor, "submit", _submit)]


def _start(wrapped: Callable[..., Any], thread: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    # Those of a pool have other work to do after this, and Solvent's own serve every budget: none may keep this one.
    if innermost() is not None and not _SUBMITS.get() and not thread.name.startswith("solvent-"):
        thread.run = carried(thread.run)
    return wrapped(*args, **kwargs)


def _submit(wrapped: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if not args or _is_of_interpreters(pool):
        return wrapped(*args, **kwargs)
    work = carried(args[0])
    token = _SUBMITS.set(True)
    try:
        return wrapped(work, *args[1:], **kwargs)
    finally:
        _SUBMITS.reset(token)


def _is_of_interpreters(pool: Any) -> bool:
    """
    Whether its work is pickled for another interpreter, where no hook is and no budget.
    """
    module = sys.modules.get("concurrent.futures.interpreter")
    return module is not None and isinstance(pool, module.InterpreterPoolExecutor)
