"""
What a process may spend while its ledger does not answer, where the policy says so: ``store_down: {open: $1}``.
"""

import threading


class Allowance:
    """
    The bounds of calls that no ledger knows of yet, up to an amount.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """
        Leave the calls of before to others: in a forked child they are the parent's.
        """
        self._taken: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, id: str, nanodollars: int | None, *, most: int) -> bool:
        """
        Whether a call of this bound may be made; ``None`` is one that nobody knows.
        """
        with self._lock:
            if nanodollars is None or sum(self._taken.values()) + nanodollars > most:
                return False
            self._taken[id] = nanodollars
            return True

    def give_back(self, id: str) -> None:
        """
        The ledger knows of a call now.
        """
        self._taken.pop(id, None)
