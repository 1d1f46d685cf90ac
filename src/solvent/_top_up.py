"""
More for a budget that is open: its own limits may be raised, as far as the policy lets them.
"""

from collections.abc import Iterator, Mapping, Sequence

from solvent._block import Block
from solvent._decide import standing
from solvent._ids import new_id
from solvent._limits import METERS, Limit, Meter, Scope, matches, show_amount
from solvent._limits_in_code import Amount, Limits, limits_of
from solvent._operations import TopUp
from solvent._records import Account
from solvent._runtime import Runtime
from solvent.errors import SettingsError


def top_ups(block: Block, own: Sequence[Limit], amounts: Mapping[str, Amount], reason: str) -> list[TopUp]:
    """
    What raises a block's own limits by these amounts.

    Raises:
        ValueError: It has no limit of such a meter, or an amount is none.
        SettingsError: The policy allows no more.
    """
    asked = limits_of(Limits(**amounts), source="top_up")  # type: ignore[typeddict-item]  # It checks the names.
    return list(_operations(block.runtime, block.scope, own, asked, reason))


def _operations(
    runtime: Runtime, scope: Scope, own: Sequence[Limit], asked: Sequence[Limit], reason: str
) -> Iterator[TopUp]:
    for more in asked:
        limit = _own(own, more.meter)
        account = Account(str(scope), more.meter, limit.window_key)
        _check_policy(runtime, scope, account, limit, more)
        yield TopUp(id=new_id(), account=account, amount=more.amount, reason=reason)


def _own(own: Sequence[Limit], meter: Meter) -> Limit:
    found = next((each for each in own if each.meter == meter and each.meter in METERS), None)
    if found is None:
        known = ", ".join(each.meter for each in own if each.meter in METERS) or "none"
        raise ValueError(f"a top-up must be of a meter that the budget itself limits ({known}), got {meter}")
    return found


def _check_policy(runtime: Runtime, scope: Scope, account: Account, own: Limit, more: Limit) -> None:
    """
    Code adds limits to the policy's and never widens them.
    """
    allowed = [
        limit
        for pattern, limit in runtime.guard.policy.budgets
        if limit.meter == account.meter
        and limit.window_key == account.window
        and limit.on_exceed == "block"
        and matches(pattern, scope)
    ]
    if not allowed:
        return
    tightest = min([*allowed, own], key=lambda limit: limit.amount)
    most = min(allowed, key=lambda limit: limit.amount)
    found = {each.account: each for each in runtime.ledger.store.balances(account.scope)}
    now = standing(account, tightest, found).limit or 0
    if now + more.amount > most.amount:
        raise SettingsError(
            where=f"top_up of {account.scope}",
            expected=f"at most {show_amount(more.meter, max(most.amount - now, 0))} more of {more.meter}",
            got=show_amount(more.meter, more.amount),
            hint=f"raise the policy's limit ({most.source}), which code can only tighten",
        )
