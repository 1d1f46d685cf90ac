"""
What the Python programs in a run get: a ``sitecustomize`` before their own.
"""

import os
from collections.abc import Mapping
from pathlib import Path

FOLDER = str(Path(__file__).with_name("python_child"))  # Nothing else is in it, for programs could import that.


def python_path(environ: Mapping[str, str]) -> dict[str, str]:
    """
    The variable by which Python programs find it. An empty one is left out, for it would mean the current folder.
    """
    former = environ.get("PYTHONPATH", "")
    if former.split(os.pathsep)[0] == FOLDER:
        return {"PYTHONPATH": former}
    return {"PYTHONPATH": f"{FOLDER}{os.pathsep}{former}" if former else FOLDER}
