"""
Processes of ``multiprocessing`` and their pools: each belongs to the budget of the code that starts it, and each task
of a pool to that of the code that submits it. Solvent is installed in them as it is here.

A forked process is in the budget by itself. A spawned one gets it with its process object, which it unpickles before it
runs anything of it.

Source:
    CPython 3.11 to 3.14, ``multiprocessing/process.py`` (``BaseProcess.start`` and ``run``), ``spawn.py`` (``_main``),
    ``popen_spawn_posix.py``, ``popen_forkserver.py``, ``pool.py`` and ``concurrent/futures/process.py``, read
    2026-11-22.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from solvent._block import CURRENT, OPEN
from solvent._carrier import Carrier
from solvent._outer import outer_gateway
from solvent._runtime import PROCESS
from solvent.errors import SolventError
from solvent.instrument._handing import block_here, carrier_of, check_shared
from solvent.instrument._hooks import Unhook, wrap
from solvent.stores import is_shared

if TYPE_CHECKING:
    from solvent._budget import Budget

P = ParamSpec("P")
T = TypeVar("T")

_POOLS = frozenset({"concurrent.futures.process", "multiprocessing.pool"})


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``multiprocessing.process`` or ``concurrent.futures.process``.
    """
    if module.__name__ == "multiprocessing.process":
        return [wrap(module.BaseProcess, "start", _start)]
    return [wrap(module.ProcessPoolExecutor, "submit", _submit)]


class Handed:
    """
    What another process goes on with, as it is pickled.

    Attributes:
        carrier: Of a budget; ``None`` for none.
        ledger: Of that budget; ``None`` where a run's gateway says it.
        variables: For its environment.
    """

    def __init__(
        self, carrier: Carrier | None = None, ledger: str | None = None, variables: Mapping[str, str] | None = None
    ) -> None:
        self.carrier = None if carrier is None else str(carrier)
        self.ledger = ledger
        self.variables = dict(variables or {})
        self.is_hooked, self.is_strict = PROCESS.is_hooked, PROCESS.is_strict
        self.reloads = PROCESS.reload.is_on

    def begin(self) -> "Budget | None":
        """
        Have Solvent in this process as it is in that one; what it goes on with.
        """
        from solvent import instrument
        from solvent._scopes import resume  # It may still be loading while the hooks are put on.

        os.environ.update(self.variables)
        if self.is_hooked and not PROCESS.is_hooked:
            instrument.install(strict=self.is_strict, reload=self.reloads)
        return None if self.carrier is None else resume(self.carrier, ledger=self.ledger)


class Task(Generic[P, T]):
    """
    A function, to be called in another process under the budget of who submitted it.
    """

    def __init__(self, function: Callable[P, T], handed: Handed) -> None:
        self._function = function
        self._handed = handed

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        budget = self._handed.begin()
        if budget is None:
            return self._function(*args, **kwargs)
        with budget:
            return self._function(*args, **kwargs)


class _Beginning:
    """
    A part of a process object: where that is unpickled, the process begins to work under its budget, to its end.
    """

    def __init__(self, handed: Handed) -> None:
        self._handed = handed

    def __reduce__(self) -> tuple[Any, ...]:
        return _begin, (self._handed,)


def _begin(handed: Handed) -> None:
    budget = handed.begin()
    if budget is not None:
        budget.__enter__()


def task(function: Callable[P, T]) -> Callable[P, T]:
    """
    The function as a pool of processes is to get it.
    """
    found = block_here()
    carrier = None if found is None else carrier_of(*found)
    if found is None or carrier is None:
        return function
    return Task(function, Handed(carrier, None if found[0].below is not None else carrier.ledger))


def _submit(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return wrapped(task(args[0]), *args[1:], **kwargs) if args else wrapped(**kwargs)


def _start(wrapped: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    # It serves whoever submits work to its pool, wherever that was made.
    is_worker = getattr(getattr(process, "_target", None), "__module__", None) in _POOLS
    found = None if is_worker else block_here()
    given = dict(vars(process))
    if _method(process) == "fork":
        if found is not None:
            check_shared(found[0])
        if is_worker:
            process.run = partial(_without_budget, process.run)
    else:
        carrier = None if found is None else carrier_of(*found)
        if found is None or carrier is None:
            handed = _of_process()
        else:
            handed = Handed(carrier, None if found[0].below is not None else carrier.ledger)
        process._solvent = _Beginning(handed)
    try:
        return wrapped(*args, **kwargs)
    finally:
        for name in ("run", "_solvent"):
            if name not in given:
                vars(process).pop(name, None)


def _method(process: Any) -> str | None:
    import multiprocessing  # Who has a process has loaded it.

    return getattr(process, "_start_method", None) or multiprocessing.get_start_method()


def _of_process() -> Handed:
    """
    Outside of budgets: a process is a part of the program, and of the run that the program is.
    """
    if not PROCESS.is_hooked or outer_gateway() is not None:
        return Handed()
    try:
        runtime = PROCESS.runtime()
    except SolventError:  # It says so itself, when it asks for the ledger.
        return Handed()
    url = runtime.ledger.store.url
    carrier = Carrier.of(runtime.scope, runtime.began_ns, url if is_shared(url) else None)
    return Handed(variables=carrier.environ if carrier.ledger else None)


def _without_budget(run: Callable[[], None]) -> None:
    """
    What a forked worker of a pool runs: it works for others than it was forked by.
    """
    OPEN.forget()
    CURRENT.set(None)
    run()
