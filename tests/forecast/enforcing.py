"""
Runs that are planned, played under the policy that was derived for them, and kept with all that both sides counted.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import openai
import pytest
from enforced import Player, billed_usd, follow
from fake_provider import fake_provider
from fates import CALL, Cap, Fate, fate
from msgspec.structs import replace
from plain import PlainRun, plan, priced

import solvent
from solvent._records import BRANCHES
from solvent._runtime import PROCESS
from solvent.errors import BudgetExceeded
from solvent.forecast._derived import DerivedLimit
from solvent.forecast._limited import NANODOLLARS
from solvent.forecast._model import Workflow
from solvent.forecast._policy_text import policy_text
from solvent.forecast.limits import Limits, derive
from solvent.forecast.simulate import Rules, simulate


@dataclass(frozen=True, kw_only=True)
class Played:
    """
    A run as it was planned, as its plan says that it ends, and as it went.
    """

    planned: PlainRun
    said: Fate
    refused: BudgetExceeded | None
    usd: float
    tokens: int
    calls: int
    degraded: int

    @property
    def ended_by(self) -> tuple[str, str] | None:
        """
        The scope in the run and the meter of the limit that ended it.
        """
        if self.refused is None:
            return None
        place = self.refused.scope if self.refused.scope == CALL else self.refused.scope.partition("/")[2]
        return place, self.refused.meter


@dataclass(frozen=True, kw_only=True)
class World:
    workflow: Workflow
    limits: Limits
    runs: Sequence[Played]

    @property
    def blocked(self) -> list[Played]:
        return [run for run in self.runs if run.refused is not None]

    @property
    def surprises(self) -> list[Played]:
        """
        Runs that ended, and whose plan says that they fit, and the other way round.
        """
        return [run for run in self.runs if (run.refused is None) == bool(run.said.refused_by)]


def caps_of(limits: Limits) -> list[Cap]:
    """
    The limits that hold a run, as the policy has them.
    """
    found = []
    for one in limits.all:
        if one.layer == "platform" or one.meter in ("depth", "parallel"):
            continue
        scope = {"orchestration": "", "invocation": CALL}.get(one.layer, one.pattern)
        found.append(Cap(scope=scope, meter=one.meter, amount=dollars(one)))
    return found


@contextmanager
def in_force(text: str, folder: Path) -> Iterator[None]:
    """
    Solvent in this process, under a policy.
    """
    file = folder / "solvent.yaml"
    file.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOLVENT_POLICY", str(file))
        patch.setenv("SOLVENT_LEDGER", "memory://")
        PROCESS.close()
        solvent.install()
        try:
            yield
            assert PROCESS.runtime().ledger.store.verify() is None
        finally:
            solvent.uninstall()
            PROCESS.close()


def played(
    workflow: Workflow,
    limits: Limits,
    folder: Path,
    *,
    count: int,
    seed: int,
    side_by_side: bool = False,
    charged: set[str] | None = None,
) -> World:
    """
    So many runs, one after the other.

    Args:
        charged: Gets the scopes in their runs to which calls were charged.
    """
    random, caps, runs = Random(seed), caps_of(limits), []
    with (
        in_force(policy_text(workflow, limits), folder),
        fake_provider(follow) as fake,
        openai.OpenAI(base_url=f"{fake.url}/v1", api_key="sk-test", max_retries=0) as client,
    ):
        player = Player(client, side_by_side=side_by_side)
        for _ in range(count):
            planned, before = plan(workflow, random), len(fake.bill)
            refused = player.play(workflow, planned)
            bill = fake.bill[before:]
            runs.append(
                Played(
                    planned=priced(workflow, planned),
                    said=fate(workflow, planned, caps, workflow.wishes.degrade),
                    refused=refused,
                    usd=billed_usd(workflow, bill) + player.tools_usd,
                    tokens=sum(one.input_tokens + one.output_tokens for one in bill),
                    calls=len(bill) + player.tools_used,
                    degraded=player.degraded,
                )
            )
        if charged is not None:
            settled = [entry for entry in PROCESS.runtime().ledger.store.entries() if entry.kind == "settle"]
            charged |= {
                entry.scope.partition("/")[2] for entry in settled if entry.call and entry.call.format != BRANCHES
            }
    return World(workflow=workflow, limits=limits, runs=runs)


def rules_of(world: World) -> Rules:
    """
    The same limits, for a simulation.
    """
    return world.limits.rules(world.workflow.wishes.degrade)


def dollars(limit: DerivedLimit) -> float:
    return limit.amount / NANODOLLARS if limit.meter == "usd" else limit.amount


def without_limits(workflow: Workflow) -> Limits:
    """
    The same with limits that no run comes to.
    """
    limits = derived(workflow)
    wide = [
        replace(one, amount=100 * one.amount) if one.meter not in ("depth", "parallel") else one for one in limits.all
    ]
    return replace(limits, all=tuple(wide))


def derived(workflow: Workflow) -> Limits:
    return derive(workflow, simulate(workflow, runs=2**16, seed=1))
