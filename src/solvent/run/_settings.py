"""
What ``solvent run`` was asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from solvent._carrier import Carrier
from solvent._ids import new_id
from solvent._limits import OWNERS, Limit, Scope, matches
from solvent.policy import Policy
from solvent.policy._outranked import kind_of
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


def unlimited(settings: RunSettings) -> str | None:
    """
    That flags, the policy and a budget around it hold the run to nothing, and how to go on; ``None`` where one does.
    """
    policy, scope = settings.policy, settings.scope
    if settings.limits or settings.inside or settings.time_seconds is not None or policy.call:
        return None
    patterns = list(dict.fromkeys(pattern for pattern, _ in policy.budgets))
    if not patterns:
        return "nothing is limited: give --usd, --calls or a policy"
    if any(matches(pattern, part) for pattern in patterns for part in scope.path()):
        return None
    below = [pattern for pattern in patterns if _is_below(pattern, scope)]
    what = f"only {', '.join(below)} in it" if below else "nothing"
    close = next(((pattern, wider) for pattern in patterns for wider in _wider(pattern) if matches(wider, scope)), None)
    entry = f"write {close[1]} for {close[0]}" if close else "write an entry such as run:*"
    return f"{what} is limited: no entry of the policy is for {scope}; give --usd or --calls, or {entry}"


def _is_below(pattern: str, scope: Scope) -> bool:
    """
    Whether it may name an agent or a step of the run.
    """
    segments = pattern.split("/")
    around = "/".join(segment for segment in segments if not segment.startswith(("agent:", "step:")))
    return around != pattern and (not around or matches(around, scope))


def _wider(pattern: str) -> tuple[str, ...]:
    """
    The patterns that someone may have meant who named one run.
    """
    is_one_run = kind_of(pattern) == "run" and not pattern.endswith("*")
    return (f"{pattern}-*", f"{pattern}*") if is_one_run else ()


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
