"""
How the page looks: its colors, in light and in dark, and the style sheet that uses them.

Nothing is told by color alone: cells are labeled, bars stand beside their numbers, and marks differ in shape.
"""

from collections.abc import Mapping
from pathlib import Path

KINDS = ("org", "team", "user", "run", "agent", "step", "rest")

LIGHT: Mapping[str, str] = {
    "page": "#ffffff",
    "panel": "#f5f6f8",
    "text": "#1b1f27",
    "muted": "#545c6b",
    "edge": "#d4d8df",
    "track": "#e3e6eb",
    "fill": "#3566b8",
    "held": "#8a6100",
    "near": "#8f5a00",
    "over": "#b3261e",
    "good": "#1c6e42",
    "org": "#b9c8e6",
    "org-own": "#dde6f6",
    "team": "#b4d6da",
    "team-own": "#daeef0",
    "user": "#d5c7e8",
    "user-own": "#ebe3f6",
    "run": "#bcd9b4",
    "run-own": "#e0f0db",
    "agent": "#ecd3a4",
    "agent-own": "#f8ead0",
    "step": "#efc6b6",
    "step-own": "#fae4da",
    "rest": "#d3d6dc",
    "rest-own": "#e9ebef",
}
DARK: Mapping[str, str] = {
    "page": "#14171c",
    "panel": "#1d2128",
    "text": "#e8eaee",
    "muted": "#a5adba",
    "edge": "#363c47",
    "track": "#2c323c",
    "fill": "#7ba6ee",
    "held": "#e0b252",
    "near": "#eab04a",
    "over": "#ff8a80",
    "good": "#6fcf97",
    "org": "#2b4375",
    "org-own": "#3b568f",
    "team": "#1d525a",
    "team-own": "#2a676f",
    "user": "#4e3a70",
    "user-own": "#624b88",
    "run": "#2b5427",
    "run-own": "#396935",
    "agent": "#5f4614",
    "agent-own": "#775a20",
    "step": "#6a3320",
    "step-own": "#82442e",
    "rest": "#3b414c",
    "rest-own": "#4b525f",
}
# What is written on what.
WRITTEN: tuple[tuple[str, str], ...] = (
    *((ink, paper) for ink in ("text", "muted", "fill", "held", "near", "over", "good") for paper in ("page", "panel")),
    *(("text", kind + part) for kind in KINDS for part in ("", "-own")),
)


def _variables(colors: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{color};" for name, color in colors.items())


def style() -> str:
    """
    The whole style sheet: the colors, and the file beside this one that uses them.
    """
    light, dark = _variables(LIGHT), _variables(DARK)
    kinds = (f".{kind}{{fill:var(--{kind})}}.{kind} .own{{fill:var(--{kind}-own)}}" for kind in KINDS)
    return "\n".join(
        (
            f":root{{color-scheme:light dark;{light}}}",
            f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}",
            f"@media print{{:root{{color-scheme:light;{light}}}}}",
            *kinds,
            _lean(Path(__file__).with_name("_style.css").read_text(encoding="utf-8")),
        )
    )


def _lean(sheet: str) -> str:
    return " ".join(sheet.split())
