"""
Calls as JSON lines, version 1; ``docs/reference/export.md`` tells the fields.

Every line has all of them, in one order, and the version, so that lines can be cut out and put together.
"""

from typing import TextIO

from msgspec import json

from solvent.export._row import row
from solvent.export._source import Source, Written
from solvent.report._json import amounts_as_text

SCHEMA_VERSION = 1

_encode = json.Encoder().encode


def write(source: Source, out: TextIO) -> Written:
    """
    Write a line for each entry.
    """
    count = 0
    for entry in source.entries():
        fields = row(entry)
        fields["usage"] = amounts_as_text(fields["usage"])
        out.write(_encode({"schema_version": SCHEMA_VERSION, **fields}).decode() + "\n")
        count += 1
    return Written(entries=count, rows=count)
