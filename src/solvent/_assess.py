"""
What a recorded exchange with a provider could have cost, by its bound, and what it did cost: without a ledger.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, Literal
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from solvent._amounts import Usage
from solvent._booking import Replied, book
from solvent._estimate import Bound, Estimator, PromptChain, Way
from solvent.errors import PriceUnknown
from solvent.wire import Endpoint, endpoint
from solvent.wire._call import Call, Reading

# How recordings mark what they left out. A character may take four bytes, a character of base64 takes one.
_LEFT_OUT = re.compile(r"<(cut|base64) ([0-9]{1,9}) chars>")
_WIDEST = {"cut": "\U00010000", "base64": "A"}
OTHER_DAY = "other day"  # What a note begins with about prices that are not of the day that was asked for.

_WAYS: tuple[tuple[Way, str], ...] = (
    ("prefix", "what was billed for an earlier prompt"),
    ("tokenizer", "the model's own tokenizer"),
)


class Exchange(Struct, frozen=True, kw_only=True):
    """
    A request, and what was answered.

    Attributes:
        path: With or without a query and the provider's prefix.
        method: Without one, ``POST`` where there is a body or such a call costs something, else ``GET``.
        request: The decoded body; ``None`` where there was none.
        other_objects: Fields with an object that mean nothing here; one of them may have been meant for the request.
        reply: The body of the answer as it came; ``None`` where none is known.
        stream: The answer is a stream.
        run: Exchanges of one run may extend each other's prompts.
    """

    provider: str
    path: str
    method: str | None = None
    request: Mapping[str, Any] | None = None
    other_objects: tuple[str, ...] = ()
    reply: bytes | None = None
    stream: bool = False
    status: int = 200
    run: str = ""


class Assessment(Struct, frozen=True, kw_only=True):
    """
    What Solvent makes of an exchange.

    Attributes:
        kind: ``paid``; ``free``; ``unbounded``: it costs something that nobody here can bound; ``unknown``: the path
            is none that Solvent knows, so the gateway denies it; ``invalid``: the request cannot be meant.
        format: The wire format's name, or the plain name of the path.
        answered: It is known what was answered.
        usage: What the provider told; ``None`` where it told nothing that can be read.
        cost_nanodollars: What is booked; ``None`` without an answer, a price or a bound.
        price_source: Where the price is from.
        estimated: Why the cost is the bound and no count; ``None`` where there is no cost.
        bound_held: Nothing that was told is above its bound; ``None`` where there is not both.
        notes: What a person should know: why there is no bound or no price, what was left out, what would tighten it.
    """

    kind: Literal["paid", "free", "unbounded", "unknown", "invalid"]
    provider: str
    format: str | None = None
    model: str | None = None
    bound: Bound | None = None
    answered: bool = False
    usage: Usage | None = None
    cost_nanodollars: int | None = None
    price_source: str | None = None
    estimated: str | None = None
    bound_held: bool | None = None
    notes: tuple[str, ...] = ()


class Assessor:
    """
    Bounds and costs exchanges, in the order in which they were made.

    Args:
        at: The day whose prices apply.
        prices_from: The day on which the rate card begins, where that is later.
    """

    def __init__(self, estimator: Estimator, *, at: datetime, prices_from: date | None = None) -> None:
        self._estimator = estimator
        self._at = at
        self._prices_from = prices_from

    def assess(self, exchange: Exchange) -> Assessment:
        path = unquote(exchange.path.partition("#")[0].partition("?")[0]).strip("/")
        method = exchange.method or _method(exchange, path)
        found = endpoint(exchange.provider, method, path)
        is_denied = found is None and exchange.method is not None  # Whatever its body is.
        if exchange.request is None and not is_denied and (found is None or found.format is not None):
            return _without_request(exchange, found)
        if found is None:
            reason = f"{method} {path} is no path of {exchange.provider} that Solvent knows: it is denied"
            return Assessment(kind="unknown", provider=exchange.provider, notes=(reason,))
        if found.kind == "free":
            return Assessment(kind="free", provider=exchange.provider, format=found.name, cost_nanodollars=0)
        if found.format is None:
            reason = f"unbounded: {found.name} costs something that nobody here can bound"
            return Assessment(kind="unbounded", provider=exchange.provider, format=found.name, notes=(reason,))
        try:
            return self._paid(exchange, found, path)
        except RecursionError:
            return _invalid(exchange, found, "it is nested too deep")

    def _paid(self, exchange: Exchange, found: Endpoint, path: str) -> Assessment:
        assert found.format is not None
        request, marks = restored(exchange.request or {})
        try:
            call = found.format.describe(request, provider=exchange.provider, path=path, headers={})
        except ValueError as error:
            return _invalid(exchange, found, str(error))
        bound = self._estimator.cheap(call, at=self._at)
        notes = [*self._reasons(call, bound), *self._tighter(call, bound, exchange.run)]
        if marks:
            notes.append(f"left out: {marks} parts of the request, bounded by the lengths that stand in their place")
        if self._prices_from is not None and bound.price is not None and not bound.price.by_user:
            of = f"no prices of {self._at.date()} are known, for the data begins on {self._prices_from}"
            notes.append(f"{OTHER_DAY}: {of}")
        assessed = Assessment(
            kind="paid",
            provider=exchange.provider,
            format=call.format,
            model=call.model,
            bound=bound,
            price_source=bound.price.source if bound.price else None,
            notes=tuple(notes),
        )
        if exchange.reply is None:
            return assessed
        reader = found.format.reader(call, status=exchange.status, stream=exchange.stream)
        reader.feed(exchange.reply)
        return self._answered(assessed, call, bound, reader.finish(), exchange)

    def _answered(
        self, assessed: Assessment, call: Call, bound: Bound, reading: Reading, exchange: Exchange
    ) -> Assessment:
        booking = book(
            call,
            bound,
            Replied(status=exchange.status, reading=reading),
            sums_choices=True,
            price_of=lambda model: self._estimator.price(call.provider, model),
            at=self._at,
        )
        usage, notes = reading.usage, list(assessed.notes)
        if reading.problem:
            notes.append(f"no usage that can be believed: {reading.problem}")
        if reading.error:
            notes.append(f"the provider answered with an error: {reading.error}")
        cost = booking.cost_nanodollars
        if booking.estimated:
            what = "without a cost, for there is no bound" if cost is None else "booked at the bound"
            notes.append(f"{what}: {booking.estimated.replace('_', ' ')}")
        if usage is not None and booking.billed:
            self._estimator.learn(PromptChain(call), scope=exchange.run, input_tokens=usage.input_tokens)
        return replace(
            assessed,
            answered=True,
            usage=usage,
            cost_nanodollars=cost,
            price_source=booking.price_source,
            estimated=None if cost is None else booking.estimated,
            bound_held=None if usage is None else _held(bound, usage, cost),
            notes=tuple(notes),
        )

    def _tighter(self, call: Call, bound: Bound, run: str) -> Iterator[str]:
        """
        What would make the bound smaller.
        """
        chain, best = PromptChain(call), bound.input_tokens
        for way, what in _WAYS:
            tokens = self._estimator.tighten(call, bound, chain, scope=run, at=self._at, by=way).input_tokens
            if tokens is not None and (best is None or tokens < best):
                best = tokens
                yield f"tighter: at most {tokens:,} input tokens, by {what}"
        if call.output_tokens_max is None and bound.output_cap is not None:
            yield f"tighter: an output cap in the request; the model's largest counts, {bound.output_cap:,} tokens"

    def _reasons(self, call: Call, bound: Bound) -> Iterator[str]:
        """
        Why there is no bound, or no price.
        """
        if bound.unbounded is not None:
            yield f"unbounded: {bound.unbounded}"
        if bound.price_error is not None:
            yield f"unpriced: {self._unpriced(call.provider, bound.price_error)}"
        if call.hidden_input:
            yield f"loose: the model's largest input counts, for {call.hidden_input}"

    def _unpriced(self, provider: str, error: PriceUnknown) -> str:
        meant = self._estimator.close_provider(provider)
        if meant is not None:
            near = f"; did you mean {meant}?" if meant else ""
            return f"{provider} is no provider that the rate card knows{near}"
        what = f"the {error.what} of {error.model}" if error.what else error.model
        near = f"; known and close: {', '.join(error.close)}" if error.close else ""
        key = error.what.replace(" ", "_") if error.what.startswith("audio ") else ""
        return f"{what} has no price{near}{f'; give it as {key} under prices: in a policy' if key else ''}"


def _method(exchange: Exchange, path: str) -> str:
    """
    The method of a call that does not tell it. Never one that is free where the other is not.
    """
    posted = endpoint(exchange.provider, "POST", path)
    return "POST" if exchange.request is not None or (posted is not None and posted.kind != "free") else "GET"


def _without_request(exchange: Exchange, found: Endpoint | None) -> Assessment:
    close = difflib.get_close_matches("request", exchange.other_objects, n=1) or exchange.other_objects[:1]
    near = f"; did you mean request by {close[0]}?" if close else ""
    reason = f"request is missing, the body of the call: expected provider, path, request and response or sse{near}"
    return _invalid(exchange, found, reason)


def _invalid(exchange: Exchange, found: Endpoint | None, reason: str) -> Assessment:
    name = found.name if found is not None else None
    if found is not None and found.format is not None:
        name = found.format.name
    return Assessment(kind="invalid", provider=exchange.provider, format=name, notes=(f"invalid: {reason}",))


def restored(value: Any) -> tuple[Any, int]:
    """
    A recorded value with something as long in the place of what the recording left out; and how many such places.
    """
    if isinstance(value, str):
        return _LEFT_OUT.subn(lambda mark: _WIDEST[mark[1]] * int(mark[2]), value)
    if isinstance(value, list):
        items = [restored(item) for item in value]
        return [item for item, _ in items], sum(marks for _, marks in items)
    if isinstance(value, Mapping):
        fields = {key: restored(field) for key, field in value.items()}
        return {key: field for key, (field, _) in fields.items()}, sum(marks for _, marks in fields.values())
    return value, 0


def _held(bound: Bound, usage: Usage, cost: int | None) -> bool | None:
    pairs = [
        (usage.input_tokens, bound.input_tokens),
        (usage.output_tokens, bound.output_tokens),
        (cost, bound.nanodollars),
    ]
    known = [(actual, most) for actual, most in pairs if actual is not None and most is not None]
    return all(actual <= most for actual, most in known) if known else None
