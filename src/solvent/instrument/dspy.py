"""
DSPy: an agent (ReAct and its kin) is a scope of its class's name, or of its signature's where the class is DSPy's own;
a module of the program's own is a step of its class's name, and so is each tool while it runs. A refusal comes out of
all of them as itself; modules that try again or go on with the next example end at one.

A module of a program is no agent, for its code is the program's: it may catch a refusal, and go on without a model.

Source:
    dspy 3.4.1, ``clients/base_lm.py`` (``BaseLM.__call__`` and ``acall``, outside of the cache, of what tries again and
    of both engines), ``primitives/module.py`` (``Module.__call__`` and ``acall``), ``adapters/types/tool.py``
    (``Tool.__call__`` and ``acall``), ``predict/best_of_n.py``, ``predict/refine.py`` and ``utils/parallelizer.py``
    (``ParallelExecutor.execute``, below ``Parallel``, ``Module.batch`` and ``Evaluate``), all public; read 2026-11-22.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from solvent._ladder import CALL
from solvent._limits import Scope
from solvent._place import current_place
from solvent._wrapping import kind_of
from solvent.errors import BudgetExceeded, SolventError
from solvent.instrument._above import Over, atranslated, is_final, translated
from solvent.instrument._hooks import Unhook, Wrapper, wrap
from solvent.instrument._look import Mode
from solvent.instrument._naming import runs

_AGENTS = frozenset({"CodeAct", "ReAct", "ReActV2", "RLM"})  # What is given tools.
_UNNAMED = "StringSignature"  # What a signature without a name is called.


class _Trials:
    """
    What tries a module over and over.

    Attributes:
        kind: The module's class.
        scope: Where that goes on; ``None`` where nobody can say.
        refusal: Of the last trial that was refused.
    """

    def __init__(self, kind: type, scope: Scope | None) -> None:
        self.kind = kind
        self.scope = scope
        self.refusal: SolventError | None = None


_translated, _atranslated = translated(), atranslated()
_TRIALS: ContextVar[_Trials | None] = ContextVar("solvent_trials_of_dspy", default=None)


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: Where ``BaseLM`` is, or ``Module``, ``Tool``, ``BestOfN``, ``Refine`` or ``ParallelExecutor``.
    """
    points: dict[str, list[tuple[str, str, Wrapper]]] = {
        "base_lm": [("BaseLM", "__call__", _ask), ("BaseLM", "acall", _ask)],
        "best_of_n": [("BestOfN", "forward", _try_modules)],
        "module": [("Module", "__call__", _run_trial), ("Module", "acall", _run)],
        "parallelizer": [("ParallelExecutor", "execute", _run_all)],
        "refine": [("Refine", "forward", _try_modules)],
        "tool": [("Tool", "__call__", _run_tool), ("Tool", "acall", _run_tool)],
    }
    found = points[module.__name__.rpartition(".")[2]]
    return [wrap(getattr(module, kind), name, wrapper) for kind, name, wrapper in found]


def _ask(function: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if Mode.names_only:
        return function(*args, **kwargs)
    return (_atranslated if kind_of(function) == "coroutine" else _translated)(function, model, args, kwargs)


def _run(function: Callable[..., Any], module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    is_agent = any(_is_dspys(kind) and kind.__name__ in _AGENTS for kind in type(module).__mro__)
    return (_run_agent if is_agent else _run_module)(function, module, args, kwargs)


def _run_trial(function: Callable[..., Any], module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    trials = _TRIALS.get()
    if trials is None or type(module) is not trials.kind:
        return _run(function, module, args, kwargs)
    token = _TRIALS.set(None)
    try:
        return _run(function, module, args, kwargs)
    except SolventError as refusal:
        trials.refusal = refusal
        if not _ends(trials.scope, refusal):
            raise
        raise Over(refusal) from None
    finally:
        _TRIALS.reset(token)


def _try_modules(function: Callable[..., Any], tries: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    Trials end where a limit around all of them is used up; none of them may have had an answer.
    """
    trials = _Trials(type(tries.module), _here())
    token = _TRIALS.set(trials)
    try:
        answer = function(*args, **kwargs)
    except Over:
        answer = None
    finally:
        _TRIALS.reset(token)
    if answer is None and trials.refusal is not None:
        raise trials.refusal
    return answer


def _run_all(function: Callable[..., Any], executor: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    What is done for each example ends where a limit around all of them is used up.
    """
    do, data = _each(*args, **kwargs)
    scope, refusals = _here(), list[SolventError]()

    def done(example: Any) -> Any:
        try:
            return do(example)
        except SolventError as refusal:
            if _ends(scope, refusal):
                refusals.append(refusal)
                executor.cancel_jobs.set()
            raise

    try:
        results = function(done, data)
    except Exception:
        if not refusals:
            raise
    if refusals:
        raise refusals[0]
    return results


def _each(function: Callable[[Any], Any], data: Any) -> tuple[Callable[[Any], Any], Any]:
    return function, data


def _here() -> Scope | None:
    """
    Where code runs; nothing where nobody can say, as under a gateway that keeps its ledger to itself.
    """
    try:
        return current_place().scope
    except SolventError:
        return None


def _ends(scope: Scope | None, error: SolventError) -> bool:
    """
    Whether whatever goes on in a scope meets an error: it is for a limit of the scope or of one around it, or for none.
    """
    if scope is None or not is_final(error) or not isinstance(error, BudgetExceeded):
        return scope is not None and is_final(error)
    return error.scope != CALL and scope.is_in(Scope.parse(error.scope))


def _agent_name(agent: Any, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> object:
    kind, signature = type(agent), getattr(agent, "signature", None)
    name = getattr(signature, "__name__", _UNNAMED) if _is_dspys(kind) else _UNNAMED
    return kind.__name__ if name == _UNNAMED else name


def _module_name(module: Any, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> object:
    return None if _is_dspys(type(module)) else type(module).__name__


def _tool_name(tool: Any, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> object:
    """
    The name of any tool but that by which an agent says that it is done.
    """
    return None if getattr(tool.func, "__module__", "").startswith("dspy.predict.") else tool.name


def _is_dspys(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "dspy"


_run_agent, _run_module, _run_tool = runs("agent", _agent_name), runs("step", _module_name), runs("tool", _tool_name)
