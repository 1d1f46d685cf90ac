"""
What the ledger has of a run, call by call, as it can be compared with what other frameworks came to.
"""

from typing import NamedTuple

from scenario import OUTPUT_TOKENS, Models, Ran, Role

from solvent._records import Entry

# Nanodollars for an answer of the script: a token costs ten thousand at the researcher, five thousand at the helper.
RATES: dict[Role, int] = {"researcher": 10_000, "helper": 5_000}
RESEARCHER, HELPER = "agent:researcher", "agent:researcher/step:ask_helper/agent:helper"


class Call(NamedTuple):
    """
    Attributes:
        scope: Below the run.
        model: Whose it is in the scenario, rather than what it is called.
        retry: Which attempt it was, 0 for the first.
        cost: In nanodollars.
    """

    scope: str
    model: Role
    status: str
    retry: int
    cost: int


def _by(model: Role, status: str = "200", retry: int = 0) -> Call:
    cost = RATES[model] * OUTPUT_TOKENS if status == "200" else 0
    return Call(RESEARCHER if model == "researcher" else HELPER, model, status, retry, cost)


# All calls of the scenario; one that is stopped has made those at the beginning.
CALLS = [
    _by("researcher"),
    _by("researcher"),
    _by("researcher"),
    _by("researcher", "503"),
    _by("researcher", retry=1),
    _by("researcher"),
    _by("helper"),
    _by("helper"),
    _by("researcher"),
    _by("researcher"),
    _by("researcher"),
    _by("researcher"),
    _by("researcher"),
]

# All tools that run in it.
RAN = [
    *(Ran(tool, f"{RESEARCHER}/step:{tool}") for tool in ("search", "search", "fetch", "broken", "search")),
    Ran("lookup", f"{HELPER}/step:lookup"),
    *[Ran("search", f"{RESEARCHER}/step:search")] * 4,
]


def calls_of(entries: list[Entry], run: str, models: Models) -> list[Call]:
    """
    The calls of a run that were closed, in order.
    """
    roles: dict[str | None, Role] = {models.researcher: "researcher", models.helper: "helper"}
    return [
        Call(
            scope=entry.scope.removeprefix(run).removeprefix("/"),
            model=roles[entry.call.model_asked],
            status=entry.call.status or "",
            retry=entry.call.attempt or 0,
            cost=entry.call.cost_nanodollars or 0,
        )
        for entry in entries
        if entry.kind in ("release", "settle") and _is_in(entry.scope, run)
    ]


def refusals_of(entries: list[Entry], run: str) -> list[str]:
    """
    The scopes, below the run, in which something was refused.
    """
    return [
        entry.scope.removeprefix(run).removeprefix("/")
        for entry in entries
        if entry.kind == "refuse" and _is_in(entry.scope, run)
    ]


def _is_in(scope: str, run: str) -> bool:
    return f"{scope}/".startswith(f"{run}/")
