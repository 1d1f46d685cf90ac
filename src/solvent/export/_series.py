"""
What a ledger has to say in numbers with labels: exact, and before any library makes floating-point samples of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from solvent._amounts import Usage
from solvent._digest import Facts, Sums
from solvent._ledger import limit_in_force
from solvent._records import BRANCHES, Account, Balance, Entry
from solvent.export._bounded import SCOPES_MAX, Bounded, is_above_runs, window_label
from solvent.report._tree import held_usd

Labels = tuple[str, ...]

_MODEL = ("provider", "model")
_CALL = (*_MODEL, "estimated")
_PLACE = ("scope", "window")
_BUDGET = ("scope", "meter", "window")
_TOKENS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))


class Series(Struct, frozen=True, kw_only=True):
    """
    All series of one name.

    Attributes:
        labels: Their names.
        values: By the values of the labels; nanodollars where the name ends in ``usd``.
    """

    kind: Literal["counter", "gauge"]
    name: str
    about: str
    labels: Labels = ()
    values: Mapping[Labels, int | Fraction]

    @property
    def is_money(self) -> bool:
        return self.name.endswith("_usd")


def of_calls(groups: Mapping[Facts, Sums]) -> Iterator[Series]:
    counts: defaultdict[str, defaultdict[Labels, int]] = defaultdict(lambda: defaultdict(int))
    models, codes = Bounded[Labels](("other", "other")), Bounded[str]("other")
    # From the oldest on, so that whenever it is asked the same models have series of their own.
    for facts, sums in sorted(groups.items(), key=_age):
        if facts.kind == "refuse":
            counts["refusals"][codes.of(facts.status or "refused"),] += sums.count
        if not facts.is_call:
            continue
        model = models.of((facts.provider or "", facts.model_used or facts.model_asked or ""))
        labels = (*model, facts.estimated or "no")
        counts["calls"][labels] += sums.count
        counts["spend"][labels] += sums.cost
        counts["overrun"][labels] += sums.overrun
        counts["unpriced"][model] += sums.unpriced
        for name in _TOKENS:
            if name in sums.tokens:
                counts["tokens"][*labels, name.removesuffix("_tokens")] += sums.tokens[name]
    for key, name, labels, about in (
        ("calls", "solvent_calls", _CALL, "Calls that were made."),
        ("spend", "solvent_spend_usd", _CALL, "What was booked for calls, in dollars."),
        ("overrun", "solvent_overrun_usd", _CALL, "Of what was booked, the part above what was reserved."),
        ("tokens", "solvent_tokens", (*_CALL, "type"), "Tokens; all types but input and output are parts of these."),
        ("unpriced", "solvent_unpriced_calls", _MODEL, "Calls of unknown cost, which add nothing to what was booked."),
        ("refusals", "solvent_refusals", ("reason",), "Calls that were refused, by the code of the error."),
    ):
        yield Series(kind="counter", name=name, about=about, labels=labels, values=counts[key])


def _age(group: tuple[Facts, Sums]) -> tuple[int, str, str]:
    facts = group[0]
    return facts.hour, facts.provider or "", facts.model_used or facts.model_asked or ""


def of_reservations(held: Iterable[Entry]) -> Iterator[Series]:
    """
    Args:
        held: The entries of reservations that are open.
    """
    calls = [entry for entry in held if entry.call.format != BRANCHES]
    money = sum(map(held_usd, calls))
    for name, about, value in (
        ("solvent_open_reservations", "Calls that are reserved for and not closed.", len(calls)),
        ("solvent_reserved_usd", "What is set aside for calls that are not closed, in dollars.", money),
    ):
        yield Series(kind="gauge", name=name, about=about, values={(): value})


def of_budgets(balances: Iterable[Balance], limits: Mapping[Account, int | None]) -> Iterator[Series]:
    """
    Args:
        limits: Those that come with calls.
    """
    amounts: defaultdict[str, dict[Labels, int | Fraction]] = defaultdict(dict)
    found = {account: Balance(account=account) for account in limits}  # What nothing was spent of in this window.
    found.update((balance.account, balance) for balance in balances if is_above_runs(balance.account.scope))
    for account, balance in sorted(found.items(), key=lambda item: (-item[1].spent, item[0]))[:SCOPES_MAX]:
        used, limit = balance.spent + balance.reserved, balance.limit
        if limit is None:
            limit = limit_in_force(limits.get(account), override=None, topped_up=balance.topped_up)
        if limit is not None:
            own = account.scope, account.meter, window_label(account)
            amounts["ratio"][own] = Fraction(limit - used, limit) if limit else Fraction(0)
        if account.meter == "usd":
            place = account.scope, window_label(account)
            amounts["spent"][place], amounts["reserved"][place] = balance.spent, balance.reserved
            if limit is not None:
                amounts["limit"][place] = limit
    for key, name, labels, about in (
        ("limit", "solvent_budget_limit_usd", _PLACE, "What an organization, a team or a user may spend, in dollars."),
        ("spent", "solvent_budget_spent_usd", _PLACE, "What it has spent in the present window, in dollars."),
        ("reserved", "solvent_budget_reserved_usd", _PLACE, "What is set aside of it for open calls, in dollars."),
        ("ratio", "solvent_budget_remaining_ratio", _BUDGET, "The share of a limit that is left; below 0 if overrun."),
    ):
        yield Series(kind="gauge", name=name, about=about, labels=labels, values=amounts[key])
