"""
The time a ledger goes by: it moves with the machine's uptime, so that no step of the wall clock refills a budget.

The wall is read once for each start of the machine. A ledger that was there before that start goes on no earlier than
where it stopped, and cannot know how long the machine was off: its rolling minutes count as full until the last of
them is surely over.
"""

import msgspec
from msgspec import Struct

from solvent._clock import Clock
from solvent._limits import ROLLING_SECONDS, SECOND_NS


class Anchor(Struct, frozen=True, kw_only=True):
    """
    Where a ledger's time stands in one boot of the machine.

    Attributes:
        offset_ns: Ledger time less uptime.
        full_until_ns: Until this ledger time, what was reserved per minute before the boot may still count.
    """

    boot_id: str
    offset_ns: int
    full_until_ns: int = 0


# Made once: what msgspec 0.22 makes of a type when it first decodes it is not safe from a second thread that does.
read_anchor = msgspec.json.Decoder(Anchor).decode


def anchored(clock: Clock, *, last: Anchor | None = None, newest_ns: int = 0) -> Anchor:
    """
    The anchor that holds now: the last one within its boot, else a new one.

    Args:
        newest_ns: The latest time that the ledger has written down.
    """
    boot_id = clock.boot_id()
    if last is not None and last.boot_id == boot_id:
        return last
    now = max(clock.now_ns(), newest_ns)
    full_until = 0 if last is None else now + (ROLLING_SECONDS + 1) * SECOND_NS
    return Anchor(boot_id=boot_id, offset_ns=now - clock.uptime_ns(), full_until_ns=full_until)
