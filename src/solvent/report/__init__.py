"""
The report of a run: summed from the journal, drawn for a terminal, written as JSON.
"""

from solvent.report._head import shown_name
from solvent.report._json import list_json, to_json
from solvent.report._records import ModelUse, Refused, Report, Share, Use
from solvent.report._summary import summarize
from solvent.report._terminal import render, write

__all__ = [
    "ModelUse",
    "Refused",
    "Report",
    "Share",
    "Use",
    "list_json",
    "render",
    "shown_name",
    "summarize",
    "to_json",
    "write",
]
