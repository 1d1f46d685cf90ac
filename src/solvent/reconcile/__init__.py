"""
The journal against a provider's bill: per day and model, every difference with its explanation.
"""

from solvent.reconcile._bills import FORMATS, read_bill
from solvent.reconcile._json import to_json
from solvent.reconcile._reconcile import reconcile
from solvent.reconcile._records import EXPLANATIONS, Bill, BillError, Line, NothingBooked, Part, Reconciliation
from solvent.reconcile.csv import parse_columns

__all__ = [
    "EXPLANATIONS",
    "FORMATS",
    "Bill",
    "BillError",
    "Line",
    "NothingBooked",
    "Part",
    "Reconciliation",
    "parse_columns",
    "read_bill",
    "reconcile",
    "to_json",
]
