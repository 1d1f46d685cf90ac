"""
The tree of a report: every scope with what its calls used, what is set aside below it, and what it is limited to.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from solvent._digest import Facts, Sums
from solvent._records import Balance, Entry
from solvent.report._records import Node
from solvent.report._sums import Total

CHILDREN_MAX = 100  # Of a scope with more, the dearest are told one by one, and the others as one.


def tree(
    scope: str | None,
    groups: Mapping[Facts, Sums],
    *,
    held: Iterable[Entry] = (),
    limits: Sequence[Balance] = (),
) -> Node:
    """
    The tree below a scope, or below all of a ledger.

    Args:
        held: The reservations that are open.
        limits: What is shown at the scope whose account it is, where calls have named that.
    """
    branch = _Branch(scope)
    for facts, sums in groups.items():
        branch.at(facts.scope).own.add(facts, sums)
    for entry in held:
        branch.at(entry.scope).reserved += held_usd(entry)
    shown: dict[str, list[Balance]] = {}
    for balance in limits:
        if balance.limit is not None:
            shown.setdefault(balance.account.scope, []).append(balance)
    return branch.node(shown)[0]


class _Branch:
    """
    A scope on the way to be a node, with those right below it that calls have named.
    """

    def __init__(self, scope: str | None) -> None:
        self.scope = scope
        self.own = Total()
        self.reserved = 0
        self._below: dict[str, _Branch] = {}

    def at(self, scope: str) -> "_Branch":
        """
        The branch of a scope at or below this one.
        """
        found, begun = self, self.scope
        rest = scope if begun is None else scope[len(begun) + 1 :]
        for segment in rest.split("/") if rest else ():
            begun = segment if begun is None else f"{begun}/{segment}"
            below = found._below.get(begun)
            if below is None:
                below = found._below[begun] = _Branch(begun)
            found = below
        return found

    def node(self, limits: Mapping[str, Sequence[Balance]]) -> tuple[Node, Total]:
        total, reserved, made = Total(), self.reserved, []
        total.join(self.own)
        for below in self._below.values():
            node, sums = below.node(limits)
            total.join(sums)
            reserved += node.reserved_nanodollars
            made.append((node, sums))
        made.sort(key=lambda one: (-one[0].total.cost_nanodollars, -one[0].total.calls, one[0].scope or ""))
        children = [node for node, _ in made[:CHILDREN_MAX]]
        if len(made) > CHILDREN_MAX:
            children.append(_rest(made[CHILDREN_MAX:]))
        own = self.own.use()
        node = total.node(self.scope, own=own)
        return (
            replace(
                node,
                reserved_nanodollars=reserved,
                limits=tuple(limits.get(self.scope or "", ())),
                children=tuple(children),
            ),
            total,
        )


def _rest(made: Sequence[tuple[Node, Total]]) -> Node:
    total = Total()
    for _, sums in made:
        total.join(sums)
    reserved = sum(node.reserved_nanodollars for node, _ in made)
    return replace(total.node(None, own=total.use()), count=len(made), reserved_nanodollars=reserved)


def held_usd(entry: Entry) -> int:
    """
    The money that an open reservation holds.
    """
    held = next((posting.reserved for posting in entry.postings if posting.account.meter == "usd"), None)
    return entry.call.bound_nanodollars or 0 if held is None else held
