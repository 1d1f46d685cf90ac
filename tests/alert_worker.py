"""
One of several processes on one ledger: makes calls of two cents when it is told to, and says which alerts it told.

    python alert_worker.py LEDGER.db CALLS
"""

import json
import sys
from fractions import Fraction
from pathlib import Path

from guard_world import World, chat
from test_guard_sync import admit, settle

import solvent
from solvent.events import ShareReached
from solvent.policy._alert import Alert
from solvent.stores.sqlite import SQLiteStore

TWO_CENTS = 2_000


def main(path, calls):
    shares = tuple(Fraction(each, 10) for each in range(1, 11))
    world = World(usd="1.00", alert=Alert(at=shares), store=SQLiteStore(path, synchronous="OFF"))
    found = []
    with solvent.listen(found.append):
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(calls):
            settle(world, admit(world, chat(max_tokens=TWO_CENTS)), output_tokens=TWO_CENTS)
    told = [event for event in found if isinstance(event, ShareReached)]
    print(json.dumps([[str(event.share), event.spent, event.alert_id] for event in told]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
