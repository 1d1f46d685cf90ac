"""
Which limits a call in a scope is held to, where each comes from, and which of them decides.
"""

import difflib
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from solvent._amounts import show_dollars, show_seconds
from solvent._limits import SCOPE_KINDS, Limit, Scope, matches
from solvent.policy import Policy
from solvent.policy._outranked import CALL, PLATFORM, is_smaller, kind_of
from solvent.policy._owners import unmet

# ``decides``: the smallest of its meter and window, so the first that a call here alone can meet.
# ``holds``: larger, and of a wider scope, from which others spend as well.
# ``never``: another one on the path refuses before.
State = Literal["decides", "holds", "never", "tells"]


class Applied(Struct, frozen=True, kw_only=True):
    """
    A limit on a scope's path.

    Attributes:
        place: The scope whose account it is of; ``call`` for a single call.
        pattern: What brought it: the entry of the policy.
        instead: The limit that refuses before this one, where one always does.
    """

    place: str
    pattern: str
    limit: Limit
    state: State = "holds"
    instead: Limit | None = None

    @property
    def of(self) -> tuple[str, str, bool]:
        """
        What it is compared within.
        """
        return self.limit.meter, self.limit.window_key, self.place == CALL

    @property
    def room(self) -> int:
        """
        Its amount; of a depth, counted from the beginning of the path.
        """
        nested = self.place.count("agent:") + self.place.count("step:") if self.limit.meter == "depth" else 0
        return self.limit.amount + nested


class Explained(Struct, frozen=True, kw_only=True):
    """
    All that holds for a call in a scope.

    Attributes:
        limits: Widest first, those of a single call last.
        rules: What else holds, by the name of its setting.
        ask_for: The scope of a run that it could be of, where it names none: the limits of runs hold all calls.
        notes: Which limits do not hold it, for it says nothing of where it belongs.
    """

    scope: str
    limits: tuple[Applied, ...]
    rules: tuple[tuple[str, str], ...]
    ask_for: str | None = None
    notes: tuple[str, ...] = ()


def close_scope(text: str) -> str | None:
    """
    The scope that a text may be meant for which is none; ``None`` where nobody can guess.
    """
    segments = [segment for segment in text.replace("*", "NAME").split("/") if segment]
    known = [_with_a_kind(segment) for segment in segments]
    ordered = sorted(known, key=lambda segment: SCOPE_KINDS.index(segment.partition(":")[0]))
    try:
        return str(Scope.parse("/".join(ordered)))
    except ValueError:
        return None


def _with_a_kind(segment: str) -> str:
    kind, colon, name = segment.partition(":")
    if not colon:
        return f"run:{segment}"
    return f"{(difflib.get_close_matches(kind.lower(), SCOPE_KINDS, n=1, cutoff=0.5) or ['run'])[0]}:{name}"


def explain(policy: Policy, scope: Scope) -> Explained:
    """
    What holds for a call in a scope, by the policy alone: flags and code may add limits.
    """
    found = [
        Applied(place=str(part), pattern=pattern, limit=limit)
        for part in scope.path()
        for pattern, limit in policy.budgets
        if matches(pattern, part)
    ]
    found += [Applied(place=CALL, pattern=CALL, limit=limit) for limit in policy.call]
    return Explained(
        scope=str(scope),
        limits=tuple(_decided(one, found[:at], found) for at, one in enumerate(found)),
        rules=tuple(_rules(policy)),
        ask_for=_with_a_run(scope),
        notes=tuple(_notes(policy, scope)),
    )


def _notes(policy: Policy, scope: Scope) -> Iterator[str]:
    for kind, names in unmet(policy, scope):
        ways = f'--scope {kind}:NAME or budget(scope="{kind}:NAME")'
        yield f"no limit of {names} holds {scope}, which is in no {kind}; {ways} puts it in one"


def _decided(one: Applied, before: Sequence[Applied], all_found: Sequence[Applied]) -> Applied:
    instead = _refuses_before(one, before, all_found)
    state: State = "tells"
    if instead is not None:
        state = "never"
    elif one.limit.on_exceed == "block":
        rivals = [other.room for other in all_found if other.of == one.of and other.limit.on_exceed == "block"]
        state = "decides" if one.room == min(rivals) else "holds"
    return Applied(place=one.place, pattern=one.pattern, limit=one.limit, state=state, instead=instead)


def _refuses_before(one: Applied, before: Sequence[Applied], all_found: Sequence[Applied]) -> Limit | None:
    """
    The smallest limit that refuses whenever this one would; those of wider scopes stand before it in the list.
    """
    around = [
        other
        for other in all_found
        if other is not one
        and (other in before or other.place == one.place)
        # The time of what nobody opens counts from a call, maybe of long after the run began.
        and (other.limit.meter != "seconds" or kind_of(other.place) not in PLATFORM)
    ]
    found = [
        other
        for other in around
        if is_smaller((other.place, other.limit), (one.place, one.limit), same_scope=other.place == one.place)
        or (other in before and other.of == one.of and other.room <= one.room and other.limit.on_exceed == "block")
    ]
    return min((other.limit for other in found), key=lambda limit: limit.amount, default=None)


def _with_a_run(scope: Scope) -> str | None:
    kinds = [kind for kind, _ in scope.parts]
    if "run" in kinds:
        return None
    owners = sum(kind in PLATFORM for kind in kinds)
    segments = str(scope).split("/")
    return "/".join([*segments[:owners], "run:NAME", *segments[owners:]])


def _rules(policy: Policy) -> Iterator[tuple[str, str]]:
    """
    What else is done about a call, as the settings say it.
    """
    yield "tighten", ", ".join(policy.tighten) or "off: no bound is tightened"
    yield "wait", f"up to {show_seconds(policy.wait_seconds)} for room that open calls hold"
    for step in policy.fallback:
        at = "where a call does not fit" if step.at is None else f"from {float(step.at * 100):g} % of any limit on"
        yield "fallback", f"{step.model} to {step.to}, {at}"
    shrunk = f"to no less than {policy.shrink_tokens_min:,} output tokens"
    which = "also where a program names a cap" if policy.shrink_explicit else "where a program names no cap"
    yield "shrink", f"{shrunk}, {which}" if policy.shrink_tokens_min else "off: no output is cut"
    if policy.loops is not None:
        rule = policy.loops
        times = f"more than {rule.same_call:,} times in {show_seconds(rule.within_seconds)}"
        yield "loops", f"{rule.on_exceed} where the same call comes {times} ({rule.source})"
    if policy.alert is not None:
        shares = ", ".join(f"{float(share * 100):g} %" for share in policy.alert.at)
        yield "alert", f"at {shares} of a limit ({policy.alert.source})"
    yield "unpriced", "refuse" if policy.price_as is None else f"at the price of {policy.price_as}"
    down = f"go on up to {show_dollars(policy.open_nanodollars)} a process" if policy.open_nanodollars else "refuse"
    yield "store_down", down
