"""
Limits of an org, a team or a user: a policy puts no program into one, so they hold only those that say where they
belong.
"""

from collections.abc import Iterator

from solvent._limits import OWNERS, Scope
from solvent.policy import Policy


def owners_of(policy: Policy) -> dict[str, tuple[str, ...]]:
    """
    The patterns of the policy that name an owner, by the owner's kind, widest first.
    """
    patterns = list(dict.fromkeys(pattern for pattern, _ in policy.budgets))
    found = {kind: tuple(pattern for pattern in patterns if kind in _named(pattern)) for kind in OWNERS}
    return {kind: patterns for kind, patterns in found.items() if patterns}


def unmet(policy: Policy, scope: Scope) -> Iterator[tuple[str, str]]:
    """
    The kinds of owner that a scope of a program is in none of, each with the policy's patterns that need one.
    """
    own = {kind for kind, _ in scope.parts}
    if own <= {*OWNERS}:  # An owner itself; where its programs are, is not known.
        return
    for kind, patterns in owners_of(policy).items():
        if kind not in own:
            yield kind, ", ".join(sorted(patterns))


def scope_to_be_in(policy: Policy) -> str:
    """
    A scope that all of the policy's kinds of owner are in: ``org:acme/team:NAME``.
    """
    found = []
    for kind, patterns in owners_of(policy).items():
        names = [_named(pattern)[kind] for pattern in patterns]
        found.append(f"{kind}:{next((name for name in names if not name.endswith('*')), 'NAME')}")
    return "/".join(found)


def _named(pattern: str) -> dict[str, str]:
    return {kind: name for kind, _, name in (segment.partition(":") for segment in pattern.split("/"))}
