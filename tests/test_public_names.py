"""
The names that ``import solvent`` has. Whoever takes one away warns for one minor release first.
"""

import solvent

NAMES = """
Budget BudgetExceeded Carrier DeadlinePassed Decision Listening LoopDetected OutcomeUnknown PriceUnknown SettingsError
SolventError Spending StoreUnavailable Unbounded acheck agent budget call check current_budget fan_out install listen
loop resume retry step tool uninstall
"""


def test_the_public_names_are_these():
    assert solvent.__all__ == NAMES.split()
    assert all(getattr(solvent, name) is not None for name in NAMES.split())
