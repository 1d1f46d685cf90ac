"""
Calls of which nobody can say to which of several open budgets they belong.
"""

import logging

from solvent._place import Place
from solvent._runtime import PROCESS
from solvent.errors import Unbounded
from solvent.events import ContextLost

_log = logging.getLogger("solvent")
_told = False  # The first one is logged; listeners hear of each.


def tell_lost(place: Place) -> None:
    """
    Tell of such a call.

    Raises:
        Unbounded: In strict mode.
    """
    global _told
    scope, budgets = str(place.scope), ", ".join(place.lost_among)
    refused = PROCESS.is_strict
    place.runtime.guard.listeners.tell(ContextLost(scope=scope, budgets=place.lost_among, refused=refused))
    if refused:
        raise Unbounded(
            part=f"a call outside of the budgets that are open ({budgets})",
            meter="",
            remedy="make it in its budget's context (contextvars.copy_context().run), or install without strict=True",
        )
    if not _told:
        _told = True
        _log.warning("a call outside of the budgets that are open (%s) counts for %s", budgets, scope)
