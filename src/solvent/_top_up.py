"""
More for a budget that is open: its own limits may be raised. The policy's hold all the same.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from solvent._block import Block
from solvent._limits import METERS, Limit, Meter, Scope, matches, show_amount
from solvent._limits_in_code import Amount, Limits, limits_of
from solvent._opened import raise_limits
from solvent._openings import TOP_UP, opening
from solvent._operations import Note
from solvent._outer import Opened
from solvent._records import Account
from solvent._runtime import Runtime
from solvent.errors import SettingsError


class TopUp(Struct, frozen=True):
    """
    Limits that are to be raised.

    Attributes:
        note: What the journal is told first.
    """

    block: Block
    own: Opened
    note: Note

    def put_in_force(self) -> None:
        """
        The next calls are held to the raised limits, and those that wait look again.
        """
        raise_limits(self.block, self.own)
        accounts = [Account(self.own.scope, limit.meter, limit.window_key) for limit in self.own.limits]
        self.block.runtime.guard.wake([account for account in accounts if account.meter in METERS])


def top_up(block: Block, amounts: Mapping[str, Amount], reason: str) -> TopUp:
    """
    What raises a block's own limits by these amounts.

    Raises:
        ValueError: It has no limit of such a meter, or an amount is none.
        SettingsError: The policy allows no more.
    """
    runtime, scope = block.runtime, block.scope
    own = block.own or Opened(scope=str(scope), seconds=0)
    asked = limits_of(Limits(**amounts), source="top_up")  # type: ignore[typeddict-item]  # It checks the names.
    limits = list(own.limits)
    for more in asked:
        place = _place_of(limits, more.meter)
        raised = replace(limits[place], amount=limits[place].amount + more.amount)
        _check_policy(runtime, scope, limits[place], raised)
        limits[place] = raised
    own = replace(own, limits=tuple(limits))
    rules = runtime.guard.limits.rules(scope)
    blocking = [pair for pair in rules.blocking if pair[0] != str(scope)]
    blocking += [(str(scope), limit) for limit in limits if limit.on_exceed == "block" and limit.meter in METERS]
    note = opening(scope, replace(rules, blocking=tuple(blocking)), per_call=rules.policy.call, own=own)
    said = f"{TOP_UP}: {reason}" if reason else TOP_UP
    return TopUp(block, own, replace(note, call=replace(note.call, reason=said)))


def _place_of(limits: Sequence[Limit], meter: Meter) -> int:
    found = next((n for n, each in enumerate(limits) if each.meter == meter and meter in METERS), None)
    if found is None:
        known = ", ".join(each.meter for each in limits if each.meter in METERS) or "none"
        raise ValueError(f"a top-up must be of a meter that the budget itself limits ({known}), got {meter}")
    return found


def _check_policy(runtime: Runtime, scope: Scope, now: Limit, raised: Limit) -> None:
    """
    A limit above the policy's would say what does not hold.
    """
    allowed = [
        limit
        for pattern, limit in runtime.guard.policy.budgets
        if (limit.meter, limit.window_key, limit.on_exceed) == (now.meter, now.window_key, "block")
        and matches(pattern, scope)
    ]
    most = min(allowed, key=lambda limit: limit.amount, default=None)
    if most is not None and raised.amount > most.amount:
        more = show_amount(now.meter, max(most.amount - now.amount, 0))
        raise SettingsError(
            where=f"top_up of {scope}",
            expected=f"at most {more} more of {now.meter}",
            got=show_amount(now.meter, raised.amount - now.amount),
            hint=f"raise the policy's limit ({most.source}), which code can only tighten",
        )
