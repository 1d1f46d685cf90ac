"""
Whose a call is: the budget of its context, the one that is open where the context was lost, or the process.
"""

from msgspec import Struct

from solvent._budget import CURRENT, OPEN, OPEN_LOCK, Budget
from solvent._limits import Scope
from solvent._runtime import PROCESS, Runtime


class Place(Struct, frozen=True, kw_only=True):
    """
    Whom a call is charged to, and by which guard.

    Attributes:
        lost_among: The budgets that are open where nobody can say to which of them it belongs.
    """

    runtime: Runtime
    scope: Scope
    lost_among: tuple[str, ...] = ()


def current_place() -> Place:
    """
    Whom a call made here is charged to: the budget of this context; where the context was lost, the one that is open,
    or what several have in common; else the process.
    """
    found, among = _here()
    if found is None:
        runtime = PROCESS.runtime()
        return Place(runtime=runtime, scope=runtime.scope, lost_among=among)
    return Place(runtime=found[0].runtime, scope=found[1], lost_among=among)


def steps_below_run() -> tuple[str, ...] | None:
    """
    How a call made here names itself to the gateway of the run around this process; ``None`` where it belongs to a
    budget that was not opened there, which holds it as well.
    """
    found, _ = _here()
    if found is None:
        return ()
    budget, scope = found
    if budget.below is None:
        return None
    return budget.below[: max(len(budget.below) + len(scope.parts) - len(budget.scope.parts), 0)]


def _here() -> tuple[tuple[Budget, Scope] | None, tuple[str, ...]]:
    """
    The budget and the scope of this context, and the budgets among which it is lost.
    """
    found = CURRENT.get()
    if found is not None:
        return (found, found.scope), ()
    if not OPEN:
        return None, ()
    with OPEN_LOCK:
        budgets = list(OPEN)
    if len(budgets) < 2:
        return next(((each, each.scope) for each in budgets), None), ()
    return _in_common(budgets), tuple([str(each.scope) for each in budgets])


def _in_common(budgets: list[Budget]) -> tuple[Budget, Scope] | None:
    first, parts = budgets[0], []
    if all(each.is_kept_with(first) for each in budgets):
        for level in zip(*(each.scope.parts for each in budgets), strict=False):
            if len(set(level)) > 1:
                break
            parts.append(level[0])
    return (first, Scope(tuple(parts))) if parts else None
