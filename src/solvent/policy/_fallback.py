"""
Which model a call is made with when it does not fit with the one that it asks for.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from solvent.errors import SettingsError

if TYPE_CHECKING:
    from solvent.prices import Prices
    from solvent.prices._card import Card


# Above 0 and at most 100, with nine decimals at most.
SHARE = r"(?!0*(?:\.0*)? ?%)(?:100(?:\.0{1,9})?|[0-9]{1,2}(?:\.[0-9]{1,9})?) ?%"


class Fallback(Struct, frozen=True, kw_only=True):
    """
    A step down from one model to another, of the same provider and wire format.

    Attributes:
        model: The one that is asked for.
        to: The one that is used in its place when a call does not fit.
        at: The share of any limit of money or tokens on the path from which on it is used for every call.
    """

    model: str
    to: str
    at: Fraction | None = None

    def __post_init__(self) -> None:
        if self.at is not None and not 0 < self.at <= 1:
            raise ValueError(f"at must be above 0 and at most 1, got {self.at}")


def chain(steps: Sequence[str | Mapping[str, str]]) -> tuple[Fallback, ...]:
    """
    The steps that code names: models, each of which leads on to the next one; or steps as in a policy.

    Raises:
        ValueError: One is none, or they lead back.
    """
    if isinstance(steps, str) or (len(steps) == 1 and isinstance(steps[0], str)):
        raise ValueError(
            "fallback must be two models or more, each of which is used where a call does not fit with the one before "
            f"it, or steps with from, to and at; got {steps!r}"
        )
    named = [step for step in steps if isinstance(step, str)]
    if len(named) == len(steps):
        found = [Fallback(model=model, to=to) for model, to in pairwise(named)]
    else:
        found = [_step(step) for step in steps]
    check_chain(found)
    return tuple(found)


def _step(given: object) -> Fallback:
    if (
        not isinstance(given, Mapping)
        or not {"from", "to"} <= given.keys() <= {"at", "from", "to"}
        or not all(isinstance(text, str) for text in given.values())
    ):
        raise ValueError(f"fallback must be names of models, or steps with from, to and at, all texts, got {given!r}")
    return Fallback(model=given["from"], to=given["to"], at=share(given["at"]) if "at" in given else None)


def check_chain(steps: Sequence[Fallback]) -> None:
    """
    Raises:
        ValueError: A model leads to two others, or back to itself.
    """
    to = {step.model: step.to for step in steps}
    if len(to) < len(steps):
        raise ValueError("fallback must be one step from each model, got two from one")
    for start in to:
        model, seen = start, {start}
        while (model := to.get(model, "")) != "":
            if model in seen:
                raise ValueError(f"fallback must be a way to other models, got one from {start} back to {model}")
            seen.add(model)


def check_step(step: Fallback, prices: "Prices", own: Collection[str], *, where: str) -> None:
    """
    Args:
        own: The models that have a price of the user's.

    Raises:
        SettingsError: It leads to a model without a price, or to one that it can never be taken to.
    """
    if step.to in own:
        return
    prices.check_name(step.to, where=where)
    if step.model not in own and _served_apart(prices.card, step):
        expected = f"a model of the provider that serves {step.model}"
        raise SettingsError(where=where, expected=expected, got=step.to)


def _served_apart(card: "Card", step: Fallback) -> bool:
    """
    Whether a step surely leads to another provider or wire format, and so would never be taken. Names whose maker the
    rate card does not know may be anybody's.
    """
    makers = [set(card.makers(model)) for model in (step.model, step.to)]
    if not all(makers) or makers[0] & makers[1]:
        return False
    common = {id for id in card.providers if card.find(id, step.model) and card.find(id, step.to)}
    # These two serve the models of some makers in the maker's own format alone.
    own_format = any(makers[0] & {maker} or makers[1] & {maker} for maker in ("anthropic", "google"))
    return not common - {"azure", "google"} if own_format else not common


def share(text: str, *, name: str = "at") -> Fraction:
    """
    A share of a limit as people write it: ``80%``.

    Args:
        name: What the error calls it.

    Raises:
        ValueError: It is none, or not above 0 % and at most 100 %.
    """
    if not re.fullmatch(SHARE, text):
        raise ValueError(f"{name} must be a share of a limit such as 80%, got {text!r}")
    return Fraction(text.removesuffix("%").strip()) / 100
