"""
What cannot be meant in a policy: limits that never decide, that no call fits under, that hold something else than they
seem to. A finding follows from the policy alone; what a program or a flag could still change is none.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

from msgspec import Struct

from solvent._amounts import show_dollars
from solvent._limits import Limit, Meter
from solvent._own_file import shown as shown_path
from solvent.policy import Policy
from solvent.policy._cheapest import Cheapest, cheapest
from solvent.policy._outranked import CALL, PLATFORM, Placed, is_of_same_scopes, kind_of, limits_of, outranking
from solvent.policy._owners import owners_of, scope_to_be_in
from solvent.policy._words import shown

# Every kind of finding, with what it means. The notes are of what may well be meant.
CONTRADICTIONS = {
    "never_decides": "a limit that another, smaller one always refuses before",
    "said_twice": "the same limit for the same scopes, twice",
    "forbids_every_call": "an amount of 0 under which no call can be made at all",
    "below_any_price": "less money than one token of the cheapest model costs",
    "below_the_least_output": "fewer tokens than an output is cut to at least",
    "each_run_anew": "a day, week or month of a scope that is new with each run",
    "time_never_begins_anew": "a time for a scope that nobody opens",
}
NOTES = {
    "forbids": "an amount of 0 for some scopes, or for what costs or writes something",
    "one_run": "limits of the run of one name, which a budget of that name is not",
    "fallback_idle": "a fallback, and no limit of money or tokens that could lead to it",
    "loops_go_on": "loops that are told of, and no limit that ends one",
    "alert_idle": "an alert, and no limit that it could tell of",
    "needs_scope": "limits of an org, a team or a user, in which a program is only where it says so",
}

_TOKEN_METERS: tuple[Meter, ...] = ("tokens", "input_tokens", "output_tokens")
_WHOLE = ("calls", "input_tokens", "parallel", "seconds", "tokens")  # Of each, every call uses some.
_LONG = ("day", "week", "month")  # Longer than most runs.
_EVERYWHERE = (CALL, "run:*")  # Every call is under these.
_OF_FLAGS = "unless flags or code bring one"


class Finding(Struct, frozen=True, kw_only=True):
    """
    Something in a policy that a person should look at.

    Attributes:
        kind: One of ``CONTRADICTIONS`` or of ``NOTES``.
        where: The lines that it is about: ``solvent.yaml:7``.
        what: What is so, in a sentence or two.
        mend: How to go on.
    """

    kind: str
    where: tuple[str, ...]
    what: str
    mend: str

    @property
    def is_note(self) -> bool:
        return self.kind in NOTES


def contradictions(policy: Policy, *, find_cheapest: Callable[[Policy], Cheapest | None] = cheapest) -> list[Finding]:
    """
    All that is found, the contradictions first.

    Args:
        find_cheapest: Asked only where an amount of money is small enough to need it.
    """
    limits = limits_of(policy)
    found = [*_said_twice(policy, limits), *_never_decide(policy, limits)]
    for placed in limits:
        found += _alone(placed, policy, find_cheapest)
        if outranking(placed, limits) is None:
            found += _each_run_anew(placed, limits)
    found += [*_one_run(limits), *_idle(policy, limits), *_needs_scope(policy)]
    return sorted(found, key=lambda finding: finding.is_note)


def _said_twice(policy: Policy, limits: Sequence[Placed]) -> Iterator[Finding]:
    for (pattern, limit), (other, second) in combinations(limits, 2):
        same = is_of_same_scopes(pattern, other) and is_of_same_scopes(other, pattern)
        if same and _key(limit) == _key(second) and _file(limit, policy) == _file(second, policy):
            yield Finding(
                kind="said_twice",
                where=_sources(limit, second),
                what=f"{_named(pattern, limit)} is said twice.",
                mend="leave one of them out",
            )


def _key(limit: Limit) -> tuple[str, str, int, bool]:
    return limit.meter, limit.window_key, limit.amount, limit.on_exceed == "block"


def _never_decide(policy: Policy, limits: Sequence[Placed]) -> Iterator[Finding]:
    for pattern, limit in limits:
        # One file contradicts itself; that of a folder and the user's own need not know of each other.
        others = [other for other in limits if _file(other[1], policy) == _file(limit, policy)]
        found = outranking((pattern, limit), others)
        if found is None or _forbids_all(found):  # That one is told of by itself.
            continue
        other, smaller = found
        says = "tells of nothing" if limit.on_exceed != "block" else "never decides"
        why = f"{other} refuses first, at {shown(smaller)}"
        if smaller.on_exceed != "block":
            why = f"of two that only tell of one account the smaller one does, {shown(smaller)}"
        narrower = other != pattern and is_of_same_scopes(other, pattern)
        yield Finding(
            kind="never_decides",
            where=_sources(limit, smaller),
            what=f"{_named(pattern, limit)} {says}: {why}."
            + (" Every entry that matches a scope applies, so a narrower one allows no more." if narrower else ""),
            mend=f"set it lower than that, raise the other one ({smaller.source}), or leave it out",
        )


def _file(limit: Limit, policy: Policy) -> int:
    """
    0 for a limit of the user's own file, 1 for one of the file that tightens it.
    """
    if len(policy.files) < 2 or limit.source.rpartition(":")[0] == shown_path(Path(policy.files[0])):
        return 0
    return 1


def _alone(placed: Placed, policy: Policy, find_cheapest: Callable[[Policy], Cheapest | None]) -> Iterator[Finding]:
    """
    What is wrong with a limit whatever the others are.
    """
    pattern, limit = placed
    name, where = _named(pattern, limit), (limit.source,)
    if limit.meter == "seconds" and kind_of(pattern) in PLATFORM:
        after = "refused" if limit.on_exceed == "block" else "told of"
        yield Finding(
            kind="time_never_begins_anew",
            where=where,
            what=f"{name} begins with the first call that a process makes for it, and never anew: after that, every "
            f"call of the process is {after}.",
            mend="set `seconds` for run:*, whose time begins with each run",
        )
    if limit.on_exceed != "block":
        return
    if limit.amount == 0:
        yield from _forbids(placed)
    elif limit.meter == "usd" and limit.amount < 1_000_000:  # Dearer tokens than for $0.001 there are none.
        least = find_cheapest(policy)
        if least is not None and limit.amount < least.nanodollars:
            yield Finding(
                kind="below_any_price",
                where=where,
                what=f"{name} is less than any paid call costs: one token of the cheapest model, {least.model}, is "
                f"{show_dollars(least.nanodollars)}.",
                mend="raise it, or write 0 to allow free models alone",
            )
    elif limit.meter in ("tokens", "output_tokens") and limit.amount < policy.shrink_tokens_min:
        yield Finding(
            kind="below_the_least_output",
            where=where,
            what=f"{name} refuses every call that names no output cap of its own (but of a model that cannot write "
            f"more): no output is cut below {policy.shrink_tokens_min:,} tokens.",
            mend=f"raise it, or write `shrink: {{output_tokens_min: {limit.amount}}}`",
        )


def _forbids(placed: Placed) -> Iterator[Finding]:
    pattern, limit = placed
    kept = {"usd": "that costs something", "output_tokens": "that writes something"}.get(limit.meter, "")
    if limit.meter not in _WHOLE and not kept:
        return  # No retries, no tools, no branches, no agents below: a program may do without.
    what = " ".join(filter(None, ("call", kept, "" if pattern in _EVERYWHERE else "in it")))
    is_all = _forbids_all(placed)
    yield Finding(
        kind="forbids_every_call" if is_all else "forbids",
        where=(limit.source,),
        what=f"{_named(pattern, limit)} forbids every {what}.",
        mend="leave it out, if you mean no limit" if is_all else "leave it, if that is meant; no limit is no entry",
    )


def _forbids_all(placed: Placed) -> bool:
    """
    Whether no call at all can be made under it.
    """
    pattern, limit = placed
    blocks = limit.on_exceed == "block" and limit.amount == 0
    return blocks and limit.meter in _WHOLE and pattern in _EVERYWHERE


def _each_run_anew(placed: Placed, limits: Sequence[Placed]) -> Iterator[Finding]:
    pattern, limit = placed
    if limit.window not in _LONG or not _is_new_with_each_run(pattern):
        return
    for other, second in limits:
        # Whoever has one of these has thought of it: a limit over all runs, or one of the run as a whole.
        over_all = kind_of(other) in PLATFORM or (other == pattern and not second.window)
        if over_all and second.meter == limit.meter and second.on_exceed == "block":
            return
    yield Finding(
        kind="each_run_anew",
        where=(limit.source,),
        what=f"{_named(pattern, limit)} is of each run alone, for every run has an account of its own: all runs "
        f"of a {limit.window} together may use any amount.",
        mend="set it for whom runs belong to, such as org:* (`solvent run --scope org:NAME`), or without the window",
    )


def _is_new_with_each_run(pattern: str) -> bool:
    segments = [segment.partition(":")[::2] for segment in pattern.split("/")]
    runs = [name for kind, name in segments if kind == "run"]
    if runs:
        return runs[0].endswith("*")
    return segments[0][0] in ("agent", "step")


def _one_run(limits: Sequence[Placed]) -> Iterator[Finding]:
    by_pattern: dict[str, list[Limit]] = {}
    for pattern, limit in limits:
        by_pattern.setdefault(pattern, []).append(limit)
    for pattern, own in by_pattern.items():
        name = pattern.rpartition("run:")[2]
        # With a window it is a run that goes on from day to day.
        is_one = kind_of(pattern) == "run" and not name.endswith("*") and not any(limit.window for limit in own)
        if is_one and f"{pattern}-*" not in by_pattern:
            yield Finding(
                kind="one_run",
                where=(own[0].source,),
                what=f'{pattern} is the run of exactly this name; each one that budget("{name}") opens has a name of '
                f"its own, {name}-….",
                mend=f"write {pattern}-* for all of those; leave it, if one run is meant",
            )


def _idle(policy: Policy, limits: Sequence[Placed]) -> Iterator[Finding]:
    """
    What has nothing to do in this policy.
    """
    if policy.fallback and not any(limit.meter in ("usd", *_TOKEN_METERS) for _, limit in limits):
        yield Finding(
            kind="fallback_idle",
            where=(),
            what=f"fallback: no limit here is of money or tokens, so no step of it is taken, {_OF_FLAGS}.",
            mend="limit `usd` or `tokens`, such as run:*: {usd: 2.00}",
        )
    rule = policy.loops
    if rule is not None and rule.on_exceed != "block" and not any(limit.on_exceed == "block" for _, limit in limits):
        yield Finding(
            kind="loops_go_on",
            where=(rule.source,),
            what=f"loops: one is told of and goes on, for no limit here refuses a call, {_OF_FLAGS}.",
            mend="write `on_exceed: block` in it, or limit the calls of a run, such as run:*: {calls: 200}",
        )
    if policy.alert is not None and not limits:
        yield Finding(
            kind="alert_idle",
            where=(policy.alert.source,),
            what=f"alert: there is no limit here that it could tell of, {_OF_FLAGS}.",
            mend="set one, such as run:*: {usd: 2.00}",
        )


def _needs_scope(policy: Policy) -> Iterator[Finding]:
    owners = owners_of(policy)
    patterns = list(dict.fromkeys(pattern for found in owners.values() for pattern in found))
    if patterns:
        scope = scope_to_be_in(policy)
        yield Finding(
            kind="needs_scope",
            where=_sources(*(limit for pattern, limit in policy.budgets if pattern in patterns)),
            what=f"No limit of {', '.join(patterns)} holds a program that does not say which {' and '.join(owners)} it "
            "is in.",
            mend=f'put it in one, by `solvent run --scope {scope}` or budget(scope="{scope}")',
        )


def _named(pattern: str, limit: Limit) -> str:
    return f"{pattern}: the limit of {shown(limit)}"


def _sources(*limits: Limit) -> tuple[str, ...]:
    return tuple(dict.fromkeys(limit.source for limit in limits))
