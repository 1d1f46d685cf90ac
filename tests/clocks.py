"""
A clock that tests move.
"""

from solvent.testing import ManualClock

__all__ = ["ManualClock"]
