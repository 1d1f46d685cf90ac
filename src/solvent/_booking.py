"""
What is booked for a call when it is over: the table of DESIGN §6, pure.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from solvent._amounts import Usage
from solvent._estimate import Bound
from solvent._usage_of import Told
from solvent.errors import PriceUnknown
from solvent.prices import Price
from solvent.wire._call import Call, Reading

# A provider's error before any output: nothing was generated, so nothing is owed.
_FREE_ERRORS = frozenset({429, 503, 529})


# Who ended a call before its reply was whole: its caller; the gateway, at its closing or a deadline; anything else.
LostReason = Literal["client_gone", "cut", "stopped"]


class NotSent(Struct, frozen=True, kw_only=True):
    """
    The connection to the provider never came to be.
    """

    reason: str


class Replied(Struct, frozen=True, kw_only=True):
    """
    The provider's reply came to its end, whatever it says.
    """

    status: int
    reading: Reading


class Lost(Struct, frozen=True, kw_only=True):
    """
    The request was sent, and the reply was cut: by the provider, the network, a time-out, or a client that went away.

    ``status`` and ``reading`` tell what came until then.
    """

    reason: LostReason
    status: int | None = None
    reading: Reading | None = None


class Reported(Struct, frozen=True, kw_only=True):
    """
    The program says itself what its call used; what it does not say is booked as it was set aside.

    Attributes:
        failed: It ended in an error, and nobody knows what it came to.
    """

    told: Told
    nanodollars: int | None = None
    failed: bool = False


Outcome = NotSent | Replied | Lost | Reported
DONE = "done"  # The status of a call that the program itself tells of.


class Booking(Struct, frozen=True, kw_only=True):
    """
    How a call is closed.

    Attributes:
        released: It never reached the provider: closed at zero.
        usage: What it used; bounds where ``estimated`` says why, ``None`` where nothing is known.
        cost_nanodollars: ``None`` where the model has no price, or the call no bound.
        model, tier: As the reply named them.
        billed: ``usage`` is the provider's own count.
    """

    released: bool = False
    usage: Usage | None = None
    cost_nanodollars: int | None = None
    estimated: str | None = None
    price_source: str | None = None
    model: str | None = None
    tier: str | None = None
    status: str = ""
    billed: bool = False


def book(
    call: Call,
    bound: Bound,
    outcome: Outcome,
    *,
    sums_choices: bool,
    price_of: Callable[[str], Price | None],
    at: datetime,
) -> Booking:
    """
    What is booked for a call that ended so.

    Args:
        sums_choices: The host is known to count all choices in its usage; elsewhere ``n > 1`` is booked at the bound.
        price_of: The price of a model that the reply names.
        at: When the call began; prices have dates.
    """
    match outcome:
        case NotSent():
            return Booking(released=True, status="not_sent")
        case Replied(status=status) if 400 <= status < 500 or status in _FREE_ERRORS:
            return Booking(usage=Usage(), cost_nanodollars=0, status=str(status))
        case Replied(status=status, reading=reading) if 300 <= status < 400:
            # A redirect is passed on, not followed: whoever sent it generated nothing.
            return Booking(usage=Usage(), cost_nanodollars=0, status=str(status))
        case Replied(status=status, reading=reading):
            return _replied(call, bound, status, reading, sums_choices=sums_choices, price_of=price_of, at=at)
        case Reported():
            return _reported(call, bound, outcome, price_of=price_of, at=at)
        case Lost(status=int(status)) if 400 <= status < 500 or status in _FREE_ERRORS:
            return Booking(usage=Usage(), cost_nanodollars=0, status=str(status))
        case Lost(reason=reason, reading=reading):
            if reading is not None and reading.usage is not None and reading.complete:
                return _by_usage(call, bound, reading, reason, sums_choices=sums_choices, price_of=price_of, at=at)
            return _at_bound(bound, estimated=reason, status=reason, reading=reading)


def _replied(
    call: Call,
    bound: Bound,
    status: int,
    reading: Reading,
    *,
    sums_choices: bool,
    price_of: Callable[[str], Price | None],
    at: datetime,
) -> Booking:
    text = str(status)
    if status >= 500:
        return _at_bound(bound, estimated="provider_error", status=text, reading=reading)
    if reading.problem is not None:
        return _at_bound(bound, estimated="usage_absurd", status=text, reading=reading)
    if reading.usage is None:
        if reading.error is not None and not reading.output_begun:
            return Booking(usage=Usage(), cost_nanodollars=0, status=text, model=reading.model)
        reason = "usage_missing" if reading.complete else "cut"
        return _at_bound(bound, estimated=reason, status=text, reading=reading)
    return _by_usage(call, bound, reading, text, sums_choices=sums_choices, price_of=price_of, at=at)


def _by_usage(
    call: Call,
    bound: Bound,
    reading: Reading,
    status: str,
    *,
    sums_choices: bool,
    price_of: Callable[[str], Price | None],
    at: datetime,
) -> Booking:
    usage, estimated = reading.usage, None
    assert usage is not None
    price = bound.price
    if price is not None and price.output_tokens_max is not None and not call.server_tools:
        most = max(price.output_tokens_max * call.choices, bound.output_tokens or 0)
        if usage.output_tokens > most:  # Above what the model can write, and above what was asked for: no count.
            return _at_bound(bound, estimated="usage_absurd", status=status, reading=reading)
    if call.choices > 1 and not sums_choices and bound.output_tokens is not None:
        usage, estimated = replace(usage, output_tokens=max(usage.output_tokens, bound.output_tokens)), "choices"
    price = _price_used(call, price, reading.model, price_of)
    cost, source = reading.charged_nanodollars, "the reply"
    if price is not None and (cost is None or price.by_user):
        source = price.source
        try:
            cost = price.cost(usage, tier=reading.tier or call.tier, region=reading.region or call.region, at=at)
        except PriceUnknown:
            return _at_bound(bound, estimated="price_unknown", status=status, reading=reading)
    return Booking(
        usage=usage,
        cost_nanodollars=cost,
        estimated=estimated,
        price_source=None if cost is None else source,
        model=reading.model,
        tier=reading.tier,
        status=status,
        billed=estimated is None,
    )


def _reported(
    call: Call, bound: Bound, outcome: Reported, *, price_of: Callable[[str], Price | None], at: datetime
) -> Booking:
    told = outcome.told
    usage = told.usage or _filled_up(told, bound)
    price = _price_used(call, bound.price, told.model, price_of)
    is_other = told.model not in (None, call.model) and not (price is not None and price.by_user)
    is_unpriced = is_other and told.model is not None and price_of(told.model) is None
    cost, source = outcome.nanodollars, "the program"
    is_known = cost is not None or (told.usage is not None and price is not None and not is_unpriced)
    if cost is None and usage is not None and price is not None:
        source = price.source
        try:
            cost = price.cost(usage, tier=call.tier, region=call.region, at=at)
        except PriceUnknown:
            is_known = False
    if cost is None:
        cost, source = bound.nanodollars, bound.price.source if bound.price else "the program"
    return Booking(
        usage=usage,
        cost_nanodollars=cost,
        estimated="failed" if outcome.failed else None if is_known else "usage_missing",
        price_source=None if cost is None else source,
        model=told.model,
        status="failed" if outcome.failed else DONE,
    )


def _filled_up(told: Told, bound: Bound) -> Usage | None:
    """
    What was told, and as much as was set aside of what was not. Of a total as much is output as can be, which is the
    dearer part.
    """
    tokens_in, tokens_out = told.input_tokens, told.output_tokens
    if told.tokens is not None:
        tokens_out = min(told.tokens, told.tokens if bound.output_tokens is None else bound.output_tokens)
        tokens_in = told.tokens - tokens_out
    tokens_in = bound.input_tokens if tokens_in is None else tokens_in
    tokens_out = bound.output_tokens if tokens_out is None else tokens_out
    if tokens_in is None or tokens_out is None:
        return None
    return Usage(input_tokens=tokens_in, output_tokens=tokens_out)


def _price_used(
    call: Call, asked: Price | None, model_used: str | None, price_of: Callable[[str], Price | None]
) -> Price | None:
    """
    The price of the model that answered; the asked one's where that has none, or where the user gave it.
    """
    if model_used is None or model_used == call.model or (asked is not None and asked.by_user):
        return asked
    return price_of(model_used) or asked


def _at_bound(bound: Bound, *, estimated: str, status: str, reading: Reading | None) -> Booking:
    """
    Everything that was set aside: the input bound and the whole output cap.
    """
    usage = None
    if bound.input_tokens is not None and bound.output_tokens is not None:
        tool_calls = reading.tool_calls if reading else 0
        usage = Usage(input_tokens=bound.input_tokens, output_tokens=bound.output_tokens, tool_calls=tool_calls)
    return Booking(
        usage=usage,
        cost_nanodollars=bound.nanodollars,
        estimated=estimated,
        price_source=bound.price.source if bound.price else None,
        model=reading.model if reading else None,
        tier=reading.tier if reading else None,
        status=status,
    )
