"""
Python runs this before a program, with this folder on its path: it begins what ``solvent doctor`` wants to know, and
then whatever other module of this name would have run. It needs nothing but Python's own, for any Python reads it.
"""

import json
import os
import sys
from contextlib import suppress

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _begin(report: str) -> None:
    try:
        from solvent.instrument import _watch
    except (ImportError, SyntaxError):  # It is not there, or for newer Pythons.
        with suppress(OSError), open(report, "a", encoding="utf-8") as file:  # Doctor may be gone.
            file.write(json.dumps({"kind": "bare", "name": sys.executable, "pid": os.getpid()}) + "\n")
    else:
        _watch.begin(report)


def _go_on() -> None:
    """
    With the module that this one stands before.
    """
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != _FOLDER]
    own = sys.modules.pop("sitecustomize")
    try:
        __import__("sitecustomize")
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = own  # There is no other, and who imports this one wants it there.


if os.environ.get("SOLVENT_DOCTOR"):
    _begin(os.environ["SOLVENT_DOCTOR"])
_go_on()
