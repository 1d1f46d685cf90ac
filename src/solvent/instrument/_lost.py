"""
Calls of which nobody can say to which of several open budgets they belong.
"""

import logging

from solvent._runtime import PROCESS
from solvent.errors import Unbounded
from solvent.events import ContextLost, Listeners

_log = logging.getLogger("solvent")
_told = False  # The first one is logged; listeners hear of each.


def tell_lost(scope: str, budgets: tuple[str, ...], listeners: Listeners | None) -> None:
    """
    Tell of such a call.

    Args:
        scope: Whom it is charged to.
        listeners: ``None`` where no guard of this process has any.

    Raises:
        Unbounded: In strict mode.
    """
    global _told
    refused, named = PROCESS.is_strict, ", ".join(budgets)
    if listeners is not None:
        listeners.tell(ContextLost(scope=scope, budgets=budgets, refused=refused))
    if refused:
        raise Unbounded(
            part=f"a call outside of the budgets that are open ({named})",
            meter="",
            remedy="make it in its budget's context (contextvars.copy_context().run), or install without strict=True",
        )
    if not _told:
        _told = True
        _log.warning("a call outside of the budgets that are open (%s) counts for %s", named, scope)
