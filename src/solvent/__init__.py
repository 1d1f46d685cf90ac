"""
Solvent: the runtime budget layer for LLM and agent programs. A call is paid for before it is made.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from solvent._budget import Budget, current_budget
    from solvent._carrier import Carrier
    from solvent._decide import Decision
    from solvent._fan_out import fan_out
    from solvent._listening import Listening, listen
    from solvent._scopes import acheck, agent, budget, call, check, resume, step, tool
    from solvent._spending import Spending
    from solvent._turns import loop, retry
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
    "Carrier",
    "DeadlinePassed",
    "Decision",
    "Listening",
    "LoopDetected",
    "OutcomeUnknown",
    "PriceUnknown",
    "SettingsError",
    "SolventError",
    "Spending",
    "StoreUnavailable",
    "Unbounded",
    "acheck",
    "agent",
    "budget",
    "call",
    "check",
    "current_budget",
    "fan_out",
    "install",
    "listen",
    "loop",
    "resume",
    "retry",
    "step",
    "tool",
    "uninstall",
]

# Where each name is; loaded when it is first asked for, so that importing Solvent costs next to nothing.
_HOMES = {
    "Budget": "_budget",
    "Carrier": "_carrier",
    "Decision": "_decide",
    "Listening": "_listening",
    "Spending": "_spending",
    "acheck": "_scopes",
    "agent": "_scopes",
    "budget": "_scopes",
    "call": "_scopes",
    "check": "_scopes",
    "current_budget": "_budget",
    "fan_out": "_fan_out",
    "install": "instrument",
    "listen": "_listening",
    "loop": "_turns",
    "resume": "_scopes",
    "retry": "_turns",
    "step": "_scopes",
    "tool": "_scopes",
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
