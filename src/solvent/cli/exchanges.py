"""
``solvent estimate`` and ``solvent cost``: the bound of calls, and what they did cost, from recorded exchanges.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from solvent._amounts import show_dollars
from solvent._assess import Assessment, Assessor, Exchange
from solvent._estimate import Estimator, usage_json
from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, EXIT_LEDGER, aligned, fail
from solvent.cli._exchanges import read_exchanges
from solvent.cli._settings import At, PolicyFile, Price, policy_of, time_of
from solvent.errors import SolventError
from solvent.prices import Prices
from solvent.report._json import SCHEMA_VERSION, Json, amounts_as_text

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE", help="JSON: an object, an array, or one object a line; - is standard input.", show_default=False
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
    rows = _assessed(files, price, policy, at)
    _show(rows, as_json, _estimate_table)


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
    rows = _assessed(files, price, policy, at)
    _show(rows, as_json, _cost_table)


def _assessed(
    files: list[str] | None, price: list[str] | None, policy: Path | None, at: str | None
) -> Iterator[Assessment]:
    if not files and sys.stdin.isatty():
        raise typer.BadParameter("name a file, or give exchanges on standard input: solvent estimate request.json")
    try:
        settings = policy_of(policy, price)
        estimator = Estimator(Prices.load(settings.prices), price_as=settings.price_as)
        assessor = Assessor(estimator, at=time_of(at))
        for found in read_exchanges(files or ["-"]):
            yield assessor.assess(found) if isinstance(found, Exchange) else found
    except SolventError as error:
        fail(error, EXIT_LEDGER)
    except OSError as error:
        fail(f"{printable(str(error.filename))} cannot be read: {error.strerror}", EXIT_FAILED)


def _show(found: Iterable[Assessment], as_json: bool, table: Callable[[Sequence[Assessment]], list[str]]) -> None:
    """
    Print a line for each, and end with code 1 if one of them could not be read.
    """
    shown = []
    for one in found:
        shown.append(one)
        if as_json:
            print(json.dumps(_json(one)))
    if not as_json and shown:
        print("\n".join(table(shown)))
    if any(one.kind == "invalid" for one in shown):
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
        "usage": amounts_as_text(usage_json(one.usage)) if one.usage else None,
        "cost_nanodollars": amounts_as_text(one.cost_nanodollars),
        "price_source": one.price_source,
        "estimated": one.estimated,
        "bound_held": one.bound_held,
        "notes": list(one.notes),
    }


def _estimate_table(found: Sequence[Assessment]) -> list[str]:
    rows = [["format", "model", "input", "output", "at most", ""]]
    for one in found:
        bound = one.bound
        tokens = [_count(bound.input_tokens), _count(bound.output_tokens)] if bound else ["", ""]
        rows.append([*_names(one), *tokens, _money(_most(one)), _first_note(one)])
    lines = aligned(rows, right=(2, 3, 4))
    if len(found) == 1 and found[0].bound is not None:
        lines += ["", *_parts(found[0])]
    return lines


def _parts(one: Assessment) -> list[str]:
    """
    The parts of one bound, with what makes each so, and what would make it less.
    """
    assert one.bound is not None
    rows = []
    for part in one.bound.parts:
        amount = _money(part.nanodollars) if part.name == "usd" else _count(part.tokens)
        rows.append([part.name, amount, part.reason])
    return [*aligned(rows, right=(1,)), *(printable(note) for note in one.notes)]


def _cost_table(found: Sequence[Assessment]) -> list[str]:
    rows = [["format", "model", "input", "cached", "output", "cost", "at most", "held", ""]]
    for one in found:
        usage = one.usage
        counts = [usage.input_tokens, usage.cache_read_tokens, usage.output_tokens] if usage else [None] * 3
        held = {True: "yes", False: "NO", None: ""}[one.bound_held]
        amounts = [_money(one.cost_nanodollars), _money(_most(one))]
        rows.append([*_names(one), *map(_count, counts), *amounts, held, _first_note(one)])
    lines = aligned(rows, right=(2, 3, 4, 5, 6))
    if len(found) > 1:
        lines += ["", _sum(found)]
    return lines


def _sum(found: Sequence[Assessment]) -> str:
    costs = [one.cost_nanodollars for one in found if one.cost_nanodollars is not None]
    held = [one.bound_held for one in found if one.bound_held is not None]
    kinds: Counter[str] = Counter(one.kind for one in found if one.kind != "paid")
    kinds["without a cost"] = sum(one.kind == "paid" and one.cost_nanodollars is None for one in found)
    others = "".join(f", {count} {kind}" for kind, count in kinds.items() if count)
    total = f"{len(found):,} exchanges: cost {show_dollars(sum(costs))}"
    return f"{total}, bound held in {sum(held):,} of {len(held):,}{others}"


def _names(one: Assessment) -> list[str]:
    return [printable(one.format or one.kind), printable(one.model or "")]


def _most(one: Assessment) -> int | None:
    return one.bound.nanodollars if one.bound else 0 if one.kind == "free" else None


def _first_note(one: Assessment) -> str:
    return printable(one.notes[0]) if one.notes and not one.notes[0].startswith("tighter") else ""


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _money(value: int | None) -> str:
    return "" if value is None else show_dollars(value)
