"""
What the kill test's processes are held to, and the steps at which they die.
"""

from solvent._operations import Reserve
from solvent._records import Account, Terms

CALL_STEPS = ("before reserve", "in reserve", "after reserve", "in call", "before settle", "in settle", "after settle")
STEPS = (*CALL_STEPS, "in expire")
SWEEPER = "sweeper"

ORG = "org:torture"
BUDGET, BUDGET_CALLS, PARALLEL = 60_000, 64, 12
BOUND_MIN, BOUND_MAX = 300, 3_000
TTL_SECONDS, TTL_SHORT_SECONDS = 0.4, 0.1


def is_loose(budget: int) -> bool:
    """
    Whether the provider of this budget bills more than the bound now and then.
    """
    return budget % 4 == 3


def terms(budget: int, name: str) -> Terms:
    team = f"{ORG}/team:{budget}"
    return Terms.of(
        {
            Account(ORG, "parallel"): PARALLEL,
            Account(team, "usd"): BUDGET,
            Account(team, "calls"): BUDGET_CALLS,
            Account(f"{team}/run:{name}", "usd"): None,
        }
    )


def reserve(id: str, budget: int, name: str, bound: int, ttl_seconds: float) -> Reserve:
    amounts = {"usd": bound, "calls": 1, "parallel": 1}
    scope = f"{ORG}/team:{budget}/run:{name}"
    return Reserve(id=id, scope=scope, terms=terms(budget, name), amounts=amounts, ttl_seconds=ttl_seconds)
