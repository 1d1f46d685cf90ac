"""
The limits of a policy: for whom, of what, how much, in which window.
"""

import re

import yaml

from solvent._limits import GAUGES, METERS, PATH_METERS, WINDOWS, Limit, Meter, OnExceed, Scope
from solvent.policy._nodes import Nodes, cut, with_the_closest
from solvent.policy._texts import count, dollars, on_exceed, whole_seconds

CALL_METERS: tuple[Meter, ...] = ("usd", "tokens", "input_tokens", "output_tokens")  # Known of a single call.


class LimitReader(Nodes):
    """
    Reads the settings that hold limits.

    Attributes:
        time_zone: Of their calendar windows.
    """

    time_zone = "UTC"

    def budgets(self, node: yaml.Node, path: str) -> dict[str, object]:
        budgets: list[tuple[str, Limit]] = []
        for pattern, value in self.mapping(node, path):
            here = self.at(path, pattern)
            self._check_pattern(self.key(value), here, pattern)
            budgets += [(pattern, limit) for limit in self._limits(value, here, windows=True)]
        return {"budgets": tuple(budgets)}

    def _check_pattern(self, node: yaml.Node, path: str, pattern: str) -> None:
        """
        A pattern that no scope can have would limit nothing, and nobody would be told.
        """
        if re.search(r"\*[^/]", pattern):
            self.fail(node, path, "`*` at the end of a name, as in run:* or run:nightly-*", cut(pattern))
        try:
            Scope.parse(pattern)
        except ValueError as error:
            got = f"{cut(pattern)} ({error})" if repr(pattern) not in str(error) else cut(pattern)
            self.fail(node, path, "a scope such as run:*, agent:researcher or org:acme/team:*", got)

    def call(self, node: yaml.Node, path: str) -> dict[str, object]:
        return {"call": smallest(self._limits(node, path, CALL_METERS, windows=False))}

    def _limits(
        self, node: yaml.Node, path: str, meters: tuple[Meter, ...] = METERS + PATH_METERS, *, windows: bool
    ) -> tuple[Limit, ...]:
        limits: list[Limit] = []
        for meter, value in self.mapping(node, path):
            here = self.at(path, meter)
            if meter not in meters:
                self.fail(self.key(value), here, f"one of {', '.join(meters)}", with_the_closest(meter, meters))
            several = isinstance(value, yaml.SequenceNode)
            if several and not value.value:
                self.fail(value, here, "an amount or a list of them", "an empty list")
            for one in value.value if several else [value]:
                limits.append(self._limit(one, here, meter, windows=windows))
        return tuple(limits)

    def _limit(self, node: yaml.Node, path: str, meter: Meter, *, windows: bool) -> Limit:
        if not isinstance(node, yaml.MappingNode):
            return self._amount(node, path, meter, "block", windows=windows)
        settings = dict(self.mapping(node, path))
        self.known(settings, path, ("limit", "on_exceed"))
        if "limit" not in settings:
            self.fail(node, path, "`limit:` with an amount", "none")
        does: OnExceed = "block"
        if "on_exceed" in settings:
            does = self.value(settings["on_exceed"], f"{path}.on_exceed", on_exceed)
        return self._amount(settings["limit"], f"{path}.limit", meter, does, windows=windows)

    def _amount(self, node: yaml.Node, path: str, meter: Meter, does: OnExceed, *, windows: bool) -> Limit:
        text = self.text(node, path)
        amount, slash, window = text.partition("/")
        windows = windows and meter not in PATH_METERS and meter not in GAUGES
        if slash and not windows:
            self.fail(node, path, "an amount without a window", f'"{text}"')
        if slash and window not in WINDOWS[1:]:
            expected = f'an amount per {", ".join(WINDOWS[1:-1])} or {WINDOWS[-1]} such as "20/day"'
            self.fail(node, path, expected, f'"{text}"')
        read = {"usd": dollars, "seconds": whole_seconds}.get(meter, count)
        return Limit(
            meter=meter,
            amount=self.checked(node, path, lambda: read(amount)),
            window=window,
            time_zone=self.time_zone,
            source=self.source(node),
            on_exceed=does,
        )


def smallest(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
    """
    Of several limits of a single call that do the same, the one that decides.
    """
    found: dict[tuple[str, bool], Limit] = {}
    for limit in limits:
        key = limit.meter, limit.on_exceed == "block"
        if key not in found or limit.amount < found[key].amount:
            found[key] = limit
    return tuple(found.values())
