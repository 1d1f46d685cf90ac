"""
The user's own settings: where they are, and how a path is written for people.
"""

import os
from pathlib import Path

FILE = "solvent.yaml"


def own_file() -> Path:
    """
    Where the user's own policy is, whether there is one or not.
    """
    import platformdirs  # Most programs never ask.

    return platformdirs.user_config_path("solvent") / FILE


def shown(path: Path) -> str:
    """
    A path as people write it.
    """
    home = os.path.expanduser("~")
    text = str(path)
    return f"~{text.removeprefix(home)}" if text.startswith(home + os.sep) else text
