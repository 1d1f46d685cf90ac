from inprocess import guarded, ledger, policy  # noqa: F401  # The fixtures of these tests.
from matrix import server  # noqa: F401
