"""
``solvent estimate`` and ``solvent cost``: the bound of calls, and what they did cost, from recorded exchanges.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from solvent._amounts import show_dollars
from solvent._assess import OTHER_DAY, Assessment, Assessor, Exchange
from solvent._estimate import Estimator, usage_json
from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, EXIT_LEDGER, fail
from solvent.cli._exchanges import read_exchanges
from solvent.cli._settings import At, PolicyFile, Price, policy_of, time_of
from solvent.cli._tables import fitted, terminal_width, wrapped
from solvent.errors import SolventError
from solvent.prices import Prices
from solvent.report._json import SCHEMA_VERSION, Json, amounts_as_text

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE", help="JSON: objects one after the other, or an array; - is standard input.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="A line of JSON for each, amounts exact to the nanodollar.")]


def estimate(
    files: Files = None,
    price: Price = None,
    policy: PolicyFile = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """
    Show the most that calls can cost, part by part, and what would make that less.

    Each is {"provider": …, "path": …, "request": {…}}; what was answered may be there too.

    Example: solvent estimate request.json
    """
    _show(_Assessed(files, price, policy, at), as_json, _estimate_table)


def cost(
    files: Files = None,
    price: Price = None,
    policy: PolicyFile = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """
    Show what calls did cost by the provider's own usage, and whether their bound held.

    Each is {"provider": …, "path": …, "request": {…}, "response": {…}}, or with "sse", the text of a stream, in the
    place of "response"; "status" and "run" may be there.

    Example: solvent cost exchanges.jsonl
    """
    _show(_Assessed(files, price, policy, at), as_json, _cost_table)


class _Assessed:
    """
    The exchanges of files, one after the other; ``unreadable`` counts the files that could not be read.
    """

    def __init__(self, files: list[str] | None, price: list[str] | None, policy: Path | None, at: str | None) -> None:
        if not files and sys.stdin.isatty():
            raise typer.BadParameter("name a file, or give exchanges on standard input: solvent estimate request.json")
        self._files, self._price, self._policy, self._at = files or ["-"], price, policy, at
        self.unreadable = 0

    def __iter__(self) -> Iterator[Assessment]:
        try:
            settings = policy_of(self._policy, self._price, only_looks=True)
            prices, time = Prices.load(settings.prices), time_of(self._at)
            begins = prices.card.begins if self._at else None
            assessor = Assessor(
                Estimator(prices, price_as=settings.price_as),
                at=time,
                prices_from=begins if begins and time.date() < begins else None,
            )
            for found in read_exchanges(self._files, unreadable=self._tell):
                yield assessor.assess(found) if isinstance(found, Exchange) else found
        except SolventError as error:
            fail(error, EXIT_LEDGER)

    def _tell(self, error: OSError) -> None:
        self.unreadable += 1
        print(f"solvent: {printable(str(error.filename))} cannot be read: {error.strerror}", file=sys.stderr)


_Table: TypeAlias = Callable[[Sequence[Assessment], int | None], list[str]]


def _show(found: _Assessed, as_json: bool, table: _Table) -> None:
    """
    Print a line for each, and end with code 1 if one of them, or a file, could not be read.
    """
    shown = []
    for one in found:
        shown.append(one)
        if as_json:
            print(json.dumps(_json(one)))
    if not as_json and (shown or not found.unreadable):
        width = terminal_width()
        print("\n".join([*(table(shown, width) if shown else ["0 exchanges"]), *_other_day(shown, width)]))
    if found.unreadable or any(one.kind == "invalid" for one in shown):
        raise typer.Exit(EXIT_FAILED)


def _json(one: Assessment) -> Json:
    bound = one.bound
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": one.kind,
        "provider": one.provider or None,
        "format": one.format,
        "model": one.model,
        "bound_nanodollars": amounts_as_text(bound.nanodollars if bound else 0 if one.kind == "free" else None),
        "bound_parts": amounts_as_text([part.to_json() for part in bound.parts]) if bound else [],
        "answered": one.answered,
        "usage": amounts_as_text(usage_json(one.usage)) if one.usage else None,
        "cost_nanodollars": amounts_as_text(one.cost_nanodollars),
        "price_source": one.price_source,
        "estimated": one.estimated,
        "bound_held": one.bound_held,
        "notes": list(one.notes),
    }


def _estimate_table(found: Sequence[Assessment], width: int | None) -> list[str]:
    rows = [["format", "model", "input", "output", "at most", ""]]
    for one in found:
        bound = one.bound
        tokens = [_count(bound.input_tokens), _count(bound.output_tokens)] if bound else ["", ""]
        rows.append([*_names(one), *tokens, _money(_most(one)), _first_note(one)])
    lines = fitted(rows, right=(2, 3, 4), least=(0,), width=width)
    if len(found) == 1 and found[0].bound is not None:
        lines += ["", *_parts(found[0], width)]
    return lines


def _parts(one: Assessment, width: int | None) -> list[str]:
    """
    The parts of one bound, with what makes each so, and what would make it less.
    """
    assert one.bound is not None
    rows = []
    for part in one.bound.parts:
        amount = _money(part.nanodollars) if part.name == "usd" else _count(part.tokens)
        rows.append([part.name, amount, part.reason])
    told = [printable(note) for note in one.notes if not note.startswith(OTHER_DAY)]
    return [*fitted(rows, right=(1,), width=width), *(line for note in told for line in wrapped(note, width))]


def _cost_table(found: Sequence[Assessment], width: int | None) -> list[str]:
    rows = [["format", "model", "input", "cached", "output", "cost", "at most", "held", ""]]
    for one in found:
        usage = one.usage
        counts = [usage.input_tokens, usage.cache_read_tokens, usage.output_tokens] if usage else [None] * 3
        held = {True: "yes", False: "NO", None: ""}[one.bound_held]
        amounts = [_money(one.cost_nanodollars), _money(_most(one))]
        rows.append([*_names(one), *map(_count, counts), *amounts, held, _remark(one)])
    lines = fitted(rows, right=(2, 3, 4, 5, 6), least=(3, 0, 6), width=width)
    if len(found) > 1:
        lines += ["", *wrapped(_sum(found), width)]
    return lines


def _remark(one: Assessment) -> str:
    if _way(one) == "unanswered":
        return "unanswered: there is no response in it"
    return f"estimated: {one.estimated.replace('_', ' ')}" if one.estimated else _first_note(one)


def _sum(found: Sequence[Assessment]) -> str:
    """
    The cost of all, and how every one of them came to its own.
    """
    cost = sum(one.cost_nanodollars or 0 for one in found)
    estimated = sum(one.cost_nanodollars or 0 for one in found if one.estimated)
    held = [one.bound_held for one in found if one.bound_held is not None]
    ways = Counter(map(_way, found))
    of_it = f", {show_dollars(estimated)} of it estimated" if estimated else ""
    counts = ", ".join(f"{ways[way]:,} {way}" for way in _WAYS if ways[way])
    total = f"{len(found):,} exchanges: cost {show_dollars(cost)}{of_it}; {counts}"
    return f"{total}; bound held in {sum(held):,} of {len(held):,}" if held else total


_WAYS = ("counted", "estimated", "failed", "unanswered", "without a cost", "free", "unbounded", "unknown", "invalid")


def _way(one: Assessment) -> str:
    """
    How an exchange came to its cost, one of ``_WAYS``.
    """
    if one.kind != "paid":
        return one.kind
    if not one.answered:
        return "unanswered"
    if one.cost_nanodollars is None:
        return "without a cost"
    return "estimated" if one.estimated else "counted" if one.usage is not None else "failed"


def _other_day(found: Sequence[Assessment], width: int | None) -> list[str]:
    """
    What is to be said once of prices that are not of the day that was asked for.
    """
    notes = [note for one in found for note in one.notes if note.startswith(OTHER_DAY)]
    if not notes:
        return []
    reason = notes[0].partition(": ")[2].capitalize()
    return ["", *wrapped(f"{reason}; the earliest that it has are used for {len(notes):,} of {len(found):,}", width)]


def _names(one: Assessment) -> list[str]:
    return [printable(one.format or one.kind), printable(one.model or "")]


def _most(one: Assessment) -> int | None:
    return one.bound.nanodollars if one.bound else 0 if one.kind == "free" else None


def _first_note(one: Assessment) -> str:
    return printable(one.notes[0]) if one.notes and not one.notes[0].startswith(("tighter", OTHER_DAY)) else ""


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _money(value: int | None) -> str:
    return "" if value is None else show_dollars(value)
