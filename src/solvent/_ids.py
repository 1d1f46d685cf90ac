"""
Ids that the caller makes before the first send: ULIDs, sorted by time, 80 random bits.
"""

import os
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id() -> str:
    """
    A new ULID, 26 characters.
    """
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -5, -5))
