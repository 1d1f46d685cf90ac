"""
A policy that is read again when its files change, for servers: a budget can then be raised or cut while they run.
"""

import logging
import threading
from collections.abc import Callable

from msgspec.structs import replace

from solvent._outer import outer_gateway
from solvent.errors import SettingsError
from solvent.events import Event, Listeners, PolicyRejected, PolicyReloaded
from solvent.policy import Policy
from solvent.policy._find import PolicyFiles, told_files
from solvent.policy._watch import PolicyWatch

LOOK_SECONDS = 2.0

_log = logging.getLogger("solvent")


class Reload:
    """
    Looks for a changed policy, where it was asked for.
    """

    def __init__(self) -> None:
        self.is_on = False
        self._watch: PolicyWatch | None = None
        self.forget()

    def forget(self) -> None:
        """
        Wait for no other thread: in a forked child there is none.
        """
        self._lock = threading.Lock()

    def switch(self, on: bool) -> None:
        """
        Inside a run nothing is read again: its policy is the one of its beginning.
        """
        self.is_on = on and outer_gateway() is None

    def look(self, files: PolicyFiles, current: Policy, follow: Callable[[Policy], None]) -> None:
        """
        Look once, and tell what came of it. A policy that cannot be followed is told, and the current one stays.

        Args:
            files: By absolute paths, for a program may go to another folder.
            follow: Puts another policy in force, on the ledger of the current one: calls are open in those books.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._watch is None or self._watch.files != files:
                self._watch = PolicyWatch(files)
            found = self._watch.look(current)
            if found is not None and found != current:
                follow(replace(found, ledger=current.ledger))
                _tell_taken(found, current)
        except SettingsError as error:
            _log.warning("the policy stays as it was, for its file cannot be followed: %s", error)
            _tell(PolicyRejected(error=error))
        finally:
            self._lock.release()


def _tell_taken(found: Policy, current: Policy) -> None:
    has_other_ledger = found.ledger != current.ledger
    _log.info("the policy was read again: %s", told_files(found))
    if has_other_ledger:
        _log.warning("the policy names another ledger, which is taken at the next start: %s", told_files(found))
    _tell(PolicyReloaded(files=found.files, ledger_waits=has_other_ledger))


def _tell(event: Event) -> None:
    Listeners().tell(event)  # Of all the process.
