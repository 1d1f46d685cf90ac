"""
What ``solvent run`` was asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from solvent._carrier import Carrier
from solvent._ids import new_id
from solvent._limits import OWNERS, Limit, Scope
from solvent.policy import Policy
from solvent.policy._owners import unmet

# A program named first often only says what runs the real one.
_INTERPRETERS = ("bash", "bun", "deno", "node", "npx", "perl", "python", "ruby", "sh", "uv", "uvx")


# What lets a program call a provider that no route leads to.
# Source: litellm 1.106.2, ``llms/*``; code.claude.com/docs, "env-vars"; read 2026-11-22.
_UNLED = (
    "AI21_API_KEY",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AZURE_AI_API_KEY",
    "AZURE_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CODESTRAL_API_KEY",
    "DASHSCOPE_API_KEY",
    "DEEPINFRA_API_KEY",
    "HF_TOKEN",
    "HUGGINGFACE_API_KEY",
    "NVIDIA_NIM_API_KEY",
    "PERPLEXITYAI_API_KEY",
    "PERPLEXITY_API_KEY",
    "REPLICATE_API_KEY",
    "REPLICATE_API_TOKEN",
    "SAMBANOVA_API_KEY",
    "VOYAGE_API_KEY",
)


class RunSettings(Struct, frozen=True, kw_only=True):
    """
    One ``solvent run``, read once.

    Attributes:
        limits: Of the flags, on the run's scope.
        time_seconds: Until the calls in flight are closed and the command is ended; ``None`` is no deadline.
        on_refusal: ``stop`` ends the command at the first refusal.
        report: Where the report goes instead of standard error.
        inside: The budget that it is a step of, by the environment.
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
    inside: Carrier | None = None

    @property
    def is_limited(self) -> bool:
        """
        Whether flags, the policy or a budget around it hold the command to anything.
        """
        return (
            bool(self.limits or self.policy.budgets or self.policy.call or self.inside) or self.time_seconds is not None
        )


def scope_of_run(name: str | None, command: Sequence[str], *, owner: str | None = None) -> Scope:
    """
    ``run:NAME``, or a new scope named after the program.

    Args:
        owner: The scope that it is to be in, such as ``org:acme/team:search``.

    Raises:
        ValueError: The name cannot be one of a scope, or no run can be in that one.
    """
    run = ("run", name if name is not None else f"{_program(command)}-{new_id()}")
    above = Scope.parse(owner).parts if owner else ()
    if any(kind not in OWNERS for kind, _ in above):
        raise ValueError(f"a run can be in an org, a team and a user, such as org:acme/team:search; got {owner!r}")
    return Scope((*above, run))


def notices(settings: "RunSettings", environ: Mapping[str, str]) -> list[str]:
    """
    What a person has to know before the program starts: limits that cannot hold it, and ways around this run.
    """
    return [*_unmet(settings.policy, settings.scope), *_ways_around(settings, environ)]


def _unmet(policy: Policy, scope: Scope) -> Iterator[str]:
    for kind, names in unmet(policy, scope):
        yield f"no limit of {names} holds this run, which is in no {kind}; --scope {kind}:NAME puts it in one"


def _ways_around(settings: "RunSettings", environ: Mapping[str, str]) -> Iterator[str]:
    found = [name for name in _UNLED if environ.get(name)]
    if found and (settings.limits or settings.policy.budgets or settings.policy.call):
        yield f"with {', '.join(found)} the program can call providers past this run, and no limit holds such calls"


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
