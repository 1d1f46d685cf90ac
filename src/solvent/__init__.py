"""
Solvent: the runtime budget layer for LLM and agent programs. A call is paid for before it is made.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from solvent._budget import Budget, budget, current_budget
    from solvent.errors import (
        BudgetExceeded,
        DeadlinePassed,
        LoopDetected,
        OutcomeUnknown,
        PriceUnknown,
        SettingsError,
        SolventError,
        StoreUnavailable,
        Unbounded,
    )
    from solvent.instrument import install, uninstall

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "BudgetExceeded",
    "DeadlinePassed",
    "LoopDetected",
    "OutcomeUnknown",
    "PriceUnknown",
    "SettingsError",
    "SolventError",
    "StoreUnavailable",
    "Unbounded",
    "budget",
    "current_budget",
    "install",
    "uninstall",
]

# Where each name is; loaded when it is first asked for, so that importing Solvent costs next to nothing.
_HOMES = {
    "Budget": "_budget",
    "budget": "_budget",
    "current_budget": "_budget",
    "install": "instrument",
    "uninstall": "instrument",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'solvent' has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"solvent.{_HOMES.get(name, 'errors')}"), name)
    return found
