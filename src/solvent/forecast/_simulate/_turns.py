"""
How often blocks come: rounds, items, children.
"""

import numpy as np

from solvent.forecast._simulate._draws import Chunk, Ints, Lanes, Value
from solvent.forecast._simulate._sites import LoopSite, MapSite, SpawnSite

TURNS_MAX = 2**24  # More of one block in one run are taken for a block that never ends.


def rounds_of(site: LoopSite, chunk: Chunk, lanes: Lanes) -> Ints:
    return _whole(site.rounds.draw(chunk, lanes, site.row), lanes, site.path)


def items_of(site: MapSite, chunk: Chunk, lanes: Lanes) -> Ints:
    if isinstance(site.over, str):
        drawn: Value = chunk.inputs[site.over][lanes.run]
    else:
        drawn = site.over.draw(chunk, lanes, site.row)
    return _whole(drawn if site.most is None else np.minimum(drawn, site.most), lanes, site.path)


def children_of(site: SpawnSite, chunk: Chunk, lanes: Lanes, level: int) -> Ints:
    return _whole(site.children.draw(chunk, lanes, site.row if level == 1 else None), lanes, site.path)


def _whole(drawn: Value, lanes: Lanes, path: str) -> Ints:
    if np.max(drawn, initial=0) > TURNS_MAX:
        raise ValueError(f"{path} goes on for more than {TURNS_MAX:,} in one run; give it a lower max")
    return np.broadcast_to(drawn, len(lanes)).astype(np.intp)
