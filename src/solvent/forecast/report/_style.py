"""
How the page of a forecast looks: as that of a report, and what only it has.
"""

from collections.abc import Mapping
from pathlib import Path

from solvent.report.html import _style

HEAT: Mapping[str, str] = {"light": "#f2b8a0", "dark": "#7d3a24"}  # Of a block that all of the cost comes from.


def style() -> str:
    """
    The whole style sheet.
    """
    heat = f":root{{--heat:{HEAT['light']}}}@media (prefers-color-scheme:dark){{:root{{--heat:{HEAT['dark']}}}}}"
    paper = f"@media print{{:root{{--heat:{HEAT['light']}}}}}"
    own = Path(__file__).with_name("_style.css").read_text(encoding="utf-8")
    return "\n".join((_style.style(), heat, paper, " ".join(own.split())))
