"""
Calls as comma-separated values for spreadsheets: RFC 4180, in UTF-8, with a header.

Source:
    RFC 4180; read 2026-11-22.
"""

import csv
from operator import itemgetter
from typing import TextIO

from solvent._amounts import Usage
from solvent._limits import SCOPE_KINDS
from solvent._printable import as_text
from solvent.export._row import row, usage
from solvent.export._source import Source, Written

_USAGE = Usage.__struct_fields__
COLUMNS = (
    *("seq", "at", "kind", "id", "scope", *SCOPE_KINDS, "provider", "format", "model_asked", "model_used", "tier"),
    *("stream", *_USAGE, "cost_nanodollars", "cost_dollars", "bound_nanodollars", "bound_dollars"),
    *("overrun_nanodollars", "run_total_nanodollars", "price_source", "estimated", "rungs", "attempt", "parent_id"),
    *("status", "reason", "started", "ended"),
)
_TEXTS = (
    *("id", "scope", *SCOPE_KINDS, "provider", "format", "model_asked", "model_used", "tier", "price_source"),
    *("estimated", "parent_id", "status", "reason"),
)
_NO_USAGE = dict.fromkeys(_USAGE)
_YES = {None: None, False: "false", True: "true"}
_in_order = itemgetter(*COLUMNS)


def write(source: Source, out: TextIO) -> Written:
    """
    Write the header and a row for each entry.
    """
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    count = 0
    for entry in source.entries():
        fields = row(entry)
        texts = {name: as_text(text) for name in _TEXTS if isinstance(text := fields[name], str)}
        rungs = as_text("; ".join(entry.call.rungs or ()))
        cells = {**_NO_USAGE, **fields, **usage(entry), **texts, "rungs": rungs, "stream": _YES[entry.call.stream]}
        rows.writerow(_in_order(cells))
        count += 1
    return Written(entries=count, rows=count)
