"""
What a benchmark found, beside what it was to be.
"""

from typing import Any

Verdict = dict[str, Any]


def verdict(name: str, value: float, unit: str, goal: float, *, most: bool) -> Verdict:
    met = value <= goal if most else value >= goal
    return {"name": name, "value": value, "unit": unit, "goal": goal, "most": most, "met": met}


def goal_lines(goals: list[Verdict], *, width: int = 46) -> list[str]:
    lines = ["", "goals"]
    for goal in goals:
        limit = f"{'≤' if goal['most'] else '≥'} {goal['goal']:g}{goal['unit']}"
        value = f"{goal['value']:.2f}{goal['unit']}"
        lines.append(f"  {goal['name']:{width}}{value:>12}{limit:>12}   {'ok' if goal['met'] else 'missed'}")
    return lines
