"""
Threads and pools of threads: what they run is charged to the budget of whoever started it.

``asyncio`` tasks and ``asyncio.to_thread`` inherit it by themselves; ``run_in_executor`` submits to a pool.

Source:
    CPython 3.11 to 3.14, ``threading.py`` (``Thread.start`` and ``run``) and ``concurrent/futures/thread.py``
    (``submit``), read 2026-11-22.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from solvent._budget import carried
from solvent.instrument._hooks import Unhook, wrap


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``threading``, or ``concurrent.futures.thread``.
    """
    if module.__name__ == "threading":
        return [wrap(module.Thread, "start", _start)]
    return [wrap(module.ThreadPoolExecutor, "submit", _submit)]


def _start(wrapped: Callable[..., Any], thread: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if not thread.name.startswith("solvent-"):  # Solvent's own serve every budget, and would keep this one for ever.
        thread.run = carried(thread.run)
    return wrapped(*args, **kwargs)


def _submit(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return wrapped(carried(args[0]), *args[1:], **kwargs) if args else wrapped(**kwargs)
