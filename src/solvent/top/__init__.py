"""
The open budgets of a ledger, live: what is spent, reserved and left of each, and how long that lasts.
"""

from solvent.top._json import to_json
from solvent.top._watch import Watch, is_live, show, watch

__all__ = ["Watch", "is_live", "show", "to_json", "watch"]
