"""
From running totals to what each run spent.
"""

import numpy as np
from numpy.typing import NDArray

from solvent.forecast._chances import Floats
from solvent.forecast._simulate._draws import Ints, Value
from solvent.forecast._simulate._notes import Notes
from solvent.forecast._simulate._runs import Runs, ScopeRuns
from solvent.forecast._simulate._spent import Entry, Groups, Spent, in_order

Flags = NDArray[np.bool_]


def results(
    notes: Notes, spent: Spent, classes: Ints, blocked: Flags | None = None, degraded: Flags | None = None
) -> Runs:
    """
    What the runs of a chunk spent.
    """
    count = len(classes)
    tokens, read = _whole(spent.tokens, count), _whole(spent.input, count)
    entries = {entry.path: entry for entry in in_order(spent.scopes)}
    return Runs(
        usd=_each(spent.usd, count),
        tokens=tokens,
        input_tokens=read,
        output_tokens=tokens - read,
        calls=_whole(spent.calls, count),
        retries=_whole(spent.retries, count),
        branches=_whole(spent.branches, count),
        seconds=_each(spent.seconds, count),
        peak_usd=_each(spent.usd_peak, count),
        peak_tokens=_each(spent.tokens_peak, count),
        class_index=classes.astype(np.int64),
        blocked=np.zeros(count, np.bool_) if blocked is None else blocked,
        degraded=np.zeros(count, np.bool_) if degraded is None else degraded,
        nodes=notes.nodes,
        scopes={
            path: _scope(entries.get(path), rounds, notes.rounds_most[path]) for path, rounds in notes.rounds.items()
        },
        largest_bound_usd=notes.largest_bound_usd,
        largest_input_tokens=int(notes.largest_input_tokens),
    )


def _scope(entry: Entry | None, rounds: Floats, rounds_most: Floats) -> ScopeRuns:
    count = len(rounds)
    spent = Spent()
    if entry is not None:
        groups = Groups(np.bincount(entry.lane, minlength=count))
        spent.usd, spent.usd_peak = groups.sum(entry.usd), groups.peak(entry.usd, entry.usd_peak)
        spent.tokens, spent.tokens_peak = groups.sum(entry.tokens), groups.peak(entry.tokens, entry.tokens_peak)
        spent.calls, spent.retries = groups.sum(entry.calls), groups.sum(entry.retries)
    return ScopeRuns(
        usd=_each(spent.usd, count),
        usd_peak=_each(spent.usd_peak, count),
        tokens=_whole(spent.tokens, count),
        tokens_peak=_each(spent.tokens_peak, count),
        calls=_whole(spent.calls, count),
        retries=_whole(spent.retries, count),
        rounds=rounds.astype(np.int64),
        rounds_most=rounds_most.astype(np.int64),
    )


def _each(value: Value, count: int) -> Floats:
    return value if isinstance(value, np.ndarray) else np.full(count, value)


def _whole(value: Value, count: int) -> NDArray[np.int64]:
    return np.rint(_each(value, count)).astype(np.int64)
