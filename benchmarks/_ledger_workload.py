"""
The call that the ledger is measured with, and how contenders are measured in turns.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from _goals import Verdict, goal_lines

from solvent._operations import Reserve, Settle
from solvent._records import Account, CallRecord, Terms
from solvent.stores._protocol import Store

METERS = ("usd", "tokens", "output_tokens", "calls")
HELD = {"usd": 42_000_000, "tokens": 6_000, "output_tokens": 1_024, "calls": 1}
ACTUAL = {"usd": 9_300_000, "tokens": 3_100, "output_tokens": 210, "calls": 1}
LIMIT = 2**52

ASKED = CallRecord(
    provider="openai",
    format="openai-chat",
    model_asked="gpt-4o-mini",
    stream=True,
    bound_nanodollars=HELD["usd"],
    decision="admitted",
    attempt=0,
    fingerprint="9b2c1f6f0f9d4a53",
    started=1_795_000_000_000_000_000,
)
ANSWERED = CallRecord(
    provider="openai",
    format="openai-chat",
    model_asked="gpt-4o-mini",
    model_used="gpt-4o-mini-2024-07-18",
    stream=True,
    usage={"input_tokens": 2_890, "output_tokens": 210, "cache_read_tokens": 2_048},
    bound_nanodollars=HELD["usd"],
    cost_nanodollars=ACTUAL["usd"],
    price_source="genai-prices 2026-11-18",
    decision="admitted",
    attempt=0,
    fingerprint="9b2c1f6f0f9d4a53",
    started=1_795_000_000_000_000_000,
    ended=1_795_000_002_000_000_000,
    status="200",
)

Contender = Callable[[], Any]  # Makes one pair: a reservation, and its settlement.


@dataclass(kw_only=True)
class Part:
    """
    One table of the benchmark, and which goals it decides.
    """

    title: str
    lines: list[str]
    figures: Mapping[str, Any]
    goals: list[Verdict] = field(default_factory=list)


def conclude(parts: Sequence[Part], facts: Mapping[str, Any], arguments: argparse.Namespace, *, width: int = 46) -> int:
    """
    Print the goals, write all figures where they are asked for, and return the exit code.
    """
    goals = [goal for part in parts for goal in part.goals]
    print(*goal_lines(goals, width=width), sep="\n")
    if arguments.json is not None:
        figures = {part.title: part.figures for part in parts}
        arguments.json.write_text(json.dumps({"facts": facts, "goals": goals, "parts": figures}, indent=1))
    return 1 if arguments.check and not all(goal["met"] for goal in goals) else 0


def path_of(run: str) -> list[str]:
    """
    The five scopes that a call of this run is charged to, the whole path last.
    """
    names = ("org:acme", "team:search", "user:ann", f"run:{run}", "agent:planner")
    return ["/".join(names[: count + 1]) for count in range(len(names))]


def terms_of(run: str = "1", *, window: str = "") -> Terms:
    """
    Five places × four meters. With ``window``, that of the organization.
    """
    windows = (window, "", "", "", "")
    places = zip(path_of(run), windows, strict=True)
    return Terms.of({Account(scope, meter, window): LIMIT for scope, window in places for meter in METERS})


def pairs_on(store: Store, terms: Terms, *, ids: str = "call") -> Contender:
    """
    Pairs as the guard makes them: new operations each time, on terms and records of calls that are there.
    """
    scope, number, apply = terms.accounts[-1].scope, 0, store.apply

    def pair() -> None:
        nonlocal number
        number += 1
        id = f"{ids}-{number}"
        (reserved,) = apply([Reserve(id=id, scope=scope, terms=terms, amounts=HELD, call=ASKED)])
        (closed,) = apply([Settle(id=id, actual=ACTUAL, call=ANSWERED)])
        assert reserved.state == "open"  # type: ignore[union-attr]  # An error or a refusal has no state, and fails.
        assert closed.state == "settled"  # type: ignore[union-attr]

    return pair


def cpu_ns(contender: Contender, *, pairs: int) -> float:
    """
    What a pair takes of this thread's processor time.
    """
    began = time.thread_time_ns()
    for _ in range(pairs):
        contender()
    return (time.thread_time_ns() - began) / pairs


def interleaved(
    contenders: Mapping[str, Contender], *, rounds: int, measure: Callable[[Contender], float]
) -> dict[str, list[float]]:
    """
    One figure a round for each, all of them measured in turns; the first round warms up and does not count.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            figure = measure(contender)
            if number:
                found[name].append(figure)
    return found


def p10(values: list[float]) -> float:
    return quantiles(values, n=10)[0]


def ratio(values: list[float], floor: list[float]) -> float:
    """
    The median of the rounds' ratios.
    """
    return median(value / of for value, of in zip(values, floor, strict=True))
