"""
What ``solvent run`` was asked for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from solvent._ids import new_id
from solvent._limits import Limit, Scope
from solvent.policy import Policy

# A program named first often only says what runs the real one.
_INTERPRETERS = ("bash", "bun", "deno", "node", "npx", "perl", "python", "ruby", "sh", "uv", "uvx")


class RunSettings(Struct, frozen=True, kw_only=True):
    """
    One ``solvent run``, read once.

    Attributes:
        limits: Of the flags, on the run's scope.
        time_seconds: Until the calls in flight are closed and the command is ended; ``None`` is no deadline.
        on_refusal: ``stop`` ends the command at the first refusal.
        report: Where the report goes instead of standard error.
    """

    command: Sequence[str]
    scope: Scope
    limits: tuple[Limit, ...]
    ledger: str
    policy: Policy = field(default_factory=Policy)
    time_seconds: float | None = None
    keys: Literal["swap", "pass"] = "swap"
    on_refusal: Literal["continue", "stop"] = "continue"
    report: Path | None = None
    json: bool = False
    live: bool = False
    quiet: bool = False


def scope_of_run(name: str | None, command: Sequence[str]) -> Scope:
    """
    ``run:NAME``, or a new scope named after the program.

    Raises:
        ValueError: The name cannot be one of a scope.
    """
    return Scope((("run", name if name is not None else f"{_program(command)}-{new_id()}"),))


def _program(command: Sequence[str]) -> str:
    first = Path(command[0]).name
    if first.startswith(_INTERPRETERS):
        words = iter(command[1:])
        for word in words:
            if word in ("-c", "-e", "--eval"):
                break  # What follows is the program's text.
            if word == "run":  # As in `uv run agent.py`.
                continue
            if word == "-m" or not word.startswith("-"):
                first = Path(next(words, "") if word == "-m" else word).name or first
                break
    return "".join(char for char in first if char.isalnum() or char in "._-")[:64] or "run"


def outer_gateway(environ: Mapping[str, str]) -> str | None:
    """
    The gateway of the ``solvent run`` that this one runs inside, if it does.
    """
    return environ.get("SOLVENT_GATEWAY")
