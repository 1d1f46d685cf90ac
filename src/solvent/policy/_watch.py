"""
Whether the files of a policy have changed since somebody looked.
"""

import time
from pathlib import Path
from typing import TypeAlias

from solvent.errors import SettingsError
from solvent.policy import Policy
from solvent.policy._find import PolicyFiles

SETTLED_NS = 1_000_000_000  # A file that was written less long ago may be half of what it will be.

_Identity: TypeAlias = tuple[int, int, int] | None


class PolicyWatch:
    """
    Looks at files when it is asked to.
    """

    def __init__(self, files: PolicyFiles) -> None:
        self.files = files
        self._seen: tuple[_Identity, ...] | None = None
        self._told = ""

    def look(self, current: Policy) -> Policy | None:
        """
        What the files say now; ``None`` where they are those of the last look, or are still being written.

        Raises:
            SettingsError: They say nothing that is understood, or one that the current policy is from is gone; raised
                once, until something else is wrong.
        """
        seen = tuple([_identity(path) for path in self.files.places])
        now_ns = time.time_ns()
        is_new = any(found is not None and 0 <= now_ns - found[0] < SETTLED_NS for found in seen)
        if seen == self._seen or is_new:
            return None
        self._seen = seen
        try:
            found = self.files.read()
            _check_there(current, found)
        except SettingsError as error:
            if str(error) == self._told:
                return None
            self._told = str(error)
            raise
        self._told = ""
        return found


def _check_there(current: Policy, found: Policy) -> None:
    gone = [file for file in current.files if file not in found.files]
    if gone:  # Somebody may be about to write it anew, and all that it limits would be free until then.
        hint = "put it back, or restart the program to go without"
        raise SettingsError(where=gone[0], expected="the policy file that is in force", got="none", hint=hint)


def _identity(path: Path) -> _Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
