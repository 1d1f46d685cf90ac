"""
A report as comma-separated values for spreadsheets: the view that was asked for, amounts whole and in exact dollars.

Source:
    RFC 4180; read 2026-11-22.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from solvent._amounts import Usage, exact_dollars
from solvent._printable import as_text
from solvent.report._draw_tree import limit_of
from solvent.report._json import time_json
from solvent.report._records import Node, Report, Row, Share, Use
from solvent.report._trace import Step

Cell = str | int | None
Table = tuple[Sequence[str], Iterable[Sequence[Cell]]]  # Its columns, and its rows.

_USAGE = Usage.__struct_fields__
_USE = ("calls", "unpriced", *_USAGE, "cost_nanodollars", "cost_dollars")
_BESIDE = (
    *("refused", "released", "estimated", "estimated_nanodollars", "estimated_dollars"),
    *("overruns", "overrun_nanodollars", "overrun_dollars"),
)


def write_csv(table: Table, out: TextIO) -> int:
    """
    Write a header and the rows; how many these were.
    """
    columns, rows = table
    write = csv.writer(out, lineterminator="\r\n").writerow
    write(columns)
    count = 0
    for row in rows:
        write([as_text(cell) if isinstance(cell, str) and not _is_number(cell) else cell for cell in row])
        count += 1
    return count


def _is_number(cell: str) -> bool:
    # An amount below 0 is no formula, though it begins like one.
    return cell.removeprefix("-").replace(".", "", 1).isdecimal()


def models_table(report: Report) -> Table:
    rows = [(model.provider, model.model, *_use(model.use)) for model in report.models]
    return ("provider", "model", *_USE), rows


def by_table(report: Report, names: Sequence[str]) -> Table:
    rows = [(*row.key, *_use(row.use), *_beside(row)) for row in report.by(*names)]
    return (*names, *_USE, *_BESIDE), rows


def tree_table(report: Report) -> Table:
    """
    A row for each scope, each before those below it. Those without a scope stand for so many cheaper ones.
    """
    columns = (
        *("scope", "depth", "scopes", *_USE, *_BESIDE, "own_calls", "own_nanodollars", "own_dollars"),
        *("reserved_nanodollars", "reserved_dollars", "limit_nanodollars", "limit_dollars", "limit_window"),
    )
    assert report.tree is not None
    return columns, _nodes(report.tree, 0)


def _nodes(node: Node, depth: int) -> Iterator[Sequence[Cell]]:
    own, limit = node.own, limit_of(node)
    yield (
        *(node.scope, depth, node.count, *_use(node.total), *_beside(node)),
        *(own.calls, *_money(own.cost_nanodollars), *_money(node.reserved_nanodollars)),
        *_money(None if limit is None else limit.limit),
        None if limit is None else limit.account.window,
    )
    for child in node.children:
        yield from _nodes(child, depth + 1)


def trace_table(steps: Iterable[Step]) -> Table:
    columns = (
        *("seq", "at", "kind", "id", "run", "scope", "parent_id", "attempt", "provider", "model_asked", "model_used"),
        *(*_USAGE, "cost_nanodollars", "cost_dollars", "bound_nanodollars", "bound_dollars"),
        *("overrun_nanodollars", "overrun_dollars", "reserved_nanodollars", "reserved_dollars"),
        *("run_total_nanodollars", "run_total_dollars", "price_source", "estimated", "status", "reason", "rungs"),
        "limits",
    )
    return columns, map(_step, steps)


def _step(step: Step) -> Sequence[Cell]:
    call = step.call
    limits = [
        f"{account.scope} {account.meter}{f'/{account.window}' if account.window else ''}: "
        f"{'none' if amount is None else amount}"
        for account, amount in step.limits
    ]
    return (
        *(step.seq, time_json(step.at), step.kind, step.id, step.run, step.scope, call.parent_id, call.attempt),
        *(call.provider, call.model_asked, call.model_used, *(step.usage.get(name) for name in _USAGE)),
        *(*_money(step.cost_nanodollars), *_money(call.bound_nanodollars), *_money(step.overrun_nanodollars)),
        *(*_money(step.reserved_nanodollars), *_money(step.run_total_nanodollars), call.price_source, call.estimated),
        *(step.status, call.reason, "; ".join(call.rungs or ()), "; ".join(limits)),
    )


def _use(use: Use) -> tuple[Cell, ...]:
    tokens = (use.tokens.get(name, 0) for name in _USAGE)
    return use.calls, use.unpriced, *tokens, *_money(use.cost_nanodollars)


def _beside(one: Node | Row) -> tuple[Cell, ...]:
    return one.refused, one.released, *_share(one.estimated), *_share(one.overruns)


def _share(share: Share) -> tuple[Cell, ...]:
    return share.count, *_money(share.nanodollars)


def _money(amount: int | None) -> tuple[Cell, Cell]:
    return (None, None) if amount is None else (amount, exact_dollars(amount))
