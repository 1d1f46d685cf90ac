"""
Which budget types are limited in which layer, and which failure patterns what is missing leaves open.

One table, ``PATTERNS``, says what closes a pattern; a limit closes one only where it refuses, holds every scope of its
layer, and does not begin anew by the minute or the hour.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from solvent._limits import Limit, Meter
from solvent.policy import Policy
from solvent.policy._outranked import CALL, PLATFORM, Placed, kind_of, limits_of, names_all, outranking
from solvent.policy._words import written

Type = Literal["token", "output", "step", "retry", "fan-out", "time", "cost"]
Layer = Literal["invocation", "agent loop", "orchestration", "platform"]
# ``blocks``: refuses, for every scope of the layer; ``some``: for named ones alone; ``tells``: refuses nothing.
Cell = Literal["blocks", "some", "tells", "none", "not applicable"]

TYPES: Mapping[Type, tuple[Meter, ...]] = {
    "token": ("tokens", "input_tokens"),
    "output": ("output_tokens",),
    "step": ("calls", "tool_calls", "depth"),
    "retry": ("retries",),
    "fan-out": ("branches", "parallel"),
    "time": ("seconds",),
    "cost": ("usd",),
}
LAYERS: Mapping[Layer, tuple[str, ...]] = {
    "invocation": (CALL,),
    "agent loop": ("agent", "step"),
    "orchestration": ("run",),
    "platform": PLATFORM,
}
# A call is one step, one try and one branch, and nobody opens a team for its time to begin.
NOT_APPLICABLE: tuple[tuple[Type, Layer], ...] = (
    ("step", "invocation"),
    ("retry", "invocation"),
    ("fan-out", "invocation"),
    ("time", "invocation"),
    ("time", "platform"),
)
ANEW = ("minute", "hour")  # Such a limit slows what goes wrong, and ends nothing.


class Need(Struct, frozen=True):
    """
    One thing that a pattern's closing needs: a limit of any of these meters in any of these layers.

    Attributes:
        without: What could happen, where there is none.
        line: A limit that is one: where, of what, how much.
    """

    meters: tuple[Meter, ...]
    layers: tuple[Layer, ...]
    without: str
    line: tuple[str, Meter, int]


_LOOP: tuple[Layer, ...] = ("agent loop", "orchestration")
_ANY: tuple[Layer, ...] = ("invocation", *_LOOP)
_RUN: tuple[Layer, ...] = ("orchestration",)
_DOLLARS = 1_000_000_000

# By failure pattern what closes it; where there are several needs, all of them together.
PATTERNS: Mapping[str, tuple[Need, ...]] = {
    "runaway recursion": (
        Need(
            ("calls",),
            _RUN,
            "An agent that calls itself, or goes round in a loop, asks on until somebody notices.",
            ("run:*", "calls", 200),
        ),
    ),
    "silent fan-out": (
        Need(
            ("branches",),
            _LOOP,
            "One step can hand 10,000 items to 10,000 branches, and nothing asks before the first one starts.",
            ("run:*", "branches", 64),
        ),
    ),
    "retry storm": (
        Need(
            ("retries",),
            _LOOP,
            "While a provider fails, every layer asks again, and one call becomes dozens.",
            ("run:*", "retries", 20),
        ),
    ),
    "token bloat": (
        Need(
            ("tokens", "input_tokens"),
            _ANY,
            "Each turn sends the whole conversation again, and calls grow until they fill the model's window.",
            (CALL, "input_tokens", 100_000),
        ),
        Need(
            ("tokens", "output_tokens"),
            _ANY,
            "A call that names no cap may write as much as its model can, and every later turn reads it again.",
            (CALL, "output_tokens", 8_000),
        ),
    ),
    "stuck workflow": (
        Need(
            ("seconds",),
            _RUN,
            "A run that waits for an answer or for itself never ends, and holds what it has set aside.",
            ("run:*", "seconds", 900),
        ),
    ),
    "cost-latency coupling": (
        Need(
            ("usd",),
            _RUN,
            "What is hurried by more calls at once, or by asking again while an answer is late, costs more the slower "
            "the provider gets, and nothing limits a run's money.",
            ("run:*", "usd", 2 * _DOLLARS),
        ),
        Need(
            ("seconds", "parallel"),
            _RUN,
            "A run that gets slower can buy its speed back with money, by more calls at once, for as long as it likes.",
            ("run:*", "seconds", 900),
        ),
    ),
}
PARTIAL = "partial enforcement"
# What would hold every call to a type that is limited for some only.
_FOR_ALL: Mapping[Type, tuple[Meter, int]] = {
    "token": ("tokens", 500_000),
    "output": ("output_tokens", 100_000),
    "step": ("calls", 200),
    "retry": ("retries", 20),
    "fan-out": ("branches", 64),
    "time": ("seconds", 900),
    "cost": ("usd", 2 * _DOLLARS),
}


class Hole(Struct, frozen=True, kw_only=True):
    """
    A failure pattern that is open.

    Attributes:
        what: What could happen.
        closing: A limit that closes it and contradicts none that the policy has.
        where: The place in the policy for it.
        line: What to write there, with what stands there already.
    """

    pattern: str
    what: str
    closing: Placed
    where: str
    line: str


def coverage(policy: Policy) -> dict[Type, dict[Layer, Cell]]:
    """
    How far every budget type is limited in every layer.
    """
    return {type: {layer: _cell(policy, type, layer) for layer in LAYERS} for type in TYPES}


def holes(policy: Policy) -> list[Hole]:
    """
    The failure patterns that the policy leaves open, in the order of ``PATTERNS``, and partial enforcement at the end.
    """
    found = [
        (pattern, need.without, need.line)
        for pattern, needs in PATTERNS.items()
        for need in needs
        if not _is_met(need, policy)
    ]
    found += [(PARTIAL, what, line) for what, line in _partial(policy)]
    return [_hole(policy, *each) for each in found]


def _in_layer(policy: Policy, meters: Sequence[Meter], layer: Layer) -> list[Placed]:
    return [
        (pattern, limit)
        for pattern, limit in limits_of(policy)
        if limit.meter in meters and kind_of(pattern) in LAYERS[layer]
    ]


def _cell(policy: Policy, type: Type, layer: Layer) -> Cell:
    found = _in_layer(policy, TYPES[type], layer)
    blocking = [pattern for pattern, limit in found if limit.on_exceed == "block"]
    if blocking:
        return "blocks" if any(map(names_all, blocking)) else "some"
    if found:
        return "tells"
    return "not applicable" if (type, layer) in NOT_APPLICABLE else "none"


def _is_met(need: Need, policy: Policy) -> bool:
    found = [placed for layer in need.layers for placed in _in_layer(policy, need.meters, layer)]
    return any(
        names_all(pattern) and limit.on_exceed == "block" and limit.window not in ANEW for pattern, limit in found
    )


def _partial(policy: Policy) -> Iterator[tuple[str, tuple[str, Meter, int]]]:
    """
    Types that are limited, and not for every call; and runs that are limited, and not how many there are.
    """
    cells = coverage(policy)
    for type, (meter, amount) in _FOR_ALL.items():
        found = [placed for layer in LAYERS for placed in _in_layer(policy, TYPES[type], layer)]
        if not found or "blocks" in (cells[type]["invocation"], cells[type]["orchestration"]):
            continue
        blocking = list(dict.fromkeys(pattern for pattern, limit in found if limit.on_exceed == "block"))
        if blocking:
            what = f"The {type} budget holds {_joined(blocking)} alone; any other call goes past it."
        else:
            what = f"The {type} budget only tells, and refuses nothing ({found[0][1].source})."
        yield what, ("run:*", meter, amount)
    if _limits_any(cells["cost"]["orchestration"]) and not _limits_any(cells["cost"]["platform"]):
        platform = next((pattern for pattern, _ in policy.budgets if kind_of(pattern) in PLATFORM), "org:*")
        what = (
            "Each run is held to its dollars, and nothing to how many runs there are. (A run is put into an "
            "organization, a team or a user by --scope.)"
        )
        yield what, (platform, "usd", 50 * _DOLLARS)


def _limits_any(cell: Cell) -> bool:
    return cell in ("blocks", "some")


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _hole(policy: Policy, pattern: str, what: str, line: tuple[str, Meter, int]) -> Hole:
    scopes, meter, amount = line
    window = "day" if kind_of(scopes) in PLATFORM else ""
    closing = _fitted(policy, (scopes, Limit(meter=meter, amount=amount, window=window)))
    where, text = _line(policy, scopes, [closing[1]])
    return Hole(pattern=pattern, what=what, closing=closing, where=where, line=text)


def together(policy: Policy, found: Sequence[Hole]) -> list[tuple[str, str]]:
    """
    What closes all of these holes: for each place in the policy what to write there.
    """
    by_scopes: dict[str, dict[Limit, None]] = {}
    for hole in found:
        by_scopes.setdefault(hole.closing[0], {})[hole.closing[1]] = None
    return [_line(policy, scopes, list(limits)) for scopes, limits in by_scopes.items()]


def _fitted(policy: Policy, placed: Placed) -> Placed:
    """
    The limit with an amount that contradicts none that the policy has: no more than one around it, and no less than
    those that it is around.
    """
    scopes, limit = placed
    limit = replace(limit, amount=max(limit.amount, policy.shrink_tokens_min if "tokens" in limit.meter else 0))
    limits = limits_of(policy)
    below = [one.amount for pattern, one in limits if outranking((pattern, one), [(scopes, limit)])]
    limit = replace(limit, amount=max([limit.amount, *below]))
    above = outranking((scopes, limit), limits)
    return scopes, limit if above is None else replace(limit, amount=above[1].amount)


def _line(policy: Policy, scopes: str, closing: Sequence[Limit]) -> tuple[str, str]:
    own = [one for pattern, one in limits_of(policy) if pattern == scopes]
    beside = [[*(one for one in own if _stays(one, limit)), limit] for limit in closing]
    text = ", ".join(f"{limits[-1].meter}: {written(limits)}" for limits in beside)
    if own:
        return f"in {scopes} ({own[0].source})", text
    return "in the policy" if scopes == CALL else "under budgets", f"{scopes}: {{{text}}}"


def _stays(own: Limit, closing: Limit) -> bool:
    """
    Whether a limit of the entry stays beside a new one: it does unless it only tells of what that one refuses.
    """
    is_told = own.on_exceed == "block" or (own.window_key, own.amount) != (closing.window_key, closing.amount)
    return own.meter == closing.meter and is_told
