"""
Ids that the caller makes before the first send: ULIDs, sorted by time, 80 random bits.
"""

import os
import random
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]

# Seeded by the system, here and in a forked child. Asking the system for every id gives up the interpreter's lock each
# time, and waiting to get it back costs a call twenty times what making its id does.
_random = random.Random()
os.register_at_fork(after_in_child=_random.seed)


def new_id() -> str:
    """
    A new ULID, 26 characters.
    """
    value = (time.time_ns() // 1_000_000 << 80) | _random.getrandbits(80)
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -10, -10)])
