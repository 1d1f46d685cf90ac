"""
A policy found in the current folder may only tighten the user's own: whoever wrote it need not be the user.

What adds limits is taken. How calls are made to fit (``wait``, ``shrink``, a step of ``fallback`` for a model that the
user has none for) is taken too, for it moves no limit and leads to no other provider. What could lift a limit, make
spending look smaller, or send anything where the user does not send it is an error: a setting that is passed over in
silence would be a false promise.
"""

from collections.abc import Callable, Mapping, Sequence

import yaml
from msgspec.structs import replace

from solvent._amounts import show_dollars
from solvent._limits import ON_EXCEED
from solvent.policy import LoopRule, Policy
from solvent.policy._fallback import check_chain
from solvent.policy._read import Reader
from solvent.policy._read_limits import smallest


def tightened(policy: Policy, reader: Reader, *, own: str, by: Sequence[str]) -> Policy:
    """
    The policy with what the file in the current folder adds to it.

    Args:
        own: What the user's own file is called.
        by: The ways to name the file here, so that all of it holds.

    Raises:
        SettingsError: It says something that is not understood, or that would not only tighten.
    """
    found = reader.policy(policy.prices)
    checker = _Checker(policy, reader, own, by)
    for name, check in _CHECKS.items():
        if name in reader.settings:
            check(checker, found)
    joined = replace(
        policy,
        **_taken(reader),
        budgets=policy.budgets + found.budgets,
        call=smallest(policy.call + found.call),
        fallback=tuple({step.model: step for step in policy.fallback + found.fallback}.values()),
        files=policy.files + found.files,
    )
    if policy.alert is not None and found.alert is not None:
        at = tuple(sorted({*policy.alert.at, *found.alert.at}))
        joined = replace(joined, alert=replace(policy.alert, at=at))
    return joined


def _taken(reader: Reader) -> Mapping[str, object]:
    """
    The fields of the settings that count as the folder has them.
    """
    names = ("alert", "loops", "shrink", "store_down", "tighten", "unpriced", "wait")
    return {field: value for name in names for field, value in reader.fields.get(name, {}).items()}


class _Checker:
    """
    Refuses what would not only tighten, with its line and how to have it all the same.
    """

    def __init__(self, policy: Policy, reader: Reader, own: str, by: Sequence[str]) -> None:
        self._policy = policy
        self._reader = reader
        self._own = own
        self._by = by

    def ledger(self, _: Policy) -> None:
        self._refuse("ledger", "no ledger here, for the books are where you keep them", "one")

    def prices(self, _: Policy) -> None:
        self._refuse("prices", "no prices here, for with others a limit holds more or fewer calls", "some")

    def unpriced(self, found: Policy) -> None:
        if found.price_as is not None:
            self._refuse("unpriced", "`refuse` or nothing here", f"{{price_as: {found.price_as}}}")

    def store_down(self, found: Policy) -> None:
        if found.open_nanodollars:
            self._refuse("store_down", "`refuse` or nothing here", f"{{open: {show_dollars(found.open_nanodollars)}}}")

    def alert(self, found: Policy) -> None:
        if found.alert is not None and found.alert.webhook is not None:
            place = self._reader.below(self._reader.settings["alert"], "webhook")
            self._refuse("alert.webhook", "no webhook here, for it would learn what you spend", "one", place)

    def tighten(self, found: Policy) -> None:
        for way in found.tighten:
            if way not in self._policy.tighten:
                ways = ", ".join(self._policy.tighten) or "none"
                self._refuse("tighten", f"some of those that are in force ({ways}) and no other here", way)

    def loops(self, found: Policy) -> None:
        rule, own = found.loops, self._policy.loops
        if rule is not None and own is not None and not _is_as_strict(rule, own):
            self._refuse("loops", f"a rule at least as strict as {_said(own)} ({own.source})", _said(rule))

    def fallback(self, _: Policy) -> None:
        steps = {step.model: step for step in self._policy.fallback}
        for step, node, path in self._reader.steps:
            own = steps.setdefault(step.model, step)
            if own != step:
                expected = f"a model that has no step yet; {step.model} leads to {own.to}"
                self._refuse(path.removesuffix(".to"), expected, f"{step.model} to {step.to}", node)
            self._reader.checked(node, path, lambda: check_chain([*steps.values()]))

    def _refuse(self, path: str, expected: str, got: str, node: yaml.Node | None = None) -> None:
        reader = self._reader
        place = reader.key(reader.settings[path]) if node is None else node
        hint = (
            f"a {reader.path.name} in the current folder may only tighten your own policy; to have all of it name it, "
            f"by {' or '.join(f'`{way}`' for way in self._by)}, or put this setting into {self._own}"
        )
        reader.fail(place, path, expected, got, hint=hint)


def _is_as_strict(rule: LoopRule, own: LoopRule) -> bool:
    return (
        rule.same_call <= own.same_call
        and rule.within_seconds >= own.within_seconds
        and ON_EXCEED.index(rule.on_exceed) <= ON_EXCEED.index(own.on_exceed)
    )


def _said(rule: LoopRule) -> str:
    return f"same_call: {rule.same_call}, within: {rule.within_seconds:g}s, on_exceed: {rule.on_exceed}"


_CHECKS: Mapping[str, Callable[[_Checker, Policy], None]] = {
    "alert": _Checker.alert,
    "fallback": _Checker.fallback,
    "ledger": _Checker.ledger,
    "loops": _Checker.loops,
    "prices": _Checker.prices,
    "store_down": _Checker.store_down,
    "tighten": _Checker.tighten,
    "unpriced": _Checker.unpriced,
}
