"""
The rule of the ledger, pure: what may be reserved, how a reservation closes, what an entry says.

A store keeps balances and records and applies this rule in one atomic step. No clock, driver or setting is known here.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec.structs import replace

from solvent._amounts import AMOUNT_MAX
from solvent._limits import CHECKED_METERS, GAUGES, METERS
from solvent._records import Account, Balance, CallRecord, Change, Entry, Place, Posting, Terms


def limit_in_force(charge_limit: int | None, *, override: int | None, topped_up: int) -> int | None:
    """
    The limit that decides: the store's override, else the one that travels in the charge; and all top-ups on it.

    An override of 0 is the last word: nothing may be spent, whatever was topped up.
    """
    if override == 0:
        return 0
    limit = charge_limit if override is None else override
    return None if limit is None else min(limit + topped_up, AMOUNT_MAX)


def first_failing(amounts: Mapping[str, int], balances: Iterable[Balance]) -> Balance | None:
    """
    The first balance that the amounts do not fit into, or ``None`` when all of them hold.

    An amount fits when ``spent + reserved + amount ≤ limit``. A checked meter asks with 0, so it fails once more was
    booked than the limit allows.
    """
    for balance in balances:
        asked = amounts.get(balance.account.meter, 0)
        if balance.limit is not None and balance.spent + balance.reserved + asked > balance.limit:
            return balance
    return None


def settled(held: Mapping[str, int], actual: Mapping[str, int]) -> dict[str, int]:
    """
    What a settlement books: the actual amount, the reserved one where none is named, 0 for a gauge.
    """
    return {meter: 0 if meter in GAUGES else amount for meter, amount in {**held, **actual}.items()}


def expired(held: Mapping[str, int], so_far: Mapping[str, int]) -> dict[str, int]:
    """
    What an expiry books: all of it, or what was used so far where that is more; 0 for a gauge.
    """
    return settled(held, {meter: max(amount, held.get(meter, 0)) for meter, amount in so_far.items()})


def furthest(so_far: Mapping[str, int], told: Mapping[str, int]) -> dict[str, int]:
    """
    What was used so far, by all that was told: use only grows, so the smaller of two was told before and came late.
    """
    return {meter: max(so_far.get(meter, 0), told.get(meter, 0)) for meter in so_far.keys() | told.keys()}


def overruns(held: Mapping[str, int], booked: Mapping[str, int]) -> dict[str, int]:
    """
    What was booked above what was reserved, of the meters that were reserved.
    """
    above = {meter: booked[meter] - amount for meter, amount in held.items() if meter not in CHECKED_METERS}
    return {meter: amount for meter, amount in above.items() if amount > 0}


def correction(held: Mapping[str, int], before: Mapping[str, int], booked: Mapping[str, int]) -> Change:
    """
    The change that turns what an expiry booked into the truth, which came late.
    """
    return Change(spent=difference(booked, before), overrun=difference(overruns(held, booked), overruns(held, before)))


def difference(amounts: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {meter: amounts.get(meter, 0) - before.get(meter, 0) for meter in amounts.keys() | before.keys()}


def postings(terms: Terms | None, buckets: Sequence[int], change: Change) -> tuple[Posting, ...]:
    """
    A change as the journal tells it, account by account: those of ``terms``, and every other one that it changes.

    Args:
        buckets: The bucket that it belongs to, for each of the terms' places.
    """
    if terms is None:
        return ()
    parts = (change.reserved, change.spent, change.overrun, change.topped_up)
    changed = tuple([meter for meter in METERS if any(part.get(meter) for part in parts)])
    reserved, spent, overrun, topped_up = parts
    return tuple(
        Posting(
            account,
            buckets[at],
            reserved.get(account.meter, 0),
            spent.get(account.meter, 0),
            overrun.get(account.meter, 0),
            topped_up.get(account.meter, 0),
            limit,
        )
        for account, at, limit in _posted(terms, changed)
    )


@lru_cache(maxsize=4_096)
def _posted(terms: Terms, changed: tuple[str, ...]) -> tuple[tuple[Account, int, int | None], ...]:
    """
    The accounts that an entry tells of, each with the number of its place and its limit.
    """
    limits = dict(zip(terms.accounts, terms.limits, strict=True))
    places = {place: at for at, place in enumerate(terms.places)}
    accounts = dict.fromkeys(terms.accounts)
    accounts.update(dict.fromkeys(Account(place[0], meter, place[1]) for place in places for meter in changed))
    return tuple((account, places[account.place], limits.get(account)) for account in accounts)


def carries_run_total(account: Account) -> bool:
    """
    Whether this is the account of everything that a run has spent: its own, in dollars, over its whole life.
    """
    return account.meter == "usd" and is_run(account.place)


def booked(entry: Entry) -> int | None:
    """
    What an entry adds to what was spent, in nanodollars, by the accounts rather than by its record, so that no sum over
    the journal can differ from a balance. Of a correction that is a difference; ``None`` where no cost is known.
    """
    added = next((posting.spent for posting in entry.postings if posting.account.meter == "usd"), 0)
    return added if added or entry.kind == "correct" else entry.call.cost_nanodollars


def is_run(place: Place) -> bool:
    """
    Whether a place is a run's own, over its whole life.
    """
    return place[1] == "" and place[0].rpartition("/")[2].startswith("run:")


def expired_call(call: CallRecord, *, ended: int) -> CallRecord:
    """
    The record of a call whose end no one saw: its bound is what it costs.
    """
    return replace(call, cost_nanodollars=call.bound_nanodollars, estimated="expired", ended=ended, status="expired")
