"""
Whether a program goes round in circles: the same request again and again, or the same two or three in turn.
"""

import threading
from collections import OrderedDict, deque
from typing import TypeVar

from msgspec import Struct

from solvent._limits import SECOND_NS

REQUESTS_MAX = 16_384  # Whose last times are remembered, some hundred bytes each.
SCOPES_MAX = 4_096  # Whose last requests are remembered in their order.
CYCLES = (2, 3)

V = TypeVar("V")


class Loop(Struct, frozen=True):
    """
    Requests that go round.

    Attributes:
        cycle: How many different ones come in turn.
        calls: Those before the one that closes it: when each came, and its fingerprint.
    """

    cycle: int
    calls: tuple[tuple[int, str], ...]


class Loops:
    """
    The last requests of each scope, by their fingerprints.

    Args:
        same_call: How often the same request may come within the time; and how many may go round in a cycle.
    """

    def __init__(self, *, same_call: int, within_seconds: float) -> None:
        self._numbers = same_call, within_seconds
        self._most = same_call
        self._within_ns = int(within_seconds * SECOND_NS)
        self._needed = {cycle: max(same_call + 1, 2 * cycle) for cycle in CYCLES}  # Calls that make a cycle a loop.
        self._times: OrderedDict[str, deque[int]] = OrderedDict()
        self._last: OrderedDict[str, deque[tuple[int, str]]] = OrderedDict()
        self._lock = threading.Lock()

    def goes_by(self, same_call: int, within_seconds: float) -> bool:
        """
        Whether it was made with these numbers.
        """
        return self._numbers == (same_call, within_seconds)

    def closed_by(self, fingerprint: str, *, scope: str, now_ns: int) -> "Loop | None":
        """
        The loop that a request closes.
        """
        since = now_ns - self._within_ns
        with self._lock:
            times = self._times.get(fingerprint, deque[int]())
            if len(times) == self._most and times[0] >= since:
                return Loop(1, tuple([(at, fingerprint) for at in times]))
            last = [*self._last.get(scope, ()), (now_ns, fingerprint)]
        for cycle, needed in self._needed.items():
            calls = last[-needed:]
            goes_round = all(call[1] == calls[place][1] for place, call in enumerate(calls[cycle:]))
            if len(calls) == needed and calls[0][0] >= since and goes_round:
                return Loop(cycle, tuple(calls[:-1]))
        return None

    def add(self, fingerprint: str, *, scope: str, now_ns: int) -> None:
        """
        Remember a request that is made.
        """
        with self._lock:
            _recent(self._times, fingerprint, self._most, REQUESTS_MAX).append(now_ns)
            _recent(self._last, scope, max(self._needed.values()) - 1, SCOPES_MAX).append((now_ns, fingerprint))


def _recent(queues: OrderedDict[str, deque[V]], key: str, length: int, most: int) -> deque[V]:
    """
    The queue of a key, which is now the latest one; the one that is longest unused makes room.
    """
    queue = queues.setdefault(key, deque(maxlen=length))
    queues.move_to_end(key)
    if len(queues) > most:
        queues.popitem(last=False)
    return queue
