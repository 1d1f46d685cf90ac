"""
Exports: the calls of a journal for spreadsheets, scripts and FinOps tools.

A new format is one file with one function, and one line in ``FORMATS``. Entries are streamed: one of them is held at a
time, whatever the length of the journal.
"""

from solvent.export import csv, focus, jsonl
from solvent.export._source import Source, Write, Written

__all__ = [
    "FORMATS",
    "Source",
    "Write",
    "Written",
]

FORMATS: dict[str, Write] = {
    "csv": csv.write,
    "focus": focus.write,
    "jsonl": jsonl.write,
}
