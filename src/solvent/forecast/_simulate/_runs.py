"""
What simulated runs spent, and the rules that they may be held to.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from solvent.forecast._chances import Floats
from solvent.forecast._model import Degrade


class Rules(Struct, frozen=True, kw_only=True):
    """
    Limits that act while a run goes on.

    Attributes:
        usd: Dollars.
        seconds: No call is begun after so many.
        steps: Limits of scopes, by their path and meter.
        degrade: From a share of a limit of dollars or tokens on, and for calls that do not fit any more, another model
            is asked.
        reserve: The most that a call can cost must fit before it is made; without it, a call is made until a limit is
            reached.
    """

    usd: float | None = None
    tokens: float | None = None
    calls: int | None = None
    retries: int | None = None
    branches: int | None = None
    seconds: float | None = None
    steps: Mapping[str, Mapping[str, float]] = {}
    degrade: tuple[Degrade, ...] = ()
    reserve: bool = True

    @property
    def run(self) -> dict[str, float]:
        """
        The limits of the run, by meter.
        """
        limits = {meter: getattr(self, meter) for meter in ("usd", "tokens", "calls", "retries", "branches")}
        return {meter: limit for meter, limit in limits.items() if limit is not None}

    @property
    def act(self) -> bool:
        """
        Whether there is a limit.
        """
        return bool(self.run or self.steps or self.seconds is not None)


class ScopeRuns(Struct, frozen=True, kw_only=True, eq=False):
    """
    What each run spent in one scope, however often it was entered.

    Attributes:
        usd_peak: The most that had been spent there before a call, with what was set aside for it.
        rounds: Rounds of a loop, items of a map, agents of a spawn.
        rounds_most: In one entry; of a spawn the most children of one agent.
    """

    usd: Floats
    usd_peak: Floats
    tokens: NDArray[np.int64]
    tokens_peak: Floats
    calls: NDArray[np.int64]
    retries: NDArray[np.int64]
    rounds: NDArray[np.int64]
    rounds_most: NDArray[np.int64]


class Runs(Struct, frozen=True, kw_only=True, eq=False):
    """
    Simulated runs; each array has a number for each run.

    Attributes:
        retries: Calls in attempts after the first.
        branches: Items of maps, parts side by side, children of agents.
        peak_usd: The most that had been spent before a call, with what was set aside for it; infinite where a call has
            no bound. The least limit that ends none.
        class_index: Of its inputs.
        blocked: Whether a limit ended it.
        degraded: Whether another model than the workflow's was asked.
        nodes: Dollars by the path of the call or tool.
        scopes: By path, of loops, maps and spawns.
        largest_bound_usd, largest_input_tokens: Of any one call of all these runs.
    """

    usd: Floats
    tokens: NDArray[np.int64]
    input_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    calls: NDArray[np.int64]
    retries: NDArray[np.int64]
    branches: NDArray[np.int64]
    seconds: Floats
    peak_usd: Floats
    peak_tokens: Floats
    class_index: NDArray[np.int64]
    blocked: NDArray[np.bool_]
    degraded: NDArray[np.bool_]
    nodes: Mapping[str, Floats]
    scopes: Mapping[str, ScopeRuns]
    largest_bound_usd: float
    largest_input_tokens: int


def joined(parts: Sequence[Runs]) -> Runs:
    """
    Runs of which each part comes after the other.
    """
    first = parts[0]
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Runs.__struct_fields__
        if isinstance(getattr(first, name), np.ndarray)
    }
    scopes = {
        path: ScopeRuns(
            **{
                name: np.concatenate([getattr(part.scopes[path], name) for part in parts])
                for name in ScopeRuns.__struct_fields__
            }
        )
        for path in first.scopes
    }
    return Runs(
        **columns,
        nodes={path: np.concatenate([part.nodes[path] for part in parts]) for path in first.nodes},
        scopes=scopes,
        largest_bound_usd=max(part.largest_bound_usd for part in parts),
        largest_input_tokens=max(part.largest_input_tokens for part in parts),
    )
